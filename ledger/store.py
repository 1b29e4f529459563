"""The store: the log in PostgreSQL. Connections, reading with two clocks, and the one turn that appends.

One database is one ledger. Appending happens under one advisory lock, so positions are gapless and in commit
order, and a reader that sees position n sees everything before it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from ledger.bilingual import Bilingual
from ledger.connection import READER_ROLE, StoreError, connect, ensure_schema, may_read_only
from ledger.copying import HEADER, TRAILER, Fields, Rows, account_rows
from ledger.dates import Day, microseconds
from ledger.events import Posting, StoredEvent
from ledger.inserting import FEW_ACCOUNTS, FEW_EVENTS, Inserting
from ledger.patience import telling
from ledger.pending import PendingEvent
from ledger.sql import array, load
from ledger.stored import AccountSums, KeyedEvent, OwnerSums, account_sums, columns_of, keyed_events, postings

#: The advisory lock of appending, on the ledger's own database.
APPEND_LOCK: Final = 0x6B656A696E01

_QUERIES: Final = load("ledger", "queries.sql")
#: Of several statements, which take no parameters.
_BEGIN_TURN: Final = _QUERIES["begin_turn"] % {b"lock": APPEND_LOCK}
_CACHE_MAX: Final = 100_000
_ROWS_AT_ONCE: Final = 500
_FIRST_EVENTS: Final = 200  # most questions want a page
_EVENTS_AT_ONCE: Final = 2_000


class NotKnown(Bilingual, LookupError):
    """A position or instant that the log cannot answer for: before the first event or beyond the newest."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the log: the newest position (0: empty), its instant, the database's clock now."""

    position: int
    recorded_at: datetime | None
    now: datetime
    last_account_id: int


@dataclass(frozen=True, slots=True)
class Appended:
    """Events that were appended at `first` and after: their leaves and tags."""

    first: int
    leaves: Sequence[bytes]
    tags: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class OwnerHistory:
    """What an owner's accounts come to: their sums as they were stored, if they were, and the lines of each event
    since then."""

    sums: AccountSums
    tail: Sequence[tuple[Posting, ...]]


