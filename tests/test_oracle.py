"""The naive model itself, against the policy's vectors, the contract's sentences and its own proof."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from tests import golden
from tests.histories import TODAY, histories, history, line_keys, random_uscc
from tests.oracle import (
    SHAPES,
    STEP_AWARD_FEN,
    YI,
    Breach,
    Line,
    NotKnownError,
    Oracle,
    Outcome,
    is_well_formed,
    total,
    uscc_check_character,
)

FIRM, OTHER_FIRM = "91350100M000100Y43", "91110000101623741K"
BANK, OTHER_BANK = "91110108551385082Q", "911101066976941872"
CASES = list(golden.cases())
SEEDS = range(200)

Command = dict[str, Any]


class Reads:
    """The oracle's answers in the shape that golden cases ask for."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle

    def balance(self, account: str, on: str | None, known_position: int | None) -> int:
        return self.oracle.balance(account, on, known_position)

    def caps(self, on: str | None, known_position: int | None) -> list[golden.Row]:
        return [asdict(row) for row in self.oracle.caps(None, on, known_position).values()]

    def milestones(self, known_position: int | None) -> list[golden.Row]:
        return [asdict(row) for row in self.oracle.milestones(None, known_position).values()]


def replay(oracle: Oracle, commands: list[Command]) -> list[Outcome]:
    keys = line_keys(commands)
    return [oracle.submit(command, key) for command, key in zip(commands, keys, strict=True)]


@cache
def past(seed: int) -> list[Command]:
    return history(seed)


def world(principal_yuan: int = 10_000_000, budget_yuan: int = 10_000_000) -> Oracle:
    """A firm with the loans L1 and L2, a bank each, and the round R24; positions 1 to 8."""
    oracle = Oracle(TODAY)
    round_ = {"round": "R24", "year": 2024, "budget_fen": budget_yuan * 100, "rulebook": "shanxi-2022"}
    accept(oracle, "open-round", **round_, effective_on="2024-06-01")
    for uscc, kind in ((FIRM, "firm"), (OTHER_FIRM, "firm"), (BANK, "bank"), (OTHER_BANK, "bank")):
        accept(oracle, "register-party", uscc=uscc, kind=kind, name=kind)
    for loan, bank in (("L1", BANK), ("L2", OTHER_BANK)):
        terms = {"principal_fen": principal_yuan * 100, "drawn_on": "2022-03-01", "security": "credit"}
        accept(oracle, "draw-loan", loan=loan, firm=FIRM, bank=bank, **terms)
    return oracle


def send(oracle: Oracle, command: str, **fields: Any) -> Outcome:
    return oracle.submit({"command": command, **fields})


def accept(oracle: Oracle, command: str, **fields: Any) -> Outcome:
    outcome = send(oracle, command, **fields)
    assert outcome.outcome == "accepted", outcome
    return outcome


def interest(claim: str, interest_yuan: float, on: str = "2024-07-01", **fields: Any) -> Command:
    """A claim-loan-interest for the year 2023 on L1."""
    period = {"period_from": "2023-01-01", "period_to": "2023-12-31"}
    interest_fen = round(interest_yuan * 100)
    command = {"command": "claim-loan-interest", "claim": claim, "round": "R24", "loan": "L1"}
    return command | {"interest_paid_fen": interest_fen} | period | {"effective_on": on} | fields


def life(oracle: Oracle, claim: str, recovered_fen: int, cause: str, on: str = "2025-03-10") -> None:
    accept(oracle, "publicise", claim=claim, notice="N1", effective_on="2024-08-01")
    accept(oracle, "pay", claim=claim, voucher="V1", paid_on="2024-09-01")
    fields = {"amount_fen": recovered_fen, "cause": cause, "document": "D1"}
    accept(oracle, "recover", claim=claim, effective_on=on, **fields)


