"""Ladders: the standing awards of a bank's product, and the high-water mark that they leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mypy_extensions import mypyc_attr

from ledger import accounts
from ledger.dates import Day
from ledger.events import Event, Posting
from ledger.state import Memory, State


def ladder_key(fields: Mapping[str, Any], terms: Mapping[str, Any]) -> str:
    """Under what a claim's ladder counts: the bank's product, or each year of it where it begins anew (A16)."""
    product = f"{fields['bank']}/{fields['product']}"
    return f"{product}/{fields['year']}" if terms["reset"] == "year" else product


@dataclass(slots=True)
class Award:
    """One standing award: its ladder and key, the step that it reached, the step's size, what was recovered."""

    ladder: str
    key: str
    reached: int
    step_fen: int
    amount_fen: int
    recovered_error_fen: int = 0

    @property
    def height_fen(self) -> int:
        """Where the step that it reached begins."""
        return self.reached * self.step_fen


@mypyc_attr(acyclic=True)
class Awards(Memory):
    """The standing awards of a bank's product (tag `product:<bank>/<product>`) by claim."""

    __slots__ = ("by_claim",)

    def __init__(self) -> None:
        self.by_claim: dict[str, Award] = {}

    def apply(self, event: Event, tag: str) -> None:
        """An award stands until it is voided or wholly recovered for error (A13, A20); a merger moves it."""
        data = event.data
        if event.type == "PartiesMerged":
            self._merge(data, tag)
        elif "ladder" in data and "amount_fen" in data:
            self.by_claim[data["claim"]] = Award(
                data["ladder"],
                data["ladder_key"],
                data["mark"],
                data["inputs"]["step_fen"],
                data["amount_fen"],
            )
        elif event.type == "GrantVoided":
            self.by_claim.pop(data["claim"], None)
        elif event.type == "GrantRecovered" and data["cause"] == "error":
            award = self.by_claim.get(data["claim"])
            if award is not None:
                award.recovered_error_fen += data["amount_fen"]
                if award.recovered_error_fen >= award.amount_fen:
                    del self.by_claim[data["claim"]]

    def _merge(self, data: Any, tag: str) -> None:
        owner, _, product = tag.removeprefix("product:").partition("/")
        if owner == data["absorbed"]:
            self.by_claim = {}
            return
        for claim, award in data["awards"][product].items():
            moved = Award(**award)
            moved.key = moved.key.replace(data["absorbed"], data["survivor"], 1)
            self.by_claim[claim] = moved

    def mark_fen(self, key: str, without: str | None = None) -> int:
        """The height of the highest step of a standing award under a ladder's key; 0 where none stands. In fen: a
        clause with other steps counts it in its own."""
        heights = [a.height_fen for claim, a in self.by_claim.items() if a.key == key and claim != without]
        return max(heights, default=0)

    def at_mark(self, key: str) -> list[str]:
        """The claims of the standing awards that reached the mark."""
        mark_fen = self.mark_fen(key)
        return [claim for claim, a in self.by_claim.items() if a.key == key and a.height_fen == mark_fen]

    def document(self) -> dict[str, Any]:
        """The standing awards as a merger's event keeps them."""
        return {claim: asdict(award) for claim, award in sorted(self.by_claim.items())}


def released_mark(state: State, tag: str, claim: str, on: Day) -> Iterator[Posting]:
    """When an award is undone its ladder's mark falls to the highest one that still stands."""
    awards = state.recall(Awards, tag)
    award = awards.by_claim[claim]
    fall_fen = awards.mark_fen(award.key) - awards.mark_fen(award.key, without=claim)
    if fall_fen:
        yield Posting(accounts.milestone(award.ladder, award.key), -fall_fen, on)


def moved_marks(state: State, survivor_tag: str, gone_tag: str, on: Day) -> Iterator[Posting]:
    """At a merger the absorbed product's marks end, and of two marks the higher counts on."""
    theirs, ours = state.recall(Awards, gone_tag), state.recall(Awards, survivor_tag)
    ladders = {(a.ladder, a.key) for a in theirs.by_claim.values()}
    gone, survivor = (tag.removeprefix("product:").partition("/")[0] for tag in (gone_tag, survivor_tag))
    for ladder, key in sorted(ladders):
        inherited = key.replace(gone, survivor, 1)
        mark_fen = theirs.mark_fen(key)
        yield Posting(accounts.milestone(ladder, key), -mark_fen, on)
        rise_fen = mark_fen - ours.mark_fen(inherited)
        if rise_fen > 0:
            yield Posting(accounts.milestone(ladder, inherited), rise_fen, on)
