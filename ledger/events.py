"""Events: plain data that nobody changes. What was decided (NewEvent) and what was recorded (Event).

What every event goes through is Plain: made several times as fast as a frozen dataclass or a named tuple.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ledger.dates import Day
from ledger.plain import Plain


@mypyc_attr(acyclic=True)
class Posting(Plain):
    """One line: the account, the amount in fen (signed; never 0), the business date of this line."""

    __slots__ = ("account", "amount_fen", "effective_on")

    def __init__(
        self,
        account: str,
        amount_fen: int,
        effective_on: Day,
    ) -> None:
        self.account: Final = account
        self.amount_fen: Final = amount_fen
        self.effective_on: Final = effective_on


@mypyc_attr(acyclic=True)
class NewEvent(Plain):
    """What a decision wants recorded. `tags` are sorted and distinct; `data` is JSON-ready."""

    __slots__ = ("data", "effective_on", "postings", "tags", "type")

    def __init__(
        self,
        type: str,  # noqa: A002 - the field's name
        effective_on: Day,
        tags: tuple[str, ...],
        data: Mapping[str, Any],
        postings: tuple[Posting, ...] = (),
    ) -> None:
        self.type: Final = type
        self.effective_on: Final = effective_on
        self.tags: Final = tags
        self.data: Final = data
        self.postings: Final = postings


@mypyc_attr(acyclic=True)
class Event(Plain):
    """What was recorded, as far as state needs it: the position (from 1, gapless) and the decided part."""

    __slots__ = ("data", "effective_on", "position", "postings", "tags", "type")

    def __init__(
        self,
        position: int,
        type: str,  # noqa: A002 - the field's name
        effective_on: Day,
        tags: tuple[str, ...],
        data: Mapping[str, Any],
        postings: tuple[Posting, ...],
    ) -> None:
        self.position: Final = position
        self.type: Final = type
        self.effective_on: Final = effective_on
        self.tags: Final = tags
        self.data: Final = data
        self.postings: Final = postings


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """Every stored field of an event, as its leaf covers them. `data` is the canonical bytes."""

    position: int
    recorded_at: datetime
    effective_on: Day
    type: str
    tags: tuple[str, ...]
    data: bytes
    postings: tuple[Posting, ...]
    principal: str
    key: str | None
    fingerprint: bytes | None
    span: int
    leaf: bytes
