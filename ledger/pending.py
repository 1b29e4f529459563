"""An event about to be appended, and its form between processes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ledger.batch import DecidedEvent
from ledger.dates import Day
from ledger.events import Posting
from ledger.plain import Plain


class PendingEvent(Plain):
    """An event about to be appended: everything but position and time."""

    __slots__ = (
        "data",
        "effective_on",
        "fingerprint",
        "key",
        "postings",
        "principal",
        "span",
        "tags",
        "type",
    )

    def __init__(
        self,
        type: str,  # noqa: A002 - the field's name
        effective_on: Day,
        tags: tuple[str, ...],
        data: bytes,
        postings: tuple[Posting, ...] = (),
        key: str | None = None,
        fingerprint: bytes | None = None,
        span: int = 1,
        principal: str | None = None,
    ) -> None:
        self.type: Final = type
        self.effective_on: Final = effective_on
        self.tags: Final = tags
        self.data: Final = data
        self.postings: Final = postings
        self.key: Final = key
        self.fingerprint: Final = fingerprint
        self.span: Final = span
        self.principal: Final = principal  # None: the turn's own


def pending_of(decided: DecidedEvent) -> PendingEvent:
    """What was decided, about to be appended."""
    event, command, last = decided.event, decided.command, decided.is_last
    return PendingEvent(
        event.type,
        event.effective_on,
        event.tags,
        decided.data,
        event.postings,
        command.key if last else None,
        command.fingerprint if last else None,
        decided.span if last else 1,
        command.principal,
    )


def plain(pending: PendingEvent) -> tuple[object, ...]:
    """Its fields as values that any process understands; `pending_of_plain` takes them."""
    return (
        pending.type,
        pending.effective_on,
        pending.tags,
        pending.data,
        [(line.account, line.amount_fen, line.effective_on) for line in pending.postings],
        pending.key,
        pending.fingerprint,
        pending.span,
        pending.principal,
    )


def pending_of_plain(values: Sequence[Any]) -> PendingEvent:
    """What `plain` gives, as it was."""
    kind, on, tags, data, lines, key, fingerprint, span, principal = values
    postings = tuple([Posting(*line) for line in lines])
    return PendingEvent(kind, on, tags, data, postings, key, fingerprint, span, principal)
