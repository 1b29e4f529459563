"""What deciding remembers at any position of the log: memories from the log, sums of accounts from their folios, each
read when it is asked for. For single decisions; whole histories are decided by `ledger.redecide`."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.catalogue import Catalogue
from ledger.day_sums import DaySums
from ledger.events import Event
from ledger.state import Memory, MemoryT, State
from ledger.store import Store
from ledger.stored import NO_COMMAND, KeyedEvent
from projections.balances import PROJECTION, account_pages, accounts_of
from projections.shelves import reaching


class StateAt(State):
    """The state as known at `position`, loaded as it is asked for. Without the events that carry the tag `without`,
    and with rounds that take claims although they are closed, where that is wanted.

    The caller has made sure that the balances reach the position.
    """

    __slots__ = ("_reopened", "_store", "_without", "events")

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        position: int,
        without: str | None = None,
        *,
        reopened: bool = False,
    ) -> None:
        super().__init__(catalogue.memories, position)
        self._store = store
        self._without = without
        self._reopened = reopened
        self.events: dict[str, list[Event]] = {}  # that were read, by tag

    def recall(self, kind: type[MemoryT], tag: str) -> MemoryT:
        """The memory of a kind that a tag has; an unknown tag's is empty."""
        if tag not in self._memories:
            self._load(tag)
        return super().recall(kind, tag)

    def peek(self, kind: type[MemoryT], tag: str) -> MemoryT | None:
        """As `recall`."""
        return self.recall(kind, tag)

    def accounts_of(self, tag: str) -> Mapping[str, DaySums]:
        """Not answered: only mergers and reversals of draws ask, which nobody tries here."""
        raise NotImplementedError(tag)

    def _load(self, tag: str) -> None:
        read = self._store.events_of_tags([tag], self.position)
        if tag.startswith("position:"):
            read = self._store.events_at([int(tag.partition(":")[2])], self.position) + read
        kept = [keyed.event for keyed in read if self._counts(keyed)]
        memories: tuple[Memory, ...] = tuple(
            memory() for memory in self._kinds.get(tag.partition(":")[0], ())
        )
        for event in kept:
            for memory in memories:
                memory.apply(event, tag)
        self._memories[tag], self.events[tag] = memories, kept

    def _counts(self, keyed: KeyedEvent) -> bool:
        event = keyed.event
        if keyed.span == NO_COMMAND:  # a recorder's, whatever its type and tags
            return False
        if self._reopened and event.type == "RoundClosed":
            return False
        return self._without is None or self._without not in event.tags

    def _first_of(self, path: str) -> DaySums:
        shelf = reaching(self._store, PROJECTION.name, self.position)
        page = account_pages(shelf, accounts_of(self._store, [path]), self.position).get(path)
        sums = DaySums() if page is None else page.iso_day_sums()
        if self._without is not None:
            for keyed in self._store.events_of_tags([self._without], self.position):
                for posting in keyed.event.postings:
                    if posting.account == path:
                        sums.add(posting.effective_on, -posting.amount_fen)
        self._accounts[path] = sums
        return sums
