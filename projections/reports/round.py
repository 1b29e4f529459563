"""A round: appropriated, committed, paid, recovered by instrument; asserted control totals and whether they tie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger import accounts
from ledger.store import Store
from projections.balances import balance_fen
from projections.clocks import AsOf
from projections.existing import UnknownRound
from projections.rounds import RoundRow, appropriated_fen, life, payees, rounds


def round_report(store: Store, as_of: AsOf, round_id: str) -> dict[str, Any]:
    """The round's money and grants by instrument, and each asserted control total beside the ledger's own.

    Raises UnknownRound, NotProjected.
    """
    facts = life(store, as_of, round_id)
    opened = next((fact for fact in facts if fact["event"] == "RoundOpened"), None)
    if opened is None:
        raise UnknownRound(round_id)
    rows = rounds(store, as_of, round_id)
    return {
        "round": round_id,
        "year": opened["year"],
        "rulebook": opened["rulebook"],
        "call": opened.get("call"),
        "closed": any(fact["event"] == "RoundClosed" for fact in facts),
        **_money(store, as_of, round_id, facts, rows),
        "instruments": _by_instrument(
            rows, payees(store, as_of, round_id) if any(row.grants for row in rows) else {}
        ),
        "control_totals": _control_totals(facts, rows),
    }


def _money(
    store: Store, as_of: AsOf, round_id: str, facts: Sequence[dict[str, Any]], rows: Sequence[RoundRow]
) -> dict[str, int]:
    """What was appropriated is available, committed, paid, recovered or returned: the five sum to it."""
    return {
        "appropriated_fen": appropriated_fen(facts),
        "available_fen": balance_fen(store, accounts.available(round_id), as_of),
        "committed_fen": balance_fen(store, accounts.committed(round_id), as_of),
        "paid_net_fen": sum(row.paid_fen - row.recovered_fen for row in rows),
        "recovered_fen": balance_fen(store, accounts.recovered(round_id), as_of),
        "returned_fen": sum(fact["amount_fen"] for fact in facts if fact["event"] == "ReturnedToTreasury"),
    }


def _by_instrument(rows: Sequence[RoundRow], payees_of: dict[str, int]) -> list[dict[str, Any]]:
    """The instruments of which anything was claimed, granted or refused."""
    return [
        {
            "instrument": row.instrument,
            "grants": row.grants,
            "payees": payees_of.get(row.instrument, 0),
            "granted_fen": row.granted_fen,
            "committed_fen": row.committed_fen,
            "paid_fen": row.paid_fen,
            "recovered_fen": row.recovered_fen,
            "voided": row.voided,
            "refused": row.refused,
        }
        for row in rows
        if row.grants or row.voided or row.refused
    ]


def _control_totals(facts: Sequence[dict[str, Any]], rows: Sequence[RoundRow]) -> list[dict[str, Any]]:
    """Each asserted total with the ledger's own beside it. The difference is ledger less asserted; it is shown,
    never forced to agree."""
    totals = []
    for fact in facts:
        if fact["event"] != "ControlTotalAsserted":
            continue
        own = [row for row in rows if fact.get("instrument") in (None, row.instrument)]
        shown: dict[str, Any] = {
            "position": fact["position"],
            "instrument": fact.get("instrument"),
            "source": fact["source"],
        }
        ties = True
        for name, ours in (
            ("count", sum(row.grants for row in own)),
            ("total_fen", sum(row.granted_fen for row in own)),
        ):
            if name in fact:
                shown |= {
                    f"asserted_{name}": fact[name],
                    f"ledger_{name}": ours,
                    f"difference_{name}": ours - fact[name],
                }
                ties = ties and ours == fact[name]
        totals.append({**shown, "ties": ties})
    return totals
