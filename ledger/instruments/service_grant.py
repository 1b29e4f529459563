"""Service-system grant 服务体系建设补助 (SX-5): a service body, an amount that people decided."""

from __future__ import annotations

from ledger.decided import decided_instrument

INSTRUMENT = decided_instrument(
    "service_grant",
    "ServiceGrantAwarded",
    "claim-service-grant",
    "service_body",
    "Claim a grant for building the science-finance service system; people decide the amount.",
    "申请科技金融服务体系建设补助；金额由人决定。",
)
