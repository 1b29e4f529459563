"""Parties: names over time, kinds, certificates of qualities, mergers and splits, as known at any position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Final

import orjson

from ledger.dates import Day
from ledger.store import Store
from projections import documents
from projections.base import Content, Log
from projections.clocks import AsOf
from projections.documents import Change, Document, Version
from projections.fold import fold_binary
from projections.shelves import Shelf, begins_again, reaching

#: The events that a party's document is made of, and the fields of their data that name the parties.
_PARTIES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "PartyRegistered": ("uscc",),
    "PartyRenamed": ("uscc",),
    "FirmCertified": ("uscc",),
    "PartiesMerged": ("survivor", "absorbed"),
    "PartySplit": ("original", "created"),
}
_TYPES: Final = (*_PARTIES_OF, "FactReversed")
_EMPTY: Final[Document] = {"names": [], "kinds": [], "certificates": [], "mergers": []}
_SMALL: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
_CERTIFICATE: Final = ("quality", "valid_from", "valid_to", "document")
_MERGER: Final = ("survivor", "absorbed", "original", "created", "document")


@dataclass(frozen=True, slots=True)
class Party:
    """A legal person on both clocks. Entries are dicts with `position` and a business date: `names` (name, since), the
    one taken last at the end; `kinds` (kind, since), of any date; `certificates` (quality, valid_from, valid_to,
    document, on); `mergers` (event, on, who, document)."""

    uscc: str
    names: list[dict[str, Any]]
    kinds: list[dict[str, Any]]
    certificates: list[dict[str, Any]]
    mergers: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """The name that it has on the day; the one taken last, not the one recorded last."""
        return str(self.names[-1]["name"])

    @property
    def absorbed_into(self) -> str | None:
        """Who absorbed it, if anybody did by the day."""
        gone = (m["survivor"] for m in self.mergers if m.get("absorbed") == self.uscc)
        return next(gone, None)


class Parties:
    """A document per party and change."""

    name = "parties"
    version = 2

    def create(self, shelf: Shelf) -> None:
        """The table of documents."""
        documents.create(shelf)

    def fold(self, shelf: Shelf, log: Log, after: int, until: int) -> None:
        """Take each event into the documents of its parties."""
        changes = documents.changes(log, log.columns(after, until), _TYPES)
        concerned = [(uscc, change) for change in changes for uscc in _parties(change)]
        known = documents.newest(shelf, after, {uscc for uscc, _ in concerned}) if after else {}
        versions: list[Version] = []
        for uscc, change in concerned:
            known[uscc] = _changed(known.get(uscc, _EMPTY), change)
            versions.append((uscc, change.position, known[uscc]))
        documents.write(shelf, versions)

    def stored(self, shelf: Shelf, until: int) -> Content:
        """The documents."""
        digest, rows = documents.stored(shelf)
        return Content({"documents": digest}, rows)

    def expected(self, log: Log, until: int) -> Content:
        """The documents made anew from all that is known of a party at each of its events."""
        return Content({"documents": documents.digest(_from_the_log(log, until))})


def _parties(change: Change) -> list[str]:
    """The codes of the parties whose documents an event changes."""
    if change.type == "FactReversed":
        return [change.data["uscc"]] if change.data["reversed_type"] == "FirmCertified" else []
    return [change.data[name] for name in _PARTIES_OF[change.type]]


def _changed(document: Document, change: Change) -> Document:
    """A party's document after an event."""
    data, at = change.data, {"position": change.position}
    names, kinds, certificates, mergers = (document[part] for part in _EMPTY)
    if change.type in ("PartyRegistered", "PartyRenamed"):
        names = [*names, {"name": data["name"], "since": change.on, **at}]
    if change.type == "PartyRegistered":
        kinds = [*kinds, {"kind": data["kind"], "since": change.on, **at}]
    elif change.type == "FirmCertified":
        certificates = [*certificates, {**{n: data[n] for n in _CERTIFICATE}, "on": change.on, **at}]
    elif change.type == "FactReversed":
        certificates = [entry for entry in certificates if entry["position"] != data["position"]]
    elif change.type in ("PartiesMerged", "PartySplit"):
        shown = {name: data[name] for name in _MERGER if name in data}
        mergers = [*mergers, {"event": change.type, "on": change.on, **shown, **at}]
    return {"names": names, "kinds": kinds, "certificates": certificates, "mergers": mergers}


