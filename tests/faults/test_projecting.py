"""Runners and rebuilds that are killed, and reads and appends that go on beside them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from random import Random

import pytest

from projections import shelves
from projections.balances import balance_fen
from projections.base import discover
from projections.clocks import AsOf
from projections.rebuilding import rebuild
from projections.runner import Runner, ensure, statuses
from tests.cli.program import OPENING, Program, claim, draw, ndjson, open_round, repay
from tests.histories import Mix, history
from tests.support import Ledger

KNOWN = discover()


@pytest.fixture
def kejin(database: str) -> Program:
    """The program on a new ledger."""
    return Program(database)


@pytest.mark.parametrize("seed", range(2))
def test_runners_killed_at_any_moment_lose_and_double_nothing(
    kejin: Program, ledger: Ledger, seed: int
) -> None:
    """kill -9 of one runner after the other while commands come in: the tables end as the log says."""
    random, lines = Random(seed), history(seed, 220, Mix(undated=0))
    while lines:
        runner = kejin.start("projections", "--follow")
        size = random.randrange(10, 60)
        for line in lines[:size]:
            ledger.submit(line)
        lines = lines[size:]
        wanted = random.randrange(1, ledger.store.head().position)
        waiting = threading.Event()
        while not any(status.position >= wanted for status in statuses(ledger.store)):
            waiting.wait(0.002)
        runner.kill()
        runner.communicate()
    assert kejin.ask("verify", "all")["ok"]
    ensure(ledger.store, ledger.store.head().position)
    assert kejin.ask("verify", "all")["ok"]


def test_a_runner_that_is_asked_to_stop_stops(kejin: Program, ledger: Ledger) -> None:
    """SIGTERM ends `kejin projections --follow` with exit code 0."""
    ledger.submit(*OPENING)
    runner = kejin.start("projections", "--follow")
    waiting = threading.Event()
    while len(statuses(ledger.store)) < len(KNOWN):
        waiting.wait(0.002)
    runner.send_signal(signal.SIGTERM)
    assert kejin.finish(runner).code == 0


def test_a_rebuild_that_is_killed_is_resumed(kejin: Program, ledger: Ledger) -> None:
    """kill -9 in the middle of a rebuild, again and again: the next one goes on, and what was read stays readable."""
    ledger.submit(*history(2, 300))
    until = ledger.store.head().position
    ensure(ledger.store, until)
    wanted = balance_fen(ledger.store, "public/treasury", AsOf(None, until))
    random = Random(2)
    for _ in range(4):
        process = kejin.start("rebuild", "--json")
        waiting = threading.Event()
        while process.poll() is None and all(row[3] for row in shelves.generations(ledger.store)):
            waiting.wait(0.001)
        waiting.wait(random.random() / 20)
        process.kill()
        process.communicate()
        assert balance_fen(ledger.store, "public/treasury", AsOf(None, until)) == wanted
    document = kejin.ask("rebuild")
    assert document["events"] == until
    assert len(shelves.generations(ledger.store)) == len(KNOWN), "generations were left behind"
    assert kejin.ask("verify", "all")["ok"]


def test_reads_and_appends_go_on_while_projections_are_rebuilt(
    kejin: Program, ledger: Ledger, database: str
) -> None:
    """A rebuild under load: every read is answered and right, every command is recorded."""
    ledger.submit(open_round(budget_fen=10**12), *OPENING[1:3], draw(principal_fen=10**12))
    first = ledger.store.head().position
    ensure(ledger.store, first)
    budget_fen = 10**12
    process = kejin.start("run", "-", "--json")
    lines = [
        claim(f"C{n}", 2 * n, f"{2000 + n // 336}-{n % 336 // 28 + 1:02}-{n % 28 + 1:02}")
        for n in range(1, 3_000)
    ]
    feeding = threading.Thread(target=kejin.finish, args=(process, ndjson(*lines)))
    following = kejin.start("projections", "--follow")
    finished = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        """Whatever is projected, claim n takes n fen."""
        with Runner(database) as reader:
            while not finished.is_set():
                position = min(status.position for status in statuses(reader.store))
                claims = max(0, position - first)
                taken_fen = claims * (claims + 1) // 2
                got_fen = balance_fen(reader.store, "public/round/R1/available", AsOf(None, position))
                if got_fen != budget_fen - taken_fen:
                    wrong.append((position, got_fen, budget_fen - taken_fen))

    reading = [threading.Thread(target=_noting(read, wrong)) for _ in range(2)]
    for thread in (feeding, *reading):
        thread.start()
    with Runner(database) as runner:
        for _ in range(4):
            rebuild(runner, list(KNOWN), lambda *_: None)
    feeding.join()
    finished.set()
    for thread in reading:
        thread.join()
    following.send_signal(signal.SIGTERM)
    following.communicate()
    assert wrong == []
    assert ledger.store.head().position == first + len(lines)
    assert kejin.ask("verify", "all")["ok"]


def _noting(read: Callable[[], None], wrong: list[object]) -> Callable[[], None]:
    def noting() -> None:
        try:
            read()
        except Exception as error:
            wrong.append(error)

    return noting


def test_a_loan_with_many_postings_is_one_page(kejin: Program, ledger: Ledger) -> None:
    """Five thousand repayments: the balance on any day as known at any position is right."""
    ledger.submit(*OPENING)
    ledger.submit(*(repay(1, key=f"K{n}", effective_on=f"2023-{4 + n % 6:02}-01") for n in range(5_000)))
    head = ledger.store.head().position
    ensure(ledger.store, head)
    for known, on in ((head, "2023-06-30"), (head - 2_500, None), (5, None), (head - 1, "2023-03-31")):
        repaid = sum(1 for n in range(known - 5) if on is None or f"2023-{4 + n % 6:02}-01" <= on)
        got_fen = balance_fen(ledger.store, "private/loan/L1/repaid", AsOf(on, known))
        assert got_fen == repaid, (known, on)
