"""The projections on a real server: filled bit by bit, rebuilt, held against the log; read while all that goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from itertools import pairwise
from random import Random
from typing import Any

import psycopg
import pytest

from ledger.accounts import is_account
from ledger.events import Posting
from ledger.pending import PendingEvent
from projections import shelves
from projections.balances import PROJECTION as BALANCES
from projections.balances import balance_fen, balances_fen, kept_balance_fen
from projections.base import Content, Log, Projection, discover
from projections.clocks import AsOf
from projections.kept import KeptExtracts
from projections.rebuilding import Differs, rebuild
from projections.runner import RUNNER_LOCK, Runner, ensure, statuses
from projections.shelves import NotProjected, Shelf
from projections.verification import run
from projections.verification.report import Finding
from tests.cli.program import OPENING, draw
from tests.histories import history
from tests.support import Ledger

KNOWN = discover()


def silent(name: str, reached: int, until: int) -> None:
    """Nobody looks."""


@pytest.fixture
def runner(database: str) -> Iterator[Runner]:
    """A runner on the ledger's database."""
    with Runner(database) as opened:
        yield opened


def filled(ledger: Ledger, seed: int, length: int = 120) -> int:
    """A random history recorded; the newest position."""
    ledger.submit(*history(seed, length))
    return ledger.store.head().position


def live(ledger: Ledger, name: str = "balances") -> Shelf:
    """The generation that is read."""
    shelf = shelves.live(ledger.store, name)
    assert shelf is not None
    return shelf


def digests(ledger: Ledger) -> dict[str, str]:
    """What the tables of every projection hold."""
    return {
        name: p.stored(live(ledger, name), live(ledger, name).position()).digest for name, p in KNOWN.items()
    }


def findings(ledger: Ledger) -> list[Finding]:
    """What `kejin verify projections` finds."""
    return run(ledger.store, ["projections"]).findings


@pytest.mark.parametrize("seed", range(5))
def test_ranges_of_any_length_fill_the_tables_as_one_does_and_as_the_log_says(
    ledger: Ledger, runner: Runner, seed: int
) -> None:
    """Folded in random ranges, in one range, and independently, every projection holds the same."""
    until, random = filled(ledger, seed), Random(seed)
    cuts = sorted({0, until, *(random.randrange(1, until) for _ in range(12))})
    for projection in KNOWN.values():
        found = []
        for bounds in (cuts, [0, until]):
            with runner.store.connection.transaction(force_rollback=True):
                shelf = shelves.begin(runner.store, projection.name, projection.version)
                projection.create(shelf)
                for after, last in pairwise(bounds):
                    projection.fold(shelf, Log([runner.store]), after, last)
                found.append(projection.stored(shelf, until).parts)
        assert found[0] == found[1] == projection.expected(Log([runner.store]), until).parts, projection.name


def test_a_rebuild_gives_what_was_there(ledger: Ledger, runner: Runner) -> None:
    """Rebuilt projections hold what those that were filled along the way hold, under a new generation."""
    random = Random(3)
    lines = history(3, 120)
    while lines:
        ledger.submit(*lines[: (piece := random.randrange(1, 20))])
        lines = lines[piece:]
        ensure(ledger.store, ledger.store.head().position)
    before, generation = digests(ledger), live(ledger).generation
    rebuilt = rebuild(runner, list(KNOWN), silent)
    assert {name: content.digest for name, content in rebuilt.contents.items()} == before == digests(ledger)
    assert live(ledger).generation > generation
    assert len(shelves.generations(ledger.store)) == len(KNOWN), "an old generation was left"


class Halting:
    """Balances that cannot digest one event."""

    name = "halting"
    version = 1

    def __init__(self, at: int) -> None:
        self.at = at

    def create(self, shelf: Shelf) -> None:
        BALANCES.create(shelf)

    def fold(self, shelf: Shelf, log: Log, after: int, until: int) -> None:
        BALANCES.fold(shelf, log, after, until)
        if after < self.at <= until:
            raise ValueError("no room for this one")

    def stored(self, shelf: Shelf, until: int) -> Content:
        return BALANCES.stored(shelf, until)

    def expected(self, log: Log, until: int) -> Content:
        return BALANCES.expected(log, until)


