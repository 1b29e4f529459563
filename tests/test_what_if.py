"""What if other rules had decided: nobody gains or loses by rules that do not change, and every fen has its cause."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ledger.catalogue import catalogue
from ledger.events import Event
from ledger.redecide import WholeState
from ledger.rulebook.library import content_sha256, shipped
from ledger.rulebook.settings import (
    Content,
    UnusableSetting,
    parameters,
    read_rulebook,
    read_setting,
    read_settings,
)
from ledger.store import Store
from ledger.subjects import rounds
from projections import what_if
from projections.adopted import adopted
from tests.cli.program import BANK, GUARANTOR, claim, draw, open_round, register
from tests.histories import history
from tests.support import Ledger, fresh_database

SAME = (
    "SX-1.legs.interest_share.rate=1/2",
    "SX-1.caps.firm_cap.limit.amount_fen=20000000",
    "SX-2.legs.ladder.step_fen=10_000_000_000",
    "SX-1.reading.A1=lifetime",
)
OTHER = (
    ("SX-1.caps.firm_cap.limit.amount_fen=5000000",),
    ("SX-1.caps.firm_cap.limit.amount_fen=90000000",),
    ("SX-1.legs.interest_share.rate=2/5", "SX-2.legs.ladder.further_fen=10000000"),
    ("SX-1.reading.A1=round",),
    ("SX-1.reading.A1=year", "SX-1.caps.principal_cap.limit.rate=1/100"),
    ("SX-2.reading.A16=year",),
    ("SX-2.legs.ladder.step_fen=5000000000", "SX-2.legs.ladder.further_fen=30000000"),
    ("SX-2.reading.A18=each", "SX-1.reading.A25=pay"),
    ("SX-1.terms.securities=credit", "SX-1.reading.A8=previous"),
    ("SX-1.caps.firm_cap.effective_from=2025-01-01",),
    ("shanxi-2023:SX-1.reading.A8=any",),
    ("SX-1.reading.A13=error+misconduct",),
)


def ask(store: Store, *settings: str) -> dict[str, Any]:
    """As `kejin what-if --set ...`."""
    until = store.head().position
    contents = adopted(store, until)
    return what_if.document(store, until, what_if.Change(contents, settings))


@pytest.mark.parametrize("seed", range(12))
def test_rules_that_do_not_change_make_no_difference(seed: int, embedded_server: str) -> None:
    """Whatever happened, setting parameters to the values that they have changes nothing at all."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        ledger.submit(*history(seed, length=180))
        found = ask(ledger.store, *SAME)
        assert found["then_fen"] == found["now_fen"]
        assert (found["claims"], found["causes"], found["other_steps"]) == ([], [], [])
        assert found["first_parting"] is None
        ledger.store.close()


