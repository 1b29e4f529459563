"""Another measure, as data only: the rule layer is not Shanxi's alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.catalogue import catalogue
from ledger.rulebook import clauses
from ledger.rulebook.library import Library, read_toml, shipped
from tests.evidence import KEY, load_verifier, prove
from tests.support import Ledger

FIRM, BANK = "91350100M000100Y43", "91110108551385082Q"

# Points on principal by days, a cap per firm and year of the round, rounding to whole yuan, a ladder that starts
# anew each year and pays each step: shapes that other regions use.
MEASURE = """
id = "example-2025"
layer = "measure"
programme = "example"
version = 1
effective_from = "2024-01-01"

[[clauses]]
id = "EX-1"
instrument = "loan_interest"
[clauses.terms]
securities = ["credit", "pledge"]
interest_year = "any"
rounding_unit_fen = 100
after_default = "refuse"
[[clauses.legs]]
part = "points"
shape = "points"
of = "principal_fen"
rate = "1/100"
year_days = 360
[[clauses.legs]]
part = "interest_paid"
shape = "share"
of = "interest_paid_fen"
rate = "1"
[[clauses.caps]]
part = "firm_cap_of_the_year"
key = ["firm"]
window = "year"
limit = { shape = "fixed", amount_fen = 3_000_000 }
refusal = "firm_cap_reached"

[[clauses]]
id = "EX-2"
instrument = "credit_award"
[clauses.terms]
reset = "A16"
[[clauses.legs]]
part = "ladder"
shape = "ladder"
of = "total_fen"
step_fen = 10_000_000_000
first_fen = 20_000_000
further_fen = 20_000_000
first_reach = "A18"
[clauses.reading]
A16 = "year"
A18 = "each"

[[clauses]]
id = "EX-3"
instrument = "insurance_premium"
[clauses.terms]
ratio = "unknown"
quality = "高新技术企业"
"""


@pytest.fixture
def other(database: str) -> Ledger:
    contents = [document.content for document in shipped().documents.values()]
    ledger = Ledger(database, known=catalogue(Library([*contents, read_toml(MEASURE)])))
    _set_up(ledger)
    return ledger


def _set_up(ledger: Ledger) -> None:
    ledger.submit(
        {"command": "register-party", "uscc": FIRM, "kind": "firm", "name": "甲"},
        {"command": "register-party", "uscc": BANK, "kind": "bank", "name": "乙"},
        {
            "command": "draw-loan",
            "loan": "L1",
            "firm": FIRM,
            "bank": BANK,
            "principal_fen": 200_000_000,
            "drawn_on": "2024-03-01",
            "security": "pledge",
        },
    )
    for number in (1, 2, 3):
        ledger.submit(
            {
                "command": "open-round",
                "round": f"R{number}",
                "year": 2024 + number // 3,
                "budget_fen": 10**10,
                "rulebook": "example-2025",
                "effective_on": "2024-06-01",
            }
        )


def _claim(claim: str, round_id: str, first: str, last: str) -> dict[str, Any]:
    return {
        "command": "claim-loan-interest",
        "claim": claim,
        "round": round_id,
        "loan": "L1",
        "interest_paid_fen": 50_000_000,
        "period_from": first,
        "period_to": last,
        "effective_on": "2024-07-01",
    }


def test_points_by_days_are_rounded_down_once_to_the_unit(other: Ledger) -> None:
    """1 % a year on 2,000,000 yuan for 100 of 360 days is 5,555.55 yuan, and the unit is one yuan."""
    outcome = other.submit(_claim("C1", "R1", "2024-03-01", "2024-06-08"))[0]
    assert outcome["amount_fen"] == 555_500


def test_the_cap_of_a_year_counts_over_rounds_of_that_year_and_begins_anew_with_the_next(
    other: Ledger,
) -> None:
    """Two rounds of 2024 share a firm's cap of 30,000 yuan; a round of 2025 has its own."""
    amounts = [
        other.submit(_claim(claim, round_id, first, last))[0].get("amount_fen")
        for claim, round_id, first, last in (
            ("C1", "R1", "2024-03-01", "2025-02-23"),  # 360 days: 20,000 yuan
            ("C2", "R2", "2025-02-24", "2026-02-18"),  # cut to the 10,000 that are left
            ("C3", "R2", "2026-02-19", "2026-03-30"),  # refused
            ("C4", "R3", "2026-04-01", "2027-03-26"),  # the next year: 20,000 yuan
        )
    ]
    assert amounts == [2_000_000, 1_000_000, None, 2_000_000]
    caps = {row["key"]: row for row in other.caps()}
    assert caps[f"{FIRM}/2024"]["room_fen"] == 0
    assert caps[f"{FIRM}/2025"]["room_fen"] == 1_000_000
    assert caps[f"{FIRM}/2024"]["clause"] == "EX-1"