def _from_the_log(log: Log, until: int) -> Iterator[Version]:
    """Every version from everything that is known of the party up to its position, by other means than the fold."""
    lives: dict[str, list[tuple[int, str, Day, Document]]] = defaultdict(list)
    rows = fold_binary(log.store, "events_of_parties", until=until, types=list(_TYPES))
    for tag, position, kind, on, raw in rows:
        data = orjson.loads(raw)
        if kind != "FactReversed" or "quality" in data:
            lives[tag.removeprefix("party:")].append((position, kind, on, data))
    for uscc, life in lives.items():
        for known in range(1, len(life) + 1):
            yield uscc, life[known - 1][0], _document(life[:known])


def _document(life: Sequence[tuple[int, str, Day, Document]]) -> Document:
    """A party's document from all its events."""
    gone = {data["position"] for _, kind, _, data in life if kind == "FactReversed"}
    return {
        "names": [
            {"name": data["name"], "since": on, "position": position}
            for position, _, on, data in life
            if "name" in data
        ],
        "kinds": [
            {"kind": data["kind"], "since": on, "position": position}
            for position, _, on, data in life
            if "kind" in data
        ],
        "certificates": [
            {
                "quality": data["quality"],
                "valid_from": data["valid_from"],
                "valid_to": data["valid_to"],
                "document": data["document"],
                "on": on,
                "position": position,
            }
            for position, kind, on, data in life
            if kind == "FirmCertified" and position not in gone
        ],
        "mergers": [
            {"event": kind, "on": on, "position": position}
            | {name: data[name] for name in ("survivor", "absorbed", "original", "created") if name in data}
            | {"document": data["document"]}
            for position, kind, on, data in life
            if kind in ("PartiesMerged", "PartySplit")
        ],
    }


@begins_again
def party(store: Store, as_of: AsOf, uscc: str) -> Party | None:
    """A party as it was on a day, as known at a position; None where nobody was registered under the code by then.

    Whoever is registered is known on every day, as everywhere in the ledger; before its first name it has that one.
    Raises NotProjected.
    """
    shelf = reaching(store, PROJECTION.name, as_of.known_position)
    document = documents.newest(shelf, as_of.known_position, [uscc]).get(uscc)
    return _on_the_day(uscc, document, as_of.last_day) if document else None


@begins_again
def find(store: Store, as_of: AsOf, text: str, limit: int) -> list[Party]:
    """At most `limit` parties whose code or any name up to the day holds a text, A to Z in either case; in order of
    their names, Chinese ones by sound as GB 18030 orders the common characters. Raises NotProjected."""
    shelf = reaching(store, PROJECTION.name, as_of.known_position)
    wanted = _in_small_letters(text.strip())
    written = orjson.dumps(wanted).decode()[1:-1]  # as JSON writes it; what SQL finds is looked at again
    rows = documents.all_newest(shelf, as_of.known_position, containing=written)
    found = (_on_the_day(uscc, document, as_of.last_day) for uscc, document in rows.items())
    matching = [p for p in found if any(wanted in _in_small_letters(t) for t in _texts(p))]
    return sorted(matching, key=lambda p: (p.name.encode("gb18030", "replace"), p.uscc))[:limit]


def _texts(known: Party) -> list[str]:
    return [known.uscc, *(entry["name"] for entry in known.names)]


def _in_small_letters(text: str) -> str:
    """A to Z small, as the database's `lower` in the collation C does it; anything else as it is."""
    return text.translate(_SMALL)


@begins_again
def names(store: Store, as_of: AsOf, of: Iterable[str] | None = None) -> dict[str, str]:
    """The name of every party, or of some, on a day, as known at a position, by USCC. Raises NotProjected."""
    shelf, position = reaching(store, PROJECTION.name, as_of.known_position), as_of.known_position
    rows = documents.all_newest(shelf, position) if of is None else documents.newest(shelf, position, of)
    return {uscc: _on_the_day(uscc, document, as_of.last_day).name for uscc, document in rows.items()}


def _on_the_day(uscc: str, document: Document, last_day: Day) -> Party:
    taken = sorted(document["names"], key=lambda entry: (entry["since"], entry["position"]))
    by_then = [entry for entry in taken if entry["since"] <= last_day]
    return Party(
        uscc,
        by_then or taken[:1],
        document["kinds"],
        documents.effective(document["certificates"], last_day),
        documents.effective(document["mergers"], last_day),
    )


PROJECTION = Parties()
