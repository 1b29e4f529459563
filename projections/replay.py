"""Replay: walk a range of the log and tell for each event what it changed: balances and caps, before and after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger import codec
from ledger.accounts import owner_of
from ledger.dates import Day
from ledger.day_sums import DaySums, room_fen
from ledger.events import Event, Posting, StoredEvent
from ledger.store import Store
from ledger.stored import NO_COMMAND
from projections.balances import balance_fen
from projections.clocks import AsOf
from projections.envelopes import instant

_CAP_BOOKS: Final = ("quota", "limit", "settled")
_REFUSALS: Final = ("ClaimRefused", "CommandRefused")


@dataclass(frozen=True, slots=True)
class CapState:
    """A cap and key at one moment of knowledge (design §4, on the day that was asked)."""

    limit_fen: int
    consumed_fen: int
    reserved_fen: int
    room_fen: int


class _CapHistory:
    """The day sums of the caps of some owners, brought forward event by event."""

    def __init__(self, store: Store, owners: Iterable[str], until: int) -> None:
        events = store.events_of_tags(sorted(owners), until)
        self._events: list[Event] = [keyed.event for keyed in events]
        self._next = 0
        self._books: dict[tuple[str, str], dict[str, DaySums]] = defaultdict(lambda: defaultdict(DaySums))

    def forward(self, until: int) -> None:
        """Take in everything up to a position."""
        while self._next < len(self._events) and self._events[self._next].position <= until:
            for posting in self._events[self._next].postings:
                book, _, rest = posting.account.partition("/")
                if book in _CAP_BOOKS:
                    cap, _, key = rest.partition("/")
                    self._books[cap, key][book].add(posting.effective_on, posting.amount_fen)
            self._next += 1

    def state(self, cap: str, key: str, day: Day) -> CapState:
        """The cap as it is now."""
        books = self._books[cap, key]
        used, limit = books["quota"], books["limit"]
        consumed_fen = used.at(day)
        reserved_fen = consumed_fen - books["settled"].at(day)
        return CapState(limit.at(day), consumed_fen, reserved_fen, room_fen(limit, used, day))


def replay(store: Store, events: Sequence[StoredEvent], on: Day | None = None) -> list[dict[str, Any]]:
    """What each event changed, in order; refusals change nothing and say why. `on` limits both sides to what was
    effective by a day. The projections must reach the last of the events.

    Raises NotProjected.
    """
    if not events:
        return []
    owners = {owner for event in events for owner in map(_cap_owner, event.postings) if owner is not None}
    caps = _CapHistory(store, owners, events[-1].position)
    return [_step(store, event, caps, on) for event in events]


def _cap_owner(posting: Posting) -> str | None:
    return owner_of(posting.account) if posting.account.partition("/")[0] in _CAP_BOOKS else None


def _step(store: Store, event: StoredEvent, caps: _CapHistory, on: Day | None) -> dict[str, Any]:
    day = AsOf(on, event.position).last_day
    parts = [posting.account.split("/", 2) for posting in event.postings]
    touched = dict.fromkeys((part[1], part[2]) for part in parts if part[0] in _CAP_BOOKS)
    caps.forward(event.position - 1)
    before = {(cap, key): caps.state(cap, key, day) for cap, key in touched}
    caps.forward(event.position)
    shown: dict[str, Any] = {
        "position": event.position,
        "recorded_at": instant(event.recorded_at),
        "effective_on": event.effective_on,
        "type": event.type,
        "principal": event.principal,
        "tags": list(event.tags),
        "balances": _balances(store, event, day, on),
        "caps": [_cap(cap, key, was, caps.state(cap, key, day)) for (cap, key), was in before.items()],
    }
    if event.type in _REFUSALS and event.span != NO_COMMAND:
        data = codec.parse_object(event.data)
        shown["refusal"] = {name: data.get(name) for name in ("command", "code", "clause", "arithmetic")}
    return shown


def _balances(store: Store, event: StoredEvent, day: Day, on: Day | None) -> list[dict[str, Any]]:
    moved: dict[str, int] = {}
    for posting in event.postings:
        if posting.account.partition("/")[0] not in _CAP_BOOKS:
            effective_fen = posting.amount_fen if posting.effective_on <= day else 0
            moved[posting.account] = moved.get(posting.account, 0) + effective_fen
    rows = []
    for account, change_fen in moved.items():
        after_fen = balance_fen(store, account, AsOf(on, event.position))
        before_fen = after_fen - change_fen
        rows.append(
            {"account": account, "before_fen": before_fen, "after_fen": after_fen, "change_fen": change_fen}
        )
    return rows


def _cap(cap: str, key: str, was: CapState, now: CapState) -> dict[str, Any]:
    names = CapState.__slots__
    return {
        "cap": cap,
        "key": key,
        "before": {name: getattr(was, name) for name in names},
        "after": {name: getattr(now, name) for name in names},
    }
