"""A bank's ladders for readers: per product the mark, the awards that stand, the certified totals, what is missing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ledger.store import Store
from projections.clocks import AsOf
from projections.existing import UnknownParty
from projections.milestones import ladders
from projections.parties import party


def ladders_report(store: Store, as_of: AsOf, bank: str) -> dict[str, Any]:
    """`bank`, its `name`, and `products`: product, mark, awarded_fen, next_at_fen, missing_fen, `awards` and
    `certified` as in milestones.Ladder.

    Raises UnknownParty, NotProjected.
    """
    known = party(store, as_of, bank)
    if known is None or all(entry["kind"] != "bank" for entry in known.kinds):
        raise UnknownParty(bank)
    return {
        "bank": bank,
        "name": known.name,
        "products": [
            {
                **{name: value for name, value in asdict(found.row).items() if name != "bank"},
                "missing_fen": found.missing_fen,
                "awards": found.awards,
                "certified": found.certified,
            }
            for found in ladders(store, as_of, bank)
        ],
    }
