"""Where the inputs of a claim come from: the facts that were in force when it was decided. What was taken back, undone
or said of something else is no source, however alike its values are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ledger.events import Event
from ledger.grants import Source
from ledger.rulebook.clauses import Clause
from ledger.subjects.certificates import product_tag
from ledger.subjects.guarantees import Payout
from ledger.subjects.ladders import Awards, ladder_key
from ledger.subjects.loans import Loan
from ledger.subjects.reversals import in_force
from ledger.subjects.rounds import Adoptions, Round
from projections.remembered import StateAt


class Asked(NamedTuple):
    """A claim by the data of its event, the clause that decided it, what was known before it."""

    data: Mapping[str, Any]
    clause: Clause
    state: StateAt


class Adopted(NamedTuple):
    """What a document says of a clause, and where it was adopted."""

    rulebook: str
    content: Mapping[str, Any]
    clause: Mapping[str, Any]
    position: int


def inputs(event: Event, asked: Asked, sources: Mapping[str, Source]) -> Iterator[dict[str, Any]]:
    """Each input with the events that say it: the facts that its instrument names, or the claim itself."""
    for name, value in event.data.get("inputs", {}).items():
        if name in sources:
            positions = sorted(set(_SAID_BY[sources[name]](name, asked)))
        else:
            positions = [event.position] if event.data.get(name) == value else []
        yield {"name": name, "value": value, "positions": positions}


def adopted(round_: Round, clause_id: str, state: StateAt) -> Iterator[Adopted]:
    """What the measure of a round says of a clause, then what its call does, in the versions that the round froze."""
    for frozen in (round_.measure, round_.call):
        if frozen is None:
            continue
        rulebook, sha256 = frozen
        content = state.recall(Adoptions, f"rulebook:{rulebook}").contents[sha256]
        adoptions = (e for e in state.events[f"rulebook:{rulebook}"] if e.data.get("sha256") == sha256)
        position = next(adoptions).position
        for clause in content.get("clauses", ()):
            if clause["id"] == clause_id:
                yield Adopted(rulebook, content, clause, position)


def _draw(name: str, asked: Asked) -> Iterator[int]:
    tag = f"loan:{asked.data['loan']}"
    asked.state.recall(Loan, tag)
    yield from (event.position for event in in_force(asked.state.events[tag], "LoanDrawn"))


def _payout(name: str, asked: Asked) -> Iterator[int]:
    return _of_payout("GuaranteePaidOut", asked)


def _recoveries(name: str, asked: Asked) -> Iterator[int]:
    return _of_payout("RecoveryReceived", asked)


def _of_payout(event_type: str, asked: Asked) -> Iterator[int]:
    tag = f"payout:{asked.data['payout']}"
    asked.state.recall(Payout, tag)
    yield from (event.position for event in in_force(asked.state.events[tag], event_type))


def _certificate(name: str, asked: Asked) -> Iterator[int]:
    yield asked.data["inputs"]["certified_at"]


def _awards(name: str, asked: Asked) -> Iterator[int]:
    """The standing awards that reached the mark, and the mergers that brought them to this product."""
    tag, key = product_tag(asked.data), ladder_key(asked.data, asked.clause.terms)
    for claim in asked.state.recall(Awards, tag).at_mark(key):
        yield from _way(claim, tag, asked.state)


def _way(claim: str, tag: str, state: StateAt) -> Iterator[int]:
    """Where an award was decided, and each merger that moved it, as far as the product of a tag."""
    owner, _, product = tag.removeprefix("product:").partition("/")
    state.recall(Awards, tag)
    for event in state.events[tag]:
        data = event.data
        if "ladder" in data and data["claim"] == claim:
            yield event.position
        elif event.type == "PartiesMerged" and data["survivor"] == owner and claim in data["awards"][product]:
            yield event.position
            yield from _way(claim, f"product:{data['absorbed']}/{product}", state)


def _rules(name: str, asked: Asked) -> Iterator[int]:
    """The document that sets a parameter of a leg: the call where it says it, else the measure."""
    round_ = asked.state.recall(Round, f"budget:{asked.data['round']}")
    saying = [
        document.position
        for document in adopted(round_, asked.clause.id, asked.state)
        if any(name in leg for leg in document.clause.get("legs", ()))
    ]
    yield from saying[-1:]


_SAID_BY: Final[Mapping[Source, Callable[[str, Asked], Iterator[int]]]] = {
    "draw": _draw,
    "payout": _payout,
    "recoveries": _recoveries,
    "certificate": _certificate,
    "awards": _awards,
    "rules": _rules,
}
