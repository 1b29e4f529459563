"""The rulebooks that the log adopted, read back from it: which clause a cap belongs to."""

from __future__ import annotations

from typing import Any

from ledger import codec
from ledger.rulebook.clauses import resolve
from ledger.store import Store
from projections.fold import fold


def clause_of_caps(store: Store, until: int) -> dict[str, str]:
    """Cap id to clause id, over every measure and call adopted up to a position."""
    contents = [
        codec.parse_object(bytes(row[4]))["content"]
        for row in fold(store, "events_of_types", until=until, types=["RulebookAdopted"])
    ]
    clauses: dict[str, str] = {}
    for measure in (content for content in contents if content["layer"] == "measure"):
        calls: list[Any] = [c for c in contents if c["layer"] == "call" and c["measure"] == measure["id"]]
        for rulebook in (resolve(measure), *(resolve(measure, call) for call in calls)):
            for clause in rulebook.clauses.values():
                clauses.update((cap.id, clause.id) for cap in clause.caps)
    return clauses
