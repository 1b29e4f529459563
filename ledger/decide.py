"""decide(command, state) → events or refusal. Pure: no clock, no random, no input or output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ledger.catalogue import Catalogue
from ledger.commands import Command
from ledger.decisions import Refused, own_fields
from ledger.events import NewEvent
from ledger.plain import Plain
from ledger.refusals import CODES, Refusal
from ledger.state import State


@mypyc_attr(acyclic=True)
class Decided(Plain):
    """The events to record for one command (the last one is its own), and what to tell its sender."""

    __slots__ = ("amount_fen", "events", "refusal", "warnings")

    def __init__(
        self,
        events: tuple[NewEvent, ...],
        amount_fen: int | None = None,
        warnings: tuple[str, ...] = (),
        refusal: Refusal | None = None,
    ) -> None:
        self.events: Final = events
        self.amount_fen: Final = amount_fen
        self.warnings: Final = warnings
        self.refusal: Final = refusal


def decide(command: Command, state: State, catalogue: Catalogue) -> Decided:
    """Decide one well-formed command. What the rules refuse is an event as well, with the arithmetic."""
    decision = catalogue.handlers[command.name].decide(command, state)
    if isinstance(decision, Refused):
        return Decided((_refused_event(command, decision),), refusal=decision.refusal)
    return Decided(decision.events, decision.amount_fen, decision.warnings)


def _refused_event(command: Command, decision: Refused) -> NewEvent:
    refusal = decision.refusal
    if refusal.code not in CODES:
        raise AssertionError(f"{refusal.code} is not in the closed list of refusals")
    is_claim = command.name.startswith("claim-")
    data: dict[str, Any] = {
        **own_fields(command),
        **decision.data,
        "command": command.name,
        "code": refusal.code,
        "arithmetic": _plain(refusal.arithmetic),
    }
    if refusal.clause is not None:
        data["clause"] = refusal.clause
    event_type = "ClaimRefused" if is_claim else "CommandRefused"
    return NewEvent(event_type, command.effective_on, tuple(sorted(set(decision.tags))), data)


def _plain(arithmetic: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arithmetic.items() if value is not None}
