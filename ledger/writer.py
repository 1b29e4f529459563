"""The writer: load what a batch must remember, decide it in order, write it at once (group commit).

One turn: keys and memories are loaded before the lock; under it only what others appended since is read; every
command is decided; all events are written with COPY; commit. No outcome is reported before its commit, and a
turn that fails leaves no trace, in the log or in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from ledger import codec
from ledger.batch import Batch, DecidedEvent, Veto
from ledger.catalogue import Catalogue
from ledger.commands import Command
from ledger.copying import PendingEvent
from ledger.dates import Day
from ledger.loading import Loader, known
from ledger.outcomes import Outcome
from ledger.store import Store, Turn

#: An owner whose tail is longer than this gets its day sums stored anew.
TAIL_EVENTS_MAX: Final = 2_000


class Writer:
    """Decides and appends for one principal over one store. Not for several threads at once."""

    def __init__(self, store: Store, catalogue: Catalogue, principal: str) -> None:
        self.store = store
        self._catalogue = catalogue
        self._principal = principal
        self._loader = Loader(store, catalogue)

    def submit(self, commands: Sequence[Command], veto: Veto | None = None) -> list[Outcome]:
        """Decide commands in order and record them in one transaction.

        A command is recorded as sent by its own principal, or by the writer's where it names none.

        Raises psycopg.Error when the database fails: then nothing of these commands is known to be recorded, and
        sending them again under the same keys is safe.
        """
        try:
            return self._submit(commands, veto)
        except BaseException:
            self._loader.forget()
            raise

    def _submit(self, commands: Sequence[Command], veto: Veto | None) -> list[Outcome]:
        loader = self._loader
        with self.store.reading() as head:
            keys, fresh = loader.begin(head, commands)
        if not fresh:
            return Batch(self._catalogue, loader.state, keys, _nothing_to_fetch).decide(commands)
        with self.store.turn() as turn:
            since = loader.catch_up(turn.head)
            if since:
                keys.update((k.key, known(k)) for k in since if k.key is not None)
                loader.load(fresh, turn.head.position)
            batch = Batch(
                self._catalogue, loader.state, keys, lambda tag: loader.fetch(tag, turn.head.position), veto
            )
            outcomes = batch.decide(commands)
            if batch.decided:
                Writing.of(batch.decided, loader).write(turn, self._principal)
        return outcomes


@dataclass(frozen=True, slots=True)
class Writing:
    """What a decided batch writes: its events, and day sums of owners whose tails grew long. Everything is taken from
    memory before, so that another thread may write while the next batch is decided."""

    decided: Sequence[DecidedEvent]
    day_sums: Sequence[tuple[str, str, Day, int]]
    owners: Sequence[str]

    @classmethod
    def of(cls, decided: Sequence[DecidedEvent], loader: Loader) -> Self:
        """What a batch writes that was decided on the state of `loader`."""
        for one in decided:
            loader.count(one.event)
        owners = [tag for tag, count in loader.tails.items() if count > TAIL_EVENTS_MAX]
        loader.tails.update(dict.fromkeys(owners, 0))
        day_sums = [
            (tag, path, day, fen)
            for tag in owners
            for path, sums in loader.state.accounts_of(tag).items()
            for day, fen in sums.by_day.items()
        ]
        return cls(decided, day_sums, owners)

    @property
    def first(self) -> int:
        """The position of the first event."""
        return self.decided[0].event.position

    def pending(self) -> list[PendingEvent]:
        """The events as they are appended."""
        return [_pending(one) for one in self.decided]

    def write(self, turn: Turn, principal: str) -> None:
        """Append the events and store the day sums."""
        append(turn, principal, self.first, self.pending(), self.day_sums, self.owners)


def append(
    turn: Turn,
    principal: str,
    first: int,
    pending: Sequence[PendingEvent],
    day_sums: Sequence[tuple[str, str, Day, int]],
    owners: Sequence[str],
) -> None:
    """Append events that were decided from the position `first` on, and store the day sums of owners."""
    if first != turn.head.position + 1:
        raise AssertionError(f"decided from {first} on, but the log ends at {turn.head.position}")
    last = turn.append(pending, principal)
    if owners:
        turn.save_day_sums(day_sums, owners, last)


def _nothing_to_fetch(tag: str) -> None:
    raise AssertionError(f"a batch of repeated commands asked for {tag}")


def _pending(decided: DecidedEvent) -> PendingEvent:
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
