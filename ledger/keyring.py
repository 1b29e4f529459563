"""The files of whoever signs: the private key and, beside it, the newest checkpoint that it signed.

Both lie outside the database, so that who holds the database alone can neither sign nor take a signature back.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.bilingual import Bilingual
from ledger.files import put
from ledger.notes import Checkpoint, NotANote, SigningKey, VerifierKey, opened

KEY_FILE: Final = "signing-key"


class KeyringError(Bilingual):
    """A key file that cannot be used."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """A key file, which may be absent, and the note beside it."""

    path: Path

    @property
    def note_path(self) -> Path:
        """Where the newest checkpoint is kept."""
        return self.path.with_name(self.path.name + ".checkpoint")

    def key(self) -> SigningKey | None:
        """The private key, or None if there is no file. Raises KeyringError."""
        try:
            return SigningKey.read(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeError, NotANote) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise KeyringError(
                f"cannot use the signing key {self.path}: {reason}; restore the file or rotate the key",
                f"无法使用签名密钥 {self.path}：{reason}；请恢复该文件或更换密钥",
            ) from None

    def made(self, name: str | None = None) -> SigningKey:
        """The private key; made if there is none, under a name of its own unless one is given. Raises KeyringError,
        OSError."""
        key = self.key()
        if key is None:
            # Whoever comes second among processes that begin at once takes the first one's.
            with contextlib.suppress(FileExistsError):
                self._write(SigningKey.generate(name or f"kejin-{secrets.token_hex(8)}"), replace=False)
            key = self.key()
            assert key is not None
        return key

    def replace(self, key: SigningKey) -> None:
        """Put another private key in the place of the old one."""
        self._write(key, replace=True)

    def newest(self, trusted: list[VerifierKey]) -> tuple[str, Checkpoint] | None:
        """The newest checkpoint kept here, its note and what it says, if a trusted key signed it. Raises
        KeyringError where it is there and cannot be read."""
        try:
            note = self.note_path.read_text(encoding="utf-8")
            text = opened(note, trusted)
            return None if text is None else (note, Checkpoint.read(text))
        except (FileNotFoundError, UnicodeError, NotANote):
            return None
        except OSError as error:
            raise KeyringError(
                f"cannot read the newest checkpoint {self.note_path}: {error.strerror}",
                f"无法读取最新检查点 {self.note_path}：{error.strerror}",
            ) from None

    def keep(self, note: str) -> None:
        """Keep a note as the newest."""
        put(self.note_path, note, replace=True)

    def _write(self, key: SigningKey, *, replace: bool) -> None:
        put(self.path, key.text(), replace=replace)
