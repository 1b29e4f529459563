"""Certificates of a bank's year-end credit under an exclusive product (A15)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.commands import AMOUNT_OR_ZERO, ID, TEXT, USCC, YEAR, Command, CommandSpec, Field
from ledger.decisions import Decision, Handler, record
from ledger.events import Event
from ledger.state import Memory, State
from ledger.subjects.registrations import unknown_as


class Certificates(Memory):
    """What is certified for a bank's product (tag `product:<bank>/<product>`): year to (total in fen, position)."""

    __slots__ = ("by_year",)

    def __init__(self) -> None:
        self.by_year: dict[int, tuple[int, int]] = {}

    def apply(self, event: Event) -> None:
        """CreditCertified; a second one for the same year restates it."""
        if event.type == "CreditCertified":
            self.by_year[event.data["year"]] = (event.data["total_fen"], event.position)


MEMORIES = {"product": (Certificates,)}


def product_tag(fields: Mapping[str, Any]) -> str:
    """The tag of a bank's product."""
    return f"product:{fields['bank']}/{fields['product']}"


_CERTIFY = CommandSpec(
    "certify-credit",
    "Record the certified year-end credit of a bank's exclusive product; a second time restates it.",
    "登记银行专属产品经认定的年末授信总额；再次登记即为更正。",
    (
        Field("bank", USCC, "the bank", "银行"),
        Field("product", ID, "the exclusive product", "专属产品"),
        Field("year", YEAR, "the certified year", "认定年度"),
        Field("total_fen", AMOUNT_OR_ZERO, "the certified year-end total", "认定年末总额"),
        Field("certificate", TEXT, "reference of the certificate", "证明文号"),
    ),
)


def _needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    yield f"party:{fields['bank']}"
    yield product_tag(fields)


def _certify(command: Command, state: State) -> Decision:
    fields = command.fields
    tags = (f"bank:{fields['bank']}", product_tag(fields))
    unknown = unknown_as(fields["bank"], "bank", state, tags)
    if unknown:
        return unknown
    restated = state.recall(Certificates, tags[1]).by_year.get(fields["year"])
    decided = {} if restated is None else {"restates": restated[1]}
    return record(command, "CreditCertified", tags, decided=decided)


HANDLERS = (Handler(_CERTIFY, _needs, _certify),)
