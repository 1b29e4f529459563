"""What a decided batch writes, taken from memory before the next one is decided, and how it is written: all events
with COPY, the day sums of owners whose tails grew long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from ledger.batch import DecidedEvent
from ledger.events import Event
from ledger.loading import Loader
from ledger.store import Turn
from ledger.stored import AccountSums, OwnerSums

_BIGINT_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Writing:
    """What a decided batch writes: its events, and day sums of owners whose tails grew long. Everything is taken from
    memory before, so that another thread may write while the next batch is decided."""

    decided: Sequence[DecidedEvent]
    events: Sequence[Event]
    day_sums: Sequence[OwnerSums]

    @classmethod
    def of(cls, decided: Sequence[DecidedEvent], loader: Loader) -> Self:
        """What a batch writes that was decided on the state of `loader`."""
        events = [one.event for one in decided]
        loader.count(events)
        day_sums = [(tag, _sums_of(tag, loader)) for tag in loader.take_long_tails(len(decided))]
        return cls(decided, events, [(tag, sums) for tag, sums in day_sums if _can_be_stored(sums)])

    @property
    def first(self) -> int:
        """The position of the first event."""
        return self.decided[0].event.position

    @property
    def bodies(self) -> list[bytes]:
        """What is appended of each event, but for position and time."""
        return [one.body for one in self.decided]

    def write(self, turn: Turn) -> None:
        """Append the events and store the day sums."""
        append(turn, self.first, self.bodies, self.day_sums)


def _sums_of(tag: str, loader: Loader) -> AccountSums:
    return [
        (path, list(sums.days), list(sums.amounts_fen))
        for path, sums in loader.state.accounts_of(tag).items()
        if sums.days  # else it was only asked for, and is no account of the log
    ]


def _can_be_stored(accounts: AccountSums) -> bool:
    """Whether PostgreSQL has integers for all sums. An owner with larger ones is read from the log: slower, no less
    right."""
    return all(abs(fen) <= _BIGINT_MAX for _, _, amounts_fen in accounts for fen in amounts_fen)


def append(turn: Turn, first: int, bodies: Sequence[bytes], day_sums: Sequence[OwnerSums]) -> None:
    """Append events that were decided from the position `first` on, and store the day sums of owners."""
    if first != turn.head.position + 1:
        raise AssertionError(f"decided from {first} on, but the log ends at {turn.head.position}")
    last = turn.append_bodies(bodies)
    if day_sums:
        turn.save_day_sums(day_sums, last)
