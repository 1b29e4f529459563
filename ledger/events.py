"""Events: plain frozen data. What was decided (NewEvent) and what was recorded (Event).

What every event goes through is a named tuple: made several times as fast as a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from ledger.dates import Day


class Posting(NamedTuple):
    """One line: the account, the amount in fen (signed; never 0), the business date of this line."""

    account: str
    amount_fen: int
    effective_on: Day


class NewEvent(NamedTuple):
    """What a decision wants recorded. `tags` are sorted and distinct; `data` is JSON-ready."""

    type: str
    effective_on: Day
    tags: tuple[str, ...]
    data: Mapping[str, Any]
    postings: tuple[Posting, ...] = ()


class Event(NamedTuple):
    """What was recorded, as far as state needs it: the position (from 1, gapless) and the decided part."""

    position: int
    type: str
    effective_on: Day
    tags: tuple[str, ...]
    data: Mapping[str, Any]
    postings: tuple[Posting, ...]


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
