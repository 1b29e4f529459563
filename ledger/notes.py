"""Signed notes and the checkpoints written in them (C2SP signed-note, tlog-checkpoint), Ed25519 (RFC 8032). Pure.

A note is text, an empty line, and signature lines `— <name> <base64(key id, 4 bytes || signature)>`. A key has the
name of the log that it signs for. Its public half travels as a verifier key `<name>+<key id>+<base64(0x01 || key)>`,
its private half as `PRIVATE+KEY+<name>+<key id>+<base64(0x01 || seed)>`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: C2SP signed-note: the type of an Ed25519 signature, before the key's bytes.
ED25519: Final = b"\x01"
PRIVATE: Final = "PRIVATE+KEY+"
SIGNATURES_MAX: Final = 16

_NAME: Final = re.compile(r"[^\s+\x00-\x20]{1,200}")
_SIGNATURE: Final = re.compile("— ([^ ]+) ([A-Za-z0-9+/=]+)")


class NotANote(ValueError):
    """Not a key, not a signed note, or not a checkpoint."""


def is_name(name: str) -> bool:
    """Whether a log and its keys may have this name: not empty, no blanks, no `+`."""
    return _NAME.fullmatch(name) is not None


def _base64(text: str, length: int) -> bytes:
    """Strictly decoded base64 of so many bytes. Raises NotANote."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotANote("not base64") from None
    if len(value) != length or base64.b64encode(value).decode() != text:
        raise NotANote("not the base64 that it should be")
    return value


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a key: the log's name and 32 bytes."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """C2SP signed-note: the first 4 bytes of SHA-256(name || 0x0A || type || public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @classmethod
    def read(cls, text: str) -> VerifierKey:
        """From its text. Raises NotANote."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        kind_and_key = _base64(encoded, 33)
        key = cls(name, kind_and_key[1:])
        if not is_name(name) or kind_and_key[:1] != ED25519 or key.id.hex() != key_id:
            raise NotANote("not a verifier key of Ed25519")
        return key

    def verifies(self, signature: bytes, text: bytes) -> bool:
        """Whether the signature (64 bytes) is this key's over the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private half of a key: the log's name and the seed of 32 bytes."""

    name: str
    seed: bytes

    @classmethod
    def generate(cls, name: str) -> SigningKey:
        """A new key from the system's randomness. Not pure, alone in this file."""
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def read(cls, text: str) -> SigningKey:
        """From its text. Raises NotANote."""
        text = text.strip()
        name, _, rest = text.removeprefix(PRIVATE).partition("+")
        key_id, _, encoded = rest.partition("+")
        key = cls(name, _base64(encoded, 33)[1:])
        if not text.startswith(PRIVATE) or not is_name(name) or key.verifier.id.hex() != key_id:
            raise NotANote("not a signing key of Ed25519")
        return key

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self._private().public_key().public_bytes_raw())

    def text(self) -> str:
        """As it is kept in its file. Never shown."""
        encoded = base64.b64encode(ED25519 + self.seed).decode()
        return f"{PRIVATE}{self.name}+{self.verifier.id.hex()}+{encoded}\n"

    def sign(self, text: bytes) -> bytes:
        """The signature (64 bytes) over the text."""
        return self._private().sign(text)

    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    def __repr__(self) -> str:  # a seed must not end up in a traceback or a log
        return f"SigningKey({self.name!r})"


def signed(text: str, keys: Sequence[SigningKey]) -> str:
    """The note: a text that ends in a newline, signed by each key."""
    lines = []
    for key in keys:
        value = base64.b64encode(key.verifier.id + key.sign(text.encode())).decode()
        lines.append(f"— {key.name} {value}\n")
    return text + "\n" + "".join(lines)


def opened(note: str, keys: Iterable[VerifierKey]) -> str | None:
    """The note's text if a key of these signed it, else None. Signatures of unknown keys are passed over; a wrong one
    of a known key makes the note worthless. Raises NotANote."""
    text, signatures = taken_apart(note)
    known = {(key.name, key.id): key for key in keys}
    good = False
    for name, key_id, signature in signatures:
        key = known.get((name, key_id))
        if key is None:
            continue
        if not key.verifies(signature, text.encode()):
            return None
        good = True
    return text if good else None


def taken_apart(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """A note's text and its signatures (name, key id, 64 bytes), none of them checked. Raises NotANote."""
    text, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n") or any(c < " " and c != "\n" for c in note):
        raise NotANote("not a signed note")
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NotANote("too many signatures")
    signatures = []
    for line in lines:
        match = _SIGNATURE.fullmatch(line)
        if match is None:
            raise NotANote("not a signature line of a signed note")
        value = _base64(match[2], 68)
        signatures.append((match[1], value[:4], value[4:]))
    return text + "\n", signatures


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log: its name, how many events, the root of their tree and the root of the index of parties."""

    origin: str
    size: int
    root: bytes
    parties: bytes

    def text(self) -> str:
        """C2SP tlog-checkpoint: origin, size, root; our one extension line names the index of parties."""
        root, parties = base64.b64encode(self.root).decode(), base64.b64encode(self.parties).decode()
        return f"{self.origin}\n{self.size}\n{root}\nparties {parties}\n"

    @classmethod
    def read(cls, text: str) -> Checkpoint:
        """From a note's text. Raises NotANote."""
        lines = text.split("\n")
        if (
            len(lines) != 5
            or not lines[3].startswith("parties ")
            or not re.fullmatch("0|[1-9][0-9]{0,17}", lines[1])
        ):
            raise NotANote("not a checkpoint of a Kejin ledger")
        parties = _base64(lines[3].removeprefix("parties "), 32)
        return cls(lines[0], int(lines[1]), _base64(lines[2], 32), parties)


def read_checkpoint(note: str) -> Checkpoint:
    """The checkpoint of a note, whoever signed it. Raises NotANote."""
    return Checkpoint.read(taken_apart(note)[0])


#: What the old key signs when a new one takes over, so that who trusts the old one can follow.
def handover_text(old: VerifierKey, new: VerifierKey) -> bytes:
    """The bytes that hand a log over from one key to the next."""
    return f"kejin-key-handover-1\n{old}\n{new}\n".encode()
