"""The runner: brings every projection up to the end of the log, and keeps it there.

Any number may start; the one that holds a lock of the database works, another takes over when it ends. An event that a
projection cannot digest stops that projection, with a note, and nothing else.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

import psycopg

from ledger.store import Store
from projections import shelves
from projections.base import Log, Projection, discover
from projections.progress import Progress, silent
from projections.shelves import Shelf

#: The advisory lock of the one that works.
RUNNER_LOCK: Final = 0x6B656A696E10
#: The advisory lock of filling a generation that is not read yet.
REBUILD_LOCK: Final = 0x6B656A696E11

#: So many positions are folded in one transaction.
RANGE_POSITIONS: Final = 1 << 20
_RECHECK_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class Status:
    """How far a projection is: of the generation that is read. `problem` says why it stopped, if it did."""

    name: str
    position: int
    lag: int
    version: int
    generation: int
    stopped_at: int | None
    problem: str | None


@shelves.begins_again
def statuses(store: Store) -> list[Status]:
    """The state of every projection that was ever filled."""
    head = store.head().position
    found = []
    for name, generation, version, live, stopped_at, problem in shelves.generations(store):
        if live:
            position = Shelf(store, name, generation).position()
            found.append(Status(name, position, head - position, version, generation, stopped_at, problem))
    return found


class Runner:
    """Fills projections, as the owner of the database. Not for several threads at once."""

    def __init__(self, address: str, known: Mapping[str, Projection] | None = None) -> None:
        """Of the ledger at a libpq address. Raises StoreError."""
        self.known = discover() if known is None else known
        self._address = address
        self._stores = [Store.open(address, as_owner=True)]

    def close(self) -> None:
        """Close the connections, and with them give the locks up."""
        for store in self._stores:
            store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def store(self) -> Store:
        """The connection that writes, and holds the locks."""
        return self._stores[0]

    def log(self, positions: int) -> Log:
        """The log; over two connections where there is much to read."""
        if positions > RANGE_POSITIONS // 10 and len(self._stores) == 1:
            self._stores.append(Store.open(self._address, as_owner=True))
        return Log(self._stores if positions > RANGE_POSITIONS // 10 else self._stores[:1])

    @contextlib.contextmanager
    def leading(self) -> Iterator[bool]:
        """Whether we are the one that works, while the block runs."""
        leads = bool(self._lock("pg_try_advisory_lock", RUNNER_LOCK))
        try:
            yield leads
        finally:
            if leads:
                with contextlib.suppress(psycopg.OperationalError):  # gone: and with it the lock
                    self._lock("pg_advisory_unlock", RUNNER_LOCK)

    def _lock(self, function: str, lock: int) -> object:
        row = self.store.connection.execute(f"select {function}({lock})").fetchone()
        return row and row[0]

    def catch_up(self, progress: Progress = silent) -> None:
        """While leading: bring every projection to the end of the log as it is now, each as far as it can."""
        self._renew_outdated(progress)
        until = self.store.head().position
        log: Log | None = None
        for projection in self.known.values():
            shelf = self._live_or_begun(projection)
            if shelf is None:
                continue
            reached = shelf.position()
            while reached < until:
                log = log or self.log(until - reached)
                last = min(reached + RANGE_POSITIONS, until)
                if not self._folded(projection, shelf, log, reached, last):
                    break
                reached = last
                progress(projection.name, reached, until)

    def _renew_outdated(self, progress: Progress) -> None:
        """Rebuild what the code of another version filled; until it is swapped in, the old one is read."""
        from projections.rebuilding import RebuildUnderWay, rebuild  # which is made of runners

        names = outdated(statuses(self.store), self.known)
        if names:
            with contextlib.suppress(RebuildUnderWay):  # then it is being done
                rebuild(self, names, progress)

    def _live_or_begun(self, projection: Projection) -> Shelf | None:
        """The generation to go on with; None where another version's is still the one that is read."""
        for name, generation, version, live, *_ in shelves.generations(self.store):
            if live and name == projection.name:
                return Shelf(self.store, name, generation) if version == projection.version else None
        with self.store.connection.transaction():
            shelf = begun(self.store, projection)
            shelves.make_live(shelf)
        return shelf

    def _folded(self, projection: Projection, shelf: Shelf, log: Log, after: int, until: int) -> bool:
        """Fold a range; where that fails, up to the event that cannot be digested. Whether all was folded."""
        try:
            with self.store.connection.transaction():
                projection.fold(shelf, log, after, until)
                shelves.advance(shelf, until)
                shelves.note_problem(shelf, None, None)
            return True
        except psycopg.OperationalError:
            raise  # the database went away: no event's fault
        except shelves.GONE:
            if shelf == shelves.live(self.store, projection.name):
                raise
            return False  # swapped for another generation meanwhile
        except Exception as error:
            if until - after > 1:
                middle = (after + until) // 2
                return self._folded(projection, shelf, log, after, middle) and self._folded(
                    projection, shelf, log, middle, until
                )
            with self.store.connection.transaction():
                shelves.note_problem(shelf, until, f"{type(error).__name__}: {error}"[:500])
            return False

    def run(self, stop: threading.Event, progress: Progress = silent) -> None:
        """Follow the log until told to stop; while another runner works, wait to take over.

        Raises psycopg.OperationalError when the database goes away.
        """
        connection = self.store.connection
        self.store.query_nothing("listen_appended")
        while not stop.is_set():
            with self.leading() as leads:
                while leads and not stop.is_set():
                    self.catch_up(progress)
                    for _ in connection.notifies(timeout=_RECHECK_SECONDS, stop_after=1):
                        pass
            stop.wait(_RECHECK_SECONDS)


def begun(store: Store, projection: Projection) -> Shelf:
    """In a transaction of the owner: a new generation with its empty tables."""
    shelf = shelves.begin(store, projection.name, projection.version)
    projection.create(shelf)
    shelves.finish(shelf)
    return shelf


def ensure(store: Store, position: int, progress: Progress = silent, patience_seconds: float = 600.0) -> None:
    """Return once every projection reaches a position: at once if they do, else by doing the work, or by waiting for
    the runner that does it. One that stopped before is left to its readers, who get NotProjected."""
    if _reach(store, position):
        return
    deadline = time.monotonic() + patience_seconds
    with Runner(store.address) as runner:
        while not _reach(store, position):
            with runner.leading() as leads:
                if leads:
                    runner.catch_up(progress)
                    return
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)


def _reach(store: Store, position: int) -> bool:
    """Whether every projection, filled by code of this version, reaches a position or will not because it stopped."""
    found, known = {status.name: status for status in statuses(store)}, discover()
    return (
        found.keys() >= known.keys()
        and not outdated(found.values(), known)
        and all(status.position >= position or status.problem for status in found.values())
    )


def outdated(found: Iterable[Status], known: Mapping[str, Projection]) -> list[str]:
    """The projections that code of another version filled."""
    return [
        status.name
        for status in found
        if status.name in known and status.version != known[status.name].version
    ]