def test_a_ladder_with_yearly_reset_pays_the_same_credit_every_year(other: Ledger) -> None:
    """Totals of 1.8, 2.3, 1.9, 4.1 亿 pay 160 万元 under this reading, where Shanxi's pays 80."""
    paid_fen = 0
    for year, total_fen in ((2021, 18), (2022, 23), (2023, 19), (2024, 41)):
        certificate = {"command": "certify-credit", "bank": BANK, "product": "P", "year": year}
        other.submit({**certificate, "total_fen": total_fen * 10**9, "certificate": f"z{year}"})
        award = {"command": "claim-credit-award", "claim": f"A{year}", "round": "R1", "bank": BANK}
        outcome = other.submit({**award, "product": "P", "year": year, "effective_on": "2025-01-01"})[0]
        paid_fen += outcome["amount_fen"]
    assert paid_fen == 160 * 10_000 * 100


def test_a_measure_without_title_or_texts_has_packs_too(other: Ledger, tmp_path: Path) -> None:
    """Words are no part of what decides: a claim's pack holds, and its page names the measure by its id."""
    other.submit(_claim("C1", "R1", "2024-03-01", "2024-06-08"))
    pack = prove(other, tmp_path, "claim", "C1")
    verifier = load_verifier()
    verifier.verify(pack, str(KEY.verifier))
    assert "Rules: example-2025<" in verifier.entries_of(pack)["page.html"].decode()


def test_a_rulebook_that_asks_for_what_is_not_built_is_not_accepted() -> None:
    """Scaling all claims to a short budget is a reading that no code carries out: it is refused at the start."""
    content = read_toml(MEASURE)
    content["clauses"][0]["terms"]["budget_short"] = "pro_rata"
    with pytest.raises(clauses.UnusableRulebook, match="budget"):
        Library([content])


@pytest.mark.parametrize(
    ("key", "window", "shown"),
    [
        (["programme"], "lifetime", "example"),
        (["programme"], "year", "example/2024"),
        (["year"], "lifetime", "2024"),
        (["firm", "bank"], "lifetime", f"{FIRM}/{BANK}"),
        (["bank"], "round", f"{BANK}/R1"),
    ],
)
def test_a_cap_counts_by_any_key_also_for_whoever_comes_later(
    database: str, key: list[str], window: str, shown: str
) -> None:
    """A cap on the whole programme, a year, a borrower with its lender, a lender: each binds, and a process that
    was not there before knows what is used."""
    content = read_toml(MEASURE)
    content["clauses"][0]["caps"][0] |= {"key": key, "window": window}
    known = catalogue(Library([content]))
    _set_up(Ledger(database, known=known))
    amounts = [
        Ledger(database, known=known).submit(_claim(claim, "R1", first, last))[0].get("amount_fen")
        for claim, first, last in (
            ("C1", "2024-03-01", "2025-02-23"),
            ("C2", "2025-02-24", "2026-02-18"),
            ("C3", "2026-02-19", "2026-03-30"),
        )
    ]
    assert amounts == [2_000_000, 1_000_000, None]
    (cap,) = Ledger(database, known=known).caps()
    assert (cap["key"], cap["room_fen"]) == (shown, 0)


