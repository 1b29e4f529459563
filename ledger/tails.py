"""Tails: by how many events the history of each remembered owner grew since its day sums were stored. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.events import Event

#: An owner whose tail is longer than this, and than what was stored, gets its day sums stored anew: who comes to the
#: ledger later reads one row instead of so many events. A round's sums of two years are a thousand and more.
TAIL_EVENTS_MAX: Final = 256
#: A turn of fewer events, for which people wait, stores only what is overdue: tails longer than this.
FEW_EVENTS: Final = 256
OVERDUE_EVENTS: Final = 2_000


class Tails:
    """The lengths of the tails, by the owner's tag."""

    __slots__ = ("_events", "_events_max", "_few_events", "_long", "_overdue", "_stored")

    def __init__(self, events_max: int = TAIL_EVENTS_MAX, few_events: int = FEW_EVENTS) -> None:
        self._events_max = events_max
        self._few_events = few_events
        self._events: dict[str, int] = {}
        self._stored: dict[str, int] = {}  # how many sums were stored, where they are many
        self._long: set[str] = set()  # whose tail is longer than it may be
        self._overdue: set[str] = set()  # those of them for whom even a small turn takes the time

    def count(self, events: Iterable[Event]) -> None:
        """The history of each owner that any of the events concerns grew by it."""
        for event in events:
            for tag in event.tags:
                self.grow(tag)

    def grow(self, tag: str) -> None:
        """The history of an owner, if its tail is counted, grew by an event."""
        events = self._events.get(tag)
        if events is not None:
            self.set(tag, events + 1)

    def set(self, tag: str, events: int) -> None:
        """So long is the tail of an owner."""
        self._events[tag] = events
        if events > self._events_max and events > self._stored.get(tag, 0):
            self._long.add(tag)
            if events > OVERDUE_EVENTS:
                self._overdue.add(tag)

    def note_stored(self, tag: str, sums: int) -> None:
        """So many day sums of an owner are stored."""
        if sums > self._events_max:
            self._stored[tag] = sums

    def take(self, tag: str) -> int | None:
        """Count the tail of an owner no more; how long it was, if it was counted."""
        self._long.discard(tag)
        self._overdue.discard(tag)
        return self._events.pop(tag, None)

    def take_long(self, events: int) -> list[str]:
        """The owners whose day sums a turn of so many events is to store; from here on their tails are counted anew."""
        long = sorted(self._overdue if events < self._few_events else self._long)
        self._long.difference_update(long)
        self._overdue.clear()
        self._events.update(dict.fromkeys(long, 0))
        return long
