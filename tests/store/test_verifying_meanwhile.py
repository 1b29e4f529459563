"""What goes on while a ledger is verified is no finding: appends, signatures, projections, rebuilds, one cut short."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from projections import shelves
from projections.base import Log, discover
from projections.rebuilding import Differs, rebuild
from projections.runner import Runner, begun, ensure
from projections.shelves import Shelf
from projections.verification import CHECKS, run
from projections.verification.checkpoints import Outside
from projections.verification.report import Finding
from tests.cli.program import OPENING, claim
from tests.evidence import KEY, signer_of
from tests.support import Ledger

KNOWN = discover()


def claims(ledger: Ledger, letter: str, count: int = 300) -> None:
    """So many claims in one batch that day sums are stored with it."""
    days = [f"{2010 + n // 336}-{n // 28 % 12 + 1:02}-{n % 28 + 1:02}" for n in range(count)]
    ledger.submit(*[claim(f"{letter}{n}", 1_000 + n, day) for n, day in enumerate(days)])


def projected(ledger: Ledger, count: int = 300) -> None:
    """A ledger of so many claims, and its projections."""
    ledger.submit(*OPENING)
    claims(ledger, "A", count)
    ensure(ledger.store, ledger.store.head().position)


@pytest.mark.parametrize("name", [*CHECKS])
def test_what_was_appended_since_the_end_was_looked_up_is_no_finding(
    ledger: Ledger, tmp_path: Path, name: str
) -> None:
    """Events, day sums, signed checkpoints and projections beyond the position up to which a check goes."""
    projected(ledger)
    signer = signer_of(ledger.store, tmp_path)
    signer.checkpoint()
    until = ledger.store.head().position

    def meanwhile(check: str) -> None:
        claims(ledger, check)
        signer.checkpoint()
        ensure(ledger.store, ledger.store.head().position)

    report = run(ledger.store, [name], meanwhile, Outside([KEY.verifier]))
    assert report.findings == []
    assert report.events == until < ledger.store.head().position


def test_a_rebuild_at_the_same_time_is_no_finding(ledger: Ledger, database: str) -> None:
    """Generations that are filled, swapped in and dropped while their tables are checked, beside a runner and a
    writer."""
    projected(ledger, 1_000)
    ended, rebuilt, failures = threading.Event(), list[int](), list[BaseException]()

    def rebuild_again() -> None:
        try:
            with Runner(database) as runner:
                while not ended.is_set():
                    with runner.leading():
                        rebuilt.append(rebuild(runner, list(KNOWN), lambda *_: None).events)
        except BaseException as error:
            failures.append(error)

    other = threading.Thread(target=rebuild_again)
    other.start()
    findings = list[Finding]()
    try:
        while len(rebuilt) < 8 and not failures:
            claims(ledger, f"R{len(rebuilt)}-", 20)
            findings += run(ledger.store, ["projections"]).findings
    finally:
        ended.set()
        other.join()
    assert (failures, findings) == ([], [])


def half_filled(database: str, name: str) -> Shelf:
    """What a rebuild that was killed left behind."""
    with Runner(database) as runner:
        with runner.store.connection.transaction():
            shelf = begun(runner.store, KNOWN[name])
            KNOWN[name].fold(shelf, Log([runner.store]), 0, 100)
            shelves.advance(shelf, 100)
        return shelf


#: Of each projection a table and a row that is not the log's.
MORE = {
    "caps": ("keys", "'cap', 'key', null, '', 0"),
    "milestones": ("documents", "'zz', 5, '{{}}'"),
    "parties": ("documents", "'zz', 5, '{{}}'"),
}


@pytest.mark.parametrize("name", [*KNOWN])
def test_what_a_killed_rebuild_left_is_checked_and_never_in_the_way(
    ledger: Ledger, database: str, name: str
) -> None:
    """A generation that is half filled is no finding; one row more in it is, and the next rebuild goes through."""
    projected(ledger)
    schema = half_filled(database, name).schema
    assert run(ledger.store, ["projections"]).findings == []
    table, row = MORE.get(name, ("folios", "'zz', 0, 5, '', lines from {live}.folios limit 1"))
    row = row.format(live=schema.replace("_2", "_1"))
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(f"insert into {schema}.{table} select {row}".encode())
    assert {one.table for one in run(ledger.store, ["projections"]).findings} == {f"{schema}.{table}"}
    with Runner(database) as runner:
        rebuild(runner, list(KNOWN), lambda *_: None)
    assert run(ledger.store, ["projections"]).findings == []
    assert len(shelves.generations(ledger.store)) == len(KNOWN)


def test_a_fold_that_loses_what_a_killed_rebuild_had_is_left_nowhere(ledger: Ledger, database: str) -> None:
    """Begun anew after what was left, and wrong again: it is not swapped in, and nothing of it stays."""
    projected(ledger)
    half_filled(database, "balances")

    class Losing(type(KNOWN["balances"])):  # type: ignore[misc]
        def fold(self, shelf: Shelf, log: Log, after: int, until: int) -> None:
            super().fold(shelf, log, after, until // 2)

    with Runner(database, {"balances": Losing()}) as runner, pytest.raises(Differs):
        rebuild(runner, ["balances"], lambda *_: None)
    assert [row[:2] for row in shelves.generations(ledger.store) if not row[3]] == []
