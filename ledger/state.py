"""State: what deciding needs to remember, by tag. Pure: no clock, no random, no input or output.

A tag (`loan:L1`) has memories (what its events say, one class per idea) and day sums (of the accounts it owns).
State holds only the tags that were loaded; asking for another raises NotLoaded, so that nothing is ever decided
on a memory that was merely absent. `evolve` is the same for what was just decided, what other processes
appended and what is loaded from the log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TypeVar

from mypy_extensions import mypyc_attr

from ledger import accounts
from ledger.day_sums import DaySums
from ledger.events import Event


class NotLoaded(LookupError):
    """A tag was asked for that is not loaded: no `needs` named it, or it came up within the batch itself."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag


@mypyc_attr(allow_interpreted_subclasses=True, acyclic=True)
class Memory:
    """What one tag's events leave behind. Subclasses apply each event of the tag, in order."""

    __slots__ = ()

    def apply(self, event: Event, tag: str) -> None:
        """Take in one event that carries `tag`, the tag of this memory."""
        raise NotImplementedError


MemoryT = TypeVar("MemoryT", bound=Memory)
MemoryKinds = Mapping[str, tuple[type[Memory], ...]]
#: All that is remembered of a tag: its memories, the day sums of the accounts that it owns by path.
Remembered = tuple[tuple[Memory, ...], dict[str, DaySums]]

owner_of = lru_cache(maxsize=65_536)(accounts.owner_of)


@mypyc_attr(allow_interpreted_subclasses=True)
class State:
    """The loaded tags as of `position`: everything up to it is taken in, nothing after it."""

    __slots__ = (
        "_accounts",
        "_kinds",
        "_memories",
        "_sums",
        "_watches_positions",
        "concerns_forgotten",
        "position",
    )

    def __init__(self, kinds: MemoryKinds, position: int = 0) -> None:
        self._kinds = kinds
        self._memories: dict[str, tuple[Memory, ...]] = {}
        self._sums: dict[str, dict[str, DaySums]] = {}
        self._accounts: dict[str, DaySums] = {}  # all that _sums holds, by path
        self._watches_positions = False  # an event also counts as tagged with its own `position:<n>`
        #: Told of each tag of a new event that is not loaded.
        self.concerns_forgotten: Callable[[str], None] | None = None
        self.position = position

    def __len__(self) -> int:
        return len(self._memories)

    def __iter__(self) -> Iterator[str]:
        """The loaded tags."""
        return iter(self._memories)

    def __contains__(self, tag: str) -> bool:
        return tag in self._memories

    def begin(self, tags: Iterable[str]) -> None:
        """Start to remember tags, empty: what the log holds of them must be taken in next."""
        for tag in tags:
            kind = tag.partition(":")[0]
            self._memories[tag] = tuple([memory() for memory in self._kinds.get(kind, ())])
            for path in self._sums.get(tag, ()):
                del self._accounts[path]
            self._sums[tag] = {}
            self._watches_positions = self._watches_positions or kind == "position"

    def forget(self, tags: Iterable[str]) -> dict[str, Remembered]:
        """Forget tags that are loaded: what was remembered of them."""
        forgotten: dict[str, Remembered] = {}
        for tag in tags:
            sums = self._sums.pop(tag)
            for path in sums:
                del self._accounts[path]
            forgotten[tag] = (self._memories.pop(tag), sums)
        return forgotten

    def take_back(self, tag: str, remembered: Remembered) -> None:
        """Remember a tag again as it was, which no event has concerned since."""
        self._memories[tag], self._sums[tag] = remembered
        self._accounts.update(remembered[1])

    def recall(self, kind: type[MemoryT], tag: str) -> MemoryT:
        """The memory of a kind that a tag has. Raises NotLoaded."""
        try:
            memories = self._memories[tag]
        except KeyError:
            raise NotLoaded(tag) from None
        for memory in memories:
            if type(memory) is kind:
                return memory
        raise AssertionError(f"{tag} has no {kind.__name__}")

    def peek(self, kind: type[MemoryT], tag: str) -> MemoryT | None:
        """The memory if its tag is loaded, else None: only to find out what else to load."""
        return self.recall(kind, tag) if tag in self._memories else None

    def account(self, path: str) -> DaySums:
        """The day sums of an account whose owner is loaded. Raises NotLoaded."""
        found = self._accounts.get(path)
        return found if found is not None else self._first_of(path)

    def _first_of(self, path: str) -> DaySums:
        owner = owner_of(path)
        if owner is None:
            raise AssertionError(f"{path} decides nothing: nobody keeps its day sums")
        if owner not in self._sums:
            raise NotLoaded(owner)
        found = self._accounts[path] = self._sums[owner][path] = DaySums()
        return found

    def accounts_of(self, tag: str) -> Mapping[str, DaySums]:
        """The day sums of every account that a loaded tag owns."""
        return self._sums[tag]

    def remembers(self, tag: str) -> bool:
        """Whether any memory class exists for the tag's kind; without one only its accounts matter."""
        return bool(self._kinds.get(tag.partition(":")[0]))


def evolve(state: State, event: Event, only: Collection[str] | None = None) -> State:
    """Take one event into the state; with `only`, into these tags (they are being loaded). Returns `state`."""
    memories = state._memories
    tags = (*event.tags, f"position:{event.position}") if state._watches_positions else event.tags
    concerns_forgotten = state.concerns_forgotten if only is None else None
    for tag in tags:
        if tag in memories:
            if only is None or tag in only:
                for memory in memories[tag]:
                    memory.apply(event, tag)
        elif concerns_forgotten is not None:
            concerns_forgotten(tag)
    accounts = state._accounts
    for posting in event.postings:
        account = posting.account
        sums = accounts.get(account)
        if sums is None or only is not None:
            owner = owner_of(account)
            if owner is None or owner not in memories or (only is not None and owner not in only):
                continue
            sums = state.account(account)
        sums.add(posting.effective_on, posting.amount_fen)
    if only is None:
        state.position = event.position
    return state


def concerning(
    events: Iterable[Event], after: int, tags: frozenset[str], positions: Collection[int]
) -> list[Event]:
    """The events beyond a position that carry any of some tags, or are at any of some positions."""
    return [
        event
        for event in events
        if event.position > after and (event.position in positions or not tags.isdisjoint(event.tags))
    ]
