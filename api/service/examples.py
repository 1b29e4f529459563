"""The ledger that the examples of the OpenAPI document are asked of: twelve events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FIRM: Final = "91350100M000100Y43"
BANK: Final = "91110108551385082Q"
GUARANTOR: Final = "91110000600037341L"

_LOAN: Final = {"command": "draw-loan", "firm": FIRM, "bank": BANK, "principal_fen": 200_000_000}
_CLAIM: Final = {
    "command": "claim-loan-interest",
    "round": "R1",
    "loan": "L1",
    "interest_paid_fen": 12_000_000,
    "period_from": "2023-03-01",
    "period_to": "2023-12-31",
    "effective_on": "2024-07-01",
}

#: Commands in order. The round is events 1 and 2; 7 is a grant and 8 a refused claim.
LINES: Final[tuple[Mapping[str, Any], ...]] = (
    {
        "command": "open-round",
        "round": "R1",
        "year": 2024,
        "budget_fen": 100_000_000,
        "rulebook": "shanxi-2022",
        "effective_on": "2024-01-01",
    },
    {
        "command": "register-party",
        "uscc": FIRM,
        "kind": "firm",
        "name": "某科技",
        "effective_on": "2022-01-01",
    },
    {
        "command": "register-party",
        "uscc": BANK,
        "kind": "bank",
        "name": "某银行",
        "effective_on": "2022-01-01",
    },
    {**_LOAN, "loan": "L1", "drawn_on": "2023-03-01", "security": "credit"},
    {**_LOAN, "loan": "L2", "drawn_on": "2023-04-01", "security": "credit"},
    {**_CLAIM, "claim": "C1"},
    {**_CLAIM, "claim": "C2"},
    {"command": "publicise", "claim": "C1", "notice": "N-1", "effective_on": "2024-08-01"},
    {"command": "pay", "claim": "C1", "voucher": "V-1", "paid_on": "2024-09-01"},
    {
        "command": "certify-credit",
        "bank": BANK,
        "product": "科创贷",
        "year": 2023,
        "total_fen": 18_000_000_000,
        "certificate": "证-1",
        "effective_on": "2024-01-31",
    },
    {
        "command": "register-party",
        "uscc": GUARANTOR,
        "kind": "guarantor",
        "name": "某担保",
        "effective_on": "2022-01-01",
    },
)
EVENTS: Final = 12