@pytest.mark.parametrize("seed", range(12))
def test_causes_add_up_to_the_whole(seed: int, embedded_server: str) -> None:
    """Under any other rules the causes of each claim add up to its difference, and those of all to that of all."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        ledger.submit(*history(seed, length=220))
        before = ledger.store.head().position
        changed = 0
        for settings in OTHER:
            try:
                found = ask(ledger.store, *settings)
            except UnusableSetting:  # a call that this history has not adopted
                continue
            changed += bool(found["claims"])
            _adds_up(found)
        assert changed
        assert ledger.store.head().position == before
        ledger.store.close()


def _adds_up(found: dict[str, Any]) -> None:
    for row in found["claims"]:
        assert row["difference_fen"] == row["now_fen"] - row["then_fen"] != 0
        assert row["difference_fen"] == sum(cause["difference_fen"] for cause in row["causes"])
        assert row["clause"]
        assert found["first_parting"] <= row["parted_at"] <= row["position"]
        if any(cause["cause"] in ("earlier", "budget") for cause in row["causes"]):
            assert row["parted_at"] < row["position"]
    whole = found["difference_fen"]
    assert whole == found["now_fen"] - found["then_fen"]
    assert whole == sum(row["difference_fen"] for row in found["claims"])
    assert whole == sum(row["difference_fen"] for row in found["causes"])
    assert whole == sum(row["difference_fen"] for row in found["payees"])
    for row in found["causes"]:
        assert row["difference_fen"] == row["more_fen"] + row["less_fen"]


CASES = tomllib.loads((Path(__file__).parent / "what_if" / "cases.toml").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES["case"], ids=lambda case: case["title_en"])
def test_case(case: dict[str, Any], ledger: Ledger) -> None:
    """Given recorded facts, when the rules are others, then these claims differ, for these causes."""
    for name in case["given"]:
        for line in CASES["setup"][name]:
            (outcome,) = ledger.submit(line)
            assert outcome["outcome"] in ("accepted", "refused"), outcome
    found = ask(ledger.store, *case["when"])
    for name, wanted in case["then"].items():
        assert _only(found[name], wanted) == wanted, name


def _only(found: Any, wanted: Any) -> Any:
    """What was found, reduced to the fields that a case speaks of."""
    if not isinstance(wanted, list):
        return found
    fields = set(wanted[0]) if wanted else set()
    return [{n: v for n, v in row.items() if n in fields} for row in found] if fields else found


def test_a_foreign_measure_takes_the_place_of_all(ledger: Ledger) -> None:
    """Given a measure of another programme that pays a tenth, its clause, cap and programme decide every claim."""
    for name in ("opening", "two_claims"):
        ledger.submit(*CASES["setup"][name])
    contents = adopted(ledger.store, 9)
    other = copy.deepcopy(dict(contents[0]))
    other |= {"id": "elsewhere-2025", "programme": "elsewhere"}
    other["clauses"] = [clause for clause in other["clauses"] if clause["instrument"] == "loan_interest"]
    other["clauses"][0]["id"] = "EW-1"
    other["clauses"][0]["legs"][0]["rate"] = "1/10"
    found = what_if.document(ledger.store, 9, what_if.Change(contents, [], [other]))
    assert [(row["claim"], row["now_fen"], row["clause"]) for row in found["claims"]] == [
        ("C1", 3_000_000, "EW-1"),
        ("C2", 2_000_000, "EW-1"),
    ]
    _adds_up(found)


def test_a_foreign_clause_that_refuses_for_another_reason_is_the_one_that_is_named(ledger: Ledger) -> None:
    """Given a claim that was refused for its security, when another measure takes the security but its cap is used up
    on the recorded history, that cap and that clause are the cause."""
    for name in ("opening", "mortgage_of_one_firm"):
        ledger.submit(*CASES["setup"][name])
    contents = adopted(ledger.store, 10)
    other = copy.deepcopy(dict(contents[0]))
    other |= {"id": "elsewhere-2025", "programme": "elsewhere"}
    clause = next(clause for clause in other["clauses"] if clause["instrument"] == "loan_interest")
    clause |= {"id": "EW-1", "terms": {**clause["terms"], "securities": ["credit", "mortgage"]}}
    clause["legs"][0]["rate"] = "1/4"
    clause["caps"][1]["limit"]["amount_fen"] = 15_000_000
    found = what_if.document(ledger.store, 10, what_if.Change(contents, [], [other]))
    named = [
        (row["claim"], cause["cause"], cause["clause"]) for row in found["claims"] for cause in row["causes"]
    ]
    assert named == [("P1", "rule", "EW-1"), ("P2", "earlier", "EW-1")]
    assert [cause["part"] for cause in found["claims"][1]["causes"]] == ["firm_cap"]
    _adds_up(found)


def test_a_cap_by_product_counts_what_was_granted_without_one(ledger: Ledger) -> None:
    """Given two grants on loans of one product, when a foreign measure caps the product, the second loses what the
    first took, by the rule itself: recorded grants count by their loan's product though nothing had counted it."""
    ledger.submit(open_round(), register(), register(BANK, "bank"))
    ledger.submit(draw("L1", product="P"), draw("L2", product="P"))
    ledger.submit(claim("C1", 100_000), claim("C2", 100_000, loan="L2"))
    other = SHIPPED.replace('key = ["firm"]', 'key = ["product"]').replace("20_000_000 }", "60_000 }")
    until = ledger.store.head().position
    change = what_if.Change(adopted(ledger.store, until), [], [read_rulebook(other)])
    found = what_if.document(ledger.store, until, change)
    (lost,) = found["claims"]
    assert (lost["claim"], lost["then_fen"], lost["now_fen"]) == ("C2", 50_000, 10_000)
    assert [cause["cause"] for cause in found["causes"]] == ["rule"]
    _adds_up(found)


