"""Outcomes: what became of a command, now or when it was first recorded."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ledger import codec
from ledger.events import Event
from ledger.plain import Plain
from ledger.refusals import detail


@mypyc_attr(acyclic=True)
class Outcome(Plain):
    """What became of one command. `outcome` is accepted, refused, invalid or repeated (then `first` says which);
    `data` is that of the command's own event."""

    __slots__ = (
        "amount_fen",
        "arithmetic",
        "clause",
        "code",
        "data",
        "first",
        "outcome",
        "positions",
        "warnings",
    )

    def __init__(
        self,
        outcome: str,
        positions: tuple[int, ...] = (),
        amount_fen: int | None = None,
        code: str | None = None,
        clause: str | None = None,
        arithmetic: Mapping[str, Any] = MappingProxyType({}),
        warnings: tuple[str, ...] = (),
        first: str | None = None,
        data: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.outcome: Final = outcome
        self.positions: Final = positions
        self.amount_fen: Final = amount_fen
        self.code: Final = code
        self.clause: Final = clause
        self.arithmetic: Final = arithmetic
        self.warnings: Final = warnings
        self.first: Final = first
        self.data: Final = data

    @property
    def refused(self) -> bool:
        """Whether the command, now or when it first came, was refused."""
        return "refused" in (self.outcome, self.first)

    def document(self, language: str = "en") -> dict[str, Any]:
        """The outcome as JSON (design §5), without the line number."""
        shown: dict[str, Any] = {"outcome": self.outcome, "positions": list(self.positions)}
        if self.amount_fen is not None:
            shown["amount_fen"] = self.amount_fen
        if self.code is not None:
            shown["code"] = self.code
            if self.clause is not None:
                shown["clause"] = self.clause
            shown["detail"] = detail(self.code, self.arithmetic, language)
        if self.warnings:
            shown["warnings"] = list(self.warnings)
        if self.first is not None:
            shown["first"] = self.first
        return shown

    def line(self, number: int, language: str = "en") -> bytes:
        """The same as a line of NDJSON, with the number of the line that it answers."""
        return codec.line({"line": number, **self.document(language)})


def recorded_outcome(event: Event, span: int) -> Outcome:
    """The outcome that a command had when `event`, the last of its `span` events, was recorded."""
    data = event.data
    positions = tuple(range(event.position - span + 1, event.position + 1))
    warnings = tuple(data.get("warnings", ()))
    if event.type in ("ClaimRefused", "CommandRefused"):
        return Outcome(
            "refused",
            positions,
            None,
            data["code"],
            data.get("clause"),
            data["arithmetic"],
            warnings,
            data=data,
        )
    amount_fen = data["amount_fen"] if "legs" in data else None
    return Outcome("accepted", positions, amount_fen, warnings=warnings, data=data)


def repeated(first: Outcome) -> Outcome:
    """The answer to a command that was recorded before: the first outcome, marked as a repetition."""
    return first.replaced(outcome="repeated", first=first.outcome)
