"""Milestones: per bank and product the ladder that the exclusive-credit award climbs: the mark, the awards that stand
and what each rests on, the certified totals, and what is missing to the next award. On both clocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ledger import codec
from ledger.accounts import milestone
from ledger.catalogue import discover_instruments
from ledger.dates import END_OF_TIME, Day
from ledger.money import YI
from ledger.store import Store
from ledger.subjects.ladders import Awards
from projections import documents
from projections.base import Content, Log, distinct
from projections.clocks import AsOf
from projections.columns import Columns
from projections.documents import Change, Document, Version
from projections.fold import fold
from projections.shelves import Shelf, begins_again, reaching

#: The events of instruments that climb a ladder, and what else moves a mark or says what it rests on.
_AWARDED: Final = tuple(
    i.event for i in discover_instruments().values() if Awards in i.memories.get("product", ())
)
_TYPES: Final = (
    *_AWARDED,
    "CreditCertified",
    "FactReversed",
    "GrantVoided",
    "GrantRecovered",
    "PartiesMerged",
)
_EMPTY: Final[Document] = {"awards": [], "certificates": [], "marks": {}}


@dataclass(frozen=True, slots=True)
class MilestoneRow:
    """One bank's product: `mark` in whole 亿, the sum of its standing awards, the total of the next award."""

    bank: str
    product: str
    mark: int
    awarded_fen: int
    next_at_fen: int


@dataclass(frozen=True, slots=True)
class Ladder:
    """One bank's product and what its mark rests on. `awards` stand: claim, round, position, on, certified_at (the
    certificate's position), total_fen, reached (the step), step_fen, amount_fen, recovered_error_fen and
    recovered_misconduct_fen. `certified` is the total in force per year: year, total_fen, certificate, on,
    position. `missing_fen` is what the highest of them lacks to the next award."""

    row: MilestoneRow
    awards: list[dict[str, Any]]
    certified: list[dict[str, Any]]
    missing_fen: int


class Milestones:
    """A document per bank's product (`<bank>/<product>`) and change."""

    name = "milestones"
    version = 2

    def create(self, shelf: Shelf) -> None:
        """The table of documents."""
        documents.create(shelf)

    def fold(self, shelf: Shelf, log: Log, after: int, until: int) -> None:
        """Take each event into the documents of the products that it names."""
        columns = log.columns(after, until)
        changes = documents.changes(log, columns, _TYPES, of_kind="product:")
        lines = _mark_lines(log, columns, [change.position for change in changes])
        known = documents.newest(shelf, after, {key for change in changes for key in change.keys})
        versions: list[Version] = []
        for change in changes:
            after_it = _changed(known, change, lines.get(change.position, ()))
            known |= after_it
            versions += ((key, change.position, document) for key, document in after_it.items())
        documents.write(shelf, versions)

    def stored(self, shelf: Shelf, until: int) -> Content:
        """The documents."""
        digest, rows = documents.stored(shelf)
        return Content({"documents": digest}, rows)

    def expected(self, log: Log, until: int) -> Content:
        """The documents made anew from all that is known of a product at each of its events."""
        return Content({"documents": documents.digest(_from_the_log(log, until))})


def _mark_lines(
    log: Log, columns: Columns, positions: Sequence[int]
) -> Mapping[int, Sequence[tuple[str, int]]]:
    """The lines of ladders' accounts that some events hold, by position: path, fen."""
    at = np.flatnonzero(np.isin(columns.position, positions))
    ids = distinct(columns.account[at])
    paths = dict(zip(ids.tolist(), log.paths(ids), strict=True))
    found: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for position, account, amount_fen in zip(
        columns.position[at].tolist(),
        columns.account[at].tolist(),
        columns.amount_fen[at].tolist(),
        strict=True,
    ):
        if paths[account].startswith("milestone/"):
            found[position].append((paths[account], amount_fen))
    return found


def _changed(
    known: Mapping[str, Document], change: Change, lines: Sequence[tuple[str, int]]
) -> dict[str, Document]:
    """The documents that an event leaves of the products that it names."""
    changed = {key: _with(known.get(key, _EMPTY), change) for key in change.keys}
    if change.type == "PartiesMerged":
        for product in change.data.get("awards", {}):
            ours, theirs = (f"{change.data[who]}/{product}" for who in ("survivor", "absorbed"))
            moved = [_moved(award, change) for award in known.get(theirs, _EMPTY)["awards"]]
            changed[ours] = changed[ours] | {"awards": [*changed[ours]["awards"], *moved]}
            changed[theirs] = changed[theirs] | {"awards": []}
    for path, amount_fen in lines:
        key = "/".join(path.split("/")[2:4])
        marks = dict(changed[key]["marks"])
        marks[path] = marks.get(path, 0) + amount_fen
        changed[key] = changed[key] | {"marks": {path: fen for path, fen in marks.items() if fen}}
    return changed