# --- golden cases -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=str)
def test_golden_case(case: golden.Case) -> None:
    """Every golden case holds for the oracle."""
    oracle = Oracle(case.today)
    answers: list[golden.Row] = []

    def submit(command: Command) -> golden.Row:
        answers.append(oracle.submit(command).as_line())
        return answers[-1]

    golden.run_case(case, submit, Reads(oracle))
    if "warnings" in case.then:
        assert answers[-1].get("warnings", []) == case.then["warnings"]


def test_golden_titles_differ() -> None:
    """No two golden cases have the same title, in either language, and none is empty."""
    for titles in ([case.title_zh for case in CASES], [case.title_en for case in CASES]):
        assert len(set(titles)) == len(titles)
        assert all(titles)


def test_golden_case_can_fail() -> None:
    """A golden case whose figure is one fen off is reported."""
    case = next(case for case in CASES if case.then.get("amount_fen"))
    wrong = golden.Case(**{**vars(case), "then": {**case.then, "amount_fen": case.then["amount_fen"] + 1}})
    oracle = Oracle(case.today)
    with pytest.raises(AssertionError, match="expected"):
        golden.run_case(wrong, lambda command: oracle.submit(command).as_line(), Reads(oracle))


# --- the vectors of policy.md, section 3 --------------------------------------------------------------


@pytest.mark.parametrize(
    ("loan_yuan", "interest_yuan", "award_fen"),
    [
        (2_000_000, 120_000.00, 6_000_000),
        (3_000_000, 120_000.00, 6_000_000),
        (2_000_000, 88_208.33, 4_410_416),
        (5_000_000, 400_000.00, 15_000_000),
        (10_000_000, 500_000.00, 20_000_000),
    ],
)
def test_interest_vector(loan_yuan: int, interest_yuan: float, award_fen: int) -> None:
    """The least of half the interest, 3 % of principal and the firm cap, rounded down once to a fen."""
    assert world(loan_yuan).submit(interest("C1", interest_yuan)).amount_fen == award_fen


def test_firm_cap_is_used_up_by_the_last_vector() -> None:
    """After 200,000.00 the next claim is refused with `firm_cap_reached`, and SX-1 says so."""
    oracle = world()
    oracle.submit(interest("C1", 500_000.00))
    refused = oracle.submit(interest("C2", 10_000.00, "2025-07-01", loan="L2"))
    assert (refused.outcome, refused.code, refused.clause) == ("refused", "firm_cap_reached", "SX-1")


def test_firm_cap_cuts_what_is_above() -> None:
    """150,000.00 granted and entitled to 80,000.00: 50,000.00 granted."""
    oracle = world()
    assert oracle.submit(interest("C1", 300_000.00)).amount_fen == 15_000_000
    assert oracle.submit(interest("C2", 160_000.00, loan="L2")).amount_fen == 5_000_000


class YearlyReset(Oracle):
    """The reading of A16 that is not the default: every year starts at 0 and pays each whole step."""

    def award_fen(self, step: int, mark: int) -> int:
        return step * STEP_AWARD_FEN


