"""Signing for the command line: whose key signs for a ledger, and checkpoints after what was recorded."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import psycopg

from api.language import say
from api.problems import Problem
from api.session import database_address
from ledger.keyring import KEY_FILE, Keyring, KeyringError
from ledger.notes import Checkpoint, NotANote, SigningKey, VerifierKey, read_checkpoint
from ledger.server import default_data_dir
from ledger.signer import Contradiction, Signer
from ledger.store import Store

KEY_VARIABLE: Final = "KEJIN_SIGNING_KEY"


def keyring_of(data: Path | None) -> Keyring | None:
    """The key file of a ledger: of the data folder; of a database by address the one that KEJIN_SIGNING_KEY names,
    None where it names none."""
    if data is None and database_address() is not None:
        named = os.environ.get(KEY_VARIABLE)
        return Keyring(Path(named)) if named else None
    return Keyring((data or default_data_dir()) / KEY_FILE)


def own_key(data: Path | None, *, make: bool) -> tuple[Keyring, SigningKey] | None:
    """The key that signs for a ledger, if there is one; with `make` a new data folder gets one. Raises Problem."""
    keyring = keyring_of(data)
    if keyring is None:
        return None
    in_folder = data is not None or database_address() is None
    try:
        key = keyring.key()
        if key is None and make and in_folder:
            if keyring.note_path.exists():  # it has signed before: another key must not take its place unseen
                raise KeyringError(
                    f"the signing key {keyring.path} is gone; restore it, or begin with another: kejin key adopt",
                    f"签名密钥 {keyring.path} 已丢失；请恢复，或用 kejin key adopt 启用新密钥",
                )
            key = keyring.made()
    except KeyringError as error:
        raise Problem(say(str(error), error.zh)) from None
    return None if key is None else (keyring, key)


def needed_key(data: Path | None) -> tuple[Keyring, SigningKey]:
    """The key that signs for a ledger. Raises Problem where there is none."""
    own = own_key(data, make=True)
    if own is None:
        raise Problem(
            say(
                f"no signing key: set {KEY_VARIABLE} to its file and make it with kejin key adopt",
                f"没有签名密钥：请以 {KEY_VARIABLE} 指明文件，并用 kejin key adopt 建立",
            )
        )
    return own


def read_key(text: str) -> VerifierKey:
    """A public key given by a person: its text, or a file that holds it. Raises Problem."""
    try:
        file = Path(text)
        return VerifierKey.read(file.read_text(encoding="utf-8") if file.is_file() else text)
    except (NotANote, OSError, ValueError):
        raise Problem(say(f"--key {text!r} is no public key", f"--key {text!r} 不是公钥")) from None


def read_held(path: Path) -> tuple[str, Checkpoint]:
    """A checkpoint that somebody holds, whoever signed it: its note, and what that says. Raises Problem for a file that
    is none, OSError."""
    try:
        note = path.read_text(encoding="utf-8")
        return note, read_checkpoint(note)
    except (NotANote, UnicodeError):
        raise Problem(say(f"{path} is not a checkpoint", f"{path} 不是检查点")) from None


class Signing:
    """Checkpoints while commands are recorded. What cannot be signed is said once and stops nothing."""

    def __init__(self, store: Store, data: Path | None, appending: Store | None = None) -> None:
        """Over `store` of what is appended over `appending` (default: the same), with the ledger's own key if there is
        one. Raises Problem: an unusable key."""
        own = own_key(data, make=True)
        self._appending = appending or store
        self._signer: Signer | None = Signer(store, *own, self._appending) if own else None

    @property
    def is_active(self) -> bool:
        """Whether there is a key and nothing spoke against signing."""
        return self._signer is not None

    def committed(self, *, at_rest: bool) -> None:
        """To be called after commits. Raises psycopg.OperationalError where the database is lost."""
        if self._signer is None:
            return
        try:
            self._signer.committed(at_rest=at_rest)
        except (Contradiction, KeyringError) as error:
            self._stop(say(str(error), error.zh))
        except psycopg.OperationalError:
            raise
        except (psycopg.Error, OSError) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            self._stop(say(f"no checkpoint was signed: {reason}", f"未能签署检查点：{reason}"))

    def _stop(self, line: str) -> None:
        print(f"kejin: {line}", file=sys.stderr)
        self._signer = self._appending.follower = None


def begun(store: Store, data: Path | None, appending: Store | None = None) -> Signing | None:
    """Signing; or none where the key cannot be used, which is said: it stops nobody from recording."""
    try:
        return Signing(store, data, appending)
    except Problem as problem:
        print(f"kejin: {problem}", file=sys.stderr)
        return None