def test_a_cap_by_product_is_freed_by_a_void_and_moves_with_its_bank(database: str) -> None:
    """A grant that is counted by its product climbs no ladder: it can be voided. When the bank merges, the use and its
    limit are the survivor's, though nothing was ever certified, and a later void frees it there."""
    content = read_toml(MEASURE)
    content["clauses"][0]["caps"][0] |= {"key": ["product"], "window": "lifetime"}
    ledger = Ledger(database, known=catalogue(Library([content])))
    _set_up(ledger)
    survivor = "91110000600037341L"
    ledger.submit(
        {"command": "register-party", "uscc": survivor, "kind": "bank", "name": "丁"},
        {
            "command": "draw-loan",
            "loan": "L2",
            "firm": FIRM,
            "bank": BANK,
            "principal_fen": 200_000_000,
            "drawn_on": "2024-03-01",
            "security": "pledge",
            "product": "P",
        },
    )

    def used_fen(bank: str) -> int:
        return ledger.balance(f"quota/example.loan_interest.product/{bank}/P")

    claim = _claim("C1", "R1", "2024-03-01", "2025-02-23") | {"loan": "L2"}
    void = {"command": "void", "reason": "r", "effective_on": "2024-08-01"}
    merge = {"command": "merge-parties", "survivor": survivor, "absorbed": BANK, "document": "d"}
    seen = []
    for line in (
        claim,
        {**void, "claim": "C1", "effective_on": "2024-07-01"},
        {**claim, "claim": "C2"},
        {**merge, "effective_on": "2024-07-31"},
        {**void, "claim": "C2"},
    ):
        (outcome,) = ledger.submit(line)
        assert outcome["outcome"] == "accepted", outcome
        seen.append((used_fen(BANK), used_fen(survivor)))
    assert seen == [(2_000_000, 0), (0, 0), (2_000_000, 0), (0, 2_000_000), (0, 0)]
    assert ledger.balance(f"limit/example.loan_interest.product/{survivor}/P") == 3_000_000


def test_an_instrument_without_a_clause_is_refused(other: Ledger) -> None:
    """A measure that has no clause for an instrument pays nothing under it, and says so."""
    other.submit({"command": "register-party", "uscc": FIRM, "kind": "service_body", "name": "丙"})
    claim = {"command": "claim-service-grant", "claim": "S1", "round": "R1", "payee": FIRM}
    outcome = other.submit({**claim, "decided_fen": 1, "document": "d", "effective_on": "2024-07-01"})[0]
    assert outcome["code"] == "no_clause"


def test_a_certificate_that_a_standing_grant_rests_on_is_in_use(other: Ledger) -> None:
    """Where a clause demands a quality, its certificate is reversed only after the grant that needed it is gone."""
    certificate = {"command": "certify-firm", "uscc": FIRM, "quality": "高新技术企业", "document": "z"}
    claim = {"command": "claim-insurance-premium", "round": "R1", "payee": FIRM, "decided_fen": 1}
    claim |= {"document": "d", "effective_on": "2024-07-01"}
    before = other.submit({**claim, "claim": "I1"})[0]
    certified = other.submit({**certificate, "valid_from": "2024-01-01", "valid_to": "2024-12-31"})[0]
    other.submit({**claim, "claim": "I2"})
    reverse = {"command": "reverse-fact", "position": certified["positions"][0]}
    held = other.submit({**reverse, "reason": "first"})[0]
    other.submit({"command": "void", "claim": "I2", "reason": "r", "effective_on": "2024-07-02"})
    reversed_ = other.submit({**reverse, "reason": "second"})[0]
    after = other.submit({**claim, "claim": "I3"})[0]
    assert [before["code"], held["code"], reversed_["outcome"], after["code"]] == [
        "party_not_eligible",
        "fact_in_use",
        "accepted",
        "party_not_eligible",
    ]
