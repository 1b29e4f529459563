"""The difference between two points: the events named add up to it, to the fen."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from projections import differences
from projections.balances import UnknownAccount
from projections.clocks import AsOf
from projections.existing import UnknownParty, UnknownRound
from tests.histories import history
from tests.support import Ledger, fresh_database

DAYS = (None, "2022-06-30", "2023-12-31", "2024-07-01", "2025-03-15")


@pytest.mark.parametrize("seed", range(8))
def test_lines_add_up_at_any_two_points(seed: int, embedded_server: str) -> None:
    """Of any account, subtree, party and round, between any two points, in either order."""
    with fresh_database(embedded_server) as address:
        ledger, random = Ledger(address), Random(seed)
        commands = history(seed, length=160)
        ledger.submit(*commands)
        newest = ledger.store.head().position
        paths = [row[0] for row in ledger.store.connection.execute("select path from accounts").fetchall()]
        parties = sorted({c["uscc"] for c in commands if c["command"] == "register-party"})
        for _ in range(12):
            points = [AsOf(random.choice(DAYS), random.randint(1, newest)) for _ in range(2)]
            for point in points:
                ledger.as_of(point.on, point.known_position)
            questions: list[tuple[str, str | None]] = [
                (random.choice(paths), None),
                ("public/", None),
                ("firm", random.choice(parties)),
                ("bank", random.choice(parties)),
                ("round", next(c["round"] for c in commands if c["command"] == "open-round")),
            ]
            for what, name in questions:
                with suppress(UnknownParty, UnknownRound):  # one that came after both points
                    _adds_up(ledger, differences.document(ledger.store, what, name, *points), points)
        ledger.store.close()


def _adds_up(ledger: Ledger, found: dict[str, Any], points: list[AsOf]) -> None:
    sums: dict[str, int] = defaultdict(int)
    for line in found["lines"]:
        sums[line["account"]] += line["amount_fen"]
    for row in found["accounts"]:
        for side, point in zip(("from_fen", "to_fen"), points, strict=True):
            assert row[side] == ledger.balance(row["account"], point.on, point.known_position)
        assert sums[row["account"]] == row["difference_fen"] == row["to_fen"] - row["from_fen"]
    assert sums.keys() <= {row["account"] for row in found["accounts"]}
    if "difference_fen" in found:
        assert found["difference_fen"] == sum(line["amount_fen"] for line in found["lines"])


def test_a_late_recovery_is_what_changed(ledger: Ledger) -> None:
    """Given a paid grant, when part of it is recovered, then that event alone is the difference of what was paid."""
    from tests.cli.program import BANK, FIRM, claim, draw, open_round, pay, publicise, register

    ledger.submit(open_round(), register(), register(BANK, "bank"), draw(), claim(), publicise(), pay())
    before = ledger.store.head().position
    recover = {"command": "recover", "claim": "C1", "amount_fen": 1000, "cause": "error", "document": "追-1"}
    ledger.submit({**recover, "effective_on": "2025-01-01"})
    ledger.as_of()
    account = f"public/paid/loan_interest/{FIRM}/R1"
    found = differences.document(ledger.store, account, None, AsOf(None, before), AsOf(None, before + 1))
    (line,) = found["lines"]
    assert (line["position"], line["type"], line["claim"]) == (before + 1, "GrantRecovered", "C1")
    assert (line["amount_fen"], line["why"]) == (-1000, "recorded since")
    back = differences.document(ledger.store, account, None, AsOf(None, before + 1), AsOf(None, before))
    assert [(line["amount_fen"], line["why"]) for line in back["lines"]] == [(1000, "not yet recorded")]


def test_an_id_is_not_a_pattern(ledger: Ledger) -> None:
    """A round whose id holds a dot is that round alone; a path of no known shape is an error."""
    from tests.cli.program import open_round

    ledger.submit(open_round("R.1"), open_round("RX1"))
    ledger.as_of()
    found = differences.document(ledger.store, "round", "R.1", AsOf(None, 1), AsOf(None, 3))
    assert [row["account"] for row in found["accounts"]] == ["public/round/R.1/available"]
    with pytest.raises(UnknownAccount):
        differences.document(ledger.store, "nonsense", None, AsOf(None, 1), AsOf(None, 2))


def test_a_loan_that_is_spelled_like_a_code_is_not_its_party(ledger: Ledger) -> None:
    """Given a loan of another firm whose id is a firm's code, that firm's difference has none of the loan's limits and
    uses, nor has a bank's; the owner's has the use of its own cap."""
    from tests.cli.program import BANK, FIRM, OTHER_FIRM, claim, draw, open_round, register

    ledger.submit(open_round(), register(), register(BANK, "bank"), register(OTHER_FIRM))
    for code in (FIRM, BANK):
        ledger.submit({**draw(), "loan": code, "firm": OTHER_FIRM})
        (outcome,) = ledger.submit({**claim(), "claim": f"C-{code}", "loan": code})
        assert outcome["outcome"] == "accepted", outcome
    point = ledger.as_of()
    found = {
        what + name: differences.document(ledger.store, what, name, AsOf(None, 1), point)["accounts"]
        for what, name in (("firm", FIRM), ("bank", BANK), ("firm", OTHER_FIRM))
    }
    assert (found[f"firm{FIRM}"], found[f"bank{BANK}"]) == ([], [])
    assert f"quota/shanxi.loan_interest.firm/{OTHER_FIRM}" in [
        row["account"] for row in found[f"firm{OTHER_FIRM}"]
    ]