def test_a_cap_that_moves_to_a_call_counts_what_that_call_granted(ledger: Ledger) -> None:
    """Given a firm whose grant under the measure filled its cap, when the cap stands in the call alone, a claim under
    the call is granted by the rule itself: nothing before it differs."""
    ledger.submit(open_round("R1"), open_round("R2", call="shanxi-2023"), register(), register(BANK, "bank"))
    ledger.submit(draw("L1", 1_000_000_000), draw("L2", 1_000_000_000))
    outcomes = ledger.submit(claim("C1", 40_000_000), claim("C2", 20_000_000, loan="L2", round="R2"))
    assert [(one.get("amount_fen"), one.get("code")) for one in outcomes] == [
        (20_000_000, None),
        (None, "firm_cap_reached"),
    ]
    before, cap, after = SHIPPED.partition('[[clauses.caps]]\npart = "firm_cap"')
    table, end, rest = after.partition('refusal = "firm_cap_reached"\n')
    call = (SHIPPED_FOLDER / "shanxi-2023.toml").read_text("utf-8") + "\n" + cap + table + end
    until = ledger.store.head().position
    others = [read_rulebook(before + rest), read_rulebook(call)]
    found = what_if.document(ledger.store, until, what_if.Change(adopted(ledger.store, until), [], others))
    (won,) = found["claims"]
    assert (won["claim"], won["now_fen"], won["parted_at"]) == ("C2", 10_000_000, won["position"])
    assert [cause["cause"] for cause in won["causes"]] == ["rule"]
    _adds_up(found)


