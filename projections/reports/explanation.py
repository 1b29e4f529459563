"""Why this amount, as a tree: from the amount to its legs, their clauses, the inputs, and the events they came from, as
known at that time; and what the same claim would come to today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ledger import accounts, codec
from ledger.catalogue import Catalogue, catalogue
from ledger.day_sums import room_fen
from ledger.decide import decide
from ledger.events import Event, Posting
from ledger.explain import cap_keys, explain
from ledger.limits import missing_limit
from ledger.money import floor_to_unit
from ledger.redecide import History, Recorded
from ledger.rulebook import shapes
from ledger.rulebook.clauses import Cap
from ledger.state import State
from ledger.store import Store
from ledger.subjects.loans import Loan
from ledger.subjects.rounds import Round, rulebook_of
from projections.balances import statement
from projections.clocks import AsOf
from projections.remembered import StateAt
from projections.reports.sources import Asked, adopted, inputs

#: Of the events that used a cap so many are named, the newest.
USES_MAX: Final = 20

#: The kinds of tags whose events a claim's inputs come from.
_SOURCES: Final = ("loan", "payout", "product", "position", "party", "slip", "budget", "rulebook")


def document(store: Store, event: Event, newest: int) -> dict[str, Any]:
    """The explanation of a decision or refusal (design §5), with `tree` and `today` where a claim was decided in a
    round that exists. The balances reach `newest`. Raises NothingToExplain."""
    found = explain(event.position, event.type, event.data)
    known = catalogue()
    history = History(known)
    recorded = _recorded(event)
    if event.type == "CommandRefused" or not history.is_decided(recorded):
        return found
    command = history.command(recorded, event.data)
    then = StateAt(store, known, event.position - 1)
    decide(command, then, known)  # reads what the decision rests on
    tree = _tree(store, event, then, found)
    if tree is None:
        return found
    return {**found, "tree": tree, "today": _today(store, known, event, newest)}


def _recorded(event: Event) -> Recorded:
    """What reading a command from its event takes."""
    return Recorded(event.position, event.type, event.effective_on, "", 0, b"", "", "", None, 1, False, True)


def _tree(store: Store, event: Event, state: StateAt, found: Mapping[str, Any]) -> dict[str, Any] | None:
    data = event.data
    round_ = state.recall(Round, f"budget:{data['round']}")
    instruments = catalogue().instruments
    key = data.get("instrument") or next(
        (i.key for i in instruments.values() if i.spec.name == data.get("command")), ""
    )
    if not round_.opened:
        return None
    rulebook = rulebook_of(round_, state)
    clause = rulebook.clause_for(key)
    if clause is None:
        return None
    keys = cap_keys(event.tags, data, round_.year, rulebook.programme, state)
    caps = [cap for c in clause.caps if (cap := _cap(store, event, state, c, keys)) is not None]
    legs = [_leg(leg, clause.legs, caps) for leg in found["legs"]]
    return {
        "amount_fen": found["amount_fen"],
        "clause": _texts(round_, state, clause.id),
        "legs": legs,
        "caps": caps,
        "available_fen": max(0, _available(state, data["round"], event)),
        "inputs": list(inputs(event, Asked(data, clause, state), instruments[key].sources)),
        "events": _events(state),
    }


def _available(state: State, round_id: str, event: Event) -> int:
    return state.account(accounts.available(round_id)).lowest_from(event.effective_on)


def _texts(round_: Round, state: StateAt, clause_id: str) -> dict[str, Any]:
    """A clause in our own words, by measure and call, with the source and where it was adopted."""
    said = [
        {
            "rulebook": document.rulebook,
            "title": document.clause.get("title"),
            "text": document.clause.get("text"),
            "source": document.content.get("source"),
            "position": document.position,
        }
        for document in adopted(round_, clause_id, state)
    ]
    return {"id": clause_id, "texts": said}


def _cap(
    store: Store, event: Event, state: StateAt, cap: Cap, keys: Mapping[str, str]
) -> dict[str, Any] | None:
    """A cap as it stood for this claim: the limit, what was used, the room left, and who used it."""
    if not keys.keys() >= set(cap.kinds):
        return None
    key = "/".join(keys[kind] for kind in cap.kinds)
    quota, limit = accounts.quota(cap.id, key), accounts.limit(cap.id, key)
    on, used, limits = event.effective_on, state.account(quota), state.account(limit).copy()
    for posting in _own_limit(event, state, cap, limit):
        limits.add(posting.effective_on, posting.amount_fen)
    lines = statement(store, quota, "0001-01-01", AsOf(None, event.position - 1)).lines if used.days else []
    newest = sorted(lines, key=lambda line: line.position)[-USES_MAX:]
    return {
        "part": cap.part,
        "cap": cap.id,
        "key": key,
        "limit_fen": limits.at(on),
        "used_fen": used.at(on),
        "highest_use_fen": used.highest_from(on),
        "room_fen": room_fen(limits, used, on),
        "uses": sum(line.amount_fen > 0 for line in lines),
        "freed": sum(line.amount_fen < 0 for line in lines),
        "events": [
            {"position": line.position, "effective_on": line.effective_on, "amount_fen": line.amount_fen}
            for line in newest
        ],
    }


def _own_limit(event: Event, state: StateAt, cap: Cap, account: str) -> tuple[Posting, ...]:
    """The limit that this claim is the first to need; a refusal does not post it."""
    basis = {name: value for name, value in event.data.get("inputs", {}).items() if isinstance(value, int)}
    dates = {}
    if "loan" in event.data:
        loan = state.recall(Loan, f"loan:{event.data['loan']}")
        basis |= {"principal_fen": loan.principal_fen}
        dates["drawn_on"] = loan.effective_on
    since = cap.effective_from if cap.dated_by is None else dates.get(cap.dated_by)
    if not since or cap.limit.get("of", "principal_fen") not in basis:
        return ()
    limit_fen = floor_to_unit(shapes.value(cap.limit, basis), 1)
    return missing_limit(account, state.account(account), limit_fen, since)


def _leg(leg: Mapping[str, Any], rules: Sequence[Any], caps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A leg with the rule or the cap that gave it."""
    rule = next((dict(rule.parameters) for rule in rules if rule.part == leg["part"]), None)
    cap = next((cap["cap"] for cap in caps if cap["part"] == leg["part"]), None)
    return {**leg, **({"rule": rule} if rule else {}), **({"cap": cap} if cap else {})}


