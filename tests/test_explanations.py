"""Why this amount: the tree says the numbers that decided, whence they came, and what it would be today."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.explain import NothingToExplain
from projections.reports import explanation
from tests.cli.program import BANK, FIRM, claim, draw, open_round, publicise, register
from tests.histories import history
from tests.support import Ledger, fresh_database


def explained(ledger: Ledger, position: int) -> dict[str, Any]:
    """As `kejin explain POSITION --json`."""
    newest = ledger.as_of().known_position
    return explanation.document(ledger.store, ledger.store.events_at([position], newest)[0].event, newest)


@pytest.mark.parametrize("seed", range(10))
def test_rooms_are_those_that_decided(seed: int, embedded_server: str) -> None:
    """On random histories: each cap's room, as known before the claim, is the leg that was recorded; and the newest
    claim decided today, without itself, is what it was."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        commands = history(seed, length=150)
        while commands and not commands[-1].get("command", "").startswith("claim-"):
            commands.pop()
        ledger.submit(*commands)
        newest = ledger.store.head().position
        compared = 0
        for keyed in ledger.store.events_between(0, newest):
            try:
                found = explained(ledger, keyed.event.position)
            except NothingToExplain:
                continue
            if "tree" not in found:
                continue
            rooms = {cap["part"]: cap["room_fen"] for cap in found["tree"]["caps"]}
            for leg in found["legs"]:
                if leg["part"] in rooms:
                    assert rooms[leg["part"]] == leg["value_fen"], (keyed.event, leg)
                    compared += 1
            if keyed.event.position == newest and found.get("code") not in ("wrong_state", "duplicate_claim"):
                assert found["today"]["amount_fen"] == found["amount_fen"]
                assert found["today"].get("code") == found.get("code")
        assert compared
        ledger.store.close()


def opening(ledger: Ledger) -> None:
    """Events 1 to 5: a rulebook and its round, a firm, a bank, a loan of 200 万元."""
    ledger.submit(open_round(), register(), register(BANK, "bank"), draw())


def test_a_grant_names_the_events_that_it_came_from(ledger: Ledger) -> None:
    """Given a grant, its inputs lead to the draw and to the claim, its clause to the adoption, with text and source."""
    opening(ledger)
    ledger.submit(claim())
    found = explained(ledger, 6)
    came_from = {given["name"]: given["positions"] for given in found["tree"]["inputs"]}
    assert came_from["principal_fen"] == [5]
    assert came_from["interest_paid_fen"] == [6]
    (said,) = found["tree"]["clause"]["texts"]
    assert (said["position"], said["rulebook"]) == (1, "shanxi-2022")
    assert "二十万元" in said["text"]["zh"]
    assert "200,000 yuan" in said["text"]["en"]
    assert said["source"]["en"].startswith("Science and Technology Daily")
    assert {e["position"] for e in found["tree"]["events"]} >= {1, 2, 3, 5}


def test_a_refusal_shows_the_room_that_was_left(ledger: Ledger) -> None:
    """Given 6 万元 of a loan's limit used up, the next claim is refused; the tree names the use and a room of 0."""
    opening(ledger)
    ledger.submit(claim(), claim("C2", day="2023-04-01"))
    found = explained(ledger, 7)
    assert found["code"] == "principal_cap_reached"
    caps = {cap["part"]: cap for cap in found["tree"]["caps"]}
    assert caps["principal_cap"]["room_fen"] == 0
    assert [use["position"] for use in caps["principal_cap"]["events"]] == [6]
    assert caps["firm_cap"]["room_fen"] == 14_000_000
    assert caps["firm_cap"]["key"] == FIRM


def test_today_is_decided_on_what_is_known_today(ledger: Ledger) -> None:
    """Given a claim refused for want of room, when the earlier grant is voided, then today it would be granted; a grant
    that was itself voided still shows what it would be."""
    opening(ledger)
    ledger.submit(claim(), claim("C2", day="2023-04-01"))
    ledger.submit({"command": "void", "claim": "C1", "reason": "错", "effective_on": "2024-07-01"})
    found = explained(ledger, 7)
    assert (found["amount_fen"], found["today"]["amount_fen"], found["today"]["differs"]) == (
        0,
        6_000_000,
        True,
    )
    assert explained(ledger, 6)["today"] == {
        **explained(ledger, 6)["today"],
        "amount_fen": 6_000_000,
        "differs": False,
    }


def test_today_a_closed_round_still_takes_the_claim(ledger: Ledger) -> None:
    """A round that was closed since is taken as open: otherwise nothing could be asked of past rounds."""
    opening(ledger)
    ledger.submit(claim(), publicise())
    ledger.submit({"command": "close-round", "round": "R1", "document": "关-1", "effective_on": "2024-12-31"})
    assert explained(ledger, 6)["today"]["amount_fen"] == 6_000_000


def test_what_computed_nothing_has_no_explanation(ledger: Ledger) -> None:
    """A fact or a step is no decision; a claim in an unknown round has its code alone."""
    opening(ledger)
    ledger.submit(claim(), publicise(), claim("C9", round="R9"))
    for position in (2, 5, 7):
        with pytest.raises(NothingToExplain):
            explained(ledger, position)
    assert explained(ledger, 8)["code"] == "unknown_round"
    assert "tree" not in explained(ledger, 8)
