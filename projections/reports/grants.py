"""The life of every grant, folded from the log: what reports are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from ledger import codec
from ledger.catalogue import discover_instruments
from ledger.dates import Day
from ledger.store import Store
from projections.clocks import AsOf
from projections.fold import fold

_GRANTS: Final = tuple(instrument.event for instrument in discover_instruments().values())
_STEPS: Final = {
    "GrantPublicised": "publicised",
    "GrantHeld": "held",
    "GrantReleased": "released",
    "GrantPaid": "paid",
    "PaymentReturned": "returned",
    "GrantVoided": "voided",
    "GrantRecovered": "recovered",
}


@dataclass(slots=True)
class Step:
    """One step of a grant's life: what, when on both clocks, who."""

    step: str
    position: int
    effective_on: Day
    principal: str
    data: dict[str, Any]


@dataclass(slots=True)
class Grant:
    """One decided claim and what became of it. Amounts in fen."""

    claim: str
    instrument: str
    round: str
    payee: str
    amount_fen: int
    position: int
    effective_on: Day
    principal: str
    data: dict[str, Any]
    steps: list[Step] = field(default_factory=list)

    @property
    def state(self) -> str:
        """decided, publicised, held, paid, returned, voided or recovered (wholly)."""
        state = "decided"
        for step in self.steps:
            if step.step == "released":
                state = "publicised" if self._did("publicised") else "decided"
            elif step.step != "recovered":
                state = step.step
        return "recovered" if state == "paid" and self.recovered_fen == self.amount_fen else state

    def _did(self, name: str) -> bool:
        return any(step.step == name for step in self.steps)

    @property
    def voided(self) -> bool:
        """Whether the decision was taken back."""
        return self._did("voided")

    @property
    def paid_fen(self) -> int:
        """Paid and not returned, before recoveries."""
        payments = sum({"paid": 1, "returned": -1}.get(step.step, 0) for step in self.steps)
        return payments * self.amount_fen

    @property
    def recovered_fen(self) -> int:
        """What came back, for whatever cause."""
        return sum(step.data["amount_fen"] for step in self.steps if step.step == "recovered")

    @property
    def committed_fen(self) -> int:
        """Decided and neither paid nor voided."""
        return 0 if self.voided else self.amount_fen - self.paid_fen


def all_grants(store: Store, as_of: AsOf) -> dict[str, Grant]:
    """Every grant by claim, with the steps effective on the day, as known at the position."""
    rows = fold(store, "events_with_principal", until=as_of.known_position, types=[*_GRANTS, *_STEPS])
    return collect(row for row in rows if row[2] <= as_of.last_day)


def grants_of_tags(store: Store, as_of: AsOf, tags: list[str]) -> dict[str, Grant]:
    """The grants that carry any of some tags. A payee's grants carry its tag (`firm:<uscc>`)."""
    rows = fold(store, "grants_of_tags", until=as_of.known_position, tags=tags, types=[*_GRANTS, *_STEPS])
    return collect(row for row in rows if row[2] <= as_of.last_day)


def collect(rows: Iterable[tuple[int, str, Day, bytes, str]]) -> dict[str, Grant]:
    """Grants by claim from (position, type, effective_on, data, principal) in order."""
    grants: dict[str, Grant] = {}
    for position, kind, on, raw, principal in rows:
        data = codec.parse_object(bytes(raw))
        if kind in _STEPS:
            if data["claim"] in grants:
                grants[data["claim"]].steps.append(Step(_STEPS[kind], position, on, principal, data))
        else:
            grants[data["claim"]] = Grant(
                data["claim"],
                data["instrument"],
                data["round"],
                data["payee"],
                data["amount_fen"],
                position,
                on,
                principal,
                data,
            )
    return grants