def _events(state: StateAt) -> list[dict[str, Any]]:
    """Everything that was looked at, in the order of the log."""
    found = {
        event.position: event
        for tag, events in state.events.items()
        if tag.partition(":")[0] in _SOURCES
        for event in events
    }
    return [
        {"position": position, "type": event.type, "effective_on": event.effective_on}
        for position, event in sorted(found.items())
    ]


def _today(store: Store, known: Catalogue, event: Event, newest: int) -> dict[str, Any]:
    """The same command decided now, on all that is known today but for the claim itself, in a round that still takes
    claims."""
    command = History(known).command(_recorded(event), event.data)
    state = StateAt(store, known, newest, f"claim:{event.data['claim']}", reopened=True)
    decided = decide(command, state, known)
    data = codec.read_canonical(codec.canonical(decided.events[-1].data))
    shown: dict[str, Any] = {"known_position": newest, "amount_fen": decided.amount_fen or 0}
    if decided.refusal is not None:
        shown |= {name: data[name] for name in ("code", "clause", "arithmetic") if name in data}
    return {**shown, "legs": data.get("legs", []), "differs": _differs(event, data)}


def _differs(event: Event, data: Mapping[str, Any]) -> bool:
    return any(event.data.get(name) != data.get(name) for name in ("amount_fen", "code"))
