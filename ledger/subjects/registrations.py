"""Parties: legal persons, registered by USCC and kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger import parties
from ledger.commands import FLAG, TEXT, USCC, Command, CommandSpec, Field, one_of
from ledger.decisions import Decision, Handler, Refused, record, refuse
from ledger.events import Event
from ledger.state import Memory, State


class Party(Memory):
    """What a legal person is registered as (tag `party:<uscc>`): kind to name."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def apply(self, event: Event) -> None:
        """PartyRegistered."""
        if event.type == "PartyRegistered":
            self.names[event.data["kind"]] = event.data["name"]


MEMORIES = {"party": (Party,)}


def unknown_as(uscc: str, kind: str, state: State, tags: Iterable[str]) -> Refused | None:
    """`unknown_party` where nobody is registered under the code as this kind."""
    if kind in state.recall(Party, f"party:{uscc}").names:
        return None
    return refuse("unknown_party", tags, uscc=uscc, kind=kind)


_REGISTER = CommandSpec(
    "register-party",
    "Register a legal person as a kind of party.",
    "登记一个法人及其类别。",
    (
        Field("uscc", USCC, "unified social credit code", "统一社会信用代码"),
        Field("kind", one_of(*parties.KINDS), "what it is in the programme", "类别"),
        Field("name", TEXT, "its registered name", "登记名称"),
        Field(
            "confirm_uscc",
            FLAG,
            "true: a person confirms a code that fails its check digit",
            "true：人工确认校验位不符的代码",
            required=False,
        ),
    ),
    makes=("uscc", "kind"),
)


def _needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    yield f"party:{fields['uscc']}"


def _register(command: Command, state: State) -> Decision:
    fields = command.fields
    uscc, kind = fields["uscc"], fields["kind"]
    tags = (f"party:{uscc}", f"{kind}:{uscc}")
    if kind in state.recall(Party, tags[0]).names:
        return refuse("duplicate_party", tags, uscc=uscc, kind=kind)
    warnings: tuple[str, ...] = ()
    if not parties.passes_check(uscc):
        if not fields.get("confirm_uscc"):
            expected = parties.check_character(uscc)
            return refuse("uscc_check_digit", tags, uscc=uscc, expected=expected)
        warnings = ("uscc_check_digit_confirmed",)
    return record(command, "PartyRegistered", tags, warnings=warnings)


HANDLERS = (Handler(_REGISTER, _needs, _register),)
