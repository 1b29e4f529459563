"""Exclusive-credit award 专属信贷奖励 (SX-2): a bank's certified credit climbs a ladder; each step pays once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ledger import accounts
from ledger.commands import ID, USCC, YEAR, Command, CommandSpec, Field
from ledger.events import Event
from ledger.grants import CLAIM_FIELDS, Case, Instrument
from ledger.refusals import Refusal
from ledger.rulebook.clauses import Clause
from ledger.state import Memory, State
from ledger.subjects.certificates import Certificates, product_tag
from ledger.subjects.claims import Claim
from ledger.subjects.registrations import unknown_as
from ledger.subjects.rounds import Round

_GRANTED = "CreditAwarded"
_LADDER = "ladder"


@dataclass(slots=True)
class _Award:
    ladder: str
    key: str
    reached: int
    step_fen: int
    amount_fen: int
    recovered_error_fen: int = 0


class Awards(Memory):
    """The standing awards of a bank's product (tag `product:<bank>/<product>`) by claim."""

    __slots__ = ("by_claim",)

    def __init__(self) -> None:
        self.by_claim: dict[str, _Award] = {}

    def apply(self, event: Event) -> None:
        """An award stands until it is voided or wholly recovered for error (A13, A20)."""
        data = event.data
        if event.type == _GRANTED:
            self.by_claim[data["claim"]] = _Award(
                data["ladder"],
                data["ladder_key"],
                data["mark"],
                data["inputs"]["step_fen"],
                data["amount_fen"],
            )
        elif event.type == "GrantVoided":
            self.by_claim.pop(data["claim"], None)
        elif event.type == "GrantRecovered" and data["cause"] == "error":
            award = self.by_claim.get(data["claim"])
            if award is not None:
                award.recovered_error_fen += data["amount_fen"]
                if award.recovered_error_fen >= award.amount_fen:
                    del self.by_claim[data["claim"]]

    def mark(self, key: str, without: str | None = None) -> int:
        """The highest step of a standing award under a ladder's key; 0 where none stands."""
        steps = [a.reached for claim, a in self.by_claim.items() if a.key == key and claim != without]
        return max(steps, default=0)


def _keys(fields: Mapping[str, Any], state: State) -> Mapping[str, str]:
    return {"bank": fields["bank"], "product": f"{fields['bank']}/{fields['product']}"}


def _needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    yield f"party:{fields['bank']}"
    yield product_tag(fields)


def _find(fields: Mapping[str, Any], state: State) -> Refusal | None:
    unknown = unknown_as(fields["bank"], "bank", state, ())
    if unknown is not None:
        return unknown.refusal
    if fields["year"] in state.recall(Certificates, product_tag(fields)).by_year:
        return None
    named = {name: fields[name] for name in ("bank", "product", "year")}
    return Refusal("unknown_certificate", None, named)


def _assess(command: Command, state: State, clause: Clause, round_: Round) -> Refusal | Case:
    fields = command.fields
    product = f"{fields['bank']}/{fields['product']}"
    total_fen, certified_at = state.recall(Certificates, product_tag(fields)).by_year[fields["year"]]
    ladder = next(leg.parameters for leg in clause.legs if leg.part == _LADDER)
    yearly = clause.terms["reset"] == "year"
    key = f"{product}/{fields['year']}" if yearly else product
    account_kind = "product+year" if yearly else "product"
    mark = state.recall(Awards, product_tag(fields)).mark(key)
    reached = total_fen // ladder["step_fen"]
    account = accounts.milestone(f"{clause.instrument}.{account_kind}", key)
    return Case(
        payee=fields["bank"],
        basis={"total_fen": total_fen, "mark": mark},
        inputs={
            "total_fen": total_fen,
            "certified_at": certified_at,
            "mark_before": mark,
            "step_fen": ladder["step_fen"],
        },
        decided={"mark": reached, "ladder": account.split("/")[1], "ladder_key": key},
        marks=((account, (reached - mark) * ladder["step_fen"]),),
        nothing_due="no_new_step",
    )


def _release(claim: Claim, state: State) -> tuple[tuple[str, int], ...]:
    """The mark falls to the highest award that still stands."""
    tag = next(tag for tag in claim.tags if tag.startswith("product:"))
    claim_id = next(tag for tag in claim.tags if tag.startswith("claim:")).removeprefix("claim:")
    awards = state.recall(Awards, tag)
    award = awards.by_claim[claim_id]
    fall = awards.mark(award.key) - awards.mark(award.key, without=claim_id)
    return ((accounts.milestone(award.ladder, award.key), -fall * award.step_fen),)


INSTRUMENT = Instrument(
    key="credit_award",
    event=_GRANTED,
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
    release=_release,
    memories={"product": (Awards,)},
)