def _moved(award: Document, change: Change) -> Document:
    """An absorbed bank's award in the books of the one that goes on."""
    return award | {
        "ladder_key": award["ladder_key"].replace(change.data["absorbed"], change.data["survivor"], 1)
    }


def _with(document: Document, change: Change) -> Document:
    """A product's document after an event, but for its marks and what a merger moves."""
    data, awards, certificates = change.data, document["awards"], document["certificates"]
    if change.type in _AWARDED:
        awards = [*awards, _award(change)]
    elif change.type == "GrantVoided":
        awards = [award for award in awards if award["claim"] != data["claim"]]
    elif change.type == "GrantRecovered":
        awards = [_recovered(award, data) if award["claim"] == data["claim"] else award for award in awards]
        awards = [award for award in awards if award["recovered_error_fen"] < award["amount_fen"]]
    elif change.type == "CreditCertified":
        certificate = {name: data[name] for name in ("year", "total_fen", "certificate")}
        certificates = [*certificates, {**certificate, "on": change.on, "position": change.position}]
    elif change.type == "FactReversed":
        certificates = [entry for entry in certificates if entry["position"] != data["position"]]
    return {"awards": awards, "certificates": certificates, "marks": document["marks"]}


def _award(change: Change) -> Document:
    data = change.data
    return {
        "claim": data["claim"],
        "round": data["round"],
        "position": change.position,
        "on": change.on,
        "certified_at": data["inputs"]["certified_at"],
        "total_fen": data["inputs"]["total_fen"],
        "ladder": data["ladder"],
        "ladder_key": data["ladder_key"],
        "reached": data["mark"],
        "step_fen": data["inputs"]["step_fen"],
        "amount_fen": data["amount_fen"],
        "recovered_error_fen": 0,
        "recovered_misconduct_fen": 0,
    }


def _recovered(award: Document, data: Mapping[str, Any]) -> Document:
    cause = f"recovered_{data['cause']}_fen"
    return award | {cause: award[cause] + data["amount_fen"]}


@dataclass(frozen=True, slots=True)
class _Told:
    """An event as the independent fold keeps it."""

    position: int
    type: str
    on: Day
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Lives:
    """What the log holds of products, by `<bank>/<product>`: the events, and the lines on ladders (position, path,
    fen); for a business date only what is effective by then."""

    told: Mapping[str, Sequence[_Told]]
    lines: Mapping[str, Sequence[tuple[int, str, int]]]

    @classmethod
    def read(cls, store: Store, until: int, last_day: Day = END_OF_TIME) -> _Lives:
        """As known at a position."""
        told: dict[str, list[_Told]] = defaultdict(list)
        asked = {"until": until, "last_day": last_day}
        for tag, position, kind, on, raw in fold(store, "events_of_products", types=list(_TYPES), **asked):
            data = codec.parse_object(bytes(raw))
            told[tag.removeprefix("product:")].append(_Told(position, kind, on, data))
        lines: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
        for position, path, amount_fen in fold(store, "milestone_lines", **asked):
            lines["/".join(path.split("/")[2:4])].append((position, path, int(amount_fen)))
        return cls(told, lines)

    def document(self, key: str, position: int) -> Document:
        """A product's document up to a position."""
        marks: dict[str, int] = defaultdict(int)
        for at, path, amount_fen in self.lines.get(key, ()):
            marks[path] += amount_fen if at <= position else 0
        return {
            "awards": [*_standing(self.told, key, position)],
            "certificates": [*_certificates(self.told[key], position)],
            "marks": {path: fen for path, fen in marks.items() if fen},
        }


def _from_the_log(log: Log, until: int) -> Iterator[Version]:
    """Every version from everything that is known of the product up to its position, by other means than the fold:
    marks are summed by the database, awards are looked for backwards through mergers."""
    lives = _Lives.read(log.store, until)
    for key, life in lives.told.items():
        for position in sorted({event.position for event in life}):
            yield key, position, lives.document(key, position)


def _certificates(life: Sequence[_Told], until: int) -> Iterator[Document]:
    gone = {e.data["position"] for e in life if e.type == "FactReversed" and e.position <= until}
    for event in life:
        if event.type == "CreditCertified" and event.position <= until and event.position not in gone:
            shown = {name: event.data[name] for name in ("year", "total_fen", "certificate")}
            yield shown | {"on": event.on, "position": event.position}


