"""Loading: what deciding must remember, read from the store by tag, kept within bounds, and kept up to date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ledger.batch import Known, absent
from ledger.catalogue import Catalogue
from ledger.commands import Command
from ledger.events import Event
from ledger.forgetting import LIMITS, Forgetting
from ledger.outcomes import recorded_outcome
from ledger.state import State, concerning, evolve, owner_of
from ledger.store import Head, Store
from ledger.stored import KeyedEvent
from ledger.swap import Swap
from ledger.tails import Tails

#: Further behind the log than this, remembering afresh is cheaper than taking in all that others appended.
CATCH_UP_MAX: Final = 20_000


class Loader:
    """The state that commands are decided on, and the lengths of the histories behind its day sums."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue
        self._swap: Swap | None = None
        self.forget()

    def forget(self) -> None:
        """Remember nothing."""
        self.state = State(self._catalogue.memories)
        self._forgetting = Forgetting(LIMITS)
        self._tails = Tails()
        self.unwritten: Sequence[Sequence[Event]] = ()  # taken in, but perhaps not in the log yet
        self._drop_swap()

    def begin(
        self, head: Head, commands: Sequence[Command], under_way: Iterable[Mapping[str, Known]] = ()
    ) -> tuple[dict[str, Known], list[Command]]:
        """In a reading transaction at `head`: the keys of commands that were used before, and the other
        commands, with everything that these need loaded. `under_way` are keys of batches that are being written."""
        if head.position - self.state.position > CATCH_UP_MAX:
            self.forget()
        self.catch_up(head)
        known = self.known_keys(commands)
        for keys in under_way:
            known.update((c.key, keys[c.key]) for c in commands if c.key is not None and c.key in keys)
        fresh = [command for command in commands if command.key not in known]
        self.load(fresh, head.position)
        return known, fresh

    def known_keys(self, commands: Sequence[Command]) -> dict[str, Known]:
        """Which of the commands' keys were used before."""
        keys = [command.key for command in commands if command.key is not None]
        return {k.key: known(k) for k in self._store.events_of_keys(keys) if k.key is not None}

    def catch_up(self, head: Head) -> list[KeyedEvent]:
        """Take in what was appended since the state's position, by whomever."""
        if head.position <= self.state.position:
            return []
        if not len(self.state):
            self._drop_swap()  # what was set aside is not told of what is passed over
            self.state.position = head.position
            return []
        since = self._store.events_between(self.state.position, head.position)
        for keyed in since:
            evolve(self.state, keyed.event)
        self.count([keyed.event for keyed in since])
        return since

    def count(self, events: Iterable[Event]) -> None:
        """Note for each owner that its history since its last stored day sums grew by these events."""
        self._tails.count(events)

    def take_long_tails(self, events: int) -> list[str]:
        """The remembered owners whose day sums a turn of so many events is to store; from here on their tails are
        counted anew."""
        long = self._tails.take_long(events)
        for tag in long:
            sums = self.state.accounts_of(tag).values()
            self._tails.note_stored(tag, sum(len(one.days) for one in sums))
        return long

    def load(self, commands: Sequence[Command], position: int, *, forget_others: bool = True) -> list[str]:
        """Load every tag that the commands need, level by level: a loan leads to its firm, and so on.

        Returns the tags that were loaded now.
        """
        state = self.state
        loaded: list[str] = []
        pending = list(commands)
        while pending:
            lacking = absent(pending, self._catalogue, state, self._forgetting.named)
            missing = dict.fromkeys([tag for _, tags in lacking for tag in tags])
            # A tag of which the log says nothing leads nowhere: most claims are ready once their own new id is.
            told = self._load_tags(list(missing), position)
            loaded += missing
            pending = [command for command, tags in lacking if not told.isdisjoint(tags)]
        if forget_others:
            self._forget_others()
        return loaded

    def _drop_swap(self) -> None:
        if self._swap is not None:
            self._swap.close()
        self._swap, self.state.concerns_forgotten = None, None

    def _forget_others(self) -> None:
        """Forget tags that are too many, none that the commands at hand need; set aside what may be named again."""
        once, others = self._forgetting.surplus()
        state, tails = self.state, self._tails
        state.forget(once)
        if not others:
            return
        aside = {tag: (one, tails.take(tag)) for tag, one in state.forget(others).items()}
        try:
            self._swap = self._swap or Swap()
            state.concerns_forgotten = self._swap.concern
            self._swap.put(aside)
        except OSError:
            self._drop_swap()  # there is no room for it: what is forgotten is read from the log again

    def _take_back(self, tags: list[str]) -> list[str]:
        """Remember again what was set aside of the tags: which it was."""
        aside = self._swap.take(tags) if self._swap is not None else {}
        for tag, (remembered, tail) in aside.items():
            self.state.take_back(tag, remembered)
            if tail is not None:
                self._tails.set(tag, tail)
        return list(aside)

    def fetch(self, tag: str, position: int) -> None:
        """Load one more tag, while a batch is being decided."""
        self._load_tags([tag], position)

    def _load_tags(self, tags: list[str], position: int) -> set[str]:
        """Load tags; those of them that the log has events of, as far as they are remembered whole."""
        state = self.state
        self._forgetting.came(tags)
        back = self._take_back(tags)
        if back:
            tags = list(set(tags).difference(back))
        return self._read_tags(tags, position) | {tag for tag in back if state.remembers(tag)}

    def _read_tags(self, tags: list[str], position: int) -> set[str]:
        """As `_load_tags`, from the log."""
        if not tags:
            return set()
        state = self.state
        state.begin(tags)
        whole = [tag for tag in tags if state.remembers(tag)]
        loading = frozenset(whole)
        named = [int(tag.removeprefix("position:")) for tag in whole if tag.startswith("position:")]
        events = {k.event.position: k.event for k in self._store.events_of_tags(whole, position)}
        events.update((k.event.position, k.event) for k in self._store.events_at(named, position))
        for _, event in sorted(events.items()):
            evolve(state, event, loading)
        owners = [tag for tag in tags if tag not in loading]
        for tag, history in self._store.histories(owners, position).items():
            self._tails.note_stored(tag, sum(len(days) for _, days, _ in history.sums))
            self._tails.set(tag, len(history.tail))
            for path, days, amounts_fen in history.sums:
                if owner_of(path) == tag:
                    state.account(path).take(days, amounts_fen)
            for lines in history.tail:
                evolve(state, Event(0, "", "", (), {}, lines), (tag,))
        told = {f"position:{position}" for position in named}.union(*[e.tags for e in events.values()])
        return (told | self._replay_unwritten(tags, position)) & loading

    def _replay_unwritten(self, tags: Sequence[str], position: int) -> set[str]:
        """Take what is beyond the log as it was read into tags that were loaded now; all tags of those events."""
        loading, told = frozenset(tags), set[str]()
        named = {int(tag.removeprefix("position:")) for tag in tags if tag.startswith("position:")}
        for events in self.unwritten:
            for event in concerning(events, position, loading, named):
                evolve(self.state, event, loading)
                told.update(event.tags)
                for tag in loading.intersection(event.tags):
                    self._tails.grow(tag)
        return told


def known(keyed: KeyedEvent) -> Known:
    """What is known of the key of a recorded event."""
    return Known(keyed.fingerprint, recorded_outcome(keyed.event, keyed.span))
