"""Deciding a recorded history again: from what the commands said and the rulebooks that were adopted, not from what
was decided then. Pure: whoever calls it brings the events, in order.

An event keeps its command's own fields, and its envelope the business date: that is the command again. A refusal also
keeps the command's name. An adoption of a rulebook has no command of its own: the round that was opened after it
adopts it, from the content that was adopted, never from what is shipped today.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ledger import codec
from ledger.catalogue import Catalogue
from ledger.commands import Command
from ledger.dates import Day
from ledger.day_sums import DaySums
from ledger.decide import Decided, decide
from ledger.decisions import Handler
from ledger.events import Event, NewEvent, Posting
from ledger.plain import Plain
from ledger.rulebook.forms import UnusableRulebook
from ledger.rulebook.library import Library
from ledger.state import Memory, MemoryKinds, State, owner_of
from ledger.subjects import rounds

ADOPTION: Final = "RulebookAdopted"
REFUSALS: Final = ("ClaimRefused", "CommandRefused")

#: The command that an event records, but for grants (their instrument's) and refusals (which name it).
COMMAND_OF_EVENT: Final[Mapping[str, str]] = {
    "RoundOpened": "open-round",
    "BudgetAdjusted": "adjust-budget",
    "RoundClosed": "close-round",
    "ReturnedToTreasury": "return-to-treasury",
    "ControlTotalAsserted": "assert-control-total",
    "PartyRegistered": "register-party",
    "PartyRenamed": "rename-party",
    "PartiesMerged": "merge-parties",
    "PartySplit": "split-party",
    "FirmCertified": "certify-firm",
    "LoanDrawn": "draw-loan",
    "LoanRepaid": "repay-loan",
    "RepaymentDefaulted": "report-default",
    "LossReported": "report-loss",
    "GuaranteePaidOut": "pay-guarantee",
    "RecoveryReceived": "record-recovery",
    "CreditCertified": "certify-credit",
    "GrantPublicised": "publicise",
    "GrantHeld": "hold",
    "GrantReleased": "release",
    "GrantPaid": "pay",
    "PaymentReturned": "return-payment",
    "GrantVoided": "void",
    "GrantRecovered": "recover",
    "FactReversed": "reverse-fact",
}

#: What deciding raises on a command that no input could have been: a forged event's.
UNDECIDABLE: Final = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    StopIteration,
    UnusableRulebook,
)


@mypyc_attr(acyclic=True)
class Recorded(Plain):
    """An event as the log holds it. `tags` are joined by newlines, `accounts` (ids), `amounts` and `days` of its lines
    by commas (`days` is None where all are the event's own); `tag_count` and `span` as stored; whether it has an
    idempotency key and a fingerprint."""

    __slots__ = (
        *("accounts", "amounts", "data", "days", "effective_on", "has_fingerprint"),
        *("has_key", "position", "span", "tag_count", "tags", "type"),
    )

    def __init__(
        self,
        position: int,
        type: str,  # noqa: A002 - the field's name
        effective_on: Day,
        tags: str,
        tag_count: int,
        data: bytes,
        accounts: str,
        amounts: str,
        days: str | None,
        span: int,
        has_key: bool,
        has_fingerprint: bool,
    ) -> None:
        self.position: Final = position
        self.type: Final = type
        self.effective_on: Final = effective_on
        self.tags: Final = tags
        self.tag_count: Final = tag_count
        self.data: Final = data
        self.accounts: Final = accounts
        self.amounts: Final = amounts
        self.days: Final = days
        self.span: Final = span
        self.has_key: Final = has_key
        self.has_fingerprint: Final = has_fingerprint


class _Memories(dict[str, tuple[Memory, ...]]):
    """The memories by tag; one that was never named is empty."""

    def __init__(self, kinds: MemoryKinds) -> None:
        super().__init__()
        self._kinds = kinds

    def __missing__(self, tag: str) -> tuple[Memory, ...]:
        found = self[tag] = tuple([kind() for kind in self._kinds.get(tag.partition(":")[0], ())])
        return found


class _Sums(dict[str, dict[str, DaySums]]):
    """The accounts by owner; one that was never posted to is empty."""

    def __missing__(self, tag: str) -> dict[str, DaySums]:
        found: dict[str, DaySums] = {}
        self[tag] = found
        return found


class WholeState(State):
    """A state that remembers every tag from the first event on: nothing has to be loaded, an unknown tag is one that
    no event named. Of single events only those at `watched` positions are kept, which a reversal asks for."""

    __slots__ = ("_watched",)

    def __init__(self, kinds: MemoryKinds, watched: Collection[int] = ()) -> None:
        super().__init__(kinds)
        self._memories = _Memories(kinds)
        self._sums = _Sums()
        self._watched = frozenset(watched)

    def take_in(self, event: Event) -> None:
        """As `state.evolve`, for every tag."""
        memories = self._memories
        for tag in event.tags:
            for memory in memories[tag]:
                memory.apply(event, tag)
        if event.position in self._watched:
            tag = f"position:{event.position}"
            for memory in memories[tag]:
                memory.apply(event, tag)
        accounts = self._accounts
        for posting in event.postings:
            path = posting.account
            account = accounts.get(path)
            if account is None:
                if owner_of(path) is None:
                    continue
                account = self._first_of(path)
            account.add(posting.effective_on, posting.amount_fen)
        self.position = event.position

    def _first_of(self, path: str) -> DaySums:
        owner = owner_of(path)
        if owner is None:
            raise AssertionError(f"{path} decides nothing: nobody keeps its day sums")
        found = self._accounts[path] = self._sums[owner][path] = DaySums()
        return found


@mypyc_attr(acyclic=True)
class Redecided(Plain):
    """What a command gives now: the events with the positions of those that were recorded, and whether it was
    granted or refused. `recorded` are the events that its own stand for."""

    __slots__ = ("command", "decided", "events", "recorded")

    def __init__(
        self,
        command: Command,
        recorded: tuple[Recorded, ...],
        events: tuple[Event, ...],
        decided: Decided,
    ) -> None:
        self.command: Final = command
        self.recorded: Final = recorded
        self.events: Final = events
        self.decided: Final = decided


Content = Mapping[str, Any]


class History:
    """One history being decided again, event by event. `change` may alter the content of each adopted rulebook:
    then it is the history that there would have been."""

    def __init__(
        self,
        catalogue: Catalogue,
        watched: Collection[int] = (),
        change: Callable[[Content], Content] | None = None,
    ) -> None:
        self.state = WholeState(catalogue.memories, watched)
        self._catalogue = catalogue
        self._change = change
        self._commands = _commands_of_events(catalogue)
        self._fields = {name: tuple([f.name for f in spec.fields]) for name, spec in catalogue.specs.items()}
        self._held: list[tuple[Recorded, Content]] = []  # adoptions whose round comes next
        self._contents: dict[str, Content] = {}  # what was adopted, by the hash that the log gives it

    def is_decided(self, recorded: Recorded) -> bool:
        """Whether the event records a command. Others are those of other recorders, and of the ledger's keys."""
        return recorded.span != 0 and (
            recorded.type in self._commands or recorded.type in REFUSALS or recorded.type == ADOPTION
        )

    @property
    def held(self) -> tuple[Recorded, ...]:
        """Adoptions that no round has taken up yet."""
        return tuple(recorded for recorded, _ in self._held)

    def hold(self, recorded: Recorded, data: Mapping[str, Any]) -> None:
        """An adoption: the round that is opened next decides on it."""
        self._contents[data["sha256"]] = data["content"]
        self._held.append((recorded, data))

    def follow(self, event: Event) -> None:
        """Take in an event as it was recorded."""
        if event.type == ADOPTION:
            self._contents[event.data["sha256"]] = event.data["content"]
        self.state.take_in(event)

    def redecide(self, recorded: Recorded, data: Mapping[str, Any]) -> Redecided:
        """Decide the command of an event (any but an adoption) again, on the history so far, and take the outcome in.

        Raises one of UNDECIDABLE where the event is none that a command could have given.
        """
        held, self._held = self._held, []
        command = self.command(recorded, data)
        if command.name == "open-round":
            decided = self._open_round(command, data)
        else:
            decided = decide(command, self.state, self._catalogue)
        before = tuple([adoption for adoption, _ in held])
        events = _placed(decided.events, (*(r.position for r in before), recorded.position))
        for event in events:
            self.state.take_in(event)
        return Redecided(command, (*before, recorded), events, decided)

    def confirm(self, recorded: Recorded, ids: Mapping[str, str]) -> Redecided | None:
        """Decide the command of an event again, on the history so far, and take the outcome in: None where it is what
        is recorded, by a command. An adoption is held. `ids` are those of accounts, by path.

        Raises one of UNDECIDABLE where the event is none that a command could have given.
        """
        data = codec.read_canonical(recorded.data)
        if recorded.type == ADOPTION:
            self.hold(recorded, data)
            return None
        again = self.redecide(recorded, data)
        return None if _is_as_recorded(again, ids) else again

    def consider(self, recorded: Recorded, data: Mapping[str, Any]) -> Decided:
        """What the command of an event (any but a round's opening) would give on the history so far; nothing is
        taken in."""
        return decide(self.command(recorded, data), self.state, self._catalogue)

    def command(self, recorded: Recorded, data: Mapping[str, Any]) -> Command:
        """The command that an event records."""
        found = self._commands.get(recorded.type)
        name, fields = found or (data["command"], self._fields[data["command"]])
        own = {field: data[field] for field in fields if field in data}
        return Command(name, own, None, recorded.effective_on, b"")

    def _open_round(self, command: Command, data: Mapping[str, Any]) -> Decided:
        """As `open-round` decided, from the versions that the round froze. A refusal never came to look at them."""
        frozen = [data[f"{name}_sha256"] for name in ("rulebook", "call") if f"{name}_sha256" in data]
        contents = [self._changed(self._contents[sha256]) for sha256 in frozen]
        handler: Handler = rounds.handlers(Library(contents))[0]
        return decide(command, self.state, _with(self._catalogue, handler))

    def _changed(self, content: Content) -> Content:
        return content if self._change is None else self._change(content)


def _with(catalogue: Catalogue, handler: Handler) -> Catalogue:
    return replace(catalogue, handlers={**catalogue.handlers, handler.spec.name: handler})


def _commands_of_events(catalogue: Catalogue) -> dict[str, tuple[str, tuple[str, ...]]]:
    """By type of event the name of its command and the names of its own fields."""
    names = {**COMMAND_OF_EVENT, **{i.event: i.spec.name for i in catalogue.instruments.values()}}
    return {
        event: (name, tuple([field.name for field in catalogue.specs[name].fields]))
        for event, name in names.items()
        if name in catalogue.specs
    }


def _placed(events: Iterable[NewEvent], positions: tuple[int, ...]) -> tuple[Event, ...]:
    """Events at the positions of those that were recorded, the last at the last."""
    new = tuple(events)
    if len(new) == 1:
        (only,) = new
        return (Event(positions[-1], only.type, only.effective_on, only.tags, only.data, only.postings),)
    at = (*(positions[0],) * (len(new) - len(positions)), *positions)[-len(new) :]
    return tuple(
        Event(position, e.type, e.effective_on, e.tags, e.data, e.postings)
        for position, e in zip(at, new, strict=True)
    )


def as_recorded(event: Event, ids: Mapping[str, str]) -> Recorded:
    """An event as the log would hold it. `ids` are those of accounts, by path; an account without one has "?"."""
    amounts, days = _amounts_and_days(event)
    return Recorded(
        event.position,
        event.type,
        event.effective_on,
        "\n".join(event.tags),
        len(event.tags),
        codec.canonical(event.data),
        _accounts(event, ids),
        amounts,
        days,
        1,
        False,
        False,
    )


def _amounts_and_days(event: Event) -> tuple[str, str | None]:
    """Of an event's lines, as `Recorded` spells them."""
    amounts = ",".join([str(p.amount_fen) for p in event.postings])
    for posting in event.postings:
        if posting.effective_on != event.effective_on:
            return amounts, ",".join([p.effective_on for p in event.postings])
    return amounts, None


def moves_otherwise(event: Event, recorded: Recorded) -> bool:
    """Whether an event decided again moves other amounts than the recorded one, or on other days."""
    return _amounts_and_days(event) != (recorded.amounts, recorded.days)


def as_event(recorded: Recorded, data: Mapping[str, Any], paths: Mapping[str, str]) -> Event:
    """A recorded event for state; `paths` are those of accounts, by id. Raises KeyError for an unknown account."""
    on = recorded.effective_on
    accounts = recorded.accounts.split(",") if recorded.accounts else []
    days = [on] * len(accounts) if recorded.days is None else recorded.days.split(",")
    amounts = recorded.amounts.split(",") if recorded.amounts else []
    postings = tuple(
        [Posting(paths[i], int(fen), day) for i, fen, day in zip(accounts, amounts, days, strict=True)]
    )
    tags = tuple(recorded.tags.split("\n")) if recorded.tags else ()
    return Event(recorded.position, recorded.type, on, tags, data, postings)


def is_again(event: Event, recorded: Recorded, ids: Mapping[str, str]) -> bool:
    """Whether an event decided again is the recorded one, in everything that a decision says: `as_recorded` of it is
    the same, but for how it was recorded."""
    return (
        event.position == recorded.position
        and event.type == recorded.type
        and event.effective_on == recorded.effective_on
        and len(event.tags) == recorded.tag_count
        and "\n".join(event.tags) == recorded.tags
        and codec.canonical(event.data) == recorded.data
        and _accounts(event, ids) == recorded.accounts
        and _amounts_and_days(event) == (recorded.amounts, recorded.days)
    )


def _is_as_recorded(again: Redecided, ids: Mapping[str, str]) -> bool:
    """Whether a command gives the very events that are recorded, in the form that a command's have."""
    if len(again.events) != len(again.recorded) or not is_command(again.recorded):
        return False
    return all(
        is_again(event, recorded, ids) for event, recorded in zip(again.events, again.recorded, strict=True)
    )


def _accounts(event: Event, ids: Mapping[str, str]) -> str:
    """Of an event's lines, as `Recorded` spells them; an account without an id is "?"."""
    return ",".join([ids.get(posting.account, "?") for posting in event.postings])


def is_command(recorded: Sequence[Recorded]) -> bool:
    """Whether events have the form of those of one command: the last has its fingerprint and says how many they are,
    and none before it has a fingerprint or a key."""
    *before, last = recorded
    return (
        last.span == len(recorded)
        and last.has_fingerprint
        and not any(one.span != 1 or one.has_key or one.has_fingerprint for one in before)
    )