class Store:
    """One connection to a ledger's database, in the worker role: it may insert and select, nothing else."""

    def __init__(self, connection: psycopg.Connection[Any], address: str) -> None:
        self.connection = connection
        self.address = address
        self._ids: dict[bytes, int] = {}
        self._paths: dict[int, str] = {}
        self._inserting: Inserting | None = None
        self._has_prepared = False  # what every turn begins with
        self._reading_seconds_max: float | None = None  # of one that can change nothing
        #: Who wants to know what this store appended, once it is committed: the signer of checkpoints.
        self.follower: Callable[[Appended], None] | None = None

    @classmethod
    def open(cls, address: str, *, by_index: bool = False, as_owner: bool = False) -> Self:
        """Connect, set the schema up where the database is empty, migrate where it is older.

        `by_index` is for the writer, `as_owner` for the runner of the projections, which makes tables of its own.
        Raises StoreError: unreachable, not ours, of a newer version.
        """
        connection = connect(address, by_index=by_index)
        try:
            role = ensure_schema(connection)
            if role and not as_owner:
                connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        except BaseException:
            connection.close()
            raise
        return cls(connection, address)

    @classmethod
    def open_for_reading(cls, address: str, seconds_max: float, *, by_index: bool = False) -> Self:
        """A connection that can change nothing (the role of readers, every transaction read-only) and whose
        statements end after `seconds_max`. Raises StoreError."""
        limits = f"-c default_transaction_read_only=on -c statement_timeout={round(seconds_max * 1000)}"
        # The schema is set up by a connection that may write.
        cls.open(address).close()
        connection = connect(address, by_index=by_index, settings=limits)
        try:
            if may_read_only(connection):
                connection.execute(sql.SQL("set role {}").format(sql.Identifier(READER_ROLE)))
        except BaseException:
            connection.close()
            raise
        store = cls(connection, address)
        store._reading_seconds_max = seconds_max
        return store

    def beside(self, *, by_index: bool = False) -> Self:
        """Another connection to the same ledger, to read at the same time; beside one that can change nothing another
        such. Raises StoreError."""
        seconds_max = self._reading_seconds_max
        if seconds_max is not None:
            return type(self).open_for_reading(self.address, seconds_max, by_index=by_index)
        return type(self).open(self.address, by_index=by_index)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def query(self, name: str, **parameters: Any) -> list[Any]:
        """All rows of a named query."""
        with self.connection.cursor(row_factory=tuple_row, binary=True) as cursor:
            return cursor.execute(_QUERIES[name], parameters).fetchall()

    def head(self) -> Head:
        """The end of the log as this statement sees it."""
        return Head(*self.query("head")[0])

    @contextlib.contextmanager
    def reading(self) -> Iterator[Head]:
        """A read-only transaction in which every statement sees the same log."""
        with self.connection.transaction():
            self.connection.execute("set transaction isolation level repeatable read, read only")
            yield self.head()

    @contextlib.contextmanager
    def turn(self) -> Iterator[Turn]:
        """The one place that appends: a transaction under the append lock. Commits at the end."""
        if len(self._ids) > _CACHE_MAX:
            self._ids = {}
        with self._locked() as head:
            turn = Turn(self, head)
            yield turn
        # Only now: ids of accounts that a failed transaction made may be given to others.
        self._ids.update(turn.ids)
        follower = self.follower
        if follower is not None and turn.appended is not None:
            follower(turn.appended)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[Head]:
        """A transaction that holds the append lock; within another one a part of it."""
        if self.connection.info.transaction_status != TransactionStatus.IDLE:
            with self.connection.transaction():
                self._wait("take_append_lock")
                yield self.head()
            return
        try:
            yield self._begun()
            self.connection.commit()
        except BaseException:
            self._inserting = None  # perhaps the table has other columns by now
            with contextlib.suppress(psycopg.Error):  # a connection that is lost has rolled back by itself
                self.connection.rollback()
            raise

    def _begun(self) -> Head:
        """Begin a transaction, take the append lock and look at the end of the log."""
        if not self._has_prepared:
            self._prepare()
        try:
            return self._begin()
        except psycopg.errors.InvalidSqlStatementName:  # after a rollback psycopg drops all that was prepared
            self.connection.rollback()
            self._prepare()
            return self._begin()

    def _prepare(self) -> None:
        with contextlib.suppress(psycopg.errors.DuplicatePreparedStatement):  # interrupted, and done before
            self.connection.execute(b"prepare kejin_head as " + _QUERIES["head"])
        self._has_prepared = True

    def _begin(self) -> Head:
        """In one round trip, but in statements of their own: one that waits for the lock keeps its old snapshot."""
        with telling(self._who_appends), self.connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(_BEGIN_TURN, prepare=False)
            while cursor.nextset():
                pass
            row = cursor.fetchone()
        assert row is not None
        return Head(*row)

    def inserting(self) -> Inserting:
        """What inserts few events over this connection."""
        if self._inserting is None:
            self._inserting = Inserting(self.connection)
        return self._inserting

    def hold_append_lock(self) -> None:
        """Wait for the append lock and keep it from turn to turn, until it is let go or the connection ends."""
        self._wait("hold_append_lock")

    def release_append_lock(self) -> None:
        """Let the append lock go that was held."""
        self.query_nothing("release_append_lock", lock=APPEND_LOCK)

    def somebody_waits_to_append(self) -> bool:
        """Whether anybody waits for the append lock."""
        return bool(self.query("somebody_waits", lock=APPEND_LOCK)[0][0])

    def _wait(self, name: str) -> None:
        """Run a query that waits for the append lock, however long its holder takes."""
        with telling(self._who_appends):
            self.query_nothing(name, lock=APPEND_LOCK)

    def _who_appends(self) -> tuple[str, str] | None:
        """Who holds the append lock, asked over another connection, since this one waits."""
        try:
            with connect(self.address) as connection:
                row = connection.execute(_QUERIES["who_appends"], {"lock": APPEND_LOCK}).fetchone()
        except (StoreError, psycopg.Error):
            return None
        if row is None:
            return None
        pid, application = row
        return (
            f"waiting for {application or 'another program'} (database process {pid}), which appends to this ledger",
            f"正在等待 {application or '另一程序'}（数据库进程 {pid}）写入此账本",
        )

    def query_nothing(self, name: str, **parameters: Any) -> None:
        """Run a named query for its effect."""
        self.connection.execute(_QUERIES[name], parameters)

    # --- what state is made of -------------------------------------------------------------------------------

    def events_between(self, after: int, until: int) -> list[KeyedEvent]:
        """Events with after < position <= until, in order."""
        return self._keyed(self.query("events_between", after=after, until=until))

    def events_of_tags(self, tags: Sequence[str], until: int) -> list[KeyedEvent]:
        """Events up to `until` that carry any of the tags, in order."""
        return self._keyed(self.query("events_of_tags", tags=array(tags), until=until)) if tags else []

    def events_at(self, positions: Sequence[int], until: int) -> list[KeyedEvent]:
        """The events at positions, as far as they are not beyond `until`."""
        return (
            self._keyed(self.query("events_at_positions", positions=list(positions), until=until))
            if positions
            else []
        )

    def events_of_keys(self, keys: Sequence[str]) -> list[KeyedEvent]:
        """The events recorded under any of the idempotency keys."""
        return self._keyed(self.query("events_of_keys", keys=array(keys))) if keys else []

    def histories(self, tags: Sequence[str], until: int) -> dict[str, OwnerHistory]:
        """What the accounts of owners come to up to `until`: stored day sums first, then what the log holds after
        them."""
        if not tags:
            return {}
        # Sums that were stored after that position know too much: they are not among these.
        stored = self.query("day_sums_of_tags", tags=array(tags), until=until)
        stamps = {tag: position for tag, position, *_ in stored}
        since = [stamps.get(tag, 0) for tag in tags]
        rows = self.query("postings_of_tags_since", tags=array(tags), stamps=since, until=until)
        self._learn_paths([account for row in (*stored, *rows) for account in row[2]])
        sums = {tag: account_sums(self._paths, *columns) for tag, _, *columns in stored}
        tails: dict[str, list[tuple[Posting, ...]]] = {tag: [] for tag in tags}
        for tag, *line in rows:
            tails[tag].append(self._postings(*line))
        return {tag: OwnerHistory(sums.get(tag, ()), tail) for tag, tail in tails.items()}

    def _keyed(self, rows: list[Any]) -> list[KeyedEvent]:
        self._learn_paths([account for row in rows for account in row[5]])
        with _whole_rows():
            return keyed_events(rows, self._paths)

    def _postings(
        self, on: Day, ids: Sequence[int], amounts: Sequence[int], days: Sequence[Day] | None
    ) -> tuple[Posting, ...]:
        with _whole_rows():
            return postings(self._paths, on, ids, amounts, days)

    def _learn_paths(self, ids: Iterable[int]) -> None:
        wanted = set(ids)
        if len(self._paths) + len(wanted) > _CACHE_MAX:
            self._paths = {}
        # Not by `wanted - self._paths.keys()`: that goes through every path there is.
        missing = [number for number in wanted if number not in self._paths]
        if missing:
            self._paths.update(self.query("account_paths", ids=missing))

    def forget_accounts(self) -> None:
        """Look accounts up again from now on: a check must not rest on what was read before it began."""
        self._paths, self._ids = {}, {}

    # --- whole events ----------------------------------------------------------------------------------------

    def stored_events(
        self, after: int, until: int, *, tag: str | None = None, event_type: str | None = None
    ) -> Iterator[StoredEvent]:
        """Whole events with after < position <= until, in order, in constant memory. No transaction stays open while
        they are looked at: the log does not change, and whoever pages through it must hold up nobody."""
        query = _QUERIES["stored_events" if tag is None else "stored_events_of_tag"]
        limit, is_more = _FIRST_EVENTS, True
        while is_more:
            asked = {"after": after, "until": until, "tag": tag, "type": event_type, "limit": limit}
            with self.connection.cursor(row_factory=tuple_row, binary=True) as cursor:
                rows = cursor.execute(query, asked).fetchall()
            self._learn_paths([account for row in rows for account in row[6]])
            for row in rows:
                yield self._stored(row)
            is_more = len(rows) == limit and rows[-1][0] < until
            after, limit = rows[-1][0] if rows else until, _EVENTS_AT_ONCE

    def stored_events_at(self, positions: Sequence[int]) -> list[StoredEvent]:
        """The whole events at positions, in order."""
        rows = self.query("stored_events_at", positions=list(positions))
        self._learn_paths([account for row in rows for account in row[6]])
        return [self._stored(row) for row in rows]

    def _stored(self, row: Sequence[Any]) -> StoredEvent:
        return StoredEvent(
            position=row[0],
            recorded_at=row[1],
            effective_on=row[2],
            type=row[3],
            tags=tuple(row[4]),
            data=bytes(row[5]),
            postings=self._postings(row[2], row[6], row[7], row[8]),
            principal=row[9],
            key=row[10],
            fingerprint=row[11],
            span=row[12],
            leaf=bytes(row[13]),
        )

    # --- two clocks ------------------------------------------------------------------------------------------

    def known_position(self, position: int | None = None, instant: datetime | None = None) -> int:
        """The position that "as known" means: given, at an instant, or the newest. Raises NotKnown.

        An instant is answered only once no batch can still commit with an earlier time: the append lock is
        waited for first, and the next batch takes its time under it.
        """
        if instant is not None:
            with self.connection.transaction():
                self._wait("wait_for_append_lock")
                head = self.head()
            # What was there by then stays as it is: nobody has to wait while it is looked for.
            found = self.query("position_known_at", instant=instant, until=head.position)
            known: int = found[0][0] if found else 0
            if instant > head.now:
                shown = instant.isoformat()
                raise NotKnown(f"{shown} is in the future", f"{shown} 在将来")
            if known == 0:
                shown = instant.isoformat()
                raise NotKnown(f"{shown} is before the first event", f"{shown} 早于第一条事件")
            return known
        newest = self.head().position
        if position is None:
            return newest
        if not 1 <= position <= newest:
            raise NotKnown(
                f"position {position} is not between 1 and the newest, {newest}",
                f"序号 {position} 不在 1 与最新序号 {newest} 之间",
            )
        return position


