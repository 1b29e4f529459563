"""The recorder: the ledger's log as the library `eventsourcing` sees it (`eventsourcing.dcb.api.DCBRecorder`).

Reads and append conditions by types and tags, and subscriptions, over the same log that commands write. What is
appended here are bytes that the ledger does not interpret: no postings, no idempotency key, no command (span 0).
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Self

import psycopg
from eventsourcing import persistence
from eventsourcing.dcb.api import (
    DCBAppendCondition,
    DCBEvent,
    DCBQuery,
    DCBReadResponse,
    DCBRecorder,
    DCBSequencedEvent,
)
from eventsourcing.dcb.persistence import DCBListenNotifySubscription

from ledger.connection import StoreError
from ledger.dates import Day, today_in_shanghai
from ledger.pending import PendingEvent
from ledger.store import Store
from ledger.stored import NO_COMMAND

#: What the index of tags can hold in one row, with some room.
NAME_BYTES_MAX: Final = 2_500
#: One event travels as one line of hexadecimal digits, and PostgreSQL's messages end at 1 GB.
DATA_BYTES_MAX: Final = 256 * 2**20

_CONNECTIONS_MAX: Final = 8
# A huge result is found this many positions at a time, and fetched this many events or bytes at a time.
_POSITIONS_AT_ONCE: Final = 10_000
_EVENTS_AT_ONCE: Final = 500
_BYTES_AT_ONCE: Final = 4 * 2**20
_RECHECK_SECONDS: Final = 1.0
_NO_LIMIT: Final = 2**63 - 1


class Recorder(DCBRecorder):
    """Reads, appends and subscribes over one ledger. Safe for many threads: each call has a connection of its own.

    Every method raises `eventsourcing.persistence` errors: DataError for what the database cannot hold,
    OperationalError when the database fails (an append may then be recorded or not), InterfaceError once closed.
    """

    def __init__(
        self, address: str, principal: str = "recorder", today: Callable[[], Day] = today_in_shanghai
    ) -> None:
        """Of the ledger at a libpq address; appends name `principal` and are effective `today()`."""
        _check_name(principal, "the principal")
        self._address = address
        self._principal = principal
        self._today = today
        self._idle: list[Store] = []
        self._guard = threading.Lock()
        self._permits = threading.BoundedSemaphore(_CONNECTIONS_MAX)
        self._closed = False

    def close(self) -> None:
        """Close the connections. Subscriptions end with an error at their next read."""
        with self._guard:
            self._closed = True
        self._close_idle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def read(
        self, query: DCBQuery | None = None, *, after: int | None = None, limit: int | None = None
    ) -> DCBReadResponse:
        """The matching events after a position, in order, as the log is now; fetched while they are iterated.

        An event matches if any item of the query does (without items: always); an item matches if the event has
        any of its types (or it names none) and all of its tags. `head` is the newest position of the log, or with
        `limit` the position of the last event of this answer; None if there is none.
        """
        return _Answer(self, _items_of(query), _number(after), limit)

    def append(self, events: Sequence[DCBEvent], condition: DCBAppendCondition | None = None) -> int:
        """Append all events or none; return the last one's position.

        Raises IntegrityError where an event that matches the condition's query was recorded after its position,
        ProgrammingError for no events, DataError.
        """
        if not events:
            raise persistence.ProgrammingError("there must be at least one event to append")
        on = self._today()
        pending = [_pending(event, on) for event in events]
        items = None if condition is None else _items_of(condition.fail_if_events_match)
        with self._store() as store, store.turn() as turn:
            if condition is not None:
                # The append lock is held: a statement of its own sees every committed event.
                _, found = _matching(store, items, _number(condition.after), _NO_LIMIT, 1)
                if found:
                    raise persistence.IntegrityError(f"event {found[0]} matches the condition {condition}")
            return turn.append(pending, self._principal)

    def subscribe(self, query: DCBQuery | None = None, *, after: int | None = None) -> Subscription:
        """The matching events after a position, each once and in order, and then those still to come.

        Use it as a context manager, or call `stop()`, which ends a waiting `next()` in whatever thread.
        """
        return Subscription(self, query, after)

    @contextlib.contextmanager
    def _store(self) -> Iterator[Store]:
        """A connection that no other thread uses meanwhile; it is kept unless it broke."""
        with self._permits, _library_errors():
            store = self._taken() or self._opened()
            try:
                yield store
            finally:
                self._give_back(store)

    def _taken(self) -> Store | None:
        with self._guard:
            if self._closed:
                raise persistence.InterfaceError("the recorder is closed")
            return self._idle.pop() if self._idle else None

    def _opened(self) -> Store:
        store = Store.open(self._address, by_index=True)
        store.query_nothing("walk_indexes_in_order")
        return store

    def _give_back(self, store: Store) -> None:
        usable = store.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._guard:
            if usable and not self._closed:
                self._idle.append(store)
                return
        store.close()
        if not usable:
            self._close_idle()  # the server most likely went away under them as well

    def _close_idle(self) -> None:
        with self._guard:
            idle, self._idle = self._idle, []
        for store in idle:
            store.close()


class _Answer(DCBReadResponse):
    """The answer to one read: bounded by the end of the log at that time, so that paging never sees more.

    Nothing is held between two pages: positions never change, and neither does what stands at them.
    """

    def __init__(self, recorder: Recorder, items: str | None, after: int, limit: int | None) -> None:
        self._recorder = recorder
        self._items = items
        self._limit = _NO_LIMIT if limit is None else _number(limit)
        self._limited = limit is not None
        # All positions are a range, however many; others are found some at a time.
        self._at_once = self._limit if items is None else min(self._limit, _POSITIONS_AT_ONCE)
        with recorder._store() as store:
            self._until, self._first = _matching(store, items, after, _NO_LIMIT, self._at_once)
        self._events = self._fetched()

    @property
    def head(self) -> int | None:
        """The newest position of the log, or with a limit that of the answer's last event; None without any."""
        if not self._limited:
            return self._until or None
        last = None
        for positions in self._found():
            last = positions[-1]
        return last

    def __next__(self) -> DCBSequencedEvent:
        return next(self._events)

    def _found(self) -> Iterator[Sequence[int]]:
        """The positions of the answer, some at a time."""
        positions, wanted, left = self._first, self._at_once, self._limit
        while positions:
            yield positions
            left -= len(positions)
            if len(positions) < wanted or left == 0:
                return
            wanted = min(left, self._at_once)
            with self._recorder._store() as store:
                _, positions = _matching(store, self._items, positions[-1], self._until, wanted)

    def _fetched(self) -> Iterator[DCBSequencedEvent]:
        for positions in self._found():
            done = 0
            while done < len(positions):
                page = list(positions[done : done + _EVENTS_AT_ONCE])
                with self._recorder._store() as store:
                    rows = store.query("events_at", positions=page, bytes_max=_BYTES_AT_ONCE)
                for position, event_type, tags, data in rows:
                    yield DCBSequencedEvent(DCBEvent(event_type, bytes(data), list(tags)), position)
                done = bisect_right(positions, rows[-1][0] if rows else page[-1])


