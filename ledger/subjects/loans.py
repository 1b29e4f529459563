"""Loans: private facts that subsidies and guarantees rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ledger import accounts
from ledger.commands import (
    AMOUNT,
    AMOUNT_OR_ZERO,
    DAY,
    ID,
    USCC,
    Command,
    CommandSpec,
    Field,
    InvalidCommand,
    one_of,
)
from ledger.dates import Day
from ledger.decisions import Decision, Handler, move, record, refuse
from ledger.events import Event
from ledger.state import Memory, State
from ledger.subjects.registrations import unknown_as

SECURITIES: Final = ("credit", "guaranteed", "mortgage", "pledge")


class Loan(Memory):
    """One loan (tag `loan:<id>`): its parties, its principal, what is outstanding, its default."""

    __slots__ = (
        "bank",
        "defaulted_on",
        "drawn_on",
        "firm",
        "id",
        "outstanding_fen",
        "principal_fen",
        "product",
        "security",
    )

    def __init__(self) -> None:
        self.id: str | None = None
        self.firm = self.bank = self.security = ""
        self.product: str | None = None
        self.drawn_on: Day = ""
        self.principal_fen = self.outstanding_fen = 0
        self.defaulted_on: Day | None = None

    def apply(self, event: Event) -> None:
        """LoanDrawn, LoanRepaid, RepaymentDefaulted."""
        data = event.data
        if event.type == "LoanDrawn":
            self.id, self.firm, self.bank = data["loan"], data["firm"], data["bank"]
            self.security, self.product = data["security"], data.get("product")
            self.drawn_on = data["drawn_on"]
            self.principal_fen = self.outstanding_fen = data["principal_fen"]
        elif event.type == "LoanRepaid":
            self.outstanding_fen -= data["amount_fen"]
        elif event.type == "RepaymentDefaulted":
            self.defaulted_on, self.outstanding_fen = data["defaulted_on"], data["outstanding_fen"]

    @property
    def drawn(self) -> bool:
        """Whether the loan exists."""
        return self.id is not None

    @property
    def tags(self) -> tuple[str, ...]:
        """Whom an event of the loan concerns."""
        return (f"loan:{self.id}", f"firm:{self.firm}", f"bank:{self.bank}")


MEMORIES = {"loan": (Loan,)}


def _guarantor_when_guaranteed(fields: Mapping[str, Any]) -> None:
    guaranteed = fields["security"] == "guaranteed"
    if guaranteed == ("guarantor" in fields):
        return
    wanted_en = (
        "a guaranteed loan wants its guarantor" if guaranteed else "only a guaranteed loan has a guarantor"
    )
    wanted_zh = "保证贷款须填 guarantor" if guaranteed else "仅保证贷款可填 guarantor"
    raise InvalidCommand(f"draw-loan: {wanted_en}", f"draw-loan：{wanted_zh}")


_LOAN = Field("loan", ID, "id of the loan", "贷款编号")

_DRAW = CommandSpec(
    "draw-loan",
    "Record that a bank lent a firm money. Effective on drawn_on unless said otherwise.",
    "登记银行向企业发放的贷款；业务日期默认为 drawn_on。",
    (
        Field("loan", ID, "id of the new loan", "新贷款编号"),
        Field("firm", USCC, "the borrower", "借款企业"),
        Field("bank", USCC, "the lender", "贷款银行"),
        Field("principal_fen", AMOUNT, "the principal that was drawn", "实际发放本金"),
        Field("drawn_on", DAY, "the day of the draw", "发放日期"),
        Field("security", one_of(*SECURITIES), "how the loan is secured", "担保方式"),
        Field("guarantor", USCC, "required for a guaranteed loan only", "保证贷款必填", required=False),
        Field("product", ID, "the bank's product", "银行产品", required=False),
    ),
    makes=("loan",),
    dated_by="drawn_on",
    check=_guarantor_when_guaranteed,
)

_REPAY = CommandSpec(
    "repay-loan",
    "Record a repayment of principal.",
    "登记偿还本金。",
    (_LOAN, Field("amount_fen", AMOUNT, "the principal repaid", "偿还本金")),
)

_DEFAULT = CommandSpec(
    "report-default",
    "Record that a loan defaulted. Effective on defaulted_on unless said otherwise.",
    "登记贷款违约；业务日期默认为 defaulted_on。",
    (
        _LOAN,
        Field("outstanding_fen", AMOUNT_OR_ZERO, "the principal outstanding at default", "违约时未偿本金"),
        Field("defaulted_on", DAY, "the day of the default", "违约日期"),
    ),
    dated_by="defaulted_on",
)


def _draw_needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    yield f"loan:{fields['loan']}"
    yield f"firm:{fields['firm']}"
    for role in ("firm", "bank", "guarantor"):
        if role in fields:
            yield f"party:{fields[role]}"


def _loan_needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    yield f"loan:{fields['loan']}"


def _draw(command: Command, state: State) -> Decision:
    fields = command.fields
    roles = [role for role in ("firm", "bank", "guarantor") if role in fields]
    tags = [f"loan:{fields['loan']}", *(f"{role}:{fields[role]}" for role in roles)]
    for role in roles:
        unknown = unknown_as(fields[role], role, state, tags)
        if unknown:
            return unknown
    if state.recall(Loan, tags[0]).drawn:
        return refuse("duplicate_loan", tags, loan=fields["loan"])
    postings = move(
        accounts.loan(fields["loan"], "bank"),
        accounts.loan(fields["loan"], "outstanding"),
        fields["principal_fen"],
        command.effective_on,
    )
    return record(command, "LoanDrawn", tags, postings)


def _repay(command: Command, state: State) -> Decision:
    loan = state.recall(Loan, f"loan:{command.fields['loan']}")
    if not loan.drawn:
        return _unknown(command)
    amount_fen = command.fields["amount_fen"]
    postings = move(
        accounts.loan(command.fields["loan"], "defaulted" if loan.defaulted_on else "outstanding"),
        accounts.loan(command.fields["loan"], "repaid"),
        amount_fen,
        command.effective_on,
    )
    warnings = ("repaid_beyond_outstanding",) if amount_fen > loan.outstanding_fen else ()
    return record(command, "LoanRepaid", loan.tags, postings, warnings)


def _report_default(command: Command, state: State) -> Decision:
    fields = command.fields
    loan = state.recall(Loan, f"loan:{fields['loan']}")
    if not loan.drawn:
        return _unknown(command)
    if loan.defaulted_on is not None:
        return refuse(
            "wrong_state", loan.tags, subject=fields["loan"], state="defaulted", wanted="not_defaulted"
        )
    postings = move(
        accounts.loan(fields["loan"], "outstanding"),
        accounts.loan(fields["loan"], "defaulted"),
        fields["outstanding_fen"],
        command.effective_on,
    )
    differs = fields["outstanding_fen"] != loan.outstanding_fen
    warnings = ("outstanding_differs",) if differs else ()
    return record(command, "RepaymentDefaulted", loan.tags, postings, warnings)


def _unknown(command: Command) -> Decision:
    loan_id = command.fields["loan"]
    return refuse("unknown_loan", (f"loan:{loan_id}",), loan=loan_id)


HANDLERS = (
    Handler(_DRAW, _draw_needs, _draw),
    Handler(_REPAY, _loan_needs, _repay),
    Handler(_DEFAULT, _loan_needs, _report_default),
)
