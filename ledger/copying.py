"""Rows as COPY's text format writes them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.dates import Day
from ledger.events import Posting


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event about to be appended: everything but position and time."""

    type: str
    effective_on: Day
    tags: tuple[str, ...]
    data: bytes
    postings: tuple[Posting, ...] = ()
    key: str | None = None
    fingerprint: bytes | None = None
    span: int = 1
    principal: str | None = None  # None: the turn's own


_COPY_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_text(text: str) -> str:
    """A text as COPY's text format writes it."""
    return text.translate(_COPY_ESCAPES) if not text.isprintable() or "\\" in text else text


def _copy_array(texts: Sequence[str]) -> str:
    quoted = ",".join('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return copy_text("{" + quoted + "}")


def copy_row(
    position: int, recorded_at: str, event: PendingEvent, ids: dict[str, int], principal: str, leaf: bytes
) -> str:
    postings = event.postings
    one_day = all(posting.effective_on == event.effective_on for posting in postings)
    days = "\\N" if one_day else "{" + ",".join([posting.effective_on for posting in postings]) + "}"
    return "\t".join(
        (
            str(position),
            recorded_at,
            event.effective_on,
            copy_text(event.type),
            _copy_array(event.tags),
            "\\\\x" + event.data.hex(),
            "{" + ",".join([str(ids[posting.account]) for posting in postings]) + "}",
            "{" + ",".join([str(posting.amount_fen) for posting in postings]) + "}",
            days,
            principal,
            "\\N" if event.key is None else copy_text(event.key),
            "\\N" if event.fingerprint is None else "\\\\x" + event.fingerprint.hex(),
            str(event.span),
            "\\\\x" + leaf.hex() + "\n",
        )
    )
