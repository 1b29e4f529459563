"""Implausible facts: recorded, with warnings for people; no rule refuses them (design §4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import Ledger

FIRM, OTHER_FIRM = "91350100M000100Y43", "91110000101623741K"
BANK, GUARANTOR = "91110108551385082Q", "91110000600037341L"

LOAN: dict[str, Any] = {"command": "draw-loan", "firm": FIRM, "bank": BANK, "principal_fen": 200_000_000}
GIVEN: tuple[dict[str, Any], ...] = (
    *(
        {"command": "register-party", "uscc": uscc, "kind": kind, "name": kind}
        for uscc, kind in ((FIRM, "firm"), (OTHER_FIRM, "firm"), (BANK, "bank"), (GUARANTOR, "guarantor"))
    ),
    LOAN | {"loan": "L1", "drawn_on": "2023-03-01", "security": "guaranteed", "guarantor": GUARANTOR},
)
ROUND: dict[str, Any] = {"command": "open-round", "round": "R24", "year": 2024, "budget_fen": 10**9}
ROUND |= {"rulebook": "shanxi-2022", "effective_on": "2024-06-01"}
DEFAULT: dict[str, Any] = {"command": "report-default", "loan": "L1", "outstanding_fen": 200_000_000}
IN_DEFAULT = DEFAULT | {"defaulted_on": "2024-02-01"}
MERGER: dict[str, Any] = {
    "command": "merge-parties",
    "survivor": OTHER_FIRM,
    "absorbed": FIRM,
    "document": "d",
}
CLAIM: dict[str, Any] = {"command": "claim-loan-interest", "claim": "C1", "round": "R24", "loan": "L1"}
CLAIM |= {"interest_paid_fen": 1_000_000, "period_to": "2023-12-31", "effective_on": "2024-07-01"}
PAYOUT: dict[str, Any] = {
    "command": "pay-guarantee",
    "payout": "P1",
    "loan": "L1",
    "guarantor": GUARANTOR,
    "amount_fen": 1,
}
QUALITY: dict[str, Any] = {"command": "certify-firm", "uscc": FIRM, "document": "d"}


@pytest.mark.parametrize(
    ("before", "line", "warnings"),
    [
        (ROUND, CLAIM | {"period_from": "2023-02-28"}, ["period_before_the_draw"]),
        (ROUND, CLAIM | {"period_from": "2023-03-01"}, []),
        (ROUND, DEFAULT | {"defaulted_on": "2023-02-28"}, ["defaulted_before_the_draw"]),
        (IN_DEFAULT, PAYOUT | {"paid_on": "2024-01-31"}, ["paid_before_the_default"]),
        (IN_DEFAULT, PAYOUT | {"paid_on": "2024-02-01"}, []),
        (
            IN_DEFAULT,
            {"command": "report-loss", "loan": "L1", "loss_fen": 200_000_001, "document": "d"},
            ["loss_beyond_outstanding"],
        ),
        (
            IN_DEFAULT,
            {"command": "repay-loan", "loan": "L1", "amount_fen": 200_000_001},
            ["repaid_beyond_outstanding"],
        ),
        (
            MERGER,
            LOAN | {"loan": "L2", "drawn_on": "2023-03-01", "security": "credit"},
            ["party_absorbed"],
        ),
        (
            ROUND,
            QUALITY | {"quality": "高新技术企业", "valid_from": "2025-01-01", "valid_to": "2024-12-31"},
            ["ends_before_it_begins"],
        ),
        (
            ROUND,
            QUALITY
            | {"quality": "专精特新 小巨人企业", "valid_from": "2024-01-01", "valid_to": "2024-12-31"},
            [],
        ),
    ],
)
def test_an_implausible_fact_is_accepted_with_a_warning(
    database: str, before: dict[str, Any], line: dict[str, Any], warnings: list[str]
) -> None:
    """What cannot well be is recorded all the same, and the outcome says what people should look at."""
    ledger = Ledger(database)
    given = ledger.submit(*GIVEN, before)
    assert {outcome["outcome"] for outcome in given} == {"accepted"}
    outcome = ledger.submit(line)[0]
    assert (outcome["outcome"], outcome.get("warnings", [])) == ("accepted", warnings)
    ledger.store.close()
