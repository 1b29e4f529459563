"""The index of parties that a checkpoint signs (ledger/party_index.py), folded anew from the tags of the log: what
nobody has to be believed for. About a second per 100,000 events."""

from __future__ import annotations

from typing import Final

from ledger.party_index import BUCKET_COUNT, INDEXED_KINDS, PartyIndex
from ledger.store import Store
from projections.fold import fold_binary

_EVENTS_AT_ONCE: Final = 50_000


class FoldedIndex:
    """The index as of a position that only moves on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._position = 0
        self._index = PartyIndex()
        for number in range(BUCKET_COUNT):
            self._index.load(number, {})

    def reach(self, position: int) -> PartyIndex:
        """The index up to a position, not before one that was reached. Raises psycopg.Error."""
        kinds = sorted(INDEXED_KINDS)
        for after in range(self._position, position, _EVENTS_AT_ONCE):
            until = min(after + _EVENTS_AT_ONCE, position)
            for at, leaf, tag in fold_binary(
                self._store, "party_tags", after=after, until=until, kinds=kinds
            ):
                self._index.add(at, bytes(leaf), [tag])
        self._position = max(self._position, position)
        return self._index
