"""Venture-investment risk subsidy 创投风险补助 (SX-6): an investor, an amount that people decided."""

from __future__ import annotations

from ledger.decided import decided_instrument

INSTRUMENT = decided_instrument(
    "venture_risk",
    "VentureRiskGranted",
    "claim-venture-risk",
    "investor",
    "Claim a risk subsidy on venture investment in science firms; people decide the amount.",
    "申请创业投资风险补助；金额由人决定。",
)