@pytest.mark.parametrize("principal_fen", [1_000_000_000, 100_000_000])
def test_a_claim_that_would_pay_another_firm_takes_from_one_and_gives_to_the_other(
    ledger: Ledger, principal_fen: int
) -> None:
    """Given a loan that was drawn for the wrong firm, reversed and drawn again for another, when a refused claim keeps
    the first draw in use, the other firm loses all that it got and the first one gets what it would: two entries of one
    claim, which part where that draw was kept."""
    one, other = "91350100M000100Y43", "91110000101623741K"
    ledger.submit(open_round("R", 900_000_000), register(one), register(other), register(BANK, "bank"))
    ledger.submit(draw("L", 1_000_000_000, drawn_on="2023-02-01", security="mortgage"))
    drawn = ledger.store.head().position
    again = draw("L", principal_fen, firm=other, drawn_on="2023-02-01", key="again")
    outcomes = ledger.submit(
        claim("C1", 100, "2023-02-01", loan="L", round="R"),
        {"command": "reverse-fact", "position": drawn, "reason": "wrong firm"},
        again,
        claim("C2", 20_000_000, loan="L", round="R"),
    )
    assert [outcome["outcome"] for outcome in outcomes] == ["refused", "accepted", "accepted", "accepted"]
    got_fen = min(10_000_000, principal_fen * 3 // 100)
    assert outcomes[-1]["amount_fen"] == got_fen
    found = ask(ledger.store, "SX-1.terms.securities=credit,guaranteed,mortgage")
    rows = [(row["claim"], row["payee"], row["then_fen"], row["now_fen"]) for row in found["claims"]]
    assert rows == [("C1", one, 0, 50), ("C2", other, got_fen, 0), ("C2", one, 0, 10_000_000)]
    assert {row["parted_at"] for row in found["claims"]} == {drawn + 1}
    payees = {row["payee"]: (row["then_fen"], row["now_fen"]) for row in found["payees"]}
    assert payees == {one: (0, 10_000_050), other: (got_fen, 0)}
    assert found["difference_fen"] == 10_000_050 - got_fen
    _adds_up(found)


def test_a_slip_of_another_bank_parts_nothing(ledger: Ledger) -> None:
    """Given two loans of two firms at two banks, and slips of the same number: the second loan's claims part where that
    loan's first one does. Where the number is the same bank's, and used, they part where it was used."""
    one, other, second = "91350100M000100Y43", "91110000101623741K", "91110000600037341L"
    ledger.submit(open_round("R", 900_000_000), register(one), register(other))
    ledger.submit(register(BANK, "bank"), register(second, "bank"))
    ledger.submit(draw("L1", 200_000_000, firm=one), draw("L2", 200_000_000, firm=other, bank=second))
    ledger.submit(register(GUARANTOR, "guarantor"))
    ledger.submit(draw("L3", 200_000_000, firm=other, security="guaranteed", guarantor=GUARANTOR))
    slips = [{"number": "S1", "amount_fen": 1}]
    before = ledger.store.head().position
    outcomes = ledger.submit(
        claim("C1", 1_000_000, loan="L1", round="R", slips=slips),
        claim("C2", 1_000_000, "2023-04-01", loan="L2", round="R"),
        claim("C3", 45_000_000, "2023-05-01", loan="L2", round="R", slips=slips),
        claim("C4", 1_000_000, loan="L3", round="R", slips=slips),
    )
    assert [outcome.get("code") for outcome in outcomes] == [None, None, None, "duplicate_slip"]
    found = ask(ledger.store, "SX-1.legs.interest_share.rate=1/3")
    assert {row["claim"]: row["parted_at"] - before for row in found["claims"]} == {"C1": 1, "C2": 2, "C3": 2}
    found = ask(ledger.store, "SX-1.terms.securities=guaranteed")
    parted = {row["claim"]: row["parted_at"] - before for row in found["claims"]}
    assert parted == {"C1": 1, "C2": 2, "C3": 3, "C4": 1}
    _adds_up(found)


def test_what_can_be_set_is_listed_and_can_be_set(ledger: Ledger) -> None:
    """Every listed parameter takes the value that it has, and an unknown one is answered with the list."""
    ledger.submit(*CASES["setup"]["opening"])
    contents = adopted(ledger.store, 1)
    listed = parameters(contents)
    assert {"SX-1.caps.firm_cap.limit.amount_fen", "SX-1.reading.A1", "SX-2.legs.ladder.step_fen"} <= {
        p.name for p in listed
    }
    for parameter in listed:
        value = ",".join(parameter.value) if isinstance(parameter.value, list) else parameter.value
        assert read_setting(f"{parameter.name}={value}", contents).value == parameter.value
    with pytest.raises(UnusableSetting, match=r"SX-1\.legs\.interest_share\.rate"):
        read_setting("SX-1.legs.interest.rate=1/3", contents)


@pytest.mark.parametrize(
    "text",
    [
        "SX-1",
        "=1",
        "nowhere:SX-1.reading.A1=round",
        "SX-1.legs.interest_share.rate=half",
        "SX-1.legs.interest_share.rate=-1/2",
        "SX-1.caps.firm_cap.limit.amount_fen=1.5",
        "SX-1.caps.firm_cap.effective_from=2024-02-30",
        "SX-1.caps.principal_cap.effective_from=2030-01-01",
        "SX-1.reading.A1=decade",
        "SX-1.reading.A2=everything",
        "SX-1.terms.securities=credit,gold",
        "SX-2.legs.ladder.step_fen=0",
        f"SX-2.legs.ladder.step_fen={'9' * 5_000}",
        "SX-1.legs.interest_share.rate=1e999999999",
        "SX-1.legs.interest_share.rate=1/0",
    ],
)
def test_a_setting_that_means_nothing_is_refused(text: str, ledger: Ledger) -> None:
    """In one sentence, before anything is decided."""
    ledger.submit(*CASES["setup"]["opening"])
    with pytest.raises(UnusableSetting):
        read_setting(text, adopted(ledger.store, 1))


def shipped_contents(*names: str) -> list[Content]:
    """As the rounds of a ledger adopt them."""
    return [shipped().documents[name].content for name in names]


def test_a_date_that_a_fact_gives_is_no_parameter() -> None:
    """The limit per loan begins with the draw: its clause's date is not offered, also not in a call that states the
    cap, while that of the cap per firm is."""
    (measure,) = shipped_contents("shanxi-2022")
    call = {
        "id": "call",
        "layer": "call",
        "measure": measure["id"],
        "effective_from": "2024-01-01",
        "version": 1,
    }
    caps = [
        {"part": part, "limit": {"shape": "fixed", "amount_fen": 1}} for part in ("principal_cap", "firm_cap")
    ]
    dates = [
        (p.document, p.path[2])
        for p in parameters([measure, {**call, "clauses": [{"id": "SX-1", "caps": caps}]}])
        if p.path[-1] == "effective_from"
    ]
    assert dates == [(measure["id"], "firm_cap"), ("call", "firm_cap")]


def test_one_parameter_has_one_value() -> None:
    """Two values for one parameter are refused, also where one of them names the document; the same one twice, or a
    call's own beside the measure's, are not."""
    contents = shipped_contents("shanxi-2022", "shanxi-2023")
    year, any_ = "SX-1.reading.A8=previous", "shanxi-2023:SX-1.reading.A8=any"
    rate = "SX-1.legs.interest_share.rate="
    for pair in ((year, any_), (any_, year), (f"{rate}1/3", f"{rate}1/4")):
        with pytest.raises(UnusableSetting, match="different values"):
            read_settings(pair, contents)
    assert len(read_settings((year, year, f"{rate}1/3", f"shanxi-2023:{rate}1/4"), contents)) == 4


def test_without_a_round_nothing_can_be_set() -> None:
    """On a ledger that has adopted no rulebook the answer is that, not an empty list."""
    for text in ("SX-1.reading.A1=round", "shanxi-2022:SX-1.reading.A1=round"):
        with pytest.raises(UnusableSetting, match="no rulebook is adopted") as refused:
            read_setting(text, [])
        assert "未采用任何规则" in refused.value.zh


def test_rulebooks_that_were_only_tried_are_forgotten() -> None:
    """However many rulebooks rounds are asked to decide by, few are kept, and each decides as itself."""
    (content,) = shipped_contents("shanxi-2022")
    state, day = WholeState(catalogue().memories), "2024-01-01"
    for version in range(1, 3 * rounds._RESOLVED_MAX):
        tried = {**content, "version": version, "programme": f"p{version}"}
        sha256 = content_sha256(tried)
        state.take_in(
            Event(
                version,
                "RulebookAdopted",
                day,
                ("rulebook:shanxi-2022",),
                {"sha256": sha256, "content": tried},
                (),
            )
        )
        round_ = rounds.Round()
        round_.measure = ("shanxi-2022", sha256)
        assert rounds.rulebook_of(round_, state).programme == f"p{version}"
        assert len(rounds._resolved) <= rounds._RESOLVED_MAX


SHIPPED_FOLDER = Path(__file__).parents[1] / "ledger" / "rulebook"
SHIPPED = (SHIPPED_FOLDER / "shanxi-2022.toml").read_text("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "no TOML",
        "id = 1",
        f"x = {'[' * 3_000}{']' * 3_000}",
        f"x = {'9' * 3_900}{'9' * 3_900}",
        f"a{'.a' * 30_000} = 1",
        f"{SHIPPED}\n" * 20,
        SHIPPED.replace('id = "shanxi-2022"', "id = []"),
        SHIPPED.replace('layer = "measure"', 'layer = "call"').replace("shanxi-2022", "elsewhere"),
        SHIPPED.replace('rate = "1/2"', 'rate = "1e999999999"'),
        SHIPPED.replace('rate = "1/2"', "rate = 0.5"),
        SHIPPED.replace('rate = "1/2"', 'rate = "half"'),
        SHIPPED.replace('of = "interest_paid_fen"', 'of = "gold"'),
        SHIPPED.replace('securities = ["credit", "guaranteed"]', f"securities = {'[' * 300}{']' * 300}"),
    ],
    ids=range(13),
)
def test_a_rulebook_that_cannot_decide_is_one_clear_sentence(text: str, ledger: Ledger) -> None:
    """Whatever the text of a foreign rulebook is, the answer is what is wrong with it, at once."""
    assert text not in (SHIPPED, "")
    for name in ("opening", "two_claims"):
        ledger.submit(*CASES["setup"][name])
    contents = adopted(ledger.store, 9)
    with pytest.raises(UnusableSetting) as refused:
        change = what_if.Change(contents, [], [read_rulebook(text)])
        what_if.document(ledger.store, 9, change)
    assert refused.value.zh
    assert len(str(refused.value)) < 500


