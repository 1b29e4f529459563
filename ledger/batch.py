"""A batch of commands being decided, each on the state that the ones before it left. Pure but for that state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from mypy_extensions import mypyc_attr

from ledger import codec
from ledger.catalogue import Catalogue
from ledger.commands import Command
from ledger.decide import Decided, decide
from ledger.events import Event
from ledger.outcomes import Outcome, repeated
from ledger.plain import Plain
from ledger.state import NotLoaded, State, evolve


@mypyc_attr(acyclic=True)
class Known(Plain):
    """An idempotency key that was used: for which fields, with which outcome."""

    __slots__ = ("fingerprint", "outcome")

    def __init__(
        self,
        fingerprint: bytes | None,
        outcome: Outcome,
    ) -> None:
        self.fingerprint: Final = fingerprint
        self.outcome: Final = outcome


@mypyc_attr(acyclic=True)
class DecidedEvent(Plain):
    """An event that a command led to, and the bytes of it that its leaf will cover (`codec.body`)."""

    __slots__ = ("body", "command", "event")

    def __init__(
        self,
        event: Event,
        command: Command,
        body: bytes,
    ) -> None:
        self.event: Final = event
        self.command: Final = command
        self.body: Final = body


#: What forbids a command although no rule of the programme does (its sender may not give it): asked for each command
#: that is new, under the append lock, with what the batch decided before it. Nothing is recorded of its refusals.
Veto = Callable[[Command, Iterable[DecidedEvent]], Outcome | None]


class Batch:
    """The commands of one turn being decided, each on the state that the ones before it left."""

    def __init__(
        self,
        catalogue: Catalogue,
        state: State,
        known: dict[str, Known],
        fetch: Callable[[str], None],
        principal: str,
        veto: Veto | None = None,
    ) -> None:
        """`principal` is whose events those are that a command leads to which names nobody."""
        self._catalogue = catalogue
        self._fetch = fetch
        self._principal = principal
        self._veto = veto
        self._state = state
        self._known = known
        self.decided: list[DecidedEvent] = []

    def decide(self, command: Command) -> Outcome:
        """The outcome of the next command; what is to be recorded is left in `decided`."""
        known = self._known.get(command.key) if command.key is not None else None
        if known is not None:
            if known.fingerprint == command.fingerprint:
                return repeated(known.outcome)
            return Outcome("refused", code="key_reused", arithmetic={"key": command.key})
        forbidden = self._veto(command, self.decided) if self._veto is not None else None
        if forbidden is not None:
            return forbidden
        decided = self._decide_loaded(command)
        outcome = self._record(command, decided)
        if command.key is not None:
            self._known[command.key] = Known(command.fingerprint, outcome)
        return outcome

    def _decide_loaded(self, command: Command) -> Decided:
        """Decide; a tag that came up only within this batch (a product certified and its bank merged in one file)
        is fetched now. Deciding has no effects, so it can begin again."""
        while True:
            try:
                return decide(command, self._state, self._catalogue)
            except NotLoaded as missing:
                self._fetch(missing.tag)
                for decided in self.decided:
                    evolve(self._state, decided.event, (missing.tag,))

    def _record(self, command: Command, decided: Decided) -> Outcome:
        first, span = self._state.position + 1, len(decided.events)
        for position, new in enumerate(decided.events, first):
            event = Event(position, new.type, new.effective_on, new.tags, new.data, new.postings)
            evolve(self._state, event)
            # While it is at hand: some thousand events later it has left the caches.
            body = self._body(event, command, span if position == first + span - 1 else None)
            self.decided.append(DecidedEvent(event, command, body))
        positions = tuple(range(first, first + span))
        refusal, told = decided.refusal, decided.events[-1].data
        if refusal is not None:
            code, clause = refusal.code, refusal.clause
            return Outcome("refused", positions, None, code, clause, refusal.arithmetic, data=told)
        return Outcome("accepted", positions, decided.amount_fen, warnings=decided.warnings, data=told)

    def _body(self, event: Event, command: Command, span: int | None) -> bytes:
        """`span` is how many events the command led to if this is the last one, which carries its key."""
        return codec.body(
            event.effective_on,
            event.type,
            event.tags,
            event.postings,
            command.principal or self._principal,
            command.key if span is not None else None,
            command.fingerprint.hex() if span is not None else "-",
            span or 1,
            codec.canonical(event.data),
        )


def absent(
    commands: Iterable[Command], catalogue: Catalogue, state: State, named: set[str]
) -> list[tuple[Command, list[str]]]:
    """The commands that need tags which are not loaded, as far as can be told yet, each with these tags. Those that
    are loaded are added to `named`."""
    handlers, found = catalogue.handlers, []
    for command in commands:
        tags = []
        for tag in handlers[command.name].needs(command.fields, state):
            if tag in state:
                named.add(tag)
            else:
                tags.append(tag)
        if tags:
            found.append((command, tags))
    return found
