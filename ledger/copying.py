"""Rows as COPY's text format writes them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.dates import Day
from ledger.events import Posting


class PendingEvent(NamedTuple):
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


def array(texts: Sequence[str]) -> str:
    """Texts as the literal of an array: what a parameter of type text[] may be sent as."""
    joined = '","'.join(texts)
    if "\\" not in joined and joined.count('"') == 2 * len(texts) - 2:
        return '{"' + joined + '"}'
    quoted = ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts]
    return "{" + ",".join(quoted) + "}"


def copy_row(
    position: int, recorded_at: str, event: PendingEvent, ids: dict[str, int], principal: str, leaf: bytes
) -> str:
    postings, on = event.postings, event.effective_on
    line_days = [day for _, _, day in postings]
    days = "\\N" if line_days.count(on) == len(line_days) else "{" + ",".join(line_days) + "}"
    return "\t".join(
        (
            str(position),
            recorded_at,
            on,
            copy_text(event.type),
            copy_text(array(event.tags)),
            "\\\\x" + event.data.hex(),
            "{" + ",".join([str(ids[account]) for account, _, _ in postings]) + "}",
            "{" + ",".join([str(amount_fen) for _, amount_fen, _ in postings]) + "}",
            days,
            principal,
            "\\N" if event.key is None else copy_text(event.key),
            "\\N" if event.fingerprint is None else "\\\\x" + event.fingerprint.hex(),
            str(event.span),
            "\\\\x" + leaf.hex() + "\n",
        )
    )
