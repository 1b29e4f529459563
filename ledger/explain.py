"""Why this amount, or why not: the stored computation of a claim. Pure; nothing is computed again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class NothingToExplain(LookupError):
    """The event decided no claim and refused nothing."""


def explain(position: int, event_type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The explanation of a grant or a refusal from its event's data (design §5).

    Raises NothingToExplain for any other event.
    """
    if event_type in ("ClaimRefused", "CommandRefused"):
        refusal = {name: data[name] for name in ("code", "clause", "arithmetic") if name in data}
        return {**_computation(position, data), "amount_fen": 0, **refusal}
    if "legs" not in data:
        raise NothingToExplain(f"position {position} is a {event_type}: it computed no amount")
    return {**_computation(position, data), "clause": data["clause"]}


def _computation(position: int, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "position": position,
        "amount_fen": data.get("amount_fen", 0),
        "legs": data.get("legs", []),
        "reading": data.get("reading", {}),
        "rulebook": data.get("rulebook", {}),
        "inputs": data.get("inputs", {}),
    }
