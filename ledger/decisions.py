"""What deciding a command gives: events to record, or a refusal. Plain data, and the handler of a command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ledger.commands import Command, CommandSpec
from ledger.dates import Day
from ledger.events import NewEvent, Posting
from ledger.plain import Plain
from ledger.refusals import Refusal
from ledger.state import State


@mypyc_attr(acyclic=True)
class Accepted(Plain):
    """The events to record (the last one is the command's own), the amount granted, warnings."""

    __slots__ = ("amount_fen", "events", "warnings")

    def __init__(
        self,
        events: tuple[NewEvent, ...],
        amount_fen: int | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.events: Final = events
        self.amount_fen: Final = amount_fen
        self.warnings: Final = warnings


@mypyc_attr(acyclic=True)
class Refused(Plain):
    """Why not, whom it concerns (`tags`), and what else the refusal's event keeps."""

    __slots__ = ("data", "refusal", "tags")

    def __init__(
        self,
        refusal: Refusal,
        tags: tuple[str, ...] = (),
        data: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.refusal: Final = refusal
        self.tags: Final = tags
        self.data: Final = data


Decision = Accepted | Refused


@dataclass(frozen=True, slots=True)
class Handler:
    """A command's own room: what it takes, which tags it must remember, how it decides.

    `needs(fields, state)` names tags; it is asked again after loading, so that a loaded loan can lead to its
    firm. `decide` is pure.
    """

    spec: CommandSpec
    needs: Callable[[Mapping[str, Any], State], Iterable[str]]
    decide: Callable[[Command, State], Decision]


def refuse(code: str, tags: Iterable[str] = (), clause: str | None = None, **arithmetic: Any) -> Refused:
    """A refusal with its arithmetic."""
    return Refused(Refusal(code, clause, arithmetic), tuple(tags))


def too_early(command: Command, earliest: Day, tags: Iterable[str]) -> Refused | None:
    """`effective_too_early` where a step would take effect before the one that it follows."""
    if command.effective_on >= earliest:
        return None
    return refuse("effective_too_early", tags, effective_on=command.effective_on, earliest=earliest)


def own_fields(command: Command) -> dict[str, Any]:
    """The command's fields as its event keeps them: the business date stands in the envelope."""
    fields = dict(command.fields)
    fields.pop("effective_on", None)
    return fields


def record(
    command: Command,
    event_type: str,
    tags: Iterable[str],
    postings: Iterable[Posting] = (),
    warnings: tuple[str, ...] = (),
    decided: Mapping[str, Any] | None = None,
) -> Accepted:
    """Accept a command as one event that keeps its fields and what was `decided` besides."""
    data = {**own_fields(command), **(decided or {}), **({"warnings": list(warnings)} if warnings else {})}
    event = NewEvent(event_type, command.effective_on, tuple(sorted(set(tags))), data, tuple(postings))
    return Accepted((event,), warnings=warnings)


def move(giver: str, receiver: str, amount_fen: int, on: Day) -> tuple[Posting, ...]:
    """Two lines of a double-entry book: the receiving account grows, the giving one shrinks. Nothing for 0."""
    if amount_fen == 0:
        return ()
    return (Posting(giver, -amount_fen, on), Posting(receiver, amount_fen, on))
