"""Parties: legal persons by USCC: registered by kind, renamed, certified."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mypy_extensions import mypyc_attr

from ledger import parties
from ledger.commands import DAY, FLAG, TEXT, USCC, Command, CommandSpec, Field, one_of
from ledger.dates import Day
from ledger.decisions import Decision, Handler, Refused, record, refuse
from ledger.events import Event
from ledger.state import Memory, State


@mypyc_attr(acyclic=True)
class Party(Memory):
    """A legal person (tag `party:<uscc>`): its names by kind, its products as a bank as far as something was certified,
    counted or inherited under them, what certifies it, whom it was absorbed by, whom it was split from."""

    __slots__ = ("absorbed_into", "names", "products", "qualities", "split_from")

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.products: set[str] = set()
        self.qualities: dict[int, tuple[str, Day, Day]] = {}  # position to (quality, from, to)
        self.absorbed_into: tuple[str, Day] | None = None  # survivor, since
        self.split_from: str | None = None

    def apply(self, event: Event, tag: str) -> None:
        """PartyRegistered, PartyRenamed, PartiesMerged, PartySplit, FirmCertified, CreditCertified, grants."""
        data, uscc = event.data, tag.removeprefix("party:")
        match event.type:
            case "PartyRegistered":
                self.names[data["kind"]] = data["name"]
            case "PartyRenamed":
                self.names = dict.fromkeys(self.names, data["name"])
            case "CreditCertified":
                self.products.add(data["product"])
            case "FirmCertified":
                self.qualities[event.position] = (data["quality"], data["valid_from"], data["valid_to"])
            case "FactReversed":
                self.qualities.pop(data["position"], None)
            case "PartiesMerged" if data["absorbed"] == uscc:
                self.absorbed_into = (data["survivor"], event.effective_on)
            case "PartiesMerged":
                self.products |= data.get("awards", {}).keys()  # of the absorbed: they are the survivor's now
            case "PartySplit" if data["created"] == uscc:
                self.split_from = data["original"]
            case _ if "legs" in data:  # a grant that a cap counts by its product
                own = f"product:{uscc}/"
                self.products |= {named.removeprefix(own) for named in event.tags if named.startswith(own)}

    def certified_at(self, quality: str, on: Day) -> int | None:
        """The position of the newest certificate of the quality that covers the day, or None."""
        covering = (
            at for at, (q, first, last) in self.qualities.items() if q == quality and first <= on <= last
        )
        return max(covering, default=None)


MEMORIES = {"party": (Party,)}


def unknown_as(uscc: str, kind: str | None, state: State, tags: Iterable[str]) -> Refused | None:
    """`unknown_party` where nobody is registered under the code as this kind (None: as anything)."""
    names = state.recall(Party, f"party:{uscc}").names
    if names if kind is None else kind in names:
        return None
    return refuse("unknown_party", tags, uscc=uscc, kind=kind or "party")


def absorbed(uscc: str, state: State, tags: Iterable[str]) -> Refused | None:
    """`party_absorbed` for a party that merged into another."""
    merger = state.recall(Party, f"party:{uscc}").absorbed_into
    if merger is None:
        return None
    return refuse("party_absorbed", tags, uscc=uscc, survivor=merger[0], merged_on=merger[1])


_USCC = Field("uscc", USCC, "unified social credit code", "统一社会信用代码")

_REGISTER = CommandSpec(
    "register-party",
    "Register a legal person as a kind of party.",
    "登记一个法人及其类别。",
    (
        _USCC,
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
_RENAME = CommandSpec(
    "rename-party",
    "Record a party's new name; its caps and history stay with its code.",
    "登记主体更名；额度与历史随信用代码不变。",
    (_USCC, Field("name", TEXT, "its new name", "新名称")),
)
_CERTIFY = CommandSpec(
    "certify-firm",
    "Record that a firm has a quality (e.g. high-tech enterprise) from one day to another.",
    "登记企业资质及有效期（如高新技术企业）。",
    (
        _USCC,
        Field("quality", TEXT, "the quality that is certified", "资质"),
        Field("valid_from", DAY, "first day", "有效期起"),
        Field("valid_to", DAY, "last day, included", "有效期止（含）"),
        Field("document", TEXT, "the certificate", "证书"),
    ),
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


def _tags_of(uscc: str, state: State) -> tuple[str, ...]:
    kinds = state.recall(Party, f"party:{uscc}").names
    return (f"party:{uscc}", *(f"{kind}:{uscc}" for kind in kinds))


def _rename(command: Command, state: State) -> Decision:
    uscc = command.fields["uscc"]
    tags = _tags_of(uscc, state)
    unknown = unknown_as(uscc, None, state, tags)
    if unknown:
        return unknown
    party = state.recall(Party, tags[0])
    warnings = ("party_absorbed",) if party.absorbed_into else ()
    former = sorted(set(party.names.values()))
    return record(command, "PartyRenamed", tags, warnings=warnings, decided={"former_names": former})


def _certify(command: Command, state: State) -> Decision:
    fields = command.fields
    tags = _tags_of(fields["uscc"], state)
    unknown = unknown_as(fields["uscc"], None, state, tags)
    if unknown:
        return unknown
    warnings: tuple[str, ...] = (
        ("ends_before_it_begins",) if fields["valid_from"] > fields["valid_to"] else ()
    )
    return record(command, "FirmCertified", tags, warnings=warnings)


HANDLERS = (
    Handler(_REGISTER, _needs, _register),
    Handler(_RENAME, _needs, _rename),
    Handler(_CERTIFY, _needs, _certify),
)