class Subscription(DCBListenNotifySubscription[Recorder]):
    """The library's subscription, woken by the notification that every append of the ledger sends.

    It also looks by itself each second. `next()` raises what went wrong if the database failed meanwhile.
    """

    def __init__(self, recorder: Recorder, query: DCBQuery | None, after: int | None) -> None:
        with _library_errors():
            # Listening comes before the first look, so that nothing can be appended unseen between the two.
            self._store = Store.open(recorder._address)
            self._store.query_nothing("listen_appended")
        self._bell, self._doorbell = socket.socketpair()
        super().__init__(recorder=recorder, query=query, after=after)
        self._listening = threading.Thread(target=self._listen, name="kejin-subscription", daemon=True)
        self._listening.start()

    def __exit__(self, *exception: object, **more: Any) -> None:
        super().__exit__(*exception, **more)
        self._listening.join()

    def stop(self) -> None:
        """End the subscription: `next()` raises StopIteration from now on, also where it waits already."""
        super().stop()
        self._doorbell.close()  # the other end becomes readable

    def _listen(self) -> None:
        try:
            with self._store, self._bell, selectors.DefaultSelector() as ready, _library_errors():
                connection = self._store.connection.pgconn
                ready.register(connection.socket, selectors.EVENT_READ)
                ready.register(self._bell, selectors.EVENT_READ)
                while not self._has_been_stopped:
                    ready.select(_RECHECK_SECONDS)
                    connection.consume_input()
                    while connection.notifies():
                        pass
                    self._has_been_notified.set()
        except BaseException as error:
            if self._thread_error is None:
                self._thread_error = error
            self.stop()


