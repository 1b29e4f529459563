"""Rows as COPY's text format writes them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ledger import codec
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
        codec.canonical(event.data),
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


class Rows(NamedTuple):
    """What appending writes, row by row, and the leaf of each event."""

    events: list[str]
    tags: list[str]
    leaves: list[bytes]

    def add(
        self,
        position: int,
        recorded_at_us: int,
        recorded_at: str,
        event: PendingEvent,
        ids: dict[str, int],
        principal: str,
    ) -> None:
        """Add an event, recorded at that instant (which is given in both forms) by `principal`."""
        entry = codec.preimage(
            position,
            recorded_at_us,
            event.effective_on,
            event.type,
            event.tags,
            event.postings,
            principal,
            event.key,
            event.fingerprint.hex() if event.fingerprint else "-",
            event.span,
            event.data,
        )
        leaf = codec.leaf_hash(entry)
        self.leaves.append(leaf)
        self.events.append(_event_row(position, recorded_at, event, ids, copy_text(principal), leaf))
        at = f"\t{position}\n"
        self.tags.extend([copy_text(tag) + at for tag in dict.fromkeys(event.tags)])


def _data(event: PendingEvent) -> str:
    """An event's data as a bytea. Within JSON no control character is bare (RFC 8259 §7): without a backslash it is
    itself in COPY's text format and in the escape format of bytea, half as long as its digits. Data of no command
    (span 0) may be anything."""
    if event.span and b"\\" not in event.data:
        return event.data.decode()
    return "\\\\x" + event.data.hex()


def _event_row(
    position: int, recorded_at: str, event: PendingEvent, ids: dict[str, int], principal: str, leaf: bytes
) -> str:
    postings, on = event.postings, event.effective_on
    line_days = [line.effective_on for line in postings]
    days = "\\N" if line_days.count(on) == len(line_days) else "{" + ",".join(line_days) + "}"
    return "\t".join(
        (
            str(position),
            recorded_at,
            on,
            copy_text(event.type),
            copy_text(array(event.tags)),
            _data(event),
            "{" + ",".join([str(ids[line.account]) for line in postings]) + "}",
            "{" + ",".join([str(line.amount_fen) for line in postings]) + "}",
            days,
            principal,
            "\\N" if event.key is None else copy_text(event.key),
            "\\N" if event.fingerprint is None else "\\\\x" + event.fingerprint.hex(),
            str(event.span),
            "\\\\x" + leaf.hex() + "\n",
        )
    )