def changed(before: str, after: str) -> str:
    """The shipped measure with the first of something replaced."""
    assert before in SHIPPED
    return SHIPPED.replace(before, after, 1)


FIRM_LIMIT = "amount_fen = 20_000_000 }"
LEG = 'shape = "share"\nof = "interest_paid_fen"\nrate = "1/2"'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (changed(FIRM_LIMIT, "amount_fen = -1 }"), "SX-1: caps.firm_cap.limit.amount_fen"),
        (changed(FIRM_LIMIT, "amount_fen = true }"), "SX-1: caps.firm_cap.limit.amount_fen"),
        (changed(FIRM_LIMIT, 'amount_fen = "20" }'), "SX-1: caps.firm_cap.limit.amount_fen"),
        (changed(FIRM_LIMIT, "amount_fen = 20000000.0 }"), "SX-1: caps.firm_cap.limit.amount_fen"),
        (changed(FIRM_LIMIT, "amount_fen = 0.5 }"), "SX-1: caps.firm_cap.limit.amount_fen"),
        (
            changed(FIRM_LIMIT, "amount_fen = 1, colour = 1 }"),
            "SX-1: there is no 'caps.firm_cap.limit.colour'",
        ),
        (changed('rate = "3/100"', "rate = 0.03"), "SX-1: caps.principal_cap.limit.rate"),
        (changed('rate = "1/2"', "rate = 0.5"), "SX-1: legs.interest_share.rate"),
        (changed('of = "interest_paid_fen"', 'of = "gold"'), "SX-1: legs.interest_share.of"),
        (changed(LEG, 'shape = "ladder"'), "SX-1: legs.interest_share."),
        (changed('shape = "share"', 'shape = "hat"'), "SX-1: legs.interest_share.shape"),
        (changed('dated_by = "drawn_on"', 'dated_by = "moon"'), "SX-1: caps.principal_cap.dated_by"),
        (changed('key = ["firm"]', 'key = ["hat"]'), "SX-1: caps.firm_cap.key"),
        (changed('key = ["firm"]', "key = []"), "SX-1: caps.firm_cap.key"),
        (changed('window = "A1"', 'window = "A2"'), "SX-1: caps.firm_cap.window"),
        (changed("rounding_unit_fen = 1", "rounding_unit_fen = 0"), "SX-1: terms.rounding_unit_fen"),
        (changed("rounding_unit_fen = 1", "rounding_unit_fen = -100"), "SX-1: terms.rounding_unit_fen"),
        (changed("step_fen = 10_000_000_000", "step_fen = 0"), "SX-2: legs.ladder.step_fen"),
        (changed("step_fen = 10_000_000_000", "step_fen = -1"), "SX-2: legs.ladder.step_fen"),
        (changed('id = "SX-2"', 'id = "SX-1"'), "clause SX-1 stands there twice"),
        (
            changed('instrument = "credit_award"', 'instrument = "loan_interest"'),
            "instrument loan_interest stands",
        ),
        (changed('instrument = "credit_award"', 'instrument = "hat"'), "SX-2: instrument"),
        (SHIPPED.replace("[[clauses.caps]]", "[[clauses.hats]]"), "SX-1: there is no 'hats'"),
        (changed('programme = "shanxi"', 'programme = "a/b"'), "programme"),
        (
            changed('part = "firm_cap"', 'part = "principal_cap"'),
            "SX-1: caps part principal_cap stands there twice",
        ),
        (changed('reset = "A16"\n', ""), "SX-2: terms.reset is missing"),
        (changed('part = "ladder"', 'part = "stairs"'), "SX-2: legs.ladder is missing"),
        (changed('interest_year = "A8"\n', ""), "SX-1: terms.interest_year is missing"),
        (changed('after_default = "A25"\n', ""), "SX-1: terms.after_default is missing"),
        (changed('securities = ["credit", "guaranteed"]\n', ""), "SX-1: terms.securities is missing"),
        (changed('securities = ["credit", "guaranteed"]', 'securities = ["gold"]'), "SX-1: terms.securities"),
        (changed("budget_short =", "budget ="), "SX-1: there is no 'terms.budget'"),
        (
            changed('recovery_restores = "A13"', 'recovery_restores = "error+misconduct"'),
            "SX-1: terms.recovery_res",
        ),
        *(
            (changed(f'{code} = "', f'{code} = "perhaps_'), f"{clause}: reading.{code} ")
            for code, clause in {
                "A1": "SX-1",
                "A2": "SX-1",
                "A3": "SX-1",
                "A8": "SX-1",
                "A11": "SX-1",
            }.items()
        ),
        *(
            (changed(f'{code} = "', f'{code} = "perhaps_'), f"{clause}: reading.{code} ")
            for code, clause in {
                "A13": "SX-1",
                "A25": "SX-1",
                "A28": "SX-1",
                "A16": "SX-2",
                "A18": "SX-2",
            }.items()
        ),
        # A mark falls after a recovery for error alone, whatever a rulebook says.
        ('A13 = "error+misconduct"'.join(SHIPPED.rsplit('A13 = "error"', 1)), "SX-2: reading.A13 "),
        (changed('A2 = "interest_only"', 'A99 = "x"'), "SX-1: there is no 'reading.A99'"),
    ],
    ids=lambda value: value if len(value) < 100 else "",
)
@pytest.mark.parametrize("name", ["shanxi-2022", "elsewhere"])
def test_a_rulebook_that_says_what_nothing_carries_out_is_refused(text: str, named: str, name: str) -> None:
    """Numbers out of range, unknown words and names, and what its instruments miss: the answer names document, clause
    and field, in two languages, whether the rulebook comes in the place of an adopted one or beside it."""
    contents = shipped_contents("shanxi-2022")
    text = text.replace('id = "shanxi-2022"', f'id = "{name}"', 1)
    with pytest.raises(UnusableSetting) as refused:
        what_if.Change(contents, [], [read_rulebook(text)])
    assert str(refused.value).startswith(f"{name}: ")
    assert named in str(refused.value)
    assert len(str(refused.value)) < 500
    assert refused.value.zh.startswith(f"{name}：")
    assert "\n" not in str(refused.value) + refused.value.zh


