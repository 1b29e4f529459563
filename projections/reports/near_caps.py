"""Caps nearly used: keys at 80, 90 and 100 % of their limit."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from ledger.store import Store
from projections.caps import caps, highest_uses
from projections.clocks import AsOf
from projections.parties import names

LEVELS_PERCENT: Final = (100, 90, 80)


def near_caps(store: Store, as_of: AsOf, kind: str = "firm") -> list[dict[str, Any]]:
    """The keys of caps per firm (or per another kind) at a level, the fullest first."""
    rows = []
    for row in caps(store, as_of, kind=kind):
        if row.limit_fen <= 0:
            continue
        level = next((p for p in LEVELS_PERCENT if row.consumed_fen * 100 >= row.limit_fen * p), None)
        if level is not None:
            rows.append({**asdict(row), "highest_fen": 0, "name": None, "level_percent": level})
    highest = highest_uses(store, as_of.known_position, [(row["cap"], row["key"]) for row in rows])
    named = names(store, as_of, {row["party"] for row in rows if row["party"]})
    rows = [
        {**row, "highest_fen": highest[row["cap"], row["key"]], "name": named.get(row["party"])}
        for row in rows
    ]
    return sorted(rows, key=lambda row: (-row["consumed_fen"] / row["limit_fen"], row["cap"], row["key"]))
