"""Guarantees: what a guarantor paid out on a defaulted loan, and what was recovered afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mypy_extensions import mypyc_attr

from ledger import accounts
from ledger.commands import AMOUNT, DAY, ID, USCC, Command, CommandSpec, Field, InvalidCommand
from ledger.decisions import Decision, Handler, move, record, refuse
from ledger.events import Event
from ledger.state import Memory, State
from ledger.subjects.claims import Standing
from ledger.subjects.loans import Loan, unknown_loan
from ledger.subjects.registrations import unknown_as


@mypyc_attr(acyclic=True)
class Payout(Memory):
    """One payout (tag `payout:<id>`): the loan, the guarantor, the amount, what was recovered since."""

    __slots__ = ("amount_fen", "guarantor", "id", "loan", "position", "recovered_fen")

    def __init__(self) -> None:
        self.id: str | None = None
        self.loan = self.guarantor = ""
        self.amount_fen = self.recovered_fen = self.position = 0

    def apply(self, event: Event, tag: str) -> None:
        """GuaranteePaidOut, RecoveryReceived, and the reversal of each."""
        data, kind, sign = event.data, event.type, 1
        if kind == "FactReversed":
            kind, sign = data["reversed_type"], -1
        if kind == "GuaranteePaidOut":
            self.id = data["payout"] if sign > 0 else None
            self.loan, self.guarantor, self.amount_fen = data["loan"], data["guarantor"], data["amount_fen"]
            self.position = event.position
        elif kind == "RecoveryReceived":
            self.recovered_fen += sign * data["amount_fen"]

    @property
    def loss_fen(self) -> int:
        """Payout less recoveries so far."""
        return self.amount_fen - self.recovered_fen


MEMORIES = {"payout": (Payout, Standing)}


def _one_subject(fields: Mapping[str, Any]) -> None:
    if ("payout" in fields) == ("loan" in fields):
        raise InvalidCommand(
            "record-recovery: give payout or loan, one of them",
            "record-recovery：payout 与 loan 须且仅须填一个",
        )


_PAY = CommandSpec(
    "pay-guarantee",
    "Record that a guarantor paid a bank for a defaulted loan. Effective on paid_on unless said otherwise.",
    "登记担保机构代偿；业务日期默认为 paid_on。",
    (
        Field("payout", ID, "id of the new payout", "新代偿编号"),
        Field("loan", ID, "the loan", "贷款编号"),
        Field("guarantor", USCC, "who paid", "担保机构"),
        Field(
            "amount_fen",
            AMOUNT,
            "what was paid: principal first, the rest is interest",
            "代偿金额（先本后息）",
        ),
        Field("paid_on", DAY, "the day of the payout", "代偿日期"),
    ),
    makes=("payout",),
    dated_by="paid_on",
)
_RECOVERY = CommandSpec(
    "record-recovery",
    "Record what a guarantor recovered on a payout, or a bank on a loan.",
    "登记追偿所得：代偿项下或贷款项下。",
    (
        Field("payout", ID, "the payout, or", "代偿编号，或", required=False),
        Field("loan", ID, "the loan", "贷款编号", required=False),
        Field("amount_fen", AMOUNT, "the amount recovered", "追偿金额"),
    ),
    check=_one_subject,
)


def _pay_needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    yield f"payout:{fields['payout']}"
    yield f"loan:{fields['loan']}"
    yield f"party:{fields['guarantor']}"


def _recovery_needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    kind = "payout" if "payout" in fields else "loan"
    yield f"{kind}:{fields[kind]}"
    payout = state.peek(Payout, f"payout:{fields['payout']}") if kind == "payout" else None
    if payout is not None and payout.id is not None:
        yield f"loan:{payout.loan}"


def _pay(command: Command, state: State) -> Decision:
    fields, on = command.fields, command.effective_on
    payout_id, loan = fields["payout"], state.recall(Loan, f"loan:{fields['loan']}")
    if not loan.drawn:
        return unknown_loan(fields["loan"])
    tags = (*loan.tags, f"payout:{payout_id}", f"guarantor:{fields['guarantor']}")
    unknown = unknown_as(fields["guarantor"], "guarantor", state, tags)
    if unknown:
        return unknown
    if state.recall(Payout, f"payout:{payout_id}").id is not None:
        return refuse("duplicate_payout", tags, payout=payout_id)
    principal_fen = min(fields["amount_fen"], max(0, loan.outstanding_fen))
    interest_fen = fields["amount_fen"] - principal_fen
    guarantor = accounts.guarantee(payout_id, "guarantor")
    postings = (
        *move(guarantor, accounts.guarantee(payout_id, "principal"), principal_fen, on),
        *move(guarantor, accounts.guarantee(payout_id, "interest"), interest_fen, on),
        *move(
            accounts.loan(fields["loan"], loan.owed_part()),
            accounts.loan(fields["loan"], "repaid"),
            principal_fen,
            on,
        ),
    )
    warnings: tuple[str, ...] = (() if loan.default else ("not_in_default",)) + (
        () if loan.guarantor == fields["guarantor"] else ("not_the_guarantor_of_the_loan",)
    )
    if loan.defaulted_on is not None and fields["paid_on"] < loan.defaulted_on:
        warnings = (*warnings, "paid_before_the_default")
    decided = {"principal_fen": principal_fen, "interest_fen": interest_fen}
    return record(command, "GuaranteePaidOut", tags, postings, warnings, decided)


def _recover(command: Command, state: State) -> Decision:
    if "loan" in command.fields:
        return _recover_loan(command, state)
    payout_id, amount_fen = command.fields["payout"], command.fields["amount_fen"]
    tag = f"payout:{payout_id}"
    payout = state.recall(Payout, tag)
    if payout.id is None:
        return refuse("unknown_payout", (tag,), payout=payout_id)
    loan_tag = f"loan:{payout.loan}"
    tags = {*state.recall(Loan, loan_tag).tags, loan_tag, tag, f"guarantor:{payout.guarantor}"}
    warnings: tuple[str, ...] = ("return_due",) if state.recall(Standing, tag).decided() else ()
    if amount_fen > payout.loss_fen:
        warnings = (*warnings, "recovered_beyond_payout")
    debtor, recovered = accounts.guarantee(payout_id, "debtor"), accounts.guarantee(payout_id, "recovered")
    postings = move(debtor, recovered, amount_fen, command.effective_on)
    return record(command, "RecoveryReceived", tags, postings, warnings)


def _recover_loan(command: Command, state: State) -> Decision:
    loan_id, amount_fen = command.fields["loan"], command.fields["amount_fen"]
    loan = state.recall(Loan, f"loan:{loan_id}")
    if not loan.drawn:
        return unknown_loan(loan_id)
    compensated = any(
        grant.instrument == "risk_compensation"
        for grant in state.recall(Standing, f"loan:{loan_id}").decided().values()
    )
    owed, recovered = accounts.loan(loan_id, loan.owed_part()), accounts.loan(loan_id, "recovered")
    postings = move(owed, recovered, amount_fen, command.effective_on)
    warnings: tuple[str, ...] = ("return_due",) if compensated else ()
    return record(command, "RecoveryReceived", loan.tags, postings, warnings)


HANDLERS = (Handler(_PAY, _pay_needs, _pay), Handler(_RECOVERY, _recovery_needs, _recover))
