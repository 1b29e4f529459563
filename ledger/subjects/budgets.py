"""A round's money beside its claims: budget changes, closing, return to the treasury, asserted control totals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ledger import accounts
from ledger.commands import (
    AMOUNT,
    AMOUNT_OR_ZERO,
    COUNT,
    ID,
    SIGNED_AMOUNT,
    TEXT,
    Command,
    CommandSpec,
    Field,
    InvalidCommand,
    one_of,
)
from ledger.decisions import Decision, Handler, Refused, move, record, refuse
from ledger.state import State
from ledger.subjects.rounds import Round

_ROUND = Field("round", ID, "the round", "轮次")
_DOCUMENT = Field("document", TEXT, "the document that orders it", "依据文件")

_ADJUST = CommandSpec(
    "adjust-budget",
    "Add money to a round, or with a negative amount take back what is still available.",
    "调整轮次预算；负数为调减尚可用的资金。",
    (_ROUND, Field("amount_fen", SIGNED_AMOUNT, "the change", "调整金额"), _DOCUMENT),
)
_CLOSE = CommandSpec(
    "close-round",
    "Close a round: it takes no more claims; what was decided is still paid, voided, recovered.",
    "关闭轮次：不再受理申请；已决定的仍可支付、撤销、追回。",
    (_ROUND, _DOCUMENT),
)
_RETURN = CommandSpec(
    "return-to-treasury",
    "Return recovered money of a round to the treasury.",
    "将轮次追回资金缴回财政。",
    (_ROUND, Field("amount_fen", AMOUNT, "the amount", "金额"), _DOCUMENT),
)


def _assert_spec(instruments: Iterable[str]) -> CommandSpec:
    return CommandSpec(
        "assert-control-total",
        "Record what somebody reported of a round, to be held against the ledger; never forced to agree.",
        "登记外部报告的控制总数，用于核对，不强行相符。",
        (
            _ROUND,
            Field("instrument", one_of(*instruments), "of one instrument only", "仅某一工具", required=False),
            Field("count", COUNT, "the reported number of grants", "报告的项目数", required=False),
            Field("total_fen", AMOUNT_OR_ZERO, "the reported sum", "报告的总额", required=False),
            Field("source", TEXT, "who reported it", "来源"),
        ),
        check=_something_asserted,
    )


def _something_asserted(fields: Mapping[str, Any]) -> None:
    if "count" not in fields and "total_fen" not in fields:
        raise InvalidCommand(
            "assert-control-total: it asserts nothing; give count, total_fen or both",
            "assert-control-total：未给出总数；请填 count、total_fen 或两者",
        )


def _needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    yield f"budget:{fields['round']}"
    yield f"round:{fields['round']}"


def _known_round(command: Command, state: State, *, open_only: bool = False) -> Refused | None:
    round_id = command.fields["round"]
    round_ = state.recall(Round, f"budget:{round_id}")
    tags = _tags(command)
    if not round_.opened:
        return refuse("unknown_round", tags[:1], round=round_id)
    if open_only and round_.closed:
        return refuse("wrong_state", tags, subject=round_id, state="closed", wanted="round_closed")
    return None


def _tags(command: Command) -> tuple[str, str]:
    return (f"round:{command.fields['round']}", f"budget:{command.fields['round']}")


def _adjust(command: Command, state: State) -> Decision:
    refused = _known_round(command, state, open_only=True)
    if refused:
        return refused
    available, change_fen = accounts.available(command.fields["round"]), command.fields["amount_fen"]
    return _short(command, state, available, -change_fen) or record(
        command,
        "BudgetAdjusted",
        _tags(command),
        move(accounts.TREASURY, available, change_fen, command.effective_on),
    )


def _short(command: Command, state: State, account: str, amount_fen: int) -> Refused | None:
    """`budget_short` where an account would fall below 0 on any day from the command's date on."""
    left_fen = state.account(account).lowest_from(command.effective_on)
    if amount_fen <= max(0, left_fen):
        return None
    return refuse("budget_short", _tags(command), available_fen=max(0, left_fen), amount_fen=amount_fen)


def _close(command: Command, state: State) -> Decision:
    refused = _known_round(command, state, open_only=True)
    return refused or record(command, "RoundClosed", _tags(command))


def _return(command: Command, state: State) -> Decision:
    refused = _known_round(command, state)
    if refused:
        return refused
    recovered, amount_fen = accounts.recovered(command.fields["round"]), command.fields["amount_fen"]
    back_fen = max(0, state.account(recovered).lowest_from(command.effective_on))
    if amount_fen > back_fen:
        return refuse("budget_short", _tags(command), recovered_fen=back_fen, amount_fen=amount_fen)
    return record(
        command,
        "ReturnedToTreasury",
        _tags(command),
        move(recovered, accounts.TREASURY, amount_fen, command.effective_on),
    )


def _assert(command: Command, state: State) -> Decision:
    refused = _known_round(command, state)
    return refused or record(command, "ControlTotalAsserted", _tags(command))


def handlers(instruments: Iterable[str]) -> tuple[Handler, ...]:
    """adjust-budget, close-round, return-to-treasury, assert-control-total."""
    decisions: tuple[tuple[CommandSpec, Callable[[Command, State], Decision]], ...] = (
        (_ADJUST, _adjust),
        (_CLOSE, _close),
        (_RETURN, _return),
        (_assert_spec(instruments), _assert),
    )
    return tuple(Handler(spec, _needs, decide) for spec, decide in decisions)
