"""The demo on a real ledger: its figures are those of the article and of Shandong, and the rules made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ledger.catalogue import catalogue
from ledger.money import WAN
from projections import verification
from projections.envelopes import envelope
from projections.reports.near_caps import near_caps
from projections.reports.round import round_report
from scripts.demo import demo_folder, in_wan, outstanding_fen, reconcile
from scripts.programme import cast, round_2024, rounds_around, shandong, shanxi
from scripts.programme.script import Script
from tests.support import Ledger, fresh_database


@dataclass(frozen=True)
class Played:
    """A ledger with the whole demo in it, and the outcomes of both files."""

    address: str
    ledger: Ledger
    story: Script
    outcomes: list[dict[str, Any]]
    shandong: list[dict[str, Any]]

    def claims(self) -> dict[str, dict[str, Any]]:
        """The outcome of each claim."""
        pairs = zip(self.story.lines, self.outcomes, strict=True)
        return {line["claim"]: outcome for line, outcome in pairs if line["command"].startswith("claim-")}

    def granted_wan(self, claim: str) -> float | None:
        """What a claim was granted, in 万元; None where it was refused."""
        amount_fen = self.claims()[claim].get("amount_fen")
        return None if amount_fen is None else amount_fen / WAN

    def round(self, round_id: str) -> dict[str, Any]:
        """The report of a round."""
        return round_report(self.ledger.store, self.ledger.as_of(), round_id)

    def events(self, event_type: str) -> list[dict[str, Any]]:
        """The envelopes of one type."""
        until = self.ledger.store.head().position
        return [envelope(event) for event in self.ledger.store.stored_events(0, until, event_type=event_type)]


@pytest.fixture(scope="module")
def played(embedded_server: str) -> Iterator[Played]:
    """Both files of the demo, run once."""
    with fresh_database(embedded_server) as address:
        story = shanxi.story()
        ledger = Ledger(address)
        outcomes = ledger.submit(*story.lines)
        loans = Ledger(address)
        yield Played(address, ledger, story, outcomes, loans.submit(*shandong.commands()))
        loans.store.close()
        ledger.store.close()


def test_2024_is_the_article_line_by_line(played: Played) -> None:
    """274 firms 1,192, five service bodies 192, four banks 80, one guarantee case 36: together 1,500 万元."""
    report = played.round(round_2024.ROUND)
    found = {
        row["instrument"]: (row["grants"], row["payees"], row["granted_fen"]) for row in report["instruments"]
    }
    assert found == {
        "loan_interest": (274, 274, 1192 * WAN),
        "service_grant": (5, 5, 192 * WAN),
        "credit_award": (4, 4, 80 * WAN),
        "guarantee_compensation": (1, 1, 36 * WAN),
    }
    assert (report["appropriated_fen"], report["available_fen"]) == (1500 * WAN, 0)


def test_2024_is_publicised_and_not_paid(played: Played) -> None:
    """Every grant of 2024 stands decided and publicised; no fen of the round was paid."""
    report = played.round(round_2024.ROUND)
    assert (report["committed_fen"], report["paid_net_fen"]) == (1500 * WAN, 0)
    publicised = [e for e in played.events("GrantPublicised") if e["data"]["round"] == round_2024.ROUND]
    assert len(publicised) == 284
    assert {row["paid_fen"] for row in report["instruments"]} == {0}


def test_the_reported_279_stays_unreconciled(played: Played) -> None:
    """The count is asserted as reported and differs by 5; every other control total ties."""
    rows = played.round(round_2024.ROUND)["control_totals"]
    whole = next(row for row in rows if row["instrument"] is None)
    assert (whole["asserted_count"], whole["ledger_count"], whole["difference_count"]) == (279, 284, 5)
    others = [row["difference_count"] for row in rows if row is not whole]
    assert others == [0, 0, 0, 0]
    assert {row["difference_total_fen"] for row in rows} == {0}


def test_every_rule_binds_somewhere_in_2024(played: Played) -> None:
    """Half the interest, 3 % of the loan and the firm's cap each decide some of the 274 grants."""
    granted = [e for e in played.events("LoanInterestGranted") if e["data"]["round"] == round_2024.ROUND]
    binding = [leg["part"] for e in granted for leg in e["data"]["legs"] if leg["binding"]]
    counts = {part: binding.count(part) for part in set(binding)}
    assert counts == {"interest_share": 230, "principal_cap": 36, "firm_cap": 8}