def _standing(told: Mapping[str, Sequence[_Told]], key: str, until: int) -> Iterator[Document]:
    """The awards that a product carries: its own, and what it inherited, each less what became of it there."""
    bank, _, product = key.partition("/")
    life = [event for event in told[key] if event.position <= until]
    ended = [e.position for e in life if e.type == "PartiesMerged" and e.data["absorbed"] == bank]
    for event in life:
        if event.position <= max(ended, default=0):
            continue
        if event.type == "PartiesMerged":
            theirs = f"{event.data['absorbed']}/{product}"
            taken = [*_standing(told, theirs, event.position - 1)]
            for award in taken:
                own_key = award["ladder_key"].replace(event.data["absorbed"], bank, 1)
                yield from _left(award | {"ladder_key": own_key}, life, event.position)
        elif "ladder" in event.data:
            inputs = event.data["inputs"]
            award = {
                name: event.data[name] for name in ("claim", "round", "ladder", "ladder_key", "amount_fen")
            }
            award |= {name: inputs[name] for name in ("certified_at", "total_fen", "step_fen")}
            award |= {"position": event.position, "on": event.on, "reached": event.data["mark"]}
            award |= {"recovered_error_fen": 0, "recovered_misconduct_fen": 0}
            yield from _left(award, life, event.position)


def _left(award: Document, life: Sequence[_Told], since: int) -> Iterator[Document]:
    """The award, unless it was voided or wholly recovered for error after a position."""
    steps = [e for e in life if e.position > since and e.data.get("claim") == award["claim"]]
    for cause in ("error", "misconduct"):
        award[f"recovered_{cause}_fen"] += sum(
            e.data["amount_fen"] for e in steps if e.type == "GrantRecovered" and e.data["cause"] == cause
        )
    voided = any(event.type == "GrantVoided" for event in steps)
    if not voided and award["recovered_error_fen"] < award["amount_fen"]:
        yield award


@begins_again
def milestones(store: Store, as_of: AsOf, bank: str | None = None) -> list[MilestoneRow]:
    """Every product that was ever certified, or those of one bank, on both clocks. Raises NotProjected."""
    return [_row(key, document) for key, document in _known(store, as_of, bank)]


@begins_again
def ladder(store: Store, until: int, bank: str, product: str) -> Ladder | None:
    """One product with what its mark rests on, as known at a position; None where it was never certified.

    Raises NotProjected.
    """
    key = f"{bank}/{product}"
    shelf = reaching(store, PROJECTION.name, until)
    document = documents.newest(shelf, until, [key]).get(key)
    return _ladder(key, document) if document else None


@begins_again
def ladders(store: Store, as_of: AsOf, bank: str | None = None) -> list[Ladder]:
    """The same of every product, or of those of one bank, on both clocks. Raises NotProjected."""
    return [_ladder(key, document) for key, document in _known(store, as_of, bank)]


def _known(store: Store, as_of: AsOf, bank: str | None) -> list[tuple[str, Document]]:
    """What stands on a business date is asked seldom, and products have few events: it is folded from the log."""
    until = as_of.known_position
    shelf = reaching(store, PROJECTION.name, until)
    if as_of.on is None:
        found = documents.all_newest(shelf, until)
    else:
        lives = _Lives.read(store, until, as_of.on)
        found = {key: _as_of_day(lives.document(key, until)) for key in lives.told}
    return [(key, found[key]) for key in sorted(found, key=_parts) if bank in (None, _parts(key)[0])]


def _as_of_day(document: Document) -> Document:
    """With the marks of the awards that stand on the day. An award posts the steps that nothing had paid when it was
    claimed: on a day before that of an award which was claimed earlier, lines say how many steps were paid."""
    marks: dict[str, int] = {}
    for award in document["awards"]:
        path = milestone(award["ladder"], award["ladder_key"])
        marks[path] = max(marks.get(path, 0), award["reached"] * award["step_fen"])
    return document | {"marks": marks}


def _parts(key: str) -> tuple[str, str]:
    bank, _, product = key.partition("/")
    return bank, product


def _row(key: str, document: Document) -> MilestoneRow:
    mark = max((int(fen) for fen in document["marks"].values()), default=0) // YI
    awarded_fen = sum(award["amount_fen"] for award in document["awards"])
    return MilestoneRow(*_parts(key), mark, awarded_fen, (mark + 1) * YI)


def _ladder(key: str, document: Document) -> Ladder:
    row = _row(key, document)
    in_force = {entry["year"]: entry for entry in document["certificates"]}  # of one year the newest
    certified = [in_force[year] for year in sorted(in_force)]
    highest_fen = max((entry["total_fen"] for entry in certified), default=0)
    missing_fen = max(0, row.next_at_fen - highest_fen)
    return Ladder(row, document["awards"], certified, missing_fen)


PROJECTION = Milestones()
