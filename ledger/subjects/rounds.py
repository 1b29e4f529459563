"""Rounds: public money opened for one year under a measure and, where named, a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ledger import accounts
from ledger.commands import AMOUNT_OR_ZERO, ID, YEAR, Command, CommandSpec, Field, InvalidCommand, one_of
from ledger.dates import Day
from ledger.decisions import Accepted, Decision, Handler, move, own_fields, refuse
from ledger.events import Event, NewEvent
from ledger.rulebook.clauses import Rulebook, resolve
from ledger.rulebook.library import Document, Library
from ledger.state import Memory, State


@mypyc_attr(acyclic=True)
class Round(Memory):
    """A round's own life (tag `budget:<round>`): year, effective date, the rulebooks frozen into it."""

    __slots__ = ("call", "closed", "effective_on", "frozen", "id", "measure", "rulebook_tags", "year")

    def __init__(self) -> None:
        self.id: str | None = None
        self.year = 0
        self.effective_on: Day = ""
        self.measure: tuple[str, str] = ("", "")  # id, sha256
        self.call: tuple[str, str] | None = None
        self.closed = False
        self.frozen: dict[str, str] = {}  # the same, as every decision of the round keeps it
        self.rulebook_tags: tuple[str, ...] = ()

    def apply(self, event: Event, tag: str) -> None:
        """RoundOpened, RoundClosed."""
        self.closed = self.closed or event.type == "RoundClosed"
        if event.type != "RoundOpened":
            return
        data = event.data
        self.id, self.year, self.effective_on = data["round"], data["year"], event.effective_on
        self.measure = (data["rulebook"], data["rulebook_sha256"])
        self.frozen = {"measure": self.measure[0], "measure_sha256": self.measure[1]}
        self.rulebook_tags = (f"rulebook:{self.measure[0]}",)
        if "call" in data:
            self.call = call, sha256 = data["call"], data["call_sha256"]
            self.frozen.update(call=call, call_sha256=sha256)
            self.rulebook_tags += (f"rulebook:{call}",)

    @property
    def opened(self) -> bool:
        """Whether the round exists."""
        return self.id is not None


@mypyc_attr(acyclic=True)
class Adoptions(Memory):
    """The versions of one rulebook that the ledger has adopted (tag `rulebook:<id>`): content by hash."""

    __slots__ = ("contents",)

    def __init__(self) -> None:
        self.contents: dict[str, Mapping[str, Any]] = {}

    def apply(self, event: Event, tag: str) -> None:
        """RulebookAdopted."""
        if event.type == "RulebookAdopted":
            self.contents[event.data["sha256"]] = event.data["content"]


MEMORIES = {"budget": (Round,), "rulebook": (Adoptions,)}


#: Rounds use a few rulebooks, a server that is asked what-ifs any number: once there are so many, it begins anew.
_resolved: dict[tuple[str, str | None], Rulebook] = {}
_RESOLVED_MAX: Final = 64


def rulebook_of(round_: Round, state: State) -> Rulebook:
    """The rules that decide in a round: those adopted when it was opened, never newer ones (A27)."""
    # Resolving is a pure function of the two contents, so their hashes may stand for it.
    hashes = (round_.measure[1], round_.call[1] if round_.call else None)
    resolved = _resolved.get(hashes)
    if resolved is None:
        measure = state.recall(Adoptions, f"rulebook:{round_.measure[0]}").contents[round_.measure[1]]
        call = None
        if round_.call:
            call = state.recall(Adoptions, f"rulebook:{round_.call[0]}").contents[round_.call[1]]
        resolved = resolve(measure, call)
        if len(_resolved) >= _RESOLVED_MAX:
            _resolved.clear()
        _resolved[hashes] = resolved
    return resolved


def handlers(library: Library) -> tuple[Handler, ...]:
    """open-round, for the rulebooks of a library."""
    spec = CommandSpec(
        "open-round",
        "Open a round: its budget moves from the treasury, its rulebooks are frozen.",
        "开立一轮资金：预算自财政拨入，并冻结所依据的办法与通知。",
        (
            Field("round", ID, "id of the new round", "新轮次编号"),
            Field("year", YEAR, "the year of the round", "轮次年份"),
            Field("budget_fen", AMOUNT_OR_ZERO, "the money of the round", "本轮资金"),
            Field("rulebook", one_of(*library.measures()), "the standing measure", "依据的办法"),
            Field(
                "call",
                one_of(*library.calls()),
                "the yearly call; without it none applies",
                "年度通知；不填则无",
                required=False,
            ),
        ),
        makes=("round",),
        check=_call_of_measure(library),
    )

    def needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
        yield f"budget:{fields['round']}"
        yield f"round:{fields['round']}"
        yield f"rulebook:{fields['rulebook']}"
        if "call" in fields:
            yield f"rulebook:{fields['call']}"

    def decide(command: Command, state: State) -> Decision:
        return _open_round(command, state, library)

    return (Handler(spec, needs, decide),)


def _call_of_measure(library: Library) -> Callable[[Mapping[str, Any]], None]:
    def check(fields: Mapping[str, Any]) -> None:
        if "call" in fields and library.measure_of(fields["call"]).id != fields["rulebook"]:
            raise InvalidCommand(
                f"open-round: the call {fields['call']} does not belong to the measure {fields['rulebook']}",
                f"open-round：通知 {fields['call']} 不属于办法 {fields['rulebook']}",
            )

    return check


def _open_round(command: Command, state: State, library: Library) -> Decision:
    fields = command.fields
    tags = (f"round:{fields['round']}", f"budget:{fields['round']}")
    if state.recall(Round, tags[1]).opened:
        return refuse("duplicate_round", tags[:1], round=fields["round"])
    documents = [library.documents[fields[name]] for name in ("rulebook", "call") if name in fields]
    adoptions = [_adoption(document, command) for document in documents if not _adopted(document, state)]
    frozen = {
        f"{name}_sha256": library.documents[fields[name]].sha256
        for name in ("rulebook", "call")
        if name in fields
    }
    opened = NewEvent(
        "RoundOpened",
        command.effective_on,
        tuple(sorted(tags)),
        {**own_fields(command), **frozen},
        move(
            accounts.TREASURY,
            accounts.available(fields["round"]),
            fields["budget_fen"],
            command.effective_on,
        ),
    )
    return Accepted((*adoptions, opened))


def _adopted(document: Document, state: State) -> bool:
    return document.sha256 in state.recall(Adoptions, f"rulebook:{document.id}").contents


def _adoption(document: Document, command: Command) -> NewEvent:
    return NewEvent(
        "RulebookAdopted",
        command.effective_on,
        (f"rulebook:{document.id}",),
        {
            "rulebook": document.id,
            "layer": document.layer,
            "version": document.content["version"],
            "sha256": document.sha256,
            "content": document.content,
        },
    )