def test_an_event_that_a_projection_cannot_digest_stops_it_there_and_nothing_else(
    ledger: Ledger, database: str
) -> None:
    """It holds everything before the event, says why it stopped, and goes on once it can; others never stopped."""
    until = filled(ledger, 1)
    halting = Halting(at=until // 2)
    known: Mapping[str, Projection] = {"balances": BALANCES, "halting": halting}
    with Runner(database, known) as runner:
        for _ in range(2):
            runner.catch_up()
            found = {status.name: status for status in statuses(ledger.store)}
            assert (found["balances"].lag, found["balances"].problem) == (0, None)
            assert (found["halting"].position, found["halting"].stopped_at) == (halting.at - 1, halting.at)
            assert "no room for this one" in str(found["halting"].problem)
            with pytest.raises(NotProjected, match="no room for this one"):
                shelves.reaching(ledger.store, "halting", until)
        halting.at = until + 1
        runner.catch_up()
        found = {status.name: status for status in statuses(ledger.store)}
        assert (found["halting"].lag, found["halting"].problem) == (0, None)
        shelf = live(ledger, "halting")
        assert halting.stored(shelf, until).parts == halting.expected(Log([ledger.store]), until).parts


def test_reads_fail_closed(ledger: Ledger) -> None:
    """A position that is not projected yet is no answer, not a smaller one."""
    first = filled(ledger, 2, 40)
    with pytest.raises(NotProjected):
        balance_fen(ledger.store, "public/treasury", AsOf(None, first))
    ensure(ledger.store, first)
    assert balance_fen(ledger.store, "public/treasury", AsOf(None, first)) < 0
    ledger.submit(*history(4, 30))
    with pytest.raises(NotProjected):
        balance_fen(ledger.store, "public/treasury", AsOf(None, ledger.store.head().position))


def test_balances_from_extracts_that_are_kept_are_those_of_the_pages(ledger: Ledger, runner: Runner) -> None:
    """Read with what earlier reads kept, an account or subtree holds at any (on, known position) what it holds read
    afresh, while events are recorded and after a rebuild."""
    kept, random, hits = KeptExtracts(2**20), Random(3), 0
    for seed in range(4):
        until = filled(ledger, 20 + seed, 40)
        ensure(ledger.store, until)
        if seed == 2:
            rebuild(runner, ["balances"], silent)
        paths = accounts_and_subtrees(ledger)
        asked = [
            (random.choice(paths), AsOf(day(random), random.randrange(1, until + 1))) for _ in range(200)
        ]
        fresh = [balance_fen(ledger.store, path, as_of) for path, as_of in asked]
        for (path, as_of), fen in zip(asked, fresh, strict=True):
            at_once = kept_balance_fen(kept, path, as_of)
            assert at_once in (None, fen)
            hits += at_once is not None
        assert balances_fen(ledger.store, asked, kept) == fresh
        assert balances_fen(ledger.store, asked, kept) == fresh
    assert hits > 50


def accounts_and_subtrees(ledger: Ledger) -> list[str]:
    """Every account of the log, and what lies above it."""
    rows = ledger.store.connection.execute("select path from accounts order by path").fetchall()
    paths = [str(row[0]) for row in rows]
    above = {"/".join(path.split("/")[:depth]) + "/" for path in paths for depth in (1, 2)}
    return paths + sorted(path for path in above if is_account(path))


def day(random: Random) -> str:
    """Some day of the histories."""
    return f"{random.randrange(2022, 2026)}-{random.randrange(1, 13):02}-15"


def test_one_runner_works_and_another_takes_over(ledger: Ledger, database: str) -> None:
    """While one leads no other does; when its connection ends, the next one may."""
    with Runner(database) as one, Runner(database) as two:
        with one.leading() as first, two.leading() as second:
            assert (first, second) == (True, False)
        with one.leading() as first:
            assert first
            pid = one.store.connection.info.backend_pid
            with psycopg.connect(database, autocommit=True) as owner:
                owner.execute("select pg_terminate_backend(%s, 10000)", (pid,))
            with two.leading() as second:
                assert second


def test_a_runner_that_follows_takes_in_each_commit(ledger: Ledger, database: str) -> None:
    """What is committed is projected by itself, without anybody asking."""
    stop = threading.Event()
    runner = Runner(database)
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    try:
        for line in history(5, 40):
            ledger.submit(line)
        reached = threading.Event()
        while not (found := statuses(ledger.store)) or any(status.lag for status in found):
            reached.wait(0.01)
    finally:
        stop.set()
        thread.join()
        runner.close()
    assert findings(ledger) == []


def test_a_batch_that_commits_late_is_not_skipped(ledger: Ledger, database: str, runner: Runner) -> None:
    """What a turn has written and not committed is not there for a runner; later it is, whole; a turn that fails
    leaves nothing."""
    first = filled(ledger, 6, 30)
    pending = [
        PendingEvent("Test", "2024-01-01", (), b"{}", (Posting("quota/c.firm/F", n, "2024-01-01"),))
        for n in range(1, 4)
    ]
    with pytest.raises(ZeroDivisionError), ledger.store.turn() as turn:
        turn.append(pending, "tester")
        runner.catch_up()
        assert {status.position for status in statuses(runner.store)} == {first}
        raise ZeroDivisionError
    with ledger.store.turn() as turn:
        turn.append(pending, "tester")
        runner.catch_up()
    runner.catch_up()
    assert {status.position for status in statuses(runner.store)} == {first + 3}
    assert ledger.balance("quota/c.firm/F") == 6
    assert findings(ledger) == []


def test_a_changed_version_is_rebuilt_by_itself(ledger: Ledger, database: str) -> None:
    """Code of another version fills a new generation and swaps it in; the old one is read until then."""
    until = filled(ledger, 7, 60)
    ensure(ledger.store, until)

    class Newer(type(BALANCES)):  # type: ignore[misc]
        version = BALANCES.version + 1

    with Runner(database, {"balances": Newer()}) as runner:
        runner.catch_up()
    ((name, generation, version, is_live, _, _),) = [
        row for row in shelves.generations(ledger.store) if row[0] == "balances"
    ]
    assert (name, generation, version, is_live) == ("balances", 2, BALANCES.version + 1, True)
    assert balance_fen(ledger.store, "public/treasury", AsOf(None, until)) < 0


def test_a_rebuild_that_differs_is_not_swapped_in(ledger: Ledger, database: str) -> None:
    """A fold that loses a line is found out by the independent one, and what was read stays."""
    until = filled(ledger, 8, 60)
    ensure(ledger.store, until)
    before = live(ledger)

    class Losing(type(BALANCES)):  # type: ignore[misc]
        def fold(self, shelf: Shelf, log: Log, after: int, until: int) -> None:
            super().fold(shelf, log, after, until // 2)

    with Runner(database, {"balances": Losing()}) as runner, pytest.raises(Differs):
        rebuild(runner, ["balances"], silent)
    assert live(ledger) == before
    assert shelves.generations(ledger.store) == [g for g in shelves.generations(ledger.store) if g[3]], (
        "it was left"
    )


def test_who_holds_an_old_generation_gets_all_of_it(ledger: Ledger, database: str, runner: Runner) -> None:
    """A reader that has one of its tables and asks for another is not killed for it: the drop comes after it."""
    until = filled(ledger, 9, 60)
    ensure(ledger.store, until)
    old = live(ledger)
    waits = "select from pg_locks join pg_database d on d.oid = database where not granted and datname = %s"
    dropping = threading.Thread(target=rebuild, args=(runner, ["balances"], silent))
    with psycopg.connect(database) as reader, psycopg.connect(database, autocommit=True) as watching:
        reader.execute(f"select count(*) from {old.schema}.folios")
        dropping.start()
        while not watching.execute(waits, (watching.info.dbname,)).rowcount:
            pass
        named = "select tablename from pg_tables where schemaname = %s"
        tables = [row[0] for row in reader.execute(named, (old.schema,))]
        assert len(tables) > 1
        for table in tables:
            reader.execute(f"select count(*) from {old.schema}.{table}")
    dropping.join()
    assert live(ledger) != old


def test_the_first_and_the_last_day_of_the_calendar(ledger: Ledger, runner: Runner) -> None:
    """Dates from the year 1 to 9999 stand where they belong, however they are folded."""
    adjust = {"command": "adjust-budget", "round": "R1", "document": "d"}
    days = ("2024-02-29", "7741-10-31", "9999-12-31", "2026-01-01", "9999-12-30")
    ledger.submit(OPENING[0])
    lines = [{**adjust, "amount_fen": n, "effective_on": day} for n, day in enumerate(days, 1)]
    assert {outcome["outcome"] for outcome in ledger.submit(*lines)} == {"accepted"}
    ledger.submit(*OPENING[1:4], draw("L9", drawn_on="0001-01-01"))
    ensure(ledger.store, ledger.store.head().position)
    assert rebuild(runner, list(KNOWN), silent).contents.keys() == KNOWN.keys()
    assert run(ledger.store, ["projections", "caps", "decisions"]).findings == []


FORGERIES = {
    "a line's amount": "update {folios} set lines = set_byte(lines, 8, get_byte(lines, 8) # 1)",
    "a line's day": "update {folios} set lines = set_byte(lines, 20, get_byte(lines, 20) # 1)",
    "a line's position": "update {folios} set lines = set_byte(lines, 0, get_byte(lines, 0) # 1)",
    "a folio's name": "update {folios} set folio = folio || 'x'",
    "a page's number": "update {folios} set page = page + 1",
    "a first position": "update {folios} set first_position = first_position - 1",
    "an opening": "update {folios} set opening = '\\x000000000000000001000000000000000000000000000000'",
    "a row gone": "delete from {folios}",
    "a line gone": "update {folios} set lines = substring(lines from 25)",
    "a row twice": "insert into {folios} select folio, page + 1, first_position, opening, lines from {folios} f",
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("folio", ["public/treasury", "round:", "quota/"])
def test_a_changed_row_is_found_and_its_table_named(
    ledger: Ledger, database: str, forgery: str, folio: str
) -> None:
    """Whatever an administrator changes in a projection's table, the check names the table."""
    until = filled(ledger, 9, 60)
    ensure(ledger.store, until)
    assert findings(ledger) == []
    table = f"{live(ledger).schema}.folios"
    with psycopg.connect(database, autocommit=True) as owner:
        row: Any = owner.execute(
            f"select folio from {table} where folio like %s order by folio limit 1", (folio + "%",)
        ).fetchone()
        statement = FORGERIES[forgery].format(folios=table)
        changed = owner.execute(f"{statement} where folio = %s".encode(), (row[0],)).rowcount
    assert changed == 1
    assert table in {finding.table for finding in findings(ledger)}


def test_a_position_that_was_changed_is_found(ledger: Ledger, database: str) -> None:
    """Rows that hold less or more of the log than they say are found."""
    until = filled(ledger, 9, 60)
    ensure(ledger.store, until)
    shelf = live(ledger)
    for position in (until - 1, until + 1):
        with psycopg.connect(database, autocommit=True) as owner:
            owner.execute(f"update {shelf.schema}.progress set position = {position}".encode())
        assert findings(ledger)


def test_the_lock_of_the_runner_is_not_the_one_of_appending(ledger: Ledger, runner: Runner) -> None:
    """The ledger records while a runner leads."""
    with runner.leading() as leads:
        assert leads
        assert RUNNER_LOCK
        assert filled(ledger, 1, 20) > 0
