"""The life of every grant, folded from the log: what reports are made of."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from ledger import codec
from ledger.catalogue import discover_instruments
from ledger.dates import Day
from ledger.store import Store
from projections.clocks import AsOf
from projections.fold import fold, walk
from projections.recorded import go_on

GRANTS: Final = tuple(instrument.event for instrument in discover_instruments().values())
STEPS: Final = {
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
    amount_fen: int  # of a recovery; else 0
    voucher: str  # of a payment or a return; else empty


@dataclass(slots=True)
class Grant:
    """One decided claim and what became of it. Amounts in fen; `slips` are the numbers of the bank's slips."""

    claim: str
    instrument: str
    round: str
    payee: str
    amount_fen: int
    position: int
    effective_on: Day
    principal: str
    loan: str | None
    bank: str
    slips: tuple[str, ...]
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
    def voucher(self) -> str:
        """The voucher of the payment that stands; empty where none does."""
        moves = [step for step in self.steps if step.step in ("paid", "returned")]
        return moves[-1].voucher if moves and moves[-1].step == "paid" else ""

    @property
    def recovered_fen(self) -> int:
        """What came back, for whatever cause."""
        return sum(step.amount_fen for step in self.steps if step.step == "recovered")

    @property
    def committed_fen(self) -> int:
        """Decided and neither paid nor voided."""
        return 0 if self.voided else self.amount_fen - self.paid_fen


#: One event of a grant's life: position, type, business date, data, principal.
GrantEvent = tuple[int, str, Day, bytes, str]


def grant_events(
    store: Store, until: int, last_day: Day, look: Callable[[], None] = go_on
) -> Generator[GrantEvent, None, None]:
    """Every grant and every step up to a position, effective on or before a day; in order, in constant memory. `look`
    is called now and then, on whatever day events are effective, and may raise what ends the work."""
    with closing(walk(store, "grants_and_steps", until=until, types=[*GRANTS, *STEPS])) as parts:
        for rows in parts:
            look()
            yield from (row for row in rows if row[2] <= last_day)


def all_grants(store: Store, as_of: AsOf) -> dict[str, Grant]:
    """Every grant by claim, with the steps effective on the day, as known at the position."""
    with closing(grant_events(store, as_of.known_position, as_of.last_day)) as events:
        return collect(events)


def grants_after(store: Store, as_of: AsOf, after: int, count: int) -> dict[str, Grant]:
    """As `all_grants`, the first so many of those decided after a position."""
    bounds = {"after": after, "until": as_of.known_position, "last_day": as_of.last_day, "count": count}
    found = dict(fold(store, "claims_granted_after", types=list(GRANTS), **bounds))
    grants = grants_of_tags(store, as_of, list(found.values()))
    return {claim: grant for claim, grant in grants.items() if grant.position in found}


def grants_of_tags(store: Store, as_of: AsOf, tags: list[str]) -> dict[str, Grant]:
    """The grants that carry any of some tags. A payee's grants carry its tag (`firm:<uscc>`)."""
    rows = fold(store, "grants_of_tags", until=as_of.known_position, tags=tags, types=[*GRANTS, *STEPS])
    return collect(row for row in rows if row[2] <= as_of.last_day)


def collect(events: Iterable[GrantEvent]) -> dict[str, Grant]:
    """Grants by claim from their events in order."""
    grants: dict[str, Grant] = {}
    for position, kind, on, raw, principal in events:
        data = codec.read_canonical(raw)
        if kind not in STEPS:
            grants[data["claim"]] = _grant(position, on, principal, data)
        elif data["claim"] in grants:
            amount_fen, voucher = data.get("amount_fen", 0), data.get("voucher", "")
            step = Step(STEPS[kind], position, on, principal, amount_fen, voucher)
            grants[data["claim"]].steps.append(step)
    return grants


def _grant(position: int, on: Day, principal: str, data: dict[str, Any]) -> Grant:
    inputs = data.get("inputs", {})
    return Grant(
        data["claim"],
        data["instrument"],
        data["round"],
        data["payee"],
        data["amount_fen"],
        position,
        on,
        principal,
        data.get("loan") or inputs.get("loan"),  # of a compensation it is that of the payout
        inputs.get("bank", ""),
        tuple(slip["number"] for slip in data.get("slips", ())),
    )
