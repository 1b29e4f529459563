"""Why this amount: the tree says the numbers that decided, whence they came, and what it would be today."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ledger.catalogue import catalogue
from ledger.events import Event
from ledger.explain import NothingToExplain, explain
from ledger.rulebook.library import Library, read_toml, shipped
from projections import sampling
from projections.reports import explanation
from tests.cli.program import (
    BANK,
    FIRM,
    GUARANTOR,
    OTHER_BANK,
    OTHER_FIRM,
    certify,
    claim,
    draw,
    open_round,
    publicise,
    register,
)
from tests.histories import YI, history
from tests.support import Ledger, fresh_database
from tests.test_second_measure import MEASURE


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


def test_a_refusal_by_a_cap_per_product_shows_the_cap(database: str) -> None:
    """Where a cap counts by the loan's product, the refusal shows it with a room of 0, as the grant shows its own."""
    content = read_toml(MEASURE)
    content["clauses"][0]["caps"][0] |= {"key": ["product"], "limit": {"shape": "fixed", "amount_fen": 3_000}}
    ledger = Ledger(database, known=catalogue(Library([content])))
    accepted(ledger, open_round(rulebook="example-2025"), register(), register(BANK, "bank"))
    _, granted = accepted(ledger, draw(product="P"), claim())
    (refused,) = ledger.submit(claim("C2", day="2023-04-01"))
    assert refused["code"] == "firm_cap_reached"
    for position, room_fen in ((granted, 3_000), (refused["positions"][0], 0)):
        (cap,) = explained(ledger, position)["tree"]["caps"]
        assert (cap["key"], cap["room_fen"]) == (f"{BANK}/P/2024", room_fen)


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


# --- where the inputs come from -----------------------------------------------------------------------


def came_from(ledger: Ledger, position: int) -> dict[str, list[int]]:
    """The positions of each input of a claim."""
    return {given["name"]: given["positions"] for given in explained(ledger, position)["tree"]["inputs"]}


def accepted(ledger: Ledger, *lines: dict[str, Any]) -> list[int]:
    """Submit lines, none of which is refused: the position of each."""
    outcomes = ledger.submit(*lines)
    assert {outcome["outcome"] for outcome in outcomes} == {"accepted"}, outcomes
    return [outcome["positions"][-1] for outcome in outcomes]


def award(claim_id: str, year: int = 2023, **more: Any) -> dict[str, Any]:
    """A claim for the certified total of a year."""
    command = {"command": "claim-credit-award", "claim": claim_id, "round": "R1", "bank": BANK}
    return {**command, "product": "科创贷", "year": year, "effective_on": "2024-07-01", **more}


def reverse(position: int) -> dict[str, Any]:
    """The reversal of a fact."""
    return {"command": "reverse-fact", "position": position, "reason": "错"}


def recovery(amount_fen: int) -> dict[str, Any]:
    """A recovery on the payout P1."""
    command = {"command": "record-recovery", "payout": "P1", "amount_fen": amount_fen}
    return {**command, "effective_on": "2024-03-01"}


PAYOUT: dict[str, Any] = {"command": "pay-guarantee", "payout": "P1", "loan": "L1", "guarantor": GUARANTOR}
PAYOUT |= {"amount_fen": 1_000_000, "paid_on": "2024-02-01"}
COMPENSATION: dict[str, Any] = {"command": "claim-guarantee-compensation", "claim": "G1", "round": "R1"}
COMPENSATION |= {"payout": "P1"}
COMPENSATION |= {"decided_fen": 100_000, "document": "文-1", "effective_on": "2024-07-01"}
COMPENSATION |= {
    "reviews": [
        {"kind": kind, "passed": True, "document": "审-1", "on": "2024-05-01"}
        for kind in ("expert", "onsite")
    ]
}


def merge(survivor: str, gone: str, on: str) -> dict[str, Any]:
    """A merger of two banks."""
    command = {"command": "merge-parties", "survivor": survivor, "absorbed": gone, "document": "文-2"}
    return {**command, "effective_on": on}


def test_a_loan_drawn_again_is_said_by_the_draw_that_stands(ledger: Ledger) -> None:
    """Given a draw reversed and recorded again in the same words, a claim comes from the second alone."""
    opening(ledger)
    accepted(ledger, reverse(5))
    second, granted = accepted(ledger, draw(key="again"), claim())
    found = came_from(ledger, granted)
    for name in ("bank", "drawn_on", "principal_fen", "security"):
        assert found[name] == [second]
    assert found["interest_paid_fen"] == [granted]


