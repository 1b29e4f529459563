"""Exclusive-credit award 专属信贷奖励 (SX-2): a bank's certified credit climbs a ladder; each step pays once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger import accounts
from ledger.commands import ID, USCC, YEAR, Command, CommandSpec, Field
from ledger.grants import CLAIM_FIELDS, Case, Instrument
from ledger.refusals import Refusal
from ledger.rulebook.clauses import Clause
from ledger.rulebook.forms import READINGS, one_of
from ledger.state import State
from ledger.subjects.certificates import Certificates, product_tag
from ledger.subjects.ladders import Awards, ladder_key
from ledger.subjects.registrations import unknown_as
from ledger.subjects.rounds import Round

_LADDER = "ladder"


def _keys(fields: Mapping[str, Any], state: State) -> Mapping[str, str]:
    return {"bank": fields["bank"], "product": f"{fields['bank']}/{fields['product']}"}


def _needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    yield f"party:{fields['bank']}"
    yield product_tag(fields)


def _find(fields: Mapping[str, Any], state: State) -> Refusal | None:
    unknown = unknown_as(fields["bank"], "bank", state, ())
    if unknown is not None:
        return unknown.refusal
    if state.recall(Certificates, product_tag(fields)).of_year(fields["year"]):
        return None
    named = {name: fields[name] for name in ("bank", "product", "year")}
    return Refusal("unknown_certificate", None, named)


def _assess(command: Command, state: State, clause: Clause, round_: Round) -> Refusal | Case:
    fields = command.fields
    certificate = state.recall(Certificates, product_tag(fields)).of_year(fields["year"])
    assert certificate is not None  # _find refused otherwise
    total_fen, certified_at = certificate
    ladder = _ladder(clause)
    name, key = _climbed(fields, clause)
    step_fen = ladder["step_fen"]
    mark_fen = state.recall(Awards, product_tag(fields)).mark_fen(key)
    # An award of a round with other steps counts by its height, in whole steps of this clause.
    mark, reached = mark_fen // step_fen, total_fen // step_fen
    return Case(
        payee=fields["bank"],
        basis={"total_fen": total_fen, "mark": mark},
        inputs={
            "total_fen": total_fen,
            "certified_at": certified_at,
            "mark_before": mark,
            "step_fen": step_fen,
        },
        decided={"mark": reached, "ladder": name, "ladder_key": key},
        marks=((accounts.milestone(name, key), reached * step_fen - mark_fen),),
        nothing_due="no_new_step",
    )


def _climbed(fields: Mapping[str, Any], clause: Clause) -> tuple[str, str]:
    """The ladder that an award climbs under a clause, and its key."""
    kind = "product+year" if clause.terms["reset"] == "year" else "product"
    return f"{clause.instrument}.{kind}", ladder_key(fields, clause.terms)


def _ladder(clause: Clause) -> Mapping[str, Any]:
    for leg in clause.legs:
        if leg.part == _LADDER:
            return leg.parameters
    raise LookupError(f"clause {clause.id} has no part {_LADDER!r}")


INSTRUMENT = Instrument(
    key="credit_award",
    event="CreditAwarded",
    spec=CommandSpec(
        "claim-credit-award",
        "Claim the award for a certified year-end total of a bank's exclusive product.",
        "就银行专属产品经认定的年末授信总额申请奖励。",
        (
            *CLAIM_FIELDS,
            Field("bank", USCC, "the bank", "银行"),
            Field("product", ID, "the exclusive product", "专属产品"),
            Field("year", YEAR, "the certified year", "认定年度"),
        ),
        makes=("claim",),
    ),
    keys=_keys,
    needs=_needs,
    find=_find,
    assess=_assess,
    climbed=_climbed,
    payee=lambda fields, keys: keys["bank"],
    memories={"product": (Awards,)},
    terms={"reset": one_of(*READINGS["A16"])},
    legs={_LADDER: "ladder"},
    figures=("total_fen", "mark"),
    sources={
        "total_fen": "certificate",
        "certified_at": "certificate",
        "mark_before": "awards",
        "step_fen": "rules",
    },
    counted_by=("bank", "product"),
)