def _matching(
    store: Store, items: str | None, after: int, until: int, limit: int
) -> tuple[int, Sequence[int]]:
    """The end of the log, and the first `limit` matching positions with after < position <= until."""
    head, positions = store.query(
        "matching_positions", items=items or "[]", after=after, until=until, limit=limit
    )[0]
    if items is not None:
        return head, positions
    # Everything matches, and positions have no gaps.
    return head, range(after + 1, min(until, head, after + limit) + 1)


def _number(number: int | None) -> int:
    """A position or limit as the database can take it: None and what is negative are 0."""
    return min(max(number or 0, 0), _NO_LIMIT)


def _items_of(query: DCBQuery | None) -> str | None:
    """A query as JSON; None if every event matches. Items without tags are one, with all their types."""
    if query is None or not query.items:
        return None
    types: dict[str, None] = {}
    items = []
    for item in query.items:
        for name in (*item.types, *item.tags):
            _check_text(name, "a name in the query")
        if item.tags:
            items.append({"types": item.types, "tags": item.tags})
        elif item.types:
            types.update(dict.fromkeys(item.types))
        else:
            return None
    if types:
        items.append({"types": list(types), "tags": []})
    return json.dumps(items)


def _pending(event: DCBEvent, on: Day) -> PendingEvent:
    """An event about to be appended. Raises DataError."""
    _check_name(event.type, "the type of an event")
    for tag in event.tags:
        _check_name(tag, "a tag")
    return PendingEvent(event.type, on, tuple(event.tags), _checked_data(event.data), span=NO_COMMAND)


def _checked_data(data: object) -> bytes:
    if not isinstance(data, bytes):
        raise persistence.DataError(f"the data of an event must be bytes, not {type(data).__name__}")
    if len(data) > DATA_BYTES_MAX:
        raise persistence.DataError(f"the data of an event is {len(data)} bytes, more than {DATA_BYTES_MAX}")
    return data


def _check_name(name: str, what: str) -> None:
    if _check_text(name, what) > NAME_BYTES_MAX:
        raise persistence.DataError(f"{what} is longer than {NAME_BYTES_MAX} bytes: {name[:40]!r}…")


def _check_text(text: object, what: str) -> int:
    """The bytes that PostgreSQL stores a text in. Raises DataError."""
    if not isinstance(text, str):
        raise persistence.DataError(f"{what} must be a text, not {type(text).__name__}")
    if "\0" in text:
        raise persistence.DataError(f"{what} holds U+0000, which PostgreSQL cannot store: {text[:40]!r}")
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise persistence.DataError(f"{what} holds half a surrogate pair: {text[:40]!r}") from None


@contextlib.contextmanager
def _library_errors() -> Iterator[None]:
    """Turn errors of the database into those of the library."""
    try:
        yield
    except psycopg.DataError as error:
        raise persistence.DataError(str(error)) from error
    except (psycopg.OperationalError, StoreError) as error:
        raise persistence.OperationalError(str(error)) from error
    except psycopg.Error as error:
        raise persistence.DatabaseError(str(error)) from error
