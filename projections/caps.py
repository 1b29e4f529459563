"""Caps: per cap and key the limit, what is consumed and reserved, and the room that is left."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from ledger import codec
from ledger.day_sums import DaySums, room_fen
from ledger.store import Store
from projections.adopted import clause_of_caps
from projections.clocks import AsOf
from projections.fold import fold


@dataclass(frozen=True, slots=True)
class CapRow:
    """One cap and key. `consumed_fen` is used(on), reserved and paid together; `room_fen` is what a claim
    effective on that day could still add (design §4)."""

    cap: str
    key: str
    party: str | None
    limit_fen: int
    consumed_fen: int
    reserved_fen: int
    room_fen: int
    clause: str | None


def caps(store: Store, as_of: AsOf, party: str | None = None) -> list[CapRow]:
    """Every cap and key that was ever used, or those of one party, in order of cap and key."""
    books: dict[tuple[str, str], dict[str, DaySums]] = defaultdict(lambda: defaultdict(DaySums))
    for path, day, amount_fen in fold(store, "cap_day_sums", until=as_of.known_position):
        book, cap, key = path.split("/", 2)
        books[cap, key][book].add(day, int(amount_fen))
    parties = _parties(store, list(books), as_of.known_position)
    clauses = clause_of_caps(store, as_of.known_position)
    return [
        _row(cap, key, parties.get((cap, key)), books[cap, key], as_of, clauses.get(cap))
        for cap, key in sorted(books)
        if party is None or parties.get((cap, key)) == party
    ]


def _row(
    cap: str, key: str, party: str | None, books: dict[str, DaySums], as_of: AsOf, clause: str | None
) -> CapRow:
    day, limit, used = as_of.last_day, books["limit"], books["quota"]
    consumed_fen = used.at(day)
    reserved_fen = consumed_fen - books["settled"].at(day)
    return CapRow(
        cap, key, party, limit.at(day), consumed_fen, reserved_fen, room_fen(limit, used, day), clause
    )


def _parties(store: Store, keys: list[tuple[str, str]], until: int) -> dict[tuple[str, str], str]:
    """Whose cap each is: a firm's or bank's own code, a loan's borrower."""
    kinds = {(cap, key): cap.rpartition(".")[2].partition("+")[0] for cap, key in keys}
    loans = [f"loan:{key.partition('/')[0]}" for (_, key), kind in kinds.items() if kind == "loan"]
    firms: dict[str, str] = {}
    for (data,) in fold(store, "loans", tags=loans, until=until) if loans else ():
        drawn = codec.parse_object(bytes(data))
        firms[drawn["loan"]] = drawn["firm"]
    parties: dict[tuple[str, str], str] = {}
    for (cap, key), kind in kinds.items():
        subject = key.partition("/")[0]
        if kind in ("firm", "bank", "product"):
            parties[cap, key] = subject
        elif kind == "loan":
            parties[cap, key] = firms[subject]
    return parties
