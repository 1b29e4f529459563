"""Samples for auditors: granted claims drawn at random, by amount or by risk. Whoever has the log, the seed and SHA-256
draws the same ones.

A claim's number is SHA-256(seed, U+0000, claim) as an integer. *random*: the claims of the smallest numbers. *amount*
(monetary unit sampling): every so many fen of the population in the order of the log one is drawn, beginning at
SHA-256(seed) modulo the interval. *risk*: the claims with most risks, of equal ones those of the smallest numbers.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from ledger import codec
from ledger.dates import END_OF_TIME, Day
from ledger.store import Store
from projections.adopted import adopted, rulebooks
from projections.existing import check_round
from projections.fold import fold
from projections.recorded import go_on
from projections.reports.grants import STEPS, grant_events

METHODS: Final = ("random", "amount", "risk")
#: So many claims are drawn where nobody says how many.
SIZE: Final = 25
SEED_LENGTH_MAX: Final = 200
#: A grant takes so much of a cap's room, in percent, that it counts as near it.
NEAR_CAP_PERCENT: Final = 90
#: A grant takes effect so many days before one that its round had decided earlier.
BACK_DATED_DAYS: Final = 30
#: A grant is paid within so many days after it was decided, by business dates.
QUICK_DAYS: Final = 3

_CORRECTIONS: Final = {"GrantVoided": "voided", "GrantRecovered": "recovered", "PaymentReturned": "returned"}


@dataclass(slots=True)
class Item:
    """A granted claim of the population; `positions` are those of its decision and of each later step."""

    claim: str
    position: int
    instrument: str
    round: str
    payee: str
    effective_on: Day
    amount_fen: int
    facts: dict[str, Any]
    risks: list[str] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)

    def add_risk(self, risk: str) -> None:
        """Note a risk once."""
        if risk not in self.risks:
            self.risks.append(risk)


def is_seed(text: str) -> bool:
    """Whether a text can be written down and given again."""
    return 1 <= len(text) <= SEED_LENGTH_MAX and text.isprintable()


def new_seed() -> str:
    """A seed that nobody could foresee."""
    return secrets.token_hex(8)


def document(
    store: Store,
    until: int,
    method: str,
    size: int,
    seed: str,
    round_id: str | None = None,
    on: Day | None = None,
    look: Callable[[], None] = go_on,
) -> dict[str, Any]:
    """A sample of at most `size` claims granted up to a position, of one round or of all, from what was effective on a
    day (None: all); amounts in fen. `look` is called now and then and may raise what ends the work.

    Raises UnknownRound."""
    if round_id is not None:
        check_round(store, until, round_id)
    items = [item for item in _population(store, until, on, look) if round_id in (None, item.round)]
    total_fen = sum(item.amount_fen for item in items)
    drawn: Callable[[Sequence[Item], int, str], list[tuple[Item, int]]]
    drawn = {"random": _at_random, "amount": _by_amount, "risk": _by_risk}[method]
    return {
        "on": on,
        "known_position": until,
        "method": method,
        "size": size,
        "seed": seed,
        "round": round_id,
        "population": {"claims": len(items), "total_fen": total_fen},
        "interval_fen": _interval_fen(items, size) if method == "amount" else None,
        "claims": [_row(store, item, hits, look) for item, hits in drawn(items, size, seed)],
    }


# --- the population -----------------------------------------------------------------------------------


def _population(store: Store, until: int, on: Day | None, look: Callable[[], None]) -> list[Item]:
    """Every granted claim in the order of the log, with its risks."""
    cap_parts = _cap_parts(store, until)
    items: dict[str, Item] = {}
    newest_day: dict[str, Day] = {}  # by round, of the grants so far
    # Closed at once, whatever ends the work: the connection is somebody else's next.
    with closing(grant_events(store, until, on or END_OF_TIME, look)) as events:
        for position, kind, day, raw, _ in events:
            data = codec.read_canonical(raw)
            if kind in STEPS:
                if data["claim"] in items:
                    _take_step(items[data["claim"]], position, kind, day)
                continue
            item = _item(position, day, data)
            items[item.claim] = item
            if any(_near_cap(leg, item.amount_fen) for leg in data["legs"] if leg["part"] in cap_parts):
                item.add_risk("near_cap")
            if _days(day, newest_day.setdefault(item.round, day)) > BACK_DATED_DAYS:
                item.add_risk("back_dated")
            newest_day[item.round] = max(day, newest_day[item.round])
    return list(items.values())


def _cap_parts(store: Store, until: int) -> set[str]:
    """The names of legs that are the room of a cap, in any adopted rulebook."""
    clauses = [
        clause for rulebook in rulebooks(adopted(store, until)) for clause in rulebook.clauses.values()
    ]
    return {cap.part for clause in clauses for cap in clause.caps}


def _item(position: int, on: Day, data: dict[str, Any]) -> Item:
    facts: dict[str, Any] = {name: data[name] for name in ("loan", "payout") if name in data}
    facts |= {name: value for name, value in data["inputs"].items() if name in ("certified_at", "loan")}
    return Item(
        claim=data["claim"],
        position=position,
        instrument=data["instrument"],
        round=data["round"],
        payee=data["payee"],
        effective_on=on,
        amount_fen=data["amount_fen"],
        facts=facts,
        positions=[position],
    )


def _take_step(item: Item, position: int, kind: str, on: Day) -> None:
    item.positions.append(position)
    if kind in _CORRECTIONS:
        item.add_risk("corrected")
    if kind == "GrantPaid" and _days(item.effective_on, on) <= QUICK_DAYS:
        item.add_risk("paid_quickly")


def _near_cap(leg: dict[str, Any], amount_fen: int) -> bool:
    return bool(leg["binding"]) or amount_fen * 100 >= leg["value_fen"] * NEAR_CAP_PERCENT


def _days(first: Day, last: Day) -> int:
    return (date.fromisoformat(last) - date.fromisoformat(first)).days


# --- drawing ------------------------------------------------------------------------------------------


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest(), "big")


def _at_random(items: Sequence[Item], size: int, seed: str) -> list[tuple[Item, int]]:
    chosen = sorted(items, key=lambda item: _number(seed, item.claim))[:size]
    return [(item, 1) for item in chosen]


def _by_risk(items: Sequence[Item], size: int, seed: str) -> list[tuple[Item, int]]:
    risky = [item for item in items if item.risks]
    chosen = sorted(risky, key=lambda item: (-len(item.risks), _number(seed, item.claim)))[:size]
    return [(item, 1) for item in chosen]


def _interval_fen(items: Sequence[Item], size: int) -> int:
    return max(1, sum(item.amount_fen for item in items) // size)


def _by_amount(items: Sequence[Item], size: int, seed: str) -> list[tuple[Item, int]]:
    """Each claim with how many of the drawn fen fall on it: one above the interval is always drawn."""
    interval_fen = _interval_fen(items, size)
    next_fen, left = _number(seed) % interval_fen, size
    so_far_fen, chosen = 0, []
    for item in items:
        so_far_fen += item.amount_fen
        hits = 0
        if next_fen < so_far_fen:
            hits = min(left, (so_far_fen - 1 - next_fen) // interval_fen + 1)
            next_fen, left = next_fen + hits * interval_fen, left - hits
        if hits:
            chosen.append((item, hits))
    return chosen


def _row(store: Store, item: Item, hits: int, look: Callable[[], None]) -> dict[str, Any]:
    look()
    return {
        "claim": item.claim,
        "position": item.position,
        "instrument": item.instrument,
        "round": item.round,
        "payee": item.payee,
        "effective_on": item.effective_on,
        "amount_fen": item.amount_fen,
        "hits": hits,
        "risks": item.risks,
        "positions": sorted({*item.positions, *_facts(store, item)}),
    }


def _facts(store: Store, item: Item) -> Iterator[int]:
    """Where the facts stand that the claim rests on, as they stood when it was decided: its draw, its payout, its
    certificate."""
    if "certified_at" in item.facts:
        yield item.facts["certified_at"]
    for kind, event_type in (("loan", "LoanDrawn"), ("payout", "GuaranteePaidOut")):
        if kind in item.facts:
            tag = f"{kind}:{item.facts[kind]}"
            rows = fold(store, "facts_in_force", tag=tag, type=event_type, until=item.position)
            yield from (row[0] for row in rows)
