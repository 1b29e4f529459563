"""What a check of the log compares it with, besides the database itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from api.language import say
from api.problems import Problem
from api.signing import own_key, read_held, read_key
from projections.verification.checkpoints import Held, Outside


def outside_of(data: Path | None, files: Sequence[Path] = (), key: str | None = None) -> Outside:
    """What a check compares the log with: the public key given, else our own; the newest checkpoint beside our own
    key, and those given. Raises Problem."""
    own = own_key(data, make=False)
    keys = [own[1].verifier] if own else []
    beside = [own[0].note_path] if own and own[0].note_path.exists() else []
    # What the caller names is a checkpoint, or no question was asked; of our own that it is none is a finding.
    held = [*(Held(str(path), read_held(path)[0]) for path in files), *map(_own_note, beside)]
    if key is not None:
        keys = [read_key(key)]
    elif held and not keys:
        raise Problem(say("who signed it? name the public key with --key", "请用 --key 指明签名公钥"))
    return Outside(keys, held)


def _own_note(path: Path) -> Held:
    try:
        return Held(str(path), path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise Problem(f"{path} {error.strerror}") from None
