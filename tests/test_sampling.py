"""Samples for auditors: the same seed draws the same claims, fen by fen, and risks are those that were recorded."""

from __future__ import annotations

from typing import Any

import pytest

from projections import sampling
from projections.existing import UnknownRound
from tests.cli.program import BANK, claim, draw, open_round, pay, publicise, register
from tests.histories import PLAIN, history
from tests.support import Ledger, fresh_database


@pytest.mark.parametrize("method", sampling.METHODS)
def test_the_same_seed_and_position_draw_the_same(method: str, embedded_server: str) -> None:
    """However the log grows afterwards, a sample at a position can be drawn again; another seed draws others."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        commands = history(3, length=300, mix=PLAIN)
        ledger.submit(*commands[:220])
        until = ledger.store.head().position
        first = sampling.document(ledger.store, until, method, 5, "审计-2026")
        ledger.submit(*commands[220:])
        assert sampling.document(ledger.store, until, method, 5, "审计-2026") == first
        others = [sampling.document(ledger.store, until, method, 5, f"seed {n}")["claims"] for n in range(6)]
        assert any(claims != first["claims"] for claims in others)
        assert all(row["position"] <= until for row in first["claims"])
        ledger.store.close()


def made(count: int) -> list[sampling.Item]:
    """Claims C0, C1 … of 1, 2, … fen."""
    return [
        sampling.Item(f"C{n}", n + 1, "x", "R", "P", "2024-01-01", n + 1, {}, positions=[n + 1])
        for n in range(count)
    ]


@pytest.mark.parametrize("size", [1, 2, 7, 50, 5_050, 9_999])
def test_every_fen_has_the_same_chance(size: int) -> None:
    """By amount: over all starting points each claim is drawn as often as it has fen; no more are drawn than asked."""
    items = made(100)
    drawn = sampling._by_amount(items, size, "seed")
    hits = {item.claim: n for item, n in drawn}
    interval_fen = max(1, 5_050 // size)
    assert sum(hits.values()) == min(size, 5_050)
    for item in items:
        least, rest = divmod(item.amount_fen, interval_fen)
        assert hits.get(item.claim, 0) <= least + bool(rest)
        assert size > 5_050 or 5_050 % size or hits.get(item.claim, 0) >= least


def test_random_draws_without_regard_to_amount() -> None:
    """Of a hundred claims each is drawn about as often as any other, over a thousand seeds."""
    counts: dict[str, int] = {}
    for seed in range(1_000):
        for item, _ in sampling._at_random(made(100), 10, str(seed)):
            counts[item.claim] = counts.get(item.claim, 0) + 1
    assert len(counts) == 100
    assert max(counts.values()) < 150
    assert min(counts.values()) > 60


def risks(ledger: Ledger) -> dict[str, list[str]]:
    """The risks of each claim that has any."""
    found: dict[str, Any] = sampling.document(ledger.store, ledger.store.head().position, "risk", 100, "s")
    return {row["claim"]: row["risks"] for row in found["claims"]}


def test_risks_are_what_they_say(ledger: Ledger) -> None:
    """Given a grant cut by a cap, one back-dated, one corrected, one paid at once: each is listed for its reason."""
    ledger.submit(open_round(), register(), register(BANK, "bank"))
    ledger.submit(draw("L1"), draw("L2", principal_fen=900_000_000))
    ledger.submit(
        claim("C1", 20_000_000),  # cut by three per cent of the loan
        claim("C2", 100, loan="L2", effective_on="2024-05-01"),
        claim("C3", 100, loan="L2", day="2023-04-01"),
        claim("C4", 100, loan="L2", day="2023-05-01"),
        claim("C5", 100, loan="L2", day="2023-06-01"),
        publicise("C3", effective_on="2024-07-01"),
        pay("C3", paid_on="2024-07-04"),
        publicise("C4", effective_on="2024-07-01"),
        pay("C4", paid_on="2024-07-05"),
    )
    ledger.submit({"command": "void", "claim": "C5", "reason": "错", "effective_on": "2024-07-01"})
    assert risks(ledger) == {
        "C1": ["near_cap"],
        "C2": ["back_dated"],
        "C3": ["paid_quickly"],
        "C5": ["corrected"],
    }


def test_the_working_list_names_what_to_prove(ledger: Ledger) -> None:
    """Each drawn claim has the positions of its decision, its steps and the draw that it rests on."""
    ledger.submit(open_round(), register(), register(BANK, "bank"), draw(), claim(), publicise(), pay())
    found = sampling.document(ledger.store, 8, "amount", 1, "s")
    (row,) = found["claims"]
    assert row["positions"] == [5, 6, 7, 8]
    assert found["population"] == {"claims": 1, "total_fen": 6_000_000}
    with pytest.raises(UnknownRound):
        sampling.document(ledger.store, 8, "random", 5, "s", "R2")


def test_the_facts_to_prove_stood_when_the_claim_was_decided(ledger: Ledger) -> None:
    """Given a draw reversed before the claim, the claim voided, and the second draw reversed for a third: the claim
    rests on the second draw alone."""
    reverse = {"command": "reverse-fact", "reason": "错"}
    ledger.submit(open_round(), register(), register(BANK, "bank"), draw())
    ledger.submit({**reverse, "position": 5}, draw(key="second"), claim())
    ledger.submit({"command": "void", "claim": "C1", "reason": "错", "effective_on": "2024-07-02"})
    ledger.submit({**reverse, "position": 7}, draw(key="third"))
    ledger.submit(claim("C2", effective_on="2024-07-02"))
    found = sampling.document(ledger.store, ledger.store.head().position, "random", 9, "s")
    assert {row["claim"]: row["positions"] for row in found["claims"]} == {"C1": [7, 8, 9], "C2": [11, 12]}


def test_the_work_may_be_ended_where_nothing_is_effective_yet(ledger: Ledger) -> None:
    """Whoever asks about an early day waits no longer than they allowed: the log is gone through all the same."""

    class Ended(Exception):
        pass

    def look() -> None:
        raise Ended

    ledger.submit(open_round(), register(), register(BANK, "bank"), draw(), claim())
    with pytest.raises(Ended):
        sampling.document(
            ledger.store, ledger.store.head().position, "random", 5, "7", None, "2000-01-01", look
        )
    assert ledger.store.head().position == 6  # and the connection is free again
