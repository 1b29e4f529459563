"""The rulebooks that the log adopted, read back from it: which clause a cap belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ledger import codec
from ledger.dates import END_OF_TIME, Day
from ledger.rulebook.clauses import Rulebook, resolve
from ledger.rulebook.settings import Content
from ledger.store import Store
from projections.fold import fold


def adopted(store: Store, until: int, last_day: Day = END_OF_TIME) -> list[Content]:
    """The contents that rounds were opened under up to a position and a day, in the order of their adoption."""
    rows = fold(store, "adoptions", until=until)
    return [codec.parse_object(bytes(row[4]))["content"] for row in rows if row[2] <= last_day]


def rulebooks(contents: Iterable[Content]) -> Iterator[Rulebook]:
    """Every measure of some contents, alone and under each of their calls."""
    contents = list(contents)
    for measure in (content for content in contents if content["layer"] == "measure"):
        yield resolve(measure)
        for call in contents:
            if call["layer"] == "call" and call["measure"] == measure["id"]:
                yield resolve(measure, call)


def clause_of_caps(store: Store, until: int) -> dict[str, str]:
    """Cap id to clause id, over every measure and call adopted up to a position."""
    clauses: dict[str, str] = {}
    for rulebook in rulebooks(adopted(store, until)):
        for clause in rulebook.clauses.values():
            clauses.update((cap.id, clause.id) for cap in clause.caps)
    return clauses