def test_a_foreign_call_is_judged_over_its_measure() -> None:
    """A call of an adopted id may set what its measure names; what it sets to nonsense is refused, with both named."""
    contents = shipped_contents("shanxi-2022", "shanxi-2023")
    call = 'id="shanxi-2023"\nlayer="call"\nversion=2\nmeasure="shanxi-2022"\neffective_from="2023-01-01"\n'
    call += '[[clauses]]\nid="SX-1"\n'
    cap = '[[clauses.caps]]\npart="firm_cap"\nlimit={shape="fixed", amount_fen=%s}\n'
    what_if.Change(contents, [], [read_rulebook(call + cap % "1")])
    for text, named in (
        (call + cap % "-1", "shanxi-2022 with shanxi-2023: SX-1: caps.firm_cap.limit.amount_fen"),
        (call + '[clauses.reading]\nA8="perhaps"\n', "shanxi-2023: SX-1: reading.A8"),
        (call + 'instrument="loan_interest"\n', "shanxi-2023: SX-1: there is no 'instrument'"),
        (call.replace("SX-1", "SX-9"), "shanxi-2023: the measure has no clause SX-9"),
    ):
        with pytest.raises(UnusableSetting) as refused:
            what_if.Change(contents, [], [read_rulebook(text)])
        assert str(refused.value).startswith(named)