def test_what_a_claim_rested_on_stays_its_source(ledger: Ledger) -> None:
    """Given a voided grant, when its draw is reversed afterwards, then the grant still comes from that draw."""
    opening(ledger)
    void = {"command": "void", "claim": "C1", "reason": "错", "effective_on": "2024-07-02"}
    accepted(ledger, claim(), void, reverse(5), draw(key="again"))
    assert came_from(ledger, 6)["principal_fen"] == [5]


def test_recoveries_are_those_of_the_payout_that_stand(ledger: Ledger) -> None:
    """Given recoveries on the payout, one of them reversed, and one on the loan, the sum comes from those that make it
    up; payout and loan come from the payout that stands."""
    opening(ledger)
    accepted(ledger, register(GUARANTOR, "guarantor"))
    (first,) = accepted(ledger, PAYOUT)
    accepted(ledger, reverse(first))
    payout, kept, wrong, later = accepted(
        ledger, {**PAYOUT, "key": "again"}, recovery(50_000), recovery(30_000), recovery(20_000)
    )
    on_the_loan = {"command": "record-recovery", "loan": "L1", "amount_fen": 70_000}
    *_, granted = accepted(
        ledger, reverse(wrong), {**on_the_loan, "effective_on": "2024-03-02"}, COMPENSATION
    )
    found = came_from(ledger, granted)
    assert found["recovered_fen"] == [kept, later]
    assert found["payout_fen"] == found["loan"] == [payout]
    assert found["decided_fen"] == found["reviews"] == [granted]


def test_the_total_comes_from_the_certificate_of_its_year(ledger: Ledger) -> None:
    """Given the same total certified for another year, and twice for this one, the certificate in force says it."""
    opening(ledger)
    _, of_year, _ = accepted(ledger, certify(2 * YI, 2023), certify(2 * YI, 2023), certify(2 * YI, 2022))
    (granted,) = accepted(ledger, award("A1"))
    found = came_from(ledger, granted)
    assert found["total_fen"] == found["certified_at"] == [of_year]
    assert found["mark_before"] == []


def test_the_mark_comes_from_the_standing_award_that_reached_it(ledger: Ledger) -> None:
    """Given awards of 1 and 2 and a voided one of 4, the mark comes from the one that reached 2; a refusal says the
    same."""
    opening(ledger)
    accepted(ledger, certify(YI, 2020), certify(2 * YI, 2021), certify(4 * YI, 2022), certify(3 * YI, 2023))
    _, reached, _ = accepted(ledger, award("A1", 2020), award("A2", 2021), award("A3", 2022))
    accepted(ledger, {"command": "void", "claim": "A3", "reason": "错", "effective_on": "2024-07-02"})
    (refused,) = ledger.submit(award("A4", 2020))
    assert refused["code"] == "nothing_due"
    (granted,) = accepted(ledger, award("A5", 2023))
    assert came_from(ledger, granted)["mark_before"] == [reached]
    assert came_from(ledger, refused["positions"][0])["mark_before"] == [reached]


def test_an_inherited_mark_comes_through_its_mergers(ledger: Ledger) -> None:
    """Given a mark of 4 handed on by two mergers, and the survivor's own award of 3, the mark comes from the award that
    reached 4 and from both mergers; the events that were looked at contain them."""
    opening(ledger)
    accepted(ledger, register(OTHER_BANK, "bank"), register(OTHER_FIRM, "bank"))
    accepted(
        ledger, certify(4 * YI), certify(3 * YI, bank=OTHER_FIRM), certify(5 * YI, 2024, bank=OTHER_FIRM)
    )
    highest, _ = accepted(ledger, award("A1"), award("A2", bank=OTHER_FIRM))
    mergers = accepted(
        ledger, merge(OTHER_BANK, BANK, "2024-07-02"), merge(OTHER_FIRM, OTHER_BANK, "2024-07-03")
    )
    (granted,) = accepted(ledger, award("A3", 2024, bank=OTHER_FIRM, effective_on="2024-08-01"))
    assert came_from(ledger, granted)["mark_before"] == [highest, *mergers]
    looked_at = {event["position"] for event in explained(ledger, granted)["tree"]["events"]}
    assert looked_at >= {highest, *mergers}


