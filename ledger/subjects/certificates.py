"""Certificates of a bank's year-end credit under an exclusive product (A15)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mypy_extensions import mypyc_attr

from ledger.commands import AMOUNT_OR_ZERO, ID, TEXT, USCC, YEAR, Command, CommandSpec, Field
from ledger.decisions import Decision, Handler, record
from ledger.events import Event
from ledger.state import Memory, State
from ledger.subjects.registrations import unknown_as


@mypyc_attr(acyclic=True)
class Certificates(Memory):
    """What is certified for a bank's product (tag `product:<bank>/<product>`): year to (total in fen, position)
    of each certificate that was not reversed, the newest last."""

    __slots__ = ("_by_year",)

    def __init__(self) -> None:
        self._by_year: dict[int, list[tuple[int, int]]] = {}

    def apply(self, event: Event, tag: str) -> None:
        """CreditCertified; a second one for the same year restates it. A reversed one is as if never there."""
        data = event.data
        if event.type == "CreditCertified":
            self._by_year.setdefault(data["year"], []).append((data["total_fen"], event.position))
        elif event.type == "FactReversed" and data["reversed_type"] == "CreditCertified":
            kept = [entry for entry in self._by_year[data["year"]] if entry[1] != data["position"]]
            self._by_year[data["year"]] = kept

    def of_year(self, year: int) -> tuple[int, int] | None:
        """The certificate in force for a year: total in fen, position."""
        standing = self._by_year.get(year)
        return standing[-1] if standing else None


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
    tags = (f"bank:{fields['bank']}", product_tag(fields), f"party:{fields['bank']}")
    unknown = unknown_as(fields["bank"], "bank", state, tags)
    if unknown:
        return unknown
    restated = state.recall(Certificates, tags[1]).of_year(fields["year"])
    decided = {} if restated is None else {"restates": restated[1]}
    return record(command, "CreditCertified", tags, decided=decided)


HANDLERS = (Handler(_CERTIFY, _needs, _certify),)
