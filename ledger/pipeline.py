"""The pipeline: many batches of commands, each decided while those before it are written.

Deciding is work of this process, writing is work of PostgreSQL: with two connections both go on at once. The writing
connection keeps the append lock from batch to batch, so nobody else can append between what a decision saw and what
it wrote; as soon as somebody waits for it, or no more input waits here, what is decided is written and the lock let
go. No outcome is handed on before its commit, and a batch that fails drops all that was decided on top of it.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Self

import psycopg

from ledger.appending import Appender, Begun, ProcessAppender, ThreadAppender
from ledger.batch import Batch, Known, Veto
from ledger.catalogue import Catalogue
from ledger.commands import Command
from ledger.loading import Loader, known
from ledger.outcomes import Outcome
from ledger.store import Store
from ledger.writing import Writing

#: So long the lock is kept although somebody waits for it: taking turns costs both sides the overlap.
HELD_SECONDS_MIN: Final = 0.2
#: So many batches are written, or wait to be, while the next one is decided: with one only, what decides waits for
#: each batch that takes longer to write, and what writes for each that takes longer to decide.
UNDER_WAY_MAX: Final = 2
#: A batch of so many commands says that many more may come; a second one, that a process to write is worth its start.
MANY_COMMANDS: Final = 1_000


@dataclass(slots=True)
class _Turn:
    """A batch that is decided: its outcomes, what it knows of keys, and what it writes, if anything."""

    outcomes: list[Outcome]
    keys: dict[str, Known]
    writing: Writing | None
    begun: Begun | None = None  # once the writing was begun

    @property
    def is_done(self) -> bool:
        """Whether its outcomes can be handed on, or it failed."""
        return self.begun is None or self.begun.done()

    def finish(self) -> None:
        """Wait until its outcomes can be handed on. Raises psycopg.Error."""
        if self.begun is not None:
            self.begun.result()


class Pipeline:
    """Decides and appends many batches for one principal. Not for several threads at once."""

    def __init__(self, store: Store, catalogue: Catalogue, principal: str) -> None:
        """`store` writes; a connection beside it reads at the same time. Raises StoreError."""
        self._store = store
        self._principal = principal
        self._catalogue = catalogue
        #: Batches of so many commands or fewer are written in the transaction that decides them, if nothing is under
        #: way: there is little to overlap, and it takes half of the round trips.
        self.alone_max = 0
        self.in_thread = ThreadAppender(store)
        self._appender: Appender = self.in_thread
        #: Starts a process that takes the writing over when there is much of it.
        self.start_child: Callable[[], ProcessAppender] | None = None
        self._child: ProcessAppender | None = None  # until it is ready
        #: Asked before each batch, with the store that reads: what forbids commands of it.
        self.vetoing: Callable[[Store], Veto | None] | None = None
        self._batches_of_many = 0
        self.held_seconds_min = HELD_SECONDS_MIN
        self.reader = store.beside(by_index=True)
        self._loader = Loader(self.reader, catalogue)
        self._under_way: deque[_Turn] = deque()  # decided, not committed yet or not handed on
        self._held_since: float | None = None  # when the append lock was taken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        child = self._child or (self._appender if isinstance(self._appender, ProcessAppender) else None)
        if child is not None:
            child.close(at_once=kind is not None)  # the lock goes with its connection
        self.in_thread.close()
        if self._appender is self.in_thread:
            with contextlib.suppress(
                psycopg.Error
            ):  # a connection that is lost has let the lock go by itself
                self._release()
        self.reader.close()

    def outcomes(self, batches: Iterable[Sequence[Command] | None]) -> Iterator[list[Outcome]]:
        """The outcomes of each batch, in order, after its commit. None among the batches says that no more waits now.

        Raises psycopg.Error when the database fails: then nothing of the batches whose outcomes were not handed on is
        known to be recorded, and sending them again under the same keys is safe.
        """
        try:
            for commands in batches:
                if commands is None:
                    yield from self._settled_and_released()
                    continue
                if self._held_since is None and not self._under_way and len(commands) <= self.alone_max:
                    yield self.submit(commands)
                    continue
                if self._held_since is not None and self._somebody_waits():
                    yield from self._settled_and_released()
                if self._child_is_ready(len(commands)):
                    yield from self._settled()
                    self._take_child()
                yield from self._already_written()
                turn = self._decided(commands)  # while the batches before are written
                before = list(self._settled(UNDER_WAY_MAX - 1))
                self._begin_writing(turn)
                yield from before
            yield from self._settled_and_released()
        except BaseException:
            self._under_way.clear()
            self._loader.forget()
            raise

    def _begin_writing(self, turn: _Turn) -> None:
        if turn.writing is not None:
            turn.begun = self._appender.begin(turn.writing)
        self._under_way.append(turn)
        self._note_unwritten()

    def _note_unwritten(self) -> None:
        self._loader.unwritten = [writing.events for writing in self._unwritten()]

    def _unwritten(self) -> list[Writing]:
        """What is being written, or waits to be."""
        return [turn.writing for turn in self._under_way if turn.writing is not None]

    def committed(self, *, at_rest: bool) -> None:
        """To be called when outcomes are out: sign, if it is time or nothing more waits. Raises psycopg.Error."""
        self._appender.committed(at_rest)

    @property
    def appends_in_process(self) -> bool:
        """Whether a process of its own writes by now."""
        return self._appender is not self.in_thread

    # --- a process that writes, for long inputs --------------------------------------------------------------------

    def _child_is_ready(self, commands: int) -> bool:
        self._batches_of_many += commands >= MANY_COMMANDS
        if self.start_child is not None and self._batches_of_many >= 2:
            starting, self.start_child = self.start_child, None
            with contextlib.suppress(OSError):  # no process to be had: the thread goes on
                self._child = starting()
        if self._child is None:
            return False
        try:
            return self._child.is_ready()
        except psycopg.OperationalError:  # the thread goes on instead, and meets what ended it if it lasts
            self._child.close(at_once=True)
            self._child = None
            return False

    def _take_child(self) -> None:
        """In the middle of nothing: from now on the child writes."""
        assert self._child is not None
        self._release()
        self.in_thread.close()
        self._appender, self._child = self._child, None

    def _settled(self, left: int = 0) -> Iterator[list[Outcome]]:
        """Wait for all batches under way but the newest so many: their outcomes."""
        while len(self._under_way) > left:
            turn = self._under_way[0]
            turn.finish()
            self._under_way.popleft()
            self._note_unwritten()
            yield turn.outcomes

    def _already_written(self) -> Iterator[list[Outcome]]:
        """The outcomes of those that need not be waited for: whoever sent them does not wait for more to be decided."""
        while self._under_way and self._under_way[0].is_done:
            yield from self._settled(len(self._under_way) - 1)

    def _settled_and_released(self) -> Iterator[list[Outcome]]:
        """All of them; the lock is let go before anybody is told, since whoever is told may take their time."""
        told: list[list[Outcome]] = []
        try:
            for outcomes in self._settled():
                told.append(outcomes)  # noqa: PERF402 - those before one that fails are told
            self._release()
        except psycopg.Error:
            yield from told
            raise
        yield from told

    def let_go(self) -> None:
        """To be called while outcomes are handed on, when that takes long: nobody else waits for the lock meanwhile.
        What is being written is committed; its outcomes come in their turn. Raises psycopg.Error."""
        for turn in self._under_way:
            turn.finish()
            turn.begun = turn.writing = None
        self._note_unwritten()
        self._release()

    # --- the append lock, kept from batch to batch ---------------------------------------------------------------

    def _hold(self) -> None:
        if self._held_since is None:
            self._appender.hold()
            self._held_since = time.monotonic()

    def _release(self) -> None:
        if self._held_since is not None:
            self._held_since = None
            self._appender.release()

    def _somebody_waits(self) -> bool:
        held_since = self._held_since or 0.0
        if time.monotonic() - held_since < self.held_seconds_min:
            return False
        return self.reader.somebody_waits_to_append()

    # --- deciding ------------------------------------------------------------------------------------------------

    def _decided(self, commands: Sequence[Command]) -> _Turn:
        """Decide a batch on all that was decided before. Takes the append lock if there is anything to decide."""
        loader = self._loader
        with self.reader.reading() as head:
            keys, fresh = loader.begin(head, commands, [turn.keys for turn in self._under_way])
        if fresh and self._held_since is None:
            self._hold()
            if self.reader.head().position != head.position:
                with self.reader.reading() as head:
                    since = loader.catch_up(head)
                    keys.update((k.key, known(k)) for k in since if k.key is not None)
                    loader.load(fresh, head.position)
        batch = Batch(self._catalogue, loader.state, keys, self._fetch, self._principal, self._veto())
        outcomes = [batch.decide(command) for command in commands]
        return _Turn(outcomes, keys, Writing.of(batch.decided, loader) if batch.decided else None)

    def submit(self, commands: Sequence[Command]) -> list[Outcome]:
        """Decide and write one batch by itself, nothing else being under way, in one transaction, which takes the
        append lock before anything is read. Raises psycopg.Error as `outcomes` does."""
        loader = self._loader
        try:
            with self._store.turn() as turn:
                keys, _ = loader.begin(turn.head, commands)
                batch = Batch(self._catalogue, loader.state, keys, self._fetch, self._principal, self._veto())
                outcomes = [batch.decide(command) for command in commands]
                if batch.decided:
                    Writing.of(batch.decided, loader).write(turn)
        except BaseException:
            loader.forget()
            raise
        return outcomes

    def _veto(self) -> Veto | None:
        """What forbids commands of the next batch, with those that are being written in view."""
        forbids = self.vetoing(self.reader) if self.vetoing is not None else None
        if forbids is None:
            return None
        under_way = [writing.decided for writing in self._unwritten()]
        return lambda command, decided: forbids(command, chain(*under_way, decided))

    def _fetch(self, tag: str) -> None:
        with self.reader.reading() as head:
            self._loader.fetch(tag, head.position)