def test_a_ladder_that_begins_anew_has_the_mark_of_its_year(database: str) -> None:
    """Where a measure's ladder counts each year by itself, an award of another year with the same mark is no source."""
    contents = [document.content for document in shipped().documents.values()]
    ledger = Ledger(database, known=catalogue(Library([*contents, read_toml(MEASURE)])))
    accepted(ledger, open_round(rulebook="example-2025"), register(BANK, "bank"))
    accepted(ledger, certify(2 * YI, 2022), certify(2 * YI, 2023))
    _, of_year = accepted(ledger, award("A1", 2022), award("A2", 2023))
    *_, granted = accepted(ledger, certify(3 * YI, 2023), award("A3", 2023))
    assert came_from(ledger, granted)["mark_before"] == [of_year]


def narrowed(step_fen: int) -> Library:
    """The shipped rulebooks, the call of 2024 with another step of the ladder."""
    contents = {document.id: dict(document.content) for document in shipped().documents.values()}
    legs = [{"part": "ladder", "step_fen": step_fen}]
    contents["shanxi-2024"]["clauses"] = [{"id": "SX-2", "legs": legs}]
    return Library(contents.values())


def test_a_step_comes_from_the_document_that_sets_it(database: str) -> None:
    """A call that is silent on the ladder leaves it to the measure; one that says its step is the source, in the
    version that the round froze."""
    silent = Ledger(database)
    accepted(silent, open_round("R1", call="shanxi-2024"), register(BANK, "bank"), certify(2 * YI))
    (granted,) = accepted(silent, award("A1"))
    assert came_from(silent, granted)["step_fen"] == [1]
    for round_id, reached, step_fen in (("R2", 3, YI), ("R3", 8, YI // 2)):
        ledger = Ledger(database, known=catalogue(narrowed(step_fen)))
        (opened,) = accepted(ledger, open_round(round_id, call="shanxi-2024"))
        *_, granted = accepted(ledger, certify(reached * step_fen), award(f"A-{round_id}", round=round_id))
        assert came_from(ledger, granted)["step_fen"] == [opened - 1]


#: What a sample tells to prove besides a grant and its steps.
FACTS = ("LoanDrawn", "GuaranteePaidOut", "CreditCertified")


def taken_back(events: Sequence[Event]) -> set[int]:
    """The positions of facts that were reversed."""
    return {event.data["position"] for event in events if event.type == "FactReversed"}


def check_input(given: dict[str, Any], before: Sequence[Event]) -> None:
    """An input is made up by what its positions say, all of it known and none of it taken back before the claim."""
    sources = [before[position - 1] for position in given["positions"]]
    name, value = given["name"], given["value"]
    assert not taken_back(before) & set(given["positions"])
    match name:
        case "recovered_fen":
            assert sum(source.data["amount_fen"] for source in sources) == value
        case "mark_before":
            awards = [source for source in sources if source.type == "CreditAwarded"]
            assert {source.data["mark"] for source in awards} == ({value} if value else set())
            voided = {event.data["claim"] for event in before if event.type == "GrantVoided"}
            assert not {source.data["claim"] for source in awards} & voided
        case "step_fen":
            assert [source.type for source in sources] == ["RulebookAdopted"]
        case "certified_at":
            assert given["positions"] == [value]
        case _:
            other = {"payout_fen": "amount_fen"}.get(name, name)
            assert [source.data[other] for source in sources] == [value]


@pytest.mark.parametrize("seed", range(4))
def test_inputs_are_made_up_by_what_they_come_from(seed: int, embedded_server: str) -> None:
    """On random histories: what an input's positions say is its value, and was in force; so is what a sample tells to
    prove of a claim's facts, which for interest and awards are the same."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        ledger.submit(*history(seed, length=250))
        newest = ledger.store.head().position
        log = [keyed.event for keyed in ledger.store.events_between(0, newest)]
        sample = sampling.document(ledger.store, newest, "random", len(log), "s")["claims"]
        to_prove = {row["position"]: set(row["positions"]) for row in sample}
        checked = 0
        for event in log:
            if "inputs" not in event.data:
                continue
            before = log[: event.position]
            inputs = explained(ledger, event.position)["tree"]["inputs"]
            for given in inputs:
                check_input(given, before)
                checked += 1
            facts = {p for p in to_prove.get(event.position, ()) if log[p - 1].type in FACTS}
            assert not facts & taken_back(before)
            if event.type in ("LoanInterestGranted", "CreditAwarded"):
                assert facts <= {position for given in inputs for position in given["positions"]}
        assert checked > 50
        ledger.store.close()


def test_a_forged_grant_that_names_no_rules_is_explained_without_them() -> None:
    """Somebody who writes to the database may leave them out: that is no fault of who asks."""
    forged = {"legs": [], "reading": {}, "clause": "SX-1", "amount_fen": 1}
    assert explain(7, "LoanInterestGranted", forged)["rulebook"] == {}