def test_the_named_firm_gets_6(played: Played) -> None:
    """辰涵 is granted 6 万元 on a loan of at least 200 万元."""
    granted = [e for e in played.events("LoanInterestGranted") if e["data"]["payee"] == cast.CHENHAN]
    assert [e["data"]["amount_fen"] for e in granted] == [6 * WAN]
    assert granted[0]["data"]["inputs"]["principal_fen"] >= 200 * WAN
    assert granted[0]["position"] == played.story.landmarks["chenhan"]


def test_named_payees_say_that_their_code_is_made(played: Played) -> None:
    """Every code is of region 999999 and every name says that it is made for the demo."""
    for event in played.events("PartyRegistered"):
        assert event["data"]["uscc"][2:8] == "999999"
        assert "演示" in event["data"]["name"]
    named = {name for _, _, name in cast.NAMED}
    lines = round_2024.figures()["lines"]
    assert named == {
        *(name for line in lines for name in line.get("named", ())),
        round_2024.figures()["example"]["loan_interest"]["firm"],
    }


def test_the_guarantee_case(played: Played) -> None:
    """A loan of 270, a payout of 279.26 of which 9.26 is interest, 36 decided by people after both reviews."""
    grant = next(
        e for e in played.events("GuaranteeCompensationGranted") if e["data"]["round"] == round_2024.ROUND
    )
    assert (grant["data"]["payee"], grant["data"]["amount_fen"]) == (cast.JINCHENG, 36 * WAN)
    assert {review["kind"] for review in grant["data"]["inputs"]["reviews"]} == {"expert", "onsite"}
    balance = played.ledger.balance
    assert balance("private/guarantee/2024-DB-DC/principal") == 270 * WAN
    assert balance("private/guarantee/2024-DB-DC/interest") == 926 * WAN // 100


def test_every_refusal_is_the_expected_one(played: Played) -> None:
    """Exactly the lines that the story marks are refused, each with its code."""
    found = {line: outcome["code"] for line, outcome in enumerate(played.outcomes, 1) if outcome.get("code")}
    assert found == played.story.refusals
    assert {o["outcome"] for o in played.outcomes} == {"accepted", "refused"}


def test_the_story_knows_where_each_command_stands(played: Played) -> None:
    """The positions that the generator counts are those of the log, so that reversals name the right facts."""
    assert played.outcomes[-1]["positions"] == [played.story.position]
    reversed_types = [e["data"]["reversed_type"] for e in played.events("FactReversed")]
    assert reversed_types == ["LoanRepaid", "RepaymentDefaulted"]


def test_the_bank_of_four_totals(played: Played) -> None:
    """Certified 1.8, 2.3, 1.9, 4.1 亿: 20, 20, refused, 40 万元, none of it in the round of 2024."""
    claims = ("2022-YH-1", "2023-YH-1", "2025-YH-1", "2025-YH-2")
    assert [played.granted_wan(claim) for claim in claims] == [20, 20, None, 40]
    assert played.ledger.milestones(cast.LADDER_BANK)[0]["awarded_fen"] == 80 * WAN


@pytest.mark.parametrize(
    ("claim", "granted_wan"),
    [
        ("2022-LX-2", 20),  # 25 by half, the firm's cap binds
        ("2022-LX-3", 4.410416),
        ("2023-LX-1", 5),  # 8 due, 15 of 20 used in the round before
        ("2023-LX-3", 1.589584),  # 3 % of the loan over two claims
        ("2023-LX-4", 8),  # 6 recovered for error are room again
        ("2023-LX-5", None),  # what was recovered for misconduct is not
        ("2023-LX-11", 5.25),  # after the wrong default was taken back
        ("2023-LX-18", 4.5),  # the days and the slip of a voided claim are free again
        ("2023-YH-4", 20),  # the restated certificate, claimed again
        ("2025-LX-1", 3),  # 6 due, the survivor carries 8 + 9
    ],
)
def test_the_stories_around_2024(played: Played, claim: str, granted_wan: float | None) -> None:
    """Caps across rounds and claims, both causes of recovery, a correction, a void, a merger, a restatement."""
    assert played.granted_wan(claim) == granted_wan


