"""Insurance-premium subsidy 保险保费补助 (SX-7): a firm, an amount that people decided."""

from __future__ import annotations

from ledger.decided import decided_instrument

INSTRUMENT = decided_instrument(
    "insurance_premium",
    "InsurancePremiumGranted",
    "claim-insurance-premium",
    "firm",
    "Claim a subsidy on an insurance premium that a science firm paid; people decide the amount.",
    "申请科技保险保费补助；金额由人决定。",
)
