"""What may have been paid twice: groups of claims, each once, with what was paid and not returned."""

from __future__ import annotations

from typing import Any

from projections.reports.duplicates import duplicates
from tests.cli.program import BANK, GUARANTOR, OPENING, Line, claim, pay, publicise, register
from tests.support import Ledger
from tests.test_explanations import COMPENSATION, PAYOUT, accepted

RISK: Line = {"command": "claim-risk-compensation", "claim": "R1", "round": "R1", "payee": BANK, "loan": "L1"}
RISK |= {"decided_fen": 300_000, "document": "文-3", "effective_on": "2024-07-02"}


def back(claim_id: str = "C1", voucher: str = "V-1") -> Line:
    """The return of a payment."""
    command = {"command": "return-payment", "claim": claim_id, "voucher": voucher}
    return {**command, "returned_on": "2024-09-02"}


def paid(claim_id: str, voucher: str) -> tuple[Line, Line]:
    """A claim's notice and payment."""
    return publicise(claim_id), pay(claim_id, voucher=voucher)


def groups(ledger: Ledger, same: str) -> dict[str, tuple[list[str], int]]:
    """Of one kind of group by its key: the claims and what was paid."""
    found: list[dict[str, Any]] = duplicates(ledger.store, ledger.as_of())
    return {row["key"]: (row["claims"], row["paid_fen"]) for row in found if row["same"] == same}


def test_whatever_was_paid_on_a_loan_is_one_group(ledger: Ledger) -> None:
    """Interest, the compensations of two payouts of the loan, and of its loss."""
    second = {**COMPENSATION, "claim": "G2", "payout": "P2", "decided_fen": 200_000}
    accepted(ledger, *OPENING, register(GUARANTOR, "guarantor"), PAYOUT, {**PAYOUT, "payout": "P2"})
    accepted(ledger, COMPENSATION, second, claim("C1"), RISK)
    for number, claim_id in enumerate(("G1", "G2")):
        accepted(ledger, *paid(claim_id, f"V-{number}"))
    assert groups(ledger, "loan") == {"L1": (["G1", "G2"], 300_000)}
    accepted(ledger, *paid("C1", "V-8"), *paid("R1", "V-9"))
    assert groups(ledger, "loan") == {"L1": (["G1", "G2", "C1", "R1"], 300_000 + 6_000_000 + 300_000)}
    assert groups(ledger, "voucher") == {}


def test_a_claim_is_no_duplicate_of_itself(ledger: Ledger) -> None:
    """Paid, returned and paid again by the same voucher it shares that with nobody; with another claim each counts
    once."""
    again = pay(paid_on="2024-09-03", key="again")
    accepted(ledger, *OPENING, claim("C1", 1_000), *paid("C1", "V-1"), back(), again)
    assert groups(ledger, "voucher") == {}
    accepted(ledger, claim("C2", 2_000, "2023-04-01"), *paid("C2", "V-1"))
    assert groups(ledger, "voucher") == {"V-1": (["C1", "C2"], 1_500)}


def test_a_voucher_counts_while_its_payment_stands(ledger: Ledger) -> None:
    """Returned and paid again by another voucher, a claim shares the second one, no more the first; returned, none."""
    accepted(ledger, *OPENING, claim("C1", 1_000), *paid("C1", "V-1"), back())
    accepted(ledger, pay(voucher="V-2", paid_on="2024-09-03", key="again"))
    accepted(ledger, claim("C2", 2_000, "2023-04-01"), *paid("C2", "V-1"))
    assert groups(ledger, "voucher") == {}
    accepted(ledger, claim("C3", 4_000, "2023-05-01"), *paid("C3", "V-2"))
    assert groups(ledger, "voucher") == {"V-2": (["C1", "C3"], 2_500)}
    accepted(ledger, {**back("C1", "V-2"), "returned_on": "2024-09-04", "key": "back"})
    assert groups(ledger, "voucher") == {}