@pytest.mark.parametrize(
    ("reading", "awards_fen"),
    [
        (Oracle, [20_000_000, 20_000_000, None, 40_000_000]),
        (YearlyReset, [20_000_000, 40_000_000, 20_000_000, 80_000_000]),
    ],
)
def test_tiers_vector(reading: type[Oracle], awards_fen: list[int | None]) -> None:
    """1.8, 2.3, 1.9, 4.1 亿 pay 20, 20, nothing, 40 万元; with a yearly reset 160 in all."""
    oracle = reading(TODAY)
    oracle.events = world().events
    found = []
    for year, tenths in ((2022, 18), (2023, 23), (2024, 19), (2025, 41)):
        fact = {"bank": BANK, "product": "KJD", "year": year}
        accept(oracle, "certify-credit", **fact, total_fen=tenths * YI // 10, certificate="Z")
        found.append(send(oracle, "claim-credit-award", claim=f"A{year}", round="R24", **fact).amount_fen)
    assert found == awards_fen


@pytest.mark.parametrize("uscc", [FIRM, OTHER_FIRM, BANK, OTHER_BANK, "91110000600037341L"])
def test_uscc_samples(uscc: str) -> None:
    """The published sample codes have the check character that GB 32100 gives."""
    assert uscc_check_character(uscc[:17]) == uscc[17]


# --- sentences of design.md, section 4 ----------------------------------------------------------------


def test_worked_example_of_the_contract() -> None:
    """The two lines of the contract's example are accepted, the second with 6,000,000 fen, each as one event."""
    oracle = Oracle(TODAY)
    round_ = {"round": "shanxi-2024", "year": 2024, "budget_fen": 10**9, "rulebook": "shanxi-2022"}
    accept(oracle, "open-round", **round_, call="shanxi-2024", effective_on="2024-06-01")
    for uscc, kind in ((FIRM, "firm"), (OTHER_FIRM, "firm"), (BANK, "bank"), (OTHER_BANK, "bank")):
        accept(oracle, "register-party", uscc=uscc, kind=kind, name=kind)
    terms = {"principal_fen": 200000000, "drawn_on": "2023-03-01", "security": "credit"}
    assert accept(oracle, "draw-loan", loan="L1", firm=FIRM, bank=BANK, **terms).positions == (8,)
    claim = interest("2024-0001", 120_000.00, round="shanxi-2024", period_from="2023-03-01")
    assert oracle.submit(claim).as_line() == {"outcome": "accepted", "positions": [9], "amount_fen": 6000000}


def test_march_makes_no_room_for_february() -> None:
    """A recovery that is effective in March makes no room for a grant that is effective in February."""
    oracle = world()
    oracle.submit(interest("C1", 400_000.00))
    life(oracle, "C1", 20_000_000, "error")
    assert oracle.submit(interest("C2", 100.00, "2025-02-28", loan="L2")).code == "firm_cap_reached"
    assert oracle.submit(interest("C3", 100.00, "2025-03-10", loan="L2")).amount_fen == 5_000


def test_room_is_exact() -> None:
    """The room of a date may be granted, and one fen more would break the cap on some later date."""
    oracle = world()
    oracle.submit(interest("C1", 300_000.00, "2024-10-01"))
    room_fen = oracle.caps(on="2024-07-01")["firm", FIRM].room_fen
    assert room_fen == 5_000_000
    used = {day: oracle.caps(on=day)["firm", FIRM].consumed_fen for day in ("2024-07-01", "2024-10-01")}
    assert max(used.values()) + room_fen == 20_000_000


def test_reserved_is_the_part_not_yet_paid() -> None:
    """`consumed_fen` is reserved and paid together, `reserved_fen` what is decided and not paid."""
    oracle = world()
    oracle.submit(interest("C1", 100.00))
    oracle.submit(interest("C2", 60.00, loan="L2"))
    life(oracle, "C1", 1_000, "misconduct")
    row = oracle.caps(FIRM)["firm", FIRM]
    assert (row.consumed_fen, row.reserved_fen) == (8_000, 3_000)
    assert oracle.caps(OTHER_FIRM) == {}


def test_opening_adopts_each_version_once() -> None:
    """The first use of a version writes `RulebookAdopted`, the measure before the call, then `RoundOpened`."""
    oracle = Oracle(TODAY)
    fields = {"year": 2024, "budget_fen": 0, "rulebook": "shanxi-2022"}
    accept(oracle, "open-round", round="R1", call="shanxi-2023", **fields)
    accept(oracle, "open-round", round="R2", call="shanxi-2024", **fields)
    kinds = [(event.kind, event.data.get("version")) for event in oracle.events]
    adopted = "RulebookAdopted"
    assert kinds[:3] == [(adopted, "shanxi-2022"), (adopted, "shanxi-2023"), ("RoundOpened", None)]
    assert kinds[3:] == [(adopted, "shanxi-2024"), ("RoundOpened", None)]


def test_refusals_are_events_and_nothing_else_is() -> None:
    """A refusal writes one event without money; invalid, repeated and `key_reused` write nothing."""
    oracle = world()
    assert oracle.submit(interest("C1", 0.01)).positions == (9,)
    assert oracle.events[-1].kind == "ClaimRefused"
    assert send(oracle, "publicise", claim="C9", notice="N").positions == (10,)
    assert oracle.events[-1].kind == "CommandRefused"
    for command in (interest("C1", 0.01), interest("C1", 0.02), interest("C2", 0)):
        assert oracle.submit(command).outcome in ("repeated", "refused", "invalid")
    assert len(oracle.events) == 10
    assert not oracle.events[8].lines + oracle.events[9].lines


def test_line_keys_repeat_a_file_and_not_another() -> None:
    """The same file again is `repeated` line by line; a fact that another file repeats is a new fact."""
    commands: list[Command] = [{"command": "repay-loan", "loan": "L1", "amount_fen": 5}] * 2
    oracle = world()
    assert [outcome.outcome for outcome in replay(oracle, commands)] == ["accepted", "accepted"]
    again = replay(oracle, commands)
    assert [(outcome.outcome, outcome.first) for outcome in again] == [("repeated", "accepted")] * 2
    other: list[Command] = [{"command": "repay-loan", "loan": "L1", "amount_fen": 6}, commands[0]]
    assert [outcome.outcome for outcome in replay(oracle, other)] == ["accepted", "accepted"]


def test_unknown_positions_are_not_empty() -> None:
    """A known position of 0 or beyond the newest is an error, never an empty answer."""
    oracle = world()
    for position in (0, len(oracle.events) + 1):
        with pytest.raises(NotKnownError):
            oracle.balance("public/", known_position=position)


def test_known_position_forgets_what_came_later() -> None:
    """A read at a known position does not see what was recorded after it, whatever its date."""
    oracle = world()
    before = len(oracle.events)
    oracle.submit(interest("C1", 100.00))
    assert oracle.balance("public/round/R24/committed") == 5_000
    assert oracle.balance("public/round/R24/committed", known_position=before) == 0


# --- the proof, on random histories -------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_no_bound_is_ever_passed(seed: int) -> None:
    """On every date, as known at every position, no cap and no round's money is passed."""
    oracle = Oracle(TODAY)
    outcomes = replay(oracle, past(seed))
    assert oracle.breaches() == []
    assert [position for outcome in outcomes for position in new_positions(outcome)] == list(
        range(1, len(oracle.events) + 1)
    )


@settings(max_examples=25, deadline=None)
@given(commands=histories(length=60))
def test_public_book_sums_to_zero(commands: list[Command]) -> None:
    """The public book balances in every event, so on every date and at every position."""
    oracle = Oracle(TODAY)
    replay(oracle, commands)
    for event in oracle.events:
        public = [line for line in event.lines if line.account.startswith("public/")]
        assert sum(line.amount_fen for line in public) == 0
    for on in ("2023-12-31", "2024-12-31", None):
        public_fen = [fen for name, fen in oracle.all_balances(on).items() if name.startswith("public/")]
        assert sum(public_fen) == oracle.balance("public/", on) == 0


def test_no_paid_or_committed_money_is_negative() -> None:
    """What is committed, paid or recovered is never below 0 on any date, as known at the end."""
    for seed in SEEDS[:40]:
        oracle = Oracle(TODAY)
        replay(oracle, past(seed))
        for day in sorted({line.effective_on for line in oracle.lines()}):
            negative = {name for name, fen in oracle.all_balances(day).items() if fen < 0}
            assert negative <= {"public/treasury"}


def test_mergers_only_move_use() -> None:
    """On every date all firms together use what the grants say, and an absorbed firm nothing any more."""
    moved = 0
    for seed in SEEDS:
        oracle = Oracle(TODAY)
        replay(oracle, past(seed))
        mergers = oracle.find("PartiesMerged")
        moved += any(merger.lines for merger in mergers)
        lines = oracle.lines()
        days = sorted({line.effective_on for line in lines}) if mergers else []
        for day in days:
            for book in ("quota", "reserved"):
                by_firm = sum(total(lines, name, day) for name in oracle.accounts(lines, f"{book}/firm/"))
                by_loan = sum(
                    total(lines, name, day) for name in oracle.accounts(lines, f"{book}/principal/")
                )
                assert by_firm == by_loan
            gone = [merger.data["absorbed"] for merger in mergers if merger.effective_on <= day]
            assert all(total(lines, f"quota/firm/{uscc}", day) == 0 for uscc in gone)
    assert moved > 10


def test_reserved_is_what_is_committed() -> None:
    """On every date the reserved use of all loans is the committed money of the interest grants."""
    for seed in SEEDS[:40]:
        oracle = Oracle(TODAY)
        replay(oracle, past(seed))
        lines = oracle.lines()
        positions = {grant.data["claim"] for grant in oracle.find("LoanInterestGranted")}
        interest_steps = [event for event in oracle.events if event.data.get("claim") in positions]
        own = [line for event in interest_steps for line in event.lines]
        for day in sorted({line.effective_on for line in own}):
            committed = [
                name for name in oracle.accounts(own, "public/round/") if name.endswith("/committed")
            ]
            reserved = oracle.accounts(lines, "reserved/principal/")
            committed_fen = sum(total(own, name, day) for name in committed)
            assert committed_fen == sum(total(lines, name, day) for name in reserved)


def test_reversed_facts_leave_no_trace() -> None:
    """Any fact and its reversal change no later answer: as if the fact had never been."""
    rest = [interest("C1", 1_000.00), interest("C2", 1_000.00, "2025-02-01", loan="L2")]
    facts: list[Command] = [
        {"command": "report-default", "loan": "L1", "outstanding_fen": 1, "defaulted_on": "2023-05-01"},
        {"command": "report-loss", "loan": "L1", "loss_fen": 1, "document": "D1"},
        {"command": "repay-loan", "loan": "L1", "amount_fen": 1},
        {"command": "assert-control-total", "round": "R24", "count": 1, "source": "S1"},
    ]
    plain = world()
    expected = [outcome.amount_fen for outcome in replay(plain, rest)]
    for fact in facts:
        oracle = world()
        position = oracle.submit(fact).positions[0]
        accept(oracle, "reverse-fact", position=position, reason="Z")
        assert [outcome.amount_fen for outcome in replay(oracle, rest)] == expected
        assert oracle.all_balances() == plain.all_balances()


def new_positions(outcome: Outcome) -> tuple[int, ...]:
    return () if outcome.outcome == "repeated" else outcome.positions


class RoomOfTheDay(Oracle):
    """Wrong on purpose: the room is limit(D) - used(D), blind to what is dated later."""

    def room(self, kind: str, key: str, on: str, lines: list[Line]) -> int:
        return max(0, total(lines, f"limit/{kind}/{key}", on) - total(lines, f"quota/{kind}/{key}", on))


class RoomOfEverything(Oracle):
    """Wrong on purpose: the room is limit - everything, so a later recovery makes room earlier."""

    def room(self, kind: str, key: str, on: str, lines: list[Line]) -> int:
        end = "9999-12-31"
        return max(0, total(lines, f"limit/{kind}/{key}", end) - total(lines, f"quota/{kind}/{key}", end))


class MoneyOfTheDay(Oracle):
    """Wrong on purpose: a round's money is what is available on the day, blind to what is dated later."""

    def least_available(self, round_id: str, on: str) -> int:
        return total(self.lines(), f"public/round/{round_id}/available", on)


class RecoveredOfTheDay(Oracle):
    """Wrong on purpose: what may go to the treasury is what was recovered by the day."""

    def least_balance(self, account: str, on: str) -> int:
        return total(self.lines(), account, on)


class AbsorbedKeepsSteps(Oracle):
    """Wrong on purpose: steps of an absorbed firm's old grants never reach its survivor."""

    def change_firm_use(self, book: str, firm: str, on: str, amount_fen: int) -> list[tuple[str, str, int]]:
        return [(on, f"{book}/firm/{firm}", amount_fen)]


def test_steps_that_miss_the_survivor_are_caught() -> None:
    """An absorbed firm whose old grants still act on itself ends with a use that is not 0."""
    caught = False
    for seed in SEEDS:
        oracle = AbsorbedKeepsSteps(TODAY)
        replay(oracle, past(seed))
        gone = [merger.data["absorbed"] for merger in oracle.find("PartiesMerged")]
        caught = caught or any(oracle.balance(f"quota/firm/{uscc}") != 0 for uscc in gone)
    assert caught


@pytest.mark.parametrize(
    ("wrong", "account"),
    [
        (RoomOfTheDay, "quota/"),
        (RoomOfEverything, "quota/"),
        (MoneyOfTheDay, "public/round/"),
        (RecoveredOfTheDay, "public/recovered/"),
    ],
)
def test_a_wrong_rule_is_caught(wrong: type[Oracle], account: str) -> None:
    """The proof finds each of these wrong rules on some history, so it can fail."""
    found: list[Breach] = []
    for seed in SEEDS:
        oracle = wrong(TODAY)
        replay(oracle, past(seed))
        found += [breach for breach in oracle.breaches() if breach.account.startswith(account)]
        if found:
            break
    assert found


# --- the generator ------------------------------------------------------------------------------------


def test_histories_are_reproducible() -> None:
    """The same seed gives the same history, another seed another one, of the length asked for."""
    assert history(7) == history(7)
    assert history(7) != history(8)
    assert len(history(7, length=33)) == 33


def test_histories_reach_every_refusal() -> None:
    """Together the histories meet every outcome, every refusal code and both causes of a recovery."""
    outcomes, causes = set(), set()
    warnings: set[str] = set()
    for seed in SEEDS:
        oracle = Oracle(TODAY)
        answers = replay(oracle, past(seed))
        outcomes |= {(outcome.outcome, outcome.code) for outcome in answers}
        warnings |= {warning for outcome in answers for warning in outcome.warnings}
        causes |= {event.data["cause"] for event in oracle.find("GrantRecovered")}
    assert {outcome for outcome, _ in outcomes} == {"accepted", "refused", "invalid", "repeated"}
    assert {code for outcome, code in outcomes if outcome == "refused"} == set(REFUSALS.split())
    assert causes == {"error", "misconduct"}
    assert warnings == set(WARNINGS.split())


def test_histories_accept_every_command() -> None:
    """Every command of the contract is accepted somewhere, and its own event written."""
    accepted = set()
    for seed in SEEDS:
        oracle = Oracle(TODAY)
        outcomes = replay(oracle, past(seed))
        pairs = zip(past(seed), outcomes, strict=True)
        accepted |= {command["command"] for command, outcome in pairs if outcome.outcome == "accepted"}
    assert accepted == set(SHAPES)


def test_golden_cases_reach_every_refusal() -> None:
    """Every refusal code and every warning is expected by some golden case, every command tried by some."""
    assert {case.then["code"] for case in CASES if "code" in case.then} == set(REFUSALS.split())
    assert {warning for case in CASES for warning in case.then.get("warnings", [])} == set(WARNINGS.split())
    assert {case.when["command"] for case in CASES} >= set(SHAPES)


REFUSALS = """
    key_reused unknown_party unknown_round unknown_loan unknown_claim unknown_certificate duplicate_party
    duplicate_round duplicate_loan duplicate_claim wrong_state effective_too_early uscc_check_digit
    security_not_eligible period_not_eligible after_default duplicate_slip nothing_due principal_cap_reached
    firm_cap_reached budget_short unknown_payout unknown_position duplicate_payout party_absorbed on_hold
    review_missing amount_needs_decision exceeds_loss fact_in_use
"""
WARNINGS = "not_in_default not_the_guarantor_of_the_loan return_due split_review"


def test_random_codes_are_valid() -> None:
    """The generator's social credit codes have the right check character."""
    random = Random(1)
    for _ in range(100):
        uscc = random_uscc(random)
        assert uscc_check_character(uscc[:17]) == uscc[17]
        assert is_well_formed({"command": "register-party", "uscc": uscc, "kind": "firm", "name": "N"})
