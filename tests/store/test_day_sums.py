"""Stored day sums: of what was posted, and of nothing else."""

from __future__ import annotations

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
