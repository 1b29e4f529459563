"""Who entered, decided, publicised and paid each claim: the separation of duties, as it was."""

from __future__ import annotations

from typing import Any

from ledger.store import Store
from projections.clocks import AsOf
from projections.reports.grants import Grant, all_grants, grants_after


def duties(store: Store, as_of: AsOf) -> list[dict[str, Any]]:
    """Per claim the principals of each step, in the order of the decisions. A claim is decided by the rules in the
    moment it is entered, so both are one person; `same_person` says whether that person also paid."""
    return [_row(grant) for grant in all_grants(store, as_of).values()]


def duties_page(
    store: Store, as_of: AsOf, after: int, rows_max: int
) -> tuple[list[dict[str, Any]], int | None]:
    """The first of those rows of claims decided after a position, and the position of the last one if there are more.
    The cost is that of the page."""
    grants = list(grants_after(store, as_of, after, rows_max + 1).values())
    shown = grants[:rows_max]
    return [_row(grant) for grant in shown], shown[-1].position if len(grants) > rows_max else None


def _row(grant: Grant) -> dict[str, Any]:
    by_step = {
        name: sorted({step.principal for step in grant.steps if step.step == name})
        for name in ("publicised", "held", "paid", "voided", "recovered")
    }
    return {
        "claim": grant.claim,
        "round": grant.round,
        "entered_and_decided": grant.principal,
        **by_step,
        "same_person": grant.principal in by_step["paid"],
    }
