"""Tags: whom and what an event concerns."""

from __future__ import annotations

import pytest

from tests.histories import history
from tests.support import Ledger, fresh_database

FIRM, BANK, GUARANTOR = "91350100M000100Y43", "91110108551385082Q", "91110000600037341L"


@pytest.mark.parametrize("seed", range(6))
def test_every_tag_names_something(seed: int, embedded_server: str) -> None:
    """No event carries a tag of nobody, whatever was reversed before."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        ledger.submit(*history(seed, length=120))
        for event in ledger.store.stored_events(0, ledger.store.head().position):
            assert all(tag.partition(":")[2] not in ("", "None") for tag in event.tags), event
        ledger.store.close()


def test_a_recovery_after_a_reversed_draw_keeps_its_loan(embedded_server: str) -> None:
    """A recovery on a payout carries the payout's loan, also where the draw of the loan was reversed."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        draw = {"command": "draw-loan", "loan": "L1", "firm": FIRM, "bank": BANK, "principal_fen": 1000}
        ledger.submit(
            {"command": "register-party", "uscc": FIRM, "kind": "firm", "name": "甲"},
            {"command": "register-party", "uscc": BANK, "kind": "bank", "name": "乙"},
            {"command": "register-party", "uscc": GUARANTOR, "kind": "guarantor", "name": "丙"},
            draw | {"drawn_on": "2023-03-01", "security": "guaranteed", "guarantor": GUARANTOR},
            {
                "command": "pay-guarantee",
                "payout": "P1",
                "loan": "L1",
                "guarantor": GUARANTOR,
                "amount_fen": 1000,
                "paid_on": "2024-05-20",
            },
            {"command": "reverse-fact", "position": 4, "reason": "误录"},
            {"command": "record-recovery", "payout": "P1", "amount_fen": 1},
        )
        (recovery,) = ledger.store.stored_events(0, 7, event_type="RecoveryReceived")
        assert recovery.tags == (f"guarantor:{GUARANTOR}", "loan:L1", "payout:P1")
        ledger.store.close()
