"""Bank risk compensation 风险补偿 (SX-3): a share of a bank's loss on a bad loan, decided by people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.decided import decided_instrument
from ledger.refusals import Refusal
from ledger.rulebook.clauses import Clause
from ledger.state import State
from ledger.subjects.claims import Standing
from ledger.subjects.loans import Loan


def _exceeds_loss(fields: Mapping[str, Any], state: State, clause: Clause) -> Refusal | None:
    """Where a loss is reported on the loan, all compensation on it together stays within what is left of it."""
    if "loan" not in fields:
        return None
    loan = state.recall(Loan, f"loan:{fields['loan']}")
    if loan.losses_fen == 0:
        return None
    grants = state.recall(Standing, f"loan:{fields['loan']}").carried().values()
    taken_fen = sum(grant.left_fen for grant in grants if grant.instrument == "risk_compensation")
    loss_fen = loan.losses_fen - loan.recovered_fen - taken_fen
    if fields["decided_fen"] <= loss_fen:
        return None
    return Refusal(
        "exceeds_loss", clause.id, {"amount_fen": fields["decided_fen"], "loss_fen": max(0, loss_fen)}
    )


INSTRUMENT = decided_instrument(
    "risk_compensation",
    "RiskCompensationGranted",
    "claim-risk-compensation",
    "bank",
    "Claim compensation for a bank's loss on an exclusive-product loan; people decide the amount.",
    "申请银行风险补偿；金额由人决定，不超过损失。",
    exceeds=_exceeds_loss,
)
