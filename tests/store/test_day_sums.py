"""Stored day sums: of what was posted, and of nothing else."""

from __future__ import annotations

from ledger.money import MAX_FEN
from ledger.tails import TAIL_EVENTS_MAX
from tests.cli.program import OPENING, Program, claim, open_round


def test_an_account_that_was_only_asked_for_is_not_made(database: str) -> None:
    """A firm whose claims are all refused for want of money posts to no cap: storing its sums makes no account."""
    kejin = Program(database)
    kejin.record(open_round(budget_fen=1), *OPENING[1:])
    days = [f"2023-{n // 28 + 1:02}-{n % 28 + 1:02}" for n in range(TAIL_EVENTS_MAX + 10)]
    answer = kejin.run(*[claim(f"C{n}", 200, day) for n, day in enumerate(days)])
    assert {line["code"] for line in answer.lines} == {"budget_short"}
    assert kejin.ask("verify", "all")["findings"] == []


def test_sums_beyond_what_the_database_counts_harm_no_line(database: str) -> None:
    """However often the largest amount is put into a round on one day, each line has its outcome; the balance is exact,
    and what comes after is decided on it."""
    kejin, count = Program(database), 1_100
    more = {"command": "adjust-budget", "round": "R1", "amount_fen": MAX_FEN, "effective_on": "2024-01-01"}
    lines = [{**more, "document": f"D{number}"} for number in range(count)]
    answer = kejin.run(open_round(budget_fen=0), *lines, open_round("R2"))
    assert [line["outcome"] for line in answer.lines] == ["accepted"] * (count + 2)
    assert count * MAX_FEN > 2**63
    takes = {**more, "amount_fen": -MAX_FEN, "document": "D"}
    taken = kejin.run(takes, {**takes, "document": "E", "effective_on": "2023-12-31"})
    assert [line.get("code") for line in taken.lines] == [None, "budget_short"]
    assert kejin.ask("verify", "log")["findings"] == []