ELSEWHERE = SHIPPED.replace('id = "shanxi-2022"', 'id = "elsewhere"').replace('"SX-', '"EW-')
CALL = 'id="shanxi-2023"\nlayer="call"\nversion=2\nmeasure="shanxi-2022"\neffective_from="2023-01-01"\n'


def test_settings_change_the_rulebooks_that_are_in_use() -> None:
    """A foreign measure's parameters can be set, everywhere or under one call; what it does not say is not in use any
    more, and that is the answer."""
    contents = shipped_contents("shanxi-2022", "shanxi-2023")
    other, rate = read_rulebook(ELSEWHERE), "EW-1.legs.interest_share.rate"
    for setting, rates in (
        (f"{rate}=1", {"shanxi-2022": "1"}),
        (f"shanxi-2022:{rate}=1/3", {"shanxi-2022": "1/3"}),
        (f"shanxi-2023:{rate}=1/4", {"shanxi-2022": "1/2", "shanxi-2023": "1/4"}),
    ):
        listed = parameters(what_if.Change(contents, [setting], [other]).in_use)
        assert {p.document: p.value for p in listed if p.name == rate} == rates
    for setting in ("SX-1.reading.A1=year", "shanxi-2023:SX-1.reading.A8=any"):
        with pytest.raises(UnusableSetting, match=r"is not in use.* EW-1\.") as refused:
            what_if.Change(contents, [setting], [other])
        assert "已不在用" in refused.value.zh


