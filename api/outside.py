"""What a check of the log compares it with, besides the database itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from api.language import say
from api.problems import Problem
from api.signing import own_key, read_key
from ledger.notes import NotANote, read_checkpoint
from projections.verification.checkpoints import Held, Outside


def outside_of(data: Path | None, files: Sequence[Path] = (), key: str | None = None) -> Outside:
    """What a check compares the log with: the public key given, else our own; the newest checkpoint beside our own
    key, and those given. Raises Problem."""
    own = own_key(data, make=False)
    keys = [own[1].verifier] if own else []
    beside = [own[0].note_path] if own and own[0].note_path.exists() else []
    held = [*map(_brought, files), *map(_held, beside)]
    if key is not None:
        keys = [read_key(key)]
    elif held and not keys:
        raise Problem(say("who signed it? name the public key with --key", "请用 --key 指明签名公钥"))
    return Outside(keys, held)


def _brought(path: Path) -> Held:
    """One that the caller names: where it is none at all, no question was asked. (Of our own that is a finding.)"""
    held = _held(path)
    try:
        read_checkpoint(held.note)
    except NotANote:
        raise Problem(say(f"{path} is not a checkpoint", f"{path} 不是检查点")) from None
    return held


def _held(path: Path) -> Held:
    try:
        return Held(str(path), path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise Problem(f"{path} {error.strerror}") from None
