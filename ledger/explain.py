"""Why this amount, or why not: the stored computation of a claim. Pure; nothing is computed again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.bilingual import Bilingual
from ledger.rulebook.clauses import KEY_KINDS
from ledger.state import State
from ledger.subjects.loans import Loan


class NothingToExplain(Bilingual, LookupError):
    """The event decided no claim and refused nothing."""


def explain(position: int, event_type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The explanation of a grant or a refusal from its event's data (design §5).

    Raises NothingToExplain for any other event.
    """
    # A recorder's event may have the type of ours, and holds nothing of ours.
    if event_type in ("ClaimRefused", "CommandRefused") and "code" in data:
        refusal = {name: data[name] for name in ("code", "clause", "arithmetic") if name in data}
        return {**_computation(position, data), "amount_fen": 0, **refusal}
    if "legs" not in data:
        raise NothingToExplain(
            f"position {position} is a {event_type}: it computed no amount",
            f"第 {position} 条为 {event_type}，未计算金额",
        )
    return {**_computation(position, data), "clause": data["clause"]}


def _computation(position: int, data: Mapping[str, Any]) -> dict[str, Any]:
    # What rules decided names them beside their reading; a refused open-round keeps the rulebook that it asked for.
    rules = data.get("rulebook", {}) if "reading" in data else {}
    return {
        "position": position,
        "amount_fen": data.get("amount_fen", 0),
        "legs": data.get("legs", []),
        "reading": data.get("reading", {}),
        "rulebook": rules,
        "inputs": data.get("inputs", {}),
    }


def cap_keys(
    tags: Iterable[str], data: Mapping[str, Any], year: int, programme: str, state: State
) -> dict[str, str]:
    """What caps may count a claim by, read off its event and its loan: kind of key to id. Kinds that they say nothing
    of are missing."""
    # An event carries the loan's bank and product as tags only where a cap of its own rules counted by them.
    keys = _keys_of_loan(state.recall(Loan, f"loan:{data['loan']}")) if "loan" in data else {}
    keys |= {kind: key for kind, _, key in (tag.partition(":") for tag in tags) if kind in KEY_KINDS}
    return keys | {"round": data["round"], "year": str(year), "programme": programme}


def _keys_of_loan(loan: Loan) -> dict[str, str]:
    if not loan.drawn:
        return {}
    return {"bank": loan.bank, **({"product": f"{loan.bank}/{loan.product}"} if loan.product else {})}