class Turn:
    """A transaction that holds the append lock: what it reads stays true until it commits."""

    def __init__(self, store: Store, head: Head) -> None:
        self.store = store
        self.head = head
        self.last_account_id = head.last_account_id
        self.appended: Appended | None = None
        self.ids: dict[bytes, int] = {}  # of the accounts that this transaction looked up or made
        # Never decreasing with position, even if the machine's clock is set back.
        self.recorded_at = max(head.now, head.recorded_at or head.now).astimezone(UTC)

    def append(self, pending: Sequence[PendingEvent], principal: str) -> int:
        """Append events after the head, in a bounded number of round trips. Returns the last position.

        `principal` is whose they are, but for events that name their own. Raises ValueError: a field holds U+0000.
        """
        return self.append_bodies([event.body(principal) for event in pending])

    def append_bodies(self, bodies: Sequence[bytes]) -> int:
        """The same, of events with these bodies (`codec.body`)."""
        events = [Fields(body) for body in bodies]
        ids = self._learn_ids(dict.fromkeys(path for event in events for path in event.accounts))
        rows, recorded_at_us = Rows(), microseconds(self.recorded_at)
        for position, event in enumerate(events, self.head.position + 1):
            rows.add(position, recorded_at_us, event, ids)
        if len(bodies) <= FEW_EVENTS:
            self.store.inserting().insert(rows)
        else:
            self._copy("copy_events", rows.events)
            self._copy("copy_event_tags", rows.tags())
        if self.store.follower is not None:
            tags = [[tag.decode() for tag in event.tags] for event in events]
            self.appended = Appended(self.head.position + 1, rows.leaves, tags)
        return self.head.position + len(bodies)

    def save_day_sums(self, owners: Sequence[OwnerSums], position: int) -> None:
        """Keep the day sums of owners, complete up to `position`."""
        paths = dict.fromkeys(path for _, sums in owners for path, _, _ in sums)
        ids = self._learn_ids([path.encode() for path in paths])
        by_path = {path: ids[path.encode()] for path in paths}
        rows = [{"tag": tag, "position": position, **columns_of(sums, by_path)} for tag, sums in owners]
        with self.store.connection.cursor() as cursor:
            cursor.executemany(_QUERIES["save_day_sums"], rows)

    def _learn_ids(self, paths: Iterable[bytes]) -> dict[bytes, int]:
        """The ids of accounts; new ones are made, numbered in the order of `paths`."""
        known, wanted = self.store._ids, list(paths)
        self.ids.update((path, known[path]) for path in wanted if path in known)
        missing = [path for path in wanted if path not in self.ids]
        if missing:
            found = self.store.query("account_ids", paths=array([path.decode() for path in missing]))
            self.ids.update((path.encode(), number) for path, number in found)
        new = [path for path in missing if path not in self.ids]
        if new:
            self._make_accounts(new)
        return self.ids

    def _make_accounts(self, paths: Sequence[bytes]) -> None:
        first = self.last_account_id + 1
        self.last_account_id += len(paths)
        made = dict(zip(paths, range(first, self.last_account_id + 1), strict=True))
        self.ids.update(made)
        told = b"".join([b"%d\t%b\n" % (number, path) for path, number in made.items()])
        kept = {"first": first, "last": self.last_account_id, "digest": hashlib.sha256(told).digest()}
        if len(made) <= FEW_ACCOUNTS:
            inserted = {"ids": list(made.values()), "paths": array([path.decode() for path in paths])}
            self.store.query_nothing("insert_accounts", **inserted, **kept)
        else:
            self._copy("copy_accounts", account_rows(made))
            self.store.query_nothing("keep_accounts", **kept)

    def _copy(self, name: str, rows: Sequence[bytes]) -> None:
        if not rows:
            return
        with self.store.connection.cursor() as cursor, cursor.copy(_QUERIES[name]) as copy:
            copy.write(HEADER)
            for first in range(0, len(rows), _ROWS_AT_ONCE):
                copy.write(b"".join(rows[first : first + _ROWS_AT_ONCE]))
            copy.write(TRAILER)


@contextlib.contextmanager
def _whole_rows() -> Iterator[None]:
    """Where it is compiled, a line has no amount that is missing."""
    try:
        yield
    except TypeError:
        raise psycopg.DataError("a line of an event lacks a value; run kejin verify") from None
