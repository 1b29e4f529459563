"""Milestones: per bank and product the high-water mark, what was awarded, and where the next award stands."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from ledger import codec
from ledger.catalogue import discover_instruments
from ledger.events import Event
from ledger.money import YI
from ledger.store import Store
from ledger.subjects.ladders import Awards
from projections.fold import fold

#: The events of instruments that climb a ladder, and what else moves a mark.
_TYPES: Final = (
    *(i.event for i in discover_instruments().values() if Awards in i.memories.get("product", ())),
    "CreditCertified",
    "FactReversed",
    "GrantVoided",
    "GrantRecovered",
    "PartiesMerged",
)


@dataclass(frozen=True, slots=True)
class MilestoneRow:
    """One bank's product: `mark` in whole 亿, the sum of its standing awards, the total of the next award."""

    bank: str
    product: str
    mark: int
    awarded_fen: int
    next_at_fen: int


def milestones(store: Store, until: int, bank: str | None = None) -> list[MilestoneRow]:
    """Every product that was ever certified, or those of one bank, as known at a position."""
    awards: dict[tuple[str, str], Awards] = defaultdict(Awards)
    for position, kind, on, tags, data in fold(store, "events_of_types", until=until, types=list(_TYPES)):
        event = Event(position, kind, on, tuple(tags), codec.parse_object(bytes(data)), ())
        for tag in tags:
            if tag.startswith("product:"):
                owner, _, product = tag.removeprefix("product:").partition("/")
                awards[owner, product].apply(event, tag)
    marks_fen: dict[tuple[str, str], int] = defaultdict(int)
    for path, amount_fen in fold(store, "milestone_sums", until=until):
        _, _, owner, product, *_ = path.split("/")
        marks_fen[owner, product] = max(marks_fen[owner, product], int(amount_fen))
    return [
        _row(owner, product, marks_fen[owner, product], awards[owner, product])
        for owner, product in sorted(awards)
        if bank is None or owner == bank
    ]


def _row(bank: str, product: str, mark_fen: int, awards: Awards) -> MilestoneRow:
    awarded_fen = sum(award.amount_fen for award in awards.by_claim.values())
    mark = mark_fen // YI
    return MilestoneRow(bank, product, mark, awarded_fen, (mark + 1) * YI)
