"""The ledger against an independent naive model, and the golden cases that a policy officer can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from random import Random
from typing import Any

import pytest

from tests.golden import Case, cases, run_case
from tests.histories import TODAY, history, line_keys
from tests.oracle import Oracle
from tests.support import Ledger, fresh_database

SHARED = ("outcome", "code", "clause", "amount_fen", "first", "positions")


@pytest.fixture(scope="module")
def golden_server(embedded_server: str) -> Iterator[str]:
    with fresh_database(embedded_server) as address:
        yield address


class Reads:
    """The reads of a golden case, on the real ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def balance(self, account: str, on: str | None, known_position: int | None) -> int:
        return self._ledger.balance(account, on, known_position)

    def caps(self, on: str | None, known_position: int | None) -> Sequence[Mapping[str, Any]]:
        return self._ledger.caps(None, on, known_position)

    def milestones(self, known_position: int | None) -> Sequence[Mapping[str, Any]]:
        return self._ledger.milestones(None, known_position)


@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_golden_case(case: Case, embedded_server: str) -> None:
    """Every golden case holds on the real ledger."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address, today=case.today)
        run_case(case, lambda command: ledger.submit(command)[0], Reads(ledger))  # type: ignore[arg-type]
        ledger.store.close()


@pytest.mark.parametrize("seed", range(24))
def test_equals_the_naive_model(seed: int, any_server: str) -> None:
    """On random histories, in batches of any size, outcomes, balances, caps and milestones are the oracle's."""
    with fresh_database(any_server) as address:
        commands = history(seed, length=120)
        oracle = Oracle(TODAY)
        expected = [
            oracle.submit(command, key) for command, key in zip(commands, line_keys(commands), strict=True)
        ]
        ledger = Ledger(address, today=TODAY)
        random, answers = Random(seed), []
        rest = list(commands)
        while rest:
            size = random.choice((1, 3, 40))
            answers += ledger.submit(*rest[:size])
            rest = rest[size:]
        for number, (command, wanted, got) in enumerate(zip(commands, expected, answers, strict=True)):
            assert _shared(wanted.as_line()) == _shared(got), (number, command, got)
        _compare_reads(oracle, ledger, random)
        ledger.store.close()


def _shared(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in SHARED if line.get(name) is not None}


def _compare_reads(oracle: Oracle, ledger: Ledger, random: Random) -> None:
    newest = ledger.store.head().position
    days = [None, "2022-06-01", "2023-12-31", "2024-07-01", "2025-03-15"]
    for _ in range(6):
        known, on = random.randint(1, newest), random.choice(days)
        for account, amount_fen in oracle.all_balances(on, known).items():
            assert ledger.balance(account, on, known) == amount_fen, (account, on, known)
        ours = {row["key"]: row for row in ledger.caps(None, on, known)}
        for (_, key), row in oracle.caps(None, on, known).items():
            wanted = {n: v for n, v in asdict(row).items() if n.endswith("_fen")}
            assert {n: ours[key][n] for n in wanted} == wanted, (key, on, known)
        marks = {(row["bank"], row["product"]): row for row in ledger.milestones(None, known)}
        for name, milestone in oracle.milestones(None, known).items():
            wanted = asdict(milestone)
            assert {n: marks[name][n] for n in wanted if n in marks[name]} == {
                n: v for n, v in wanted.items() if n in marks[name]
            }
