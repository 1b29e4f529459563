"""Reversals of facts: a wrong fact is never overwritten; a second event takes it back, on the fact's own date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ledger.accounts import book_of
from ledger.commands import POSITION, TEXT, Command, CommandSpec, Field
from ledger.decisions import Accepted, Decision, Handler, own_fields, refuse
from ledger.events import Event, NewEvent, Posting
from ledger.state import Memory, State
from ledger.subjects.claims import Standing

#: What can be reversed: facts, with the kind of tag whose standing grants may rest on them.
FACTS: Final[Mapping[str, str | None]] = {
    "LoanDrawn": "loan",
    "LoanRepaid": None,
    "RepaymentDefaulted": "loan",
    "LossReported": "loan",
    "GuaranteePaidOut": "payout",
    "RecoveryReceived": None,
    "CreditCertified": "product",
    "FirmCertified": "position",
    "ControlTotalAsserted": None,
}
#: The instruments that rest on a default, and on a loss; interest paid before stands whatever comes later (A25). What
#: compensates a payout looks at that and what was recovered on it, not at the bank's loss.
_RESTING: Final[Mapping[str, tuple[str, ...]]] = {
    "RepaymentDefaulted": ("guarantee_compensation", "risk_compensation"),
    "LossReported": ("risk_compensation",),
}


def in_force(facts: Iterable[Event], event_type: str) -> list[Event]:
    """The facts of a type that stand: those that no reversal among the events took back."""
    facts = list(facts)
    taken_back = {event.data["position"] for event in facts if event.type == "FactReversed"}
    return [event for event in facts if event.type == event_type and event.position not in taken_back]


@mypyc_attr(acyclic=True)
class Fact(Memory):
    """The event at one position (tag `position:<n>`), and whether it was reversed."""

    __slots__ = ("event", "reversed")

    def __init__(self) -> None:
        self.event: Event | None = None
        self.reversed = False

    def apply(self, event: Event, tag: str) -> None:
        """The event itself, and its reversal."""
        if f"position:{event.position}" == tag:
            self.event = event
        elif event.type == "FactReversed":
            self.reversed = True


MEMORIES = {"position": (Fact,)}

_REVERSE = CommandSpec(
    "reverse-fact",
    "Take back a wrong fact: effective on the fact's date, known from now. Not while a standing grant rests on it.",
    "冲正错误事实：自事实之日起生效，自此刻起知悉；有有效补助以其为依据时不可冲正。",
    (
        Field("position", POSITION, "where the fact stands in the log", "事实在日志中的序号"),
        Field("reason", TEXT, "why", "原因"),
    ),
)


def _needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    tag = f"position:{fields['position']}"
    yield tag
    fact = state.peek(Fact, tag)
    if fact is not None and fact.event is not None and fact.event.type in FACTS:
        yield from (t for t in fact.event.tags if state.remembers(t))


def _reverse(command: Command, state: State) -> Decision:
    position = command.fields["position"]
    tag = f"position:{position}"
    fact = state.recall(Fact, tag)
    event = fact.event
    if event is None:
        return refuse("unknown_position", (), position=position)
    if event.type not in FACTS:
        return refuse("wrong_state", (tag,), subject=position, state="not_a_fact", wanted="only_facts")
    tags = tuple(sorted({*event.tags, tag}))
    if fact.reversed:
        return refuse("wrong_state", tags, subject=position, state="reversed", wanted="only_facts")
    claims = sorted(_resting(event, state))
    if claims:
        return refuse("fact_in_use", tags, position=position, type=event.type, claims=claims)
    postings = tuple(Posting(p.account, -p.amount_fen, p.effective_on) for p in event.postings)
    if event.type == "LoanDrawn":
        postings += tuple(_withdrawn_limits(f"loan:{event.data['loan']}", state))
    # What the fact said is kept, so that each memory can take it back by itself.
    data = {**event.data, **own_fields(command), "reversed_type": event.type}
    data.pop("warnings", None)
    return Accepted((NewEvent("FactReversed", event.effective_on, tags, data, postings),))


def _withdrawn_limits(tag: str, state: State) -> Iterable[Posting]:
    """Money that was never lent gives no cap: the limits that rest on the draw end with it."""
    for path, sums in sorted(state.accounts_of(tag).items()):
        if book_of(path) == "limit":
            yield from (Posting(path, -fen, day) for day, fen in sums.items() if fen)


def _resting(event: Event, state: State) -> Iterable[str]:
    """The standing grants that rest on a fact: decided since it was recorded, and on what it says."""
    kind = FACTS[event.type]
    tag = next(
        (t for t in (*event.tags, f"position:{event.position}") if kind and t.startswith(f"{kind}:")), None
    )
    if tag is None:
        return ()
    standing = state.recall(Standing, tag).carried()
    carried = {claim: grant for claim, grant in standing.items() if grant.position > event.position}
    if event.type == "CreditCertified":
        return [c for c, grant in carried.items() if grant.certified_at == event.position]
    if event.type in _RESTING:
        return [c for c, grant in carried.items() if grant.instrument in _RESTING[event.type]]
    return list(carried)


HANDLERS = (Handler(_REVERSE, _needs, _reverse),)
