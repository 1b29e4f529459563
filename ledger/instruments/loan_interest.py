"""Loan-interest subsidy 贷款贴息 (SX-1): half of the interest paid, under a cap per loan and a cap per firm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mypy_extensions import mypyc_attr

from ledger import rows
from ledger.commands import AMOUNT, DAY, ID, SLIPS, Command, CommandSpec, Field, not_after
from ledger.dates import Day, days_between, shared
from ledger.events import Event
from ledger.grants import CLAIM_FIELDS, Case, Instrument
from ledger.refusals import Refusal
from ledger.rulebook.clauses import Clause
from ledger.rulebook.forms import READINGS, one_of, some_of
from ledger.state import Memory, State
from ledger.subjects.loans import SECURITIES, Loan
from ledger.subjects.rounds import Round

_GRANTED = "LoanInterestGranted"


@mypyc_attr(acyclic=True)
class SubsidisedPeriods(Memory):
    """Which days of a loan standing grants cover (tag `loan:<id>`), both ends included."""

    __slots__ = ("_rows", "last_day")

    def __init__(self) -> None:
        self._rows: rows.Rows = []  # claim, from, to
        self.last_day: Day = ""  # no day after this one is covered

    def apply(self, event: Event, tag: str) -> None:
        """A grant takes its days; a void frees them, a recovery does not."""
        if event.type == _GRANTED:
            data = event.data
            last = shared(data["period_to"])
            rows.add(self._rows, f"{data['claim']} {data['period_from']} {last}")
            self.last_day = max(self.last_day, last)
        elif event.type == "GrantVoided":
            rows.replace(self._rows, event.data["claim"], None)

    def sharing(self, first: Day, last: Day) -> str | None:
        """The first claim that shares a day with first..last, or None."""
        if first > self.last_day:  # as nearly every claim: months come one after the other
            return None
        for claim, begins, ends in rows.words(self._rows):
            if begins <= last and first <= ends:
                return claim
        return None


@mypyc_attr(acyclic=True)
class SlipUses(Memory):
    """Which claim used a bank slip of this number (tag `slip:<number>`): bank to claim."""

    __slots__ = ("by_bank",)

    def __init__(self) -> None:
        self.by_bank: dict[str, str] = {}

    def apply(self, event: Event, tag: str) -> None:
        """A grant uses its slips; a void gives them back, so that the claim can be made again."""
        if event.type == _GRANTED:
            self.by_bank[event.data["inputs"]["bank"]] = event.data["claim"]
        elif event.type == "GrantVoided":
            freed = event.data["claim"]
            self.by_bank = {bank: claim for bank, claim in self.by_bank.items() if claim != freed}


def _slip_tags(fields: Mapping[str, Any]) -> list[str]:
    return [f"slip:{slip['number']}" for slip in fields.get("slips", ())]


def _keys(fields: Mapping[str, Any], state: State) -> Mapping[str, str]:
    loan = state.peek(Loan, f"loan:{fields['loan']}")
    if loan is None or not loan.drawn:
        return {"loan": fields["loan"]}
    return {"loan": fields["loan"], "firm": loan.firm}


def _needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    return _slip_tags(fields)


def _find(fields: Mapping[str, Any], state: State) -> Refusal | None:
    if state.recall(Loan, f"loan:{fields['loan']}").drawn:
        return None
    return Refusal("unknown_loan", None, {"loan": fields["loan"]})


def _assess(command: Command, state: State, clause: Clause, round_: Round) -> Refusal | Case:
    fields = command.fields
    loan = state.recall(Loan, f"loan:{fields['loan']}")
    refusal = (
        _ineligible(fields, loan, clause, round_)
        or _overlapping(fields, loan, clause, state)
        or _slip_used(fields, loan, clause, state)
    )
    if refusal is not None:
        return refusal
    paid_fen = fields["interest_paid_fen"]
    return Case(
        payee=loan.firm,
        basis={
            "interest_paid_fen": paid_fen,
            "principal_fen": loan.principal_fen,
            "period_days": days_between(fields["period_from"], fields["period_to"]),
        },
        inputs={
            "bank": loan.bank,
            "drawn_on": loan.drawn_on,
            "interest_paid_fen": paid_fen,
            "principal_fen": loan.principal_fen,
            "security": loan.security,
        },
        dates={"drawn_on": loan.effective_on},  # the draw gives its limit from its business date on
        tags=tuple(_slip_tags(fields)),
        keys={"bank": loan.bank, **({"product": f"{loan.bank}/{loan.product}"} if loan.product else {})},
        warnings=_warnings(fields, loan),
    )


def _warnings(fields: Mapping[str, Any], loan: Loan) -> tuple[str, ...]:
    """What people should look at; no clause refuses it."""
    slips_fen = sum(slip["amount_fen"] for slip in fields.get("slips", ()))
    differs = slips_fen not in (0, fields["interest_paid_fen"])
    return (
        *(("slips_differ_from_interest",) if differs else ()),
        *(("period_before_the_draw",) if fields["period_from"] < loan.drawn_on else ()),
    )


def _ineligible(fields: Mapping[str, Any], loan: Loan, clause: Clause, round_: Round) -> Refusal | None:
    eligible = clause.terms["securities"]
    if loan.security not in eligible:
        return Refusal(
            "security_not_eligible", clause.id, {"security": loan.security, "eligible": list(eligible)}
        )
    if clause.terms["interest_year"] == "previous":
        first_day, last_day = f"{round_.year - 1:04}-01-01", f"{round_.year - 1:04}-12-31"
        if fields["period_from"] < first_day or fields["period_to"] > last_day:
            period = {name: fields[name] for name in ("period_from", "period_to")}
            return Refusal(
                "period_not_eligible", clause.id, {**period, "first_day": first_day, "last_day": last_day}
            )
    stops = clause.terms["after_default"] == "refuse"
    if stops and loan.defaulted_on is not None and fields["period_to"] > loan.defaulted_on:
        return Refusal(
            "after_default",
            clause.id,
            {"period_to": fields["period_to"], "defaulted_on": loan.defaulted_on},
        )
    return None


def _overlapping(fields: Mapping[str, Any], loan: Loan, clause: Clause, state: State) -> Refusal | None:
    periods = state.recall(SubsidisedPeriods, f"loan:{loan.id}")
    other = periods.sharing(fields["period_from"], fields["period_to"])
    if other is None:
        return None
    return Refusal(
        "duplicate_claim", clause.id, {"claim": fields["claim"], "with_claim": other, "why": "days_shared"}
    )


def _slip_used(fields: Mapping[str, Any], loan: Loan, clause: Clause, state: State) -> Refusal | None:
    seen: set[str] = set()
    for slip in fields.get("slips", ()):
        number = slip["number"]
        used_by = state.recall(SlipUses, f"slip:{number}").by_bank.get(loan.bank)
        if number in seen:
            used_by = fields["claim"]
        seen.add(number)
        if used_by is not None:
            return Refusal(
                "duplicate_slip",
                clause.id,
                {"number": number, "bank": loan.bank, "with_claim": used_by},
            )
    return None


INSTRUMENT = Instrument(
    key="loan_interest",
    event=_GRANTED,
    spec=CommandSpec(
        "claim-loan-interest",
        "Claim a subsidy on interest that a firm paid on a loan.",
        "就企业已付的贷款利息申请贴息。",
        (
            *CLAIM_FIELDS,
            Field("loan", ID, "the loan", "贷款编号"),
            Field(
                "interest_paid_fen", AMOUNT, "interest paid, without penalty interest", "已付利息（不含罚息）"
            ),
            Field("period_from", DAY, "first day of the interest period", "计息期首日"),
            Field("period_to", DAY, "last day of the interest period, included", "计息期末日（含）"),
            Field("slips", SLIPS, "the bank's slips", "银行回单", required=False),
        ),
        makes=("claim",),
        check=not_after("period_from", "period_to"),
    ),
    keys=_keys,
    needs=_needs,
    find=_find,
    payee=lambda fields, keys: keys.get("firm"),
    assess=_assess,
    memories={"loan": (SubsidisedPeriods,), "slip": (SlipUses,)},
    terms={
        "securities": some_of(*SECURITIES),
        "interest_year": one_of(*READINGS["A8"]),
        "after_default": one_of(*READINGS["A25"]),
    },
    figures=("interest_paid_fen", "principal_fen", "period_days"),
    dates=("drawn_on",),
    sources=dict.fromkeys(("principal_fen", "bank", "drawn_on", "security"), "draw"),
    counted_by=("loan", "firm", "bank", "product"),
)
