"""Loans: private facts that subsidies and guarantees rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ledger import accounts
from ledger.commands import (
    AMOUNT,
    AMOUNT_OR_ZERO,
    DAY,
    ID,
    TEXT,
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
from ledger.subjects.registrations import Party, unknown_as

SECURITIES: Final = ("credit", "guaranteed", "mortgage", "pledge")


@mypyc_attr(acyclic=True)
class Loan(Memory):
    """One loan (tag `loan:<id>`): its parties, its principal, what is outstanding, its default."""

    __slots__ = (
        "bank",
        "default",
        "drawn_on",
        "effective_on",
        "firm",
        "guarantor",
        "id",
        "losses_fen",
        "paid_off",
        "principal_fen",
        "product",
        "recovered_fen",
        "security",
    )

    def __init__(self) -> None:
        self._undraw()
        self.losses_fen = self.recovered_fen = 0
        self.paid_off: dict[int, int] = {}  # position to fen of principal: repayments, payouts, recoveries
        self.default: tuple[Day, int, int] | None = None  # the day, what was then outstanding, the position

    def _undraw(self) -> None:
        """As before the draw; facts that were recorded about the id stay with it, as their postings do."""
        self.id: str | None = None
        self.firm = self.bank = self.security = ""
        self.product: str | None = None
        self.guarantor: str | None = None
        self.drawn_on = self.effective_on = ""
        self.principal_fen = 0

    def apply(self, event: Event, tag: str) -> None:
        """LoanDrawn, LoanRepaid, RepaymentDefaulted, LossReported, GuaranteePaidOut, RecoveryReceived, and the
        reversal of each."""
        data, kind, sign = event.data, event.type, 1
        if "legs" in data:  # a grant or its refusal: most of a busy loan's events
            return
        if kind == "FactReversed":
            kind, sign = data["reversed_type"], -1
        if kind == "LoanDrawn":
            if sign > 0:
                self._draw(data, event.effective_on)
            else:
                self._undraw()
        elif kind == "LoanRepaid":
            self._pay_off(event, data["amount_fen"])
        elif kind == "GuaranteePaidOut":
            self._pay_off(event, data["principal_fen"])
        elif kind == "RepaymentDefaulted":
            reported = (data["defaulted_on"], data["outstanding_fen"], event.position)
            self.default = reported if sign > 0 else None
        elif kind == "LossReported":
            self.losses_fen += sign * data["loss_fen"]
        elif kind == "RecoveryReceived" and "payout" not in data:
            self.recovered_fen += sign * data["amount_fen"]
            self._pay_off(event, data["amount_fen"])

    def _pay_off(self, event: Event, amount_fen: int) -> None:
        if event.type == "FactReversed":
            self.paid_off.pop(event.data["position"], None)
        else:
            self.paid_off[event.position] = amount_fen

    def _draw(self, data: Mapping[str, Any], on: Day) -> None:
        self.id = data["loan"]
        self.firm, self.bank = intern(data["firm"]), intern(data["bank"])  # parties have many loans
        self.security, self.product = data["security"], data.get("product")
        self.guarantor = data.get("guarantor")
        self.drawn_on, self.effective_on = data["drawn_on"], on
        self.principal_fen = data["principal_fen"]

    @property
    def defaulted_on(self) -> Day | None:
        """The day of the default, if there was one."""
        return self.default[0] if self.default else None

    @property
    def outstanding_fen(self) -> int:
        """What decides: the principal outstanding as reported at default, else the principal; less what was paid off
        since. The books, which reports show, also know losses and what a default left out."""
        _, owed_fen, since = self.default or ("", self.principal_fen, 0)
        return owed_fen - sum(fen for position, fen in self.paid_off.items() if position > since)

    @property
    def drawn(self) -> bool:
        """Whether the loan exists."""
        return self.id is not None

    @property
    def tags(self) -> tuple[str, ...]:
        """Whom an event of the loan concerns; nobody where the draw was reversed."""
        return (f"loan:{self.id}", f"firm:{self.firm}", f"bank:{self.bank}") if self.drawn else ()

    def owed_part(self) -> str:
        """The private account that holds what is owed."""
        return "defaulted" if self.default else "outstanding"


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

_LOSS = CommandSpec(
    "report-loss",
    "Record the loss that a bank has on a loan.",
    "登记贷款损失。",
    (
        _LOAN,
        Field("loss_fen", AMOUNT, "the loss", "损失金额"),
        Field("document", TEXT, "the document that states it", "依据文件"),
    ),
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
    gone = any(state.recall(Party, f"party:{fields[role]}").absorbed_into for role in roles)
    return record(command, "LoanDrawn", tags, postings, ("party_absorbed",) if gone else ())


def _repay(command: Command, state: State) -> Decision:
    loan = state.recall(Loan, f"loan:{command.fields['loan']}")
    if not loan.drawn:
        return _unknown(command)
    amount_fen = command.fields["amount_fen"]
    postings = move(
        accounts.loan(command.fields["loan"], loan.owed_part()),
        accounts.loan(command.fields["loan"], "repaid"),
        amount_fen,
        command.effective_on,
    )
    warnings: tuple[str, ...] = ("repaid_beyond_outstanding",) if amount_fen > loan.outstanding_fen else ()
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
    warnings: tuple[str, ...] = (
        ("outstanding_differs",) if fields["outstanding_fen"] != loan.outstanding_fen else ()
    )
    if fields["defaulted_on"] < loan.drawn_on:
        warnings = (*warnings, "defaulted_before_the_draw")
    return record(command, "RepaymentDefaulted", loan.tags, postings, warnings)


def _report_loss(command: Command, state: State) -> Decision:
    fields = command.fields
    loan = state.recall(Loan, f"loan:{fields['loan']}")
    if not loan.drawn:
        return _unknown(command)
    owed, lost = accounts.loan(fields["loan"], loan.owed_part()), accounts.loan(fields["loan"], "lost")
    warnings: tuple[str, ...] = () if loan.default else ("not_in_default",)
    if fields["loss_fen"] > loan.outstanding_fen:
        warnings = (*warnings, "loss_beyond_outstanding")
    postings = move(owed, lost, fields["loss_fen"], command.effective_on)
    return record(command, "LossReported", loan.tags, postings, warnings)


def _unknown(command: Command) -> Decision:
    return unknown_loan(command.fields["loan"])


def unknown_loan(loan_id: str) -> Decision:
    """`unknown_loan`."""
    return refuse("unknown_loan", (f"loan:{loan_id}",), loan=loan_id)


HANDLERS = (
    Handler(_DRAW, _draw_needs, _draw),
    Handler(_REPAY, _loan_needs, _repay),
    Handler(_DEFAULT, _loan_needs, _report_default),
    Handler(_LOSS, _loan_needs, _report_loss),
)
