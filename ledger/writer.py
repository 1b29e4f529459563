"""The writer: load what a batch must remember, decide it in order, write it at once (group commit).

One turn: keys and memories are loaded before the lock; under it only what others appended since is read; every
command is decided; all events are written with COPY; commit. No outcome is reported before its commit, and a
turn that fails leaves no trace, in the log or in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ledger import codec
from ledger.catalogue import Catalogue
from ledger.commands import Command
from ledger.decide import Decided, decide
from ledger.events import Event, NewEvent
from ledger.refusals import detail
from ledger.state import State, evolve
from ledger.store import Head, KeyedEvent, PendingEvent, Store, Turn

#: Beyond this many remembered tags only those of the batch at hand are kept (some 100 MB).
REMEMBERED_TAGS_MAX: Final = 60_000
#: Further behind the log than this, remembering afresh is cheaper than taking in all that others appended.
CATCH_UP_MAX: Final = 20_000
#: An owner whose tail is longer than this gets its day sums stored anew.
TAIL_EVENTS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one command. `outcome` is accepted, refused, invalid or repeated (then `first` says which)."""

    outcome: str
    positions: tuple[int, ...] = ()
    amount_fen: int | None = None
    code: str | None = None
    clause: str | None = None
    arithmetic: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    first: str | None = None

    @property
    def refused(self) -> bool:
        """Whether the command, now or when it first came, was refused."""
        return "refused" in (self.outcome, self.first)

    def document(self, language: str = "en") -> dict[str, Any]:
        """The outcome as JSON (design §5), without the line number."""
        shown: dict[str, Any] = {"outcome": self.outcome, "positions": list(self.positions)}
        if self.amount_fen is not None:
            shown["amount_fen"] = self.amount_fen
        if self.code is not None:
            shown["code"] = self.code
            if self.clause is not None:
                shown["clause"] = self.clause
            shown["detail"] = detail(self.code, self.arithmetic, language)
        if self.warnings:
            shown["warnings"] = list(self.warnings)
        if self.first is not None:
            shown["first"] = self.first
        return shown


def recorded_outcome(event: Event, span: int) -> Outcome:
    """The outcome that a command had when `event`, the last of its `span` events, was recorded."""
    data = event.data
    positions = tuple(range(event.position - span + 1, event.position + 1))
    warnings = tuple(data.get("warnings", ()))
    if event.type in ("ClaimRefused", "CommandRefused"):
        return Outcome(
            "refused", positions, None, data["code"], data.get("clause"), data["arithmetic"], warnings
        )
    return Outcome("accepted", positions, data["amount_fen"] if "legs" in data else None, warnings=warnings)


def repeated(first: Outcome) -> Outcome:
    """The answer to a command that was recorded before: the first outcome, marked as a repetition."""
    return Outcome(
        "repeated",
        first.positions,
        first.amount_fen,
        first.code,
        first.clause,
        first.arithmetic,
        first.warnings,
        first.outcome,
    )


@dataclass(slots=True)
class _Known:
    """An idempotency key that was used: for which fields, with which outcome."""

    fingerprint: bytes | None
    outcome: Outcome