def test_a_place_is_taken_once() -> None:
    """Two rulebooks for the place of one are refused with both names, whatever their order; a foreign measure with a
    call for it is none of these."""
    contents = shipped_contents("shanxi-2022", "shanxi-2023")
    foreign, third = (read_rulebook(ELSEWHERE.replace('"elsewhere"', f'"{name}"')) for name in ("one", "two"))
    same, call = (
        read_rulebook(SHIPPED),
        read_rulebook(CALL + '[[clauses]]\nid="EW-1"\n[clauses.reading]\nA8="any"\n'),
    )
    for pair in (
        (foreign, third),
        (third, foreign),
        (foreign, foreign),
        (foreign, same),
        (same, same),
        (call, call),
    ):
        with pytest.raises(
            UnusableSetting, match=f"2 rulebooks .*: {pair[0]['id']}, {pair[1]['id']};"
        ) as refused:
            what_if.Change(contents, [], pair)
        assert "只给出其中一份" in refused.value.zh
    for both in ((foreign, call), (call, foreign)):
        assert what_if.Change(contents, [], both).in_use[1] == call
    with pytest.raises(UnusableSetting, match="shanxi-2023: it was adopted as a call"):
        what_if.Change(contents, [], [read_rulebook(ELSEWHERE.replace('"elsewhere"', '"shanxi-2023"'))])


def test_a_setting_of_one_document_wins_over_one_of_all() -> None:
    """Whichever stands first."""
    contents = shipped_contents("shanxi-2022", "shanxi-2023")
    rate = "SX-1.legs.interest_share.rate"
    for settings in ((f"{rate}=1/3", f"shanxi-2023:{rate}=1/4"), (f"shanxi-2023:{rate}=1/4", f"{rate}=1/3")):
        listed = parameters(what_if.Change(contents, settings).in_use)
        assert [p.value for p in listed if p.name == rate] == ["1/3", "1/4"]


def test_a_cap_that_a_claim_cannot_be_counted_by_is_named(ledger: Ledger) -> None:
    """A cap by product over a loan without one is told with the cap, the claim and what it lacks."""
    for name in ("opening", "two_claims"):
        ledger.submit(*CASES["setup"][name])
    contents = adopted(ledger.store, 9)
    other = read_rulebook(ELSEWHERE.replace('key = ["firm"]', 'key = ["product"]'))
    with pytest.raises(UnusableSetting) as refused:
        what_if.document(ledger.store, 9, what_if.Change(contents, [], [other]))
    assert str(refused.value) == "EW-1: caps.firm_cap counts by product, and claim C1 has no product"
    assert refused.value.zh == "EW-1: caps.firm_cap 按 product 累计，而申请 C1 没有 product"


def test_a_leg_that_an_instrument_misses_is_named() -> None:
    """A ladder of another name is told as the part that is missing, a shape that is not stated as missing."""
    for before, after, told in (
        (
            'part = "ladder"',
            'part = "rungs"',
            "EW-2: legs.ladder is missing, of shape ladder; there are rungs",
        ),
        ('shape = "ladder"\n', "", "EW-2: legs.ladder.shape is missing, one of "),
        ('shape = "fixed", ', "", "EW-1: caps.firm_cap.limit.shape is missing, one of "),
    ):
        assert before in ELSEWHERE
        with pytest.raises(UnusableSetting) as refused:
            what_if.Change(
                shipped_contents("shanxi-2022"), [], [read_rulebook(ELSEWHERE.replace(before, after))]
            )
        assert str(refused.value).startswith(f"elsewhere: {told}")
        assert "缺少" in refused.value.zh


def test_work_that_is_ended_leaves_the_connection_as_it_was(ledger: Ledger) -> None:
    """Whoever has the connection next finds no transaction begun, and is answered."""
    for name in ("opening", "two_claims"):
        ledger.submit(*CASES["setup"][name])
    contents = adopted(ledger.store, 9)
    for event in (1, 5):
        with pytest.raises(TimeoutError) as ended:
            what_if.document(ledger.store, 9, what_if.Change(contents, []), _Ended(event).look)
        assert ledger.store.connection.info.transaction_status.name == "IDLE", ended
    assert what_if.document(ledger.store, 9, what_if.Change(contents, []))["claims"] == []


class _Ended:
    """Raises TimeoutError before the n-th event of a history and its second look."""

    def __init__(self, events: int) -> None:
        self._left = events

    def look(self) -> None:
        """As `what_if.document` calls it."""
        self._left -= 1
        if not self._left:
            raise TimeoutError
