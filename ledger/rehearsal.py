"""The rehearsal: decide a list of commands as the writer would, and write nothing.

What was decided is remembered, so that later lines see earlier ones; the log is read as of one position
throughout. Memory grows with the list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from ledger import accounts
from ledger.batch import Batch, Known, Veto
from ledger.catalogue import Catalogue
from ledger.commands import Command
from ledger.events import Event
from ledger.loading import Loader
from ledger.outcomes import Outcome
from ledger.state import evolve, owner_of
from ledger.store import Store

#: Whose events those are that nobody records.
_NOBODY: Final = "-"


class Rehearsal:
    """A dry run over the log as it stood at the first batch."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        vetoing: Callable[[Store], Veto | None] | None = None,
    ) -> None:
        """`vetoing` is asked before each batch what forbids commands of it, as a pipeline asks."""
        self._store = store
        self._vetoing = vetoing
        self._catalogue = catalogue
        self._loader = Loader(store, catalogue)
        self._head_position: int | None = None
        self._keys: dict[str, Known] = {}
        # What was decided about tags that nobody had asked for yet.
        self._unseen: dict[str, list[Event]] = defaultdict(list)

    def submit(self, commands: Sequence[Command]) -> list[Outcome]:
        """The outcome that each command would have; positions only of what was recorded before."""
        loader = self._loader
        with self._store.reading() as head:
            if self._head_position is None:
                self._head_position = loader.state.position = head.position
            keys = {**loader.known_keys(commands), **self._keys}
            fresh = [command for command in commands if command.key not in keys]
            for tag in loader.load(fresh, self._head_position, forget_others=False):
                self._replay(tag)
        veto = self._vetoing(self._store) if self._vetoing is not None else None
        batch = Batch(self._catalogue, loader.state, keys, self._fetch, _NOBODY, veto)
        outcomes = [batch.decide(command) for command in commands]
        self._keys.update({c.key: keys[c.key] for c in fresh if c.key is not None and c.key in keys})
        for decided in batch.decided:
            self._keep(decided.event)
        return [
            o if o.positions and o.positions[-1] <= self._head_position else o.replaced(positions=())
            for o in outcomes
        ]

    def outcomes(self, batches: Iterable[Sequence[Command] | None]) -> Iterator[list[Outcome]]:
        """The outcomes that each batch would have."""
        return (self.submit(commands) for commands in batches if commands is not None)

    def watch(self, round_id: str) -> None:
        """Load a round that the list concerned, also where it only repeats what was recorded before."""
        tag = f"round:{round_id}"
        if tag not in self._loader.state:
            self._fetch(tag)

    def available_fen(self, round_id: str) -> int:
        """What a watched round would have left, over all effective dates."""
        return self._loader.state.account(accounts.available(round_id)).total_fen

    def _fetch(self, tag: str) -> None:
        with self._store.reading():  # sums and what came after them belong together
            self._loader.fetch(tag, self._head_position or 0)
        self._replay(tag)

    def _replay(self, tag: str) -> None:
        for event in self._unseen.pop(tag, ()):
            evolve(self._loader.state, event, (tag,))

    def _keep(self, event: Event) -> None:
        state = self._loader.state
        owners = {owner_of(posting.account) for posting in event.postings}
        for tag in (*event.tags, f"position:{event.position}"):
            if tag not in state and (state.remembers(tag) or tag in owners):
                self._unseen[tag].append(event)