class Writer:
    """Decides and appends for one principal over one store. Not for several threads at once."""

    def __init__(self, store: Store, catalogue: Catalogue, principal: str) -> None:
        self._store = store
        self._catalogue = catalogue
        self._principal = principal
        self._state = State(catalogue.memories)
        self._tails: dict[str, int] = {}

    def submit(self, commands: Sequence[Command], *, dry_run: bool = False) -> list[Outcome]:
        """Decide commands in order and, unless `dry_run`, record them in one transaction.

        Raises psycopg.Error when the database fails: then nothing of these commands is known to be recorded, and
        sending them again under the same keys is safe.
        """
        try:
            return self._submit(commands, dry_run)
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        self._state = State(self._catalogue.memories)
        self._tails = {}

    def _submit(self, commands: Sequence[Command], dry_run: bool) -> list[Outcome]:
        with self._store.reading() as head:
            if head.position - self._state.position > CATCH_UP_MAX:
                self._forget()
            self._catch_up(head)
            keys = [command.key for command in commands if command.key is not None]
            known = {k.key: _known(k) for k in self._store.events_of_keys(keys) if k.key is not None}
            fresh = [command for command in commands if command.key not in known]
            self._load(fresh, head.position)
        batch = _Batch(self._catalogue, self._state, known)
        if dry_run:
            outcomes = batch.decide(commands)
            self._forget()
            return [_unrecorded(outcome) for outcome in outcomes]
        if not fresh:
            return batch.decide(commands)
        with self._store.turn() as turn:
            since = self._catch_up(turn.head)
            if since:
                known.update((k.key, _known(k)) for k in since if k.key is not None)
                self._load(fresh, turn.head.position)
            outcomes = batch.decide(commands)
            if batch.pending:
                turn.append(batch.pending, self._principal)
                self._save_day_sums(turn, batch)
        return outcomes

    def _catch_up(self, head: Head) -> list[KeyedEvent]:
        """Take in what was appended since the state's position, by whomever."""
        if head.position == self._state.position:
            return []
        if not len(self._state):
            self._state.position = head.position
            return []
        since = self._store.events_between(self._state.position, head.position)
        for keyed in since:
            self._take_in(keyed.event)
        return since

    def _take_in(self, event: Event) -> None:
        evolve(self._state, event)
        count_tails(self._tails, event)

    def _load(self, commands: Iterable[Command], position: int) -> None:
        """Load every tag that the commands need, level by level: a loan leads to its firm, and so on."""
        handlers, state = self._catalogue.handlers, self._state
        needed: dict[str, None] = {}
        pending = list(commands)
        while pending:
            missing: dict[str, None] = {}
            unready = []
            for command in pending:
                tags = list(handlers[command.name].needs(command.fields, state))
                needed.update(dict.fromkeys(tags))
                absent = [tag for tag in tags if tag not in state]
                if absent:
                    missing.update(dict.fromkeys(absent))
                    unready.append(command)
            if missing:
                self._load_tags(list(missing), position)
            pending = unready
        if len(state) > REMEMBERED_TAGS_MAX + len(needed):
            state.keep(needed)
            self._tails = {tag: self._tails[tag] for tag in self._tails if tag in needed}

    def _load_tags(self, tags: list[str], position: int) -> None:
        state = self._state
        state.begin(tags)
        whole = [tag for tag in tags if state.remembers(tag)]
        loading = frozenset(whole)
        named = [int(tag.removeprefix("position:")) for tag in whole if tag.startswith("position:")]
        loaded = {k.event.position: k for k in self._store.events_of_tags(whole, position)}
        loaded.update((k.event.position, k) for k in self._store.events_at(named, position))
        for _, keyed in sorted(loaded.items()):
            evolve(state, keyed.event, loading)
        owners = [tag for tag in tags if not state.remembers(tag)]
        summed, counts = self._store.day_sums(owners, position)
        self._tails.update(counts)
        for tail in summed:
            evolve(state, Event(0, "", "", (), {}, tail.postings), (tail.tag,))

    def _save_day_sums(self, turn: Turn, batch: _Batch) -> None:
        for event in batch.decided:
            count_tails(self._tails, event)
        long = [tag for tag, count in self._tails.items() if count > TAIL_EVENTS_MAX]
        rows = [
            (tag, path, day, fen)
            for tag in long
            for path, sums in self._state.accounts_of(tag).items()
            for day, fen in sums.by_day.items()
        ]
        if long:
            turn.account_ids({row[1] for row in rows})
            turn.save_day_sums(rows, long, self._state.position)
            self._tails.update(dict.fromkeys(long, 0))


def count_tails(tails: dict[str, int], event: Event) -> None:
    """Note for each owner that its history since the last stored sums grew by an event."""
    for tag in event.tags:
        if tag in tails:
            tails[tag] += 1


def _known(keyed: KeyedEvent) -> _Known:
    return _Known(keyed.fingerprint, recorded_outcome(keyed.event, keyed.span))


def _unrecorded(outcome: Outcome) -> Outcome:
    """A dry run's answer: positions only of what was recorded before."""
    if outcome.outcome == "repeated":
        return outcome
    return Outcome(
        outcome.outcome,
        (),
        outcome.amount_fen,
        outcome.code,
        outcome.clause,
        outcome.arithmetic,
        outcome.warnings,
    )


class _Batch:
    """The commands of one turn being decided, each on the state that the ones before it left."""

    def __init__(self, catalogue: Catalogue, state: State, known: dict[str, _Known]) -> None:
        self._catalogue = catalogue
        self._state = state
        self._known = known
        self.pending: list[PendingEvent] = []
        self.decided: list[Event] = []

    def decide(self, commands: Sequence[Command]) -> list[Outcome]:
        """An outcome for each command, in order; what is to be recorded is left in `pending`."""
        return [self._decide(command) for command in commands]

    def _decide(self, command: Command) -> Outcome:
        known = self._known.get(command.key) if command.key is not None else None
        if known is not None:
            if known.fingerprint == command.fingerprint:
                return repeated(known.outcome)
            return Outcome("refused", code="key_reused", arithmetic={"key": command.key})
        decided = decide(command, self._state, self._catalogue)
        outcome = self._record(command, decided)
        if command.key is not None:
            self._known[command.key] = _Known(command.fingerprint, outcome)
        return outcome

    def _record(self, command: Command, decided: Decided) -> Outcome:
        first = self._state.position + 1
        for offset, new in enumerate(decided.events, 1):
            self._append(command, new, is_last=offset == len(decided.events), span=len(decided.events))
        positions = tuple(range(first, first + len(decided.events)))
        refusal = decided.refusal
        if refusal is not None:
            return Outcome("refused", positions, None, refusal.code, refusal.clause, refusal.arithmetic)
        return Outcome("accepted", positions, decided.amount_fen, warnings=decided.warnings)

    def _append(self, command: Command, new: NewEvent, is_last: bool, span: int) -> None:
        event = Event(self._state.position + 1, new.type, new.effective_on, new.tags, new.data, new.postings)
        evolve(self._state, event)
        self.decided.append(event)
        self.pending.append(
            PendingEvent(
                new.type,
                new.effective_on,
                new.tags,
                codec.canonical(new.data),
                new.postings,
                command.key if is_last else None,
                command.fingerprint if is_last else None,
                span if is_last else 1,
            )
        )
