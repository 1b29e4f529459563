"""Who entered, decided, publicised and paid each claim: the separation of duties, as it was."""

from __future__ import annotations

from typing import Any

from ledger.store import Store
from projections.clocks import AsOf
from projections.reports.grants import all_grants


def duties(store: Store, as_of: AsOf) -> list[dict[str, Any]]:
    """Per claim the principals of each step. A claim is decided by the rules in the moment it is entered, so both
    are one person; `same_person` says whether that person also paid."""
    rows = []
    for grant in all_grants(store, as_of).values():
        by_step = {
            name: sorted({step.principal for step in grant.steps if step.step == name})
            for name in ("publicised", "held", "paid", "voided", "recovered")
        }
        rows.append(
            {
                "claim": grant.claim,
                "round": grant.round,
                "entered_and_decided": grant.principal,
                **by_step,
                "same_person": grant.principal in by_step["paid"],
            }
        )
    return rows
