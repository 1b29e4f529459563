"""Names of parties as known at a position."""

from __future__ import annotations

from ledger import codec
from ledger.store import Store
from projections.fold import fold


def names(store: Store, until: int) -> dict[str, str]:
    """The newest name of every party, by USCC."""
    found: dict[str, str] = {}
    for row in fold(store, "events_of_types", until=until, types=["PartyRegistered", "PartyRenamed"]):
        data = codec.parse_object(bytes(row[4]))
        found[data["uscc"]] = data["name"]
    return found
