"""Rebuilding: fill a new generation beside the one that is read, hold it against an independent fold, swap.

Reads and appends go on meanwhile. Each range is committed with its position: killed, the next rebuild goes on there.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

import psycopg

from ledger.bilingual import Bilingual
from ledger.store import Store
from projections import shelves
from projections.base import Content, Log, Projection
from projections.cycles import without_search
from projections.forking import Fork
from projections.progress import Progress
from projections.runner import RANGE_POSITIONS, REBUILD_LOCK, Runner, begun
from projections.shelves import Shelf

#: So long at most the tables of an old generation are waited for: far less than PostgreSQL's deadlock_timeout.
_LOCK_MILLISECONDS: Final = 100
#: What may be left to fold at the swap itself, while readers wait.
_SWAP_POSITIONS: Final = 2_000


class RebuildUnderWay(RuntimeError):
    """Another process rebuilds this ledger's projections."""


class Differs(Bilingual):
    """A rebuilt projection is not what the independent fold of the log says; it was not swapped in."""


def _differs(name: str, parts: Sequence[str]) -> Differs:
    where = ", ".join(parts)[:300]
    return Differs(
        f"{name} differs from the independent fold of the log in: {where}; run kejin verify",
        f"{name} 与日志的独立折叠不符：{where}；请运行 kejin verify",
    )


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The rebuild of some projections: events, seconds from the start to the swap, and per projection what it holds."""

    events: int
    seconds: float
    contents: Mapping[str, Content]


@without_search()
def rebuild(runner: Runner, names: Sequence[str], progress: Progress) -> Rebuilt:
    """Rebuild projections and swap them in. Raises RebuildUnderWay, Differs, or what a fold raised."""
    started = time.monotonic()
    store = runner.store
    if not store.connection.execute(f"select pg_try_advisory_lock({REBUILD_LOCK})").fetchone() == (True,):
        raise RebuildUnderWay
    rebuilding = _Rebuilding(runner, [runner.known[name] for name in names], progress)
    try:
        goes_on = rebuilding.begin()
        try:
            until, contents = rebuilding.fill()
        except (psycopg.OperationalError, RebuildUnderWay):
            raise
        except Exception:
            if not goes_on:
                raise
            rebuilding.drop_new()  # whatever became of what was left behind
            rebuilding.begin()
            until, contents = rebuilding.fill()
        rebuilding.swap()
        seconds = time.monotonic() - started
        rebuilding.drop_old()
    finally:
        with contextlib.suppress(psycopg.OperationalError):  # gone: and with it the lock
            store.connection.execute(f"select pg_advisory_unlock({REBUILD_LOCK})")
    return Rebuilt(until, seconds, contents)


class _Rebuilding:
    """One rebuild. The projections are folded in two processes, one each for about half of the work; a third folds
    independently."""

    def __init__(self, runner: Runner, known: Sequence[Projection], progress: Progress) -> None:
        self._runner = runner
        self._store = runner.store
        self._known = known
        self._progress = progress
        self._shelves: dict[str, Shelf] = {}

    def begin(self) -> bool:
        """Go on with what an earlier rebuild left behind, if its code was the same; else begin anew. Whether anything
        was left."""
        left = [row for row in shelves.generations(self._store) if not row[3]]
        goes_on = False
        for projection in self._known:
            for name, generation, version, *_ in left:
                if name == projection.name:
                    shelf = Shelf(self._store, name, generation)
                    if version == projection.version and name not in self._shelves:
                        self._shelves[name] = shelf
                    else:
                        _drop(shelf)
            goes_on = goes_on or projection.name in self._shelves
            if projection.name not in self._shelves:
                with self._store.connection.transaction():
                    self._shelves[projection.name] = begun(self._store, projection)
        return goes_on

    def fill(self) -> tuple[int, dict[str, Content]]:
        """Fold up to the end of the log; the position that all reach, and what they hold, once it is what the log
        says. Raises Differs: there is nothing left to go on with."""
        try:
            return self._fill()
        except Differs:
            self.drop_new()
            raise

    def _fill(self) -> tuple[int, dict[str, Content]]:
        until = self._store.head().position
        reached = {name: shelf.position() for name, shelf in self._shelves.items()}
        while True:
            # Where an earlier rebuild left them at different positions, the ones behind come first.
            after = min(reached.values())
            ahead = [position for position in reached.values() if position > after]
            last = min([until, after + RANGE_POSITIONS, *ahead])
            behind = [p for p in self._known if reached[p.name] == after]
            if last == until:
                contents = self._fold_and_check(behind, after, until)
                self._progress("", until, until)
                return until, contents
            self._fold(behind, after, last)
            reached.update({p.name: last for p in behind})
            self._progress("", last, until)

    def _fold(self, projections: Sequence[Projection], after: int, until: int) -> None:
        log = self._read(after, until)
        ours, theirs = _halves(projections)
        with Fork(lambda: self._fold_some(self._second_log(log), theirs, after, until)) as other:
            self._fold_some(log, ours, after, until)
            other.result()

    def _fold_and_check(
        self, projections: Sequence[Projection], after: int, until: int
    ) -> dict[str, Content]:
        """The last range, while one process folds the whole log independently: three on two cores, since which of
        them has most to do depends on the log."""
        log = self._read(after, until)
        ours, theirs = (list(half) for half in _halves(self._known))
        behind = set(projections)
        with (
            Fork(lambda: self._expected(self._second_log(log), until)) as expecting,
            Fork(lambda: self._fold_half(self._second_log(log), theirs, behind, after, until)) as other,
        ):
            contents = self._fold_half(log, ours, behind, after, until)
            contents |= other.result()
            expected = expecting.result()
        for name, content in contents.items():
            parts = content.differing(expected[name])
            if parts:
                raise _differs(name, parts)
        return contents

    def _fold_half(
        self, log: Log, own: Sequence[Projection], behind: Set[Projection], after: int, until: int
    ) -> dict[str, Content]:
        """Fold those that are behind; what all hold."""
        self._fold_some(log, [p for p in own if p in behind], after, until)
        return {p.name: p.stored(self._shelf(log.store, p), until) for p in own}

    def _expected(self, log: Log, until: int) -> dict[str, Content]:
        return {p.name: p.expected(log, until) for p in self._known}

    def _read(self, after: int, until: int) -> Log:
        """The log, with the columns of a range in memory: a child shares them."""
        log = self._runner.log(until - after)
        if until > after:
            log.columns(after, until)
        return log

    def _fold_some(self, log: Log, projections: Sequence[Projection], after: int, until: int) -> None:
        for projection in projections if until > after else ():
            shelf = self._shelf(log.store, projection)
            with log.store.connection.transaction():
                if shelf.locked_position() != after:  # the child of a rebuild that was killed still works
                    raise RebuildUnderWay
                projection.fold(shelf, log, after, until)
                shelves.advance(shelf, until)

    def _shelf(self, store: Store, projection: Projection) -> Shelf:
        """The new generation of a projection, by a connection."""
        return Shelf(store, projection.name, self._shelves[projection.name].generation)

    def _second_log(self, log: Log) -> Log:
        """The same columns, by a connection of its own: a child must not use its parent's."""
        return log.with_stores([Store.open(self._store.address, as_owner=True)])

    def swap(self) -> None:
        """Catch up with what was appended since, then make the new generations the ones that are read."""
        while self._fold_rest() > _SWAP_POSITIONS:
            pass
        self._old = [
            shelf for name in self._shelves if (shelf := shelves.live(self._store, name)) is not None
        ]
        with self._store.connection.transaction():
            self._fold_rest()
            for shelf in self._shelves.values():
                shelves.make_live(shelf)

    def _fold_rest(self) -> int:
        """Fold what is there by now; how much it was."""
        until = self._store.head().position
        after = min(shelf.position() for shelf in self._shelves.values())
        if after < until:
            self._fold_some(self._runner.log(until - after), self._known, after, until)
        return until - after

    def drop_new(self) -> None:
        """Drop what was filled and is not what the log says."""
        for shelf in self._shelves.values():
            _drop(shelf)
        self._shelves = {}

    def drop_old(self) -> None:
        """Drop what was read before."""
        for shelf in self._old:
            _drop(shelf)


def _drop(shelf: Shelf) -> None:
    """Drop a generation, at once or not at all: who reads or folds it holds some of its tables and may want others, of
    which we must hold none while we wait."""
    connection = shelf.store.connection
    while True:
        try:
            with connection.transaction():
                connection.execute(f"set local lock_timeout = '{_LOCK_MILLISECONDS}ms'")
                shelves.drop(shelf)
            return
        except psycopg.errors.LockNotAvailable:
            time.sleep(_LOCK_MILLISECONDS / 1000)


def _halves(known: Sequence[Projection]) -> tuple[list[Projection], list[Projection]]:
    """Balances costs about as much as all others together."""
    return [p for p in known if p.name == "balances"], [p for p in known if p.name != "balances"]
