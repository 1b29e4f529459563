"""A round: appropriated, committed, paid, recovered by instrument; asserted control totals and whether they tie."""

from __future__ import annotations

from typing import Any

from ledger import codec
from ledger.store import Store
from projections.clocks import AsOf
from projections.fold import fold
from projections.reports.grants import Grant, grants_of_tag, standing

#: Position, type and data of an event of the round's own life.
Fact = tuple[int, str, dict[str, Any]]


class UnknownRound(LookupError):
    """No such round as known at the position."""


def round_report(store: Store, as_of: AsOf, round_id: str) -> dict[str, Any]:
    """The round's money and grants by instrument, and each asserted control total beside the ledger's own.

    Raises UnknownRound.
    """
    events = fold(store, "events_of_tag", until=as_of.known_position, tag=f"budget:{round_id}")
    facts = [
        (row[0], row[1], codec.parse_object(bytes(row[4]))) for row in events if row[2] <= as_of.last_day
    ]
    opened = next((data for _, kind, data in facts if kind == "RoundOpened"), None)
    if opened is None:
        raise UnknownRound(round_id)
    grants = list(standing(grants_of_tag(store, as_of, f"round:{round_id}")))
    return {
        "round": round_id,
        "year": opened["year"],
        "rulebook": opened["rulebook"],
        "call": opened.get("call"),
        "closed": any(kind == "RoundClosed" for _, kind, _ in facts),
        **_money(store, as_of, round_id, facts),
        "instruments": _by_instrument(grants),
        "control_totals": _control_totals(facts, grants),
    }


def _money(store: Store, as_of: AsOf, round_id: str, facts: list[Fact]) -> dict[str, int]:
    """What was appropriated is available, committed, paid, recovered or returned: the five sum to it."""
    rows = fold(store, "round_money", until=as_of.known_position, last_day=as_of.last_day, round=round_id)
    sums = {path: int(amount) for path, amount in rows}
    paid_fen = sum(amount for path, amount in sums.items() if path.startswith("public/paid/"))
    return {
        "appropriated_fen": sum(
            data["budget_fen"] if kind == "RoundOpened" else data["amount_fen"]
            for _, kind, data in facts
            if kind in ("RoundOpened", "BudgetAdjusted")
        ),
        "available_fen": sums.get(f"public/round/{round_id}/available", 0),
        "committed_fen": sums.get(f"public/round/{round_id}/committed", 0),
        "paid_net_fen": paid_fen,
        "recovered_fen": sums.get(f"public/recovered/{round_id}", 0),
        "returned_fen": sum(data["amount_fen"] for _, kind, data in facts if kind == "ReturnedToTreasury"),
    }


def _by_instrument(grants: list[Grant]) -> list[dict[str, Any]]:
    rows = []
    for instrument in sorted({grant.instrument for grant in grants}):
        own = [grant for grant in grants if grant.instrument == instrument]
        rows.append(
            {
                "instrument": instrument,
                "grants": len(own),
                "payees": len({grant.payee for grant in own}),
                "granted_fen": sum(grant.amount_fen for grant in own),
                "committed_fen": sum(grant.committed_fen for grant in own),
                "paid_fen": sum(grant.paid_fen for grant in own),
                "recovered_fen": sum(grant.recovered_fen for grant in own),
            }
        )
    return rows


def _control_totals(facts: list[Fact], grants: list[Grant]) -> list[dict[str, Any]]:
    """Each asserted total with the ledger's own beside it. The difference is ledger less asserted; it is shown,
    never forced to agree."""
    taken_back = {data["position"] for _, kind, data in facts if kind == "FactReversed"}
    rows = []
    for position, kind, data in facts:
        if kind != "ControlTotalAsserted" or position in taken_back:
            continue
        own = [g for g in grants if data.get("instrument") in (None, g.instrument)]
        row: dict[str, Any] = {
            "position": position,
            "instrument": data.get("instrument"),
            "source": data["source"],
        }
        ties = True
        for name, ours in (("count", len(own)), ("total_fen", sum(g.amount_fen for g in own))):
            if name in data:
                row |= {
                    f"asserted_{name}": data[name],
                    f"ledger_{name}": ours,
                    f"difference_{name}": ours - data[name],
                }
                ties = ties and ours == data[name]
        rows.append({**row, "ties": ties})
    return rows