def test_the_returned_payment_is_paid_again(played: Played) -> None:
    """A returned payment and the second one are separate vouchers; the payee holds the money once."""
    payee = cast.FIRM["returned"]
    account = f"public/paid/loan_interest/{payee}/{rounds_around.R2022}"
    balance = played.ledger.balance
    days = ("2022-10-20", "2022-10-28", "2022-11-08")
    assert [balance(account, on=day) / WAN for day in days] == [16.5, 0, 16.5]


def test_one_balance_on_two_dates_and_at_two_moments(played: Played) -> None:
    """A repayment of 10 was reported as 100: after the correction the same day has another balance."""
    account = f"private/loan/{rounds_around.CORRECTED_LOAN}/outstanding"
    moments = [played.story.landmarks[name] for name in ("before_correction", "after_correction")]
    found = [
        played.ledger.balance(account, day, known) // WAN
        for known in moments
        for day in ("2022-08-31", "2022-10-31")
    ]
    assert found == [240, 140, 240, 230]


def test_closed_rounds_returned_what_was_recovered(played: Played) -> None:
    """The rounds of 2022 and 2023 are closed, and what was recovered is back in the treasury."""
    for round_id in (rounds_around.R2022, rounds_around.R2023):
        assert played.round(round_id)["closed"]
        assert played.ledger.balance(f"public/recovered/{round_id}") == 0
    assert [e["data"]["amount_fen"] // WAN for e in played.events("ReturnedToTreasury")] == [26, 40]


def test_the_demo_uses_every_instrument_and_shows_every_level(played: Played) -> None:
    """All seven instruments grant something, and firms stand at 80, 90 and 100 % of their cap."""
    granted = {
        line["command"]
        for line, o in zip(played.story.lines, played.outcomes, strict=True)
        if "amount_fen" in o
    }
    assert granted == {name for name in catalogue().specs if name.startswith("claim-")}
    levels = {row["level_percent"] for row in near_caps(played.ledger.store, played.ledger.as_of())}
    assert levels == {80, 90, 100}


def test_shandong_reconciles_to_the_fen(played: Played) -> None:
    """1,585 loans of 62 banks to 1,318 firms: lent 652,378.973174 and registered 650,731.723174 万元."""
    assert {o["outcome"] for o in played.shandong} == {"accepted"}
    drawn = [e for e in played.events("LoanDrawn") if e["data"].get("product") in shandong.PRODUCTS]
    rows = reconcile(drawn, shandong.published())
    assert all(published == found for _, published, found in rows)
    assert [found for _, _, found in rows[:3]] == ["1,585", "62", "1,318"]
    assert in_wan(outstanding_fen(drawn)) == "652,378.973174 万元"
    assert rows[4][2] == "650,731.723174 万元"


def test_everything_holds(played: Played) -> None:
    """Log, books and caps verify without a finding."""
    report = verification.run(played.ledger.store, list(verification.CHECKS))
    assert (report.findings, report.notices) == ([], [])


def test_a_second_run_writes_nothing(played: Played) -> None:
    """Every line of either file is repeated, and the log does not grow."""
    before = played.ledger.store.head().position
    for lines in (played.story.lines, shandong.commands()):
        again = Ledger(played.address)
        assert {outcome["outcome"] for outcome in again.submit(*lines)} == {"repeated"}
        again.store.close()
    assert played.ledger.store.head().position == before


def test_the_list_before_the_notice(played: Played) -> None:
    """Of the proposals three would be refused, one cut by the firm's cap and one granted whole."""
    outcomes = played.ledger.submit(*shanxi.proposals(), dry_run=True)
    found = [outcome.get("code", outcome.get("amount_fen")) for outcome in outcomes]
    assert found == ["firm_cap_reached", "principal_cap_reached", 140 * WAN // 100, WAN, "duplicate_claim"]


def test_the_same_commands_every_time() -> None:
    """The generators are deterministic: the demo's folder, named by their hash, is always the same."""
    first, second = (demo_folder([*shanxi.commands(), *shandong.commands()]) for _ in range(2))
    assert first == second
    assert shanxi.commands() == shanxi.commands()
