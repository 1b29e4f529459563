"""The same payee, loan, slip or voucher paid twice: what an auditor looks at first."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ledger.store import Store
from projections.clocks import AsOf
from projections.reports.grants import Grant, all_grants


def duplicates(store: Store, as_of: AsOf) -> list[dict[str, Any]]:
    """Groups of paid grants, neither returned nor wholly recovered, that share a payee in one round and
    instrument, a loan (also that of a compensated payout), a bank slip or the voucher of a payment that stands.
    Sharing is often right; it is shown, with what was paid and not returned, for people to judge."""
    groups: dict[tuple[str, str], list[Grant]] = defaultdict(list)
    for grant in all_grants(store, as_of).values():
        if grant.paid_fen - grant.recovered_fen > 0:
            for what, key in _shared_keys(grant):
                groups[what, key].append(grant)
    return [
        {
            "same": what,
            "key": key,
            "claims": [grant.claim for grant in found],
            "paid_fen": sum(grant.paid_fen for grant in found),
        }
        for (what, key), found in sorted(groups.items())
        if len(found) > 1
    ]


def _shared_keys(grant: Grant) -> set[tuple[str, str]]:
    """What a grant may share with others, each once."""
    keys = {("payee", f"{grant.payee} {grant.instrument} {grant.round}"), ("voucher", grant.voucher)}
    if grant.loan is not None:
        keys.add(("loan", grant.loan))
    return keys | {("slip", f"{grant.bank} {number}") for number in grant.slips}
