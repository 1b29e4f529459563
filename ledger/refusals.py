"""Refusals: one closed, numbered list. The number is the precedence: of two reasons the smaller is told.

A refusal is a value, not an exception; what was refused is an event with its arithmetic (design §4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from ledger.money import format_fen


@dataclass(frozen=True, slots=True)
class Code:
    """One reason to refuse: its precedence and its sentence in two languages, filled from the arithmetic."""

    precedence: int
    en: str
    zh: str


CODES: Final[Mapping[str, Code]] = {
    "key_reused": Code(
        10, "the key {key} was used before for other fields", "幂等键 {key} 已用于内容不同的命令"
    ),
    "unknown_round": Code(20, "there is no round {round}; open it first", "轮次 {round} 不存在，请先开立"),
    "unknown_loan": Code(20, "there is no loan {loan}; draw it first", "贷款 {loan} 不存在，请先登记发放"),
    "unknown_party": Code(
        20,
        "no party {uscc} is registered as {kind}; register it first",
        "{uscc} 未登记为 {kind}，请先登记",
    ),
    "unknown_certificate": Code(
        20,
        "bank {bank} has no certificate for product {product} and year {year}",
        "银行 {bank} 的产品 {product} 没有 {year} 年度的授信证明",
    ),
    "unknown_claim": Code(20, "there is no claim {claim}", "申请 {claim} 不存在"),
    "unknown_payout": Code(20, "there is no payout {payout}", "代偿 {payout} 不存在"),
    "unknown_position": Code(20, "there is no event at position {position}", "序号 {position} 处没有事件"),
    "duplicate_round": Code(30, "round {round} exists already", "轮次 {round} 已存在"),
    "duplicate_party": Code(30, "{uscc} is registered as {kind} already", "{uscc} 已登记为 {kind}"),
    "duplicate_loan": Code(30, "loan {loan} exists already", "贷款 {loan} 已存在"),
    "duplicate_claim": Code(
        30,
        "claim {claim} repeats {with_claim}: {why}",
        "申请 {claim} 与 {with_claim} 重复：{why}",
    ),
    "duplicate_payout": Code(30, "payout {payout} exists already", "代偿 {payout} 已存在"),
    "on_hold": Code(40, "{subject} is on hold; release or void it", "{subject} 已暂缓；请解除或撤销"),
    "wrong_state": Code(40, "{subject} is {state}; {wanted}", "{subject} 的状态为 {state}；{wanted}"),
    "fact_in_use": Code(
        45,
        "the {type} at position {position} carries {claims}; void or recover them first",
        "第 {position} 条 {type} 是 {claims} 的依据；请先撤销或追回",
    ),
    "effective_too_early": Code(
        50,
        "effective on {effective_on}, before {earliest}, the date of the step that it follows",
        "业务日期 {effective_on} 早于其前一步骤的日期 {earliest}",
    ),
    "uscc_check_digit": Code(
        60,
        "{uscc} fails its check digit (expected {expected}); if the code is real, confirm with confirm_uscc",
        "{uscc} 校验位不符（应为 {expected}）；如确属真实代码，请以 confirm_uscc 确认",
    ),
    "no_clause": Code(
        55, "{rulebook} has no clause for {instrument}", "{rulebook} 中没有 {instrument} 的条款"
    ),
    "party_absorbed": Code(
        60, "{uscc} was absorbed by {survivor} on {merged_on}", "{uscc} 已于 {merged_on} 并入 {survivor}"
    ),
    "party_not_eligible": Code(
        60, "{uscc} has no certificate as {quality} on {on}", "{uscc} 在 {on} 不具备 {quality} 资格"
    ),
    "security_not_eligible": Code(
        61,
        "a {security} loan is not eligible; eligible are {eligible}",
        "担保方式 {security} 不符合条件；符合条件的为 {eligible}",
    ),
    "period_not_eligible": Code(
        70,
        "the period {period_from} to {period_to} is not within {first_day} to {last_day}",
        "期间 {period_from} 至 {period_to} 不在 {first_day} 至 {last_day} 之内",
    ),
    "after_default": Code(
        80,
        "the period ends {period_to}, after the default of {defaulted_on}",
        "期间止于 {period_to}，晚于违约日 {defaulted_on}",
    ),
    "duplicate_slip": Code(
        90,
        "slip {number} of bank {bank} is used already by {with_claim}",
        "银行 {bank} 的回单 {number} 已被 {with_claim} 使用",
    ),
    "review_missing": Code(100, "no passed review: {missing}", "缺少通过的评审：{missing}"),
    "amount_needs_decision": Code(
        110,
        "the clause gives no ratio: people decide the amount; give decided_fen and document",
        "条款未给出比例，金额由人决定：请填 decided_fen 与 document",
    ),
    "exceeds_loss": Code(
        120,
        "{amount_fen} is more than the loss that is left, {loss_fen}",
        "{amount_fen} 超过剩余损失 {loss_fen}",
    ),
    "nothing_due": Code(130, "nothing is due: {why}", "无应付金额：{why}"),
    "principal_cap_reached": Code(
        140,
        "the cap on the loan's principal, {limit_fen}, is used up: {room_fen} is left",
        "贷款本金比例上限 {limit_fen} 已用尽，剩余 {room_fen}",
    ),
    "firm_cap_reached": Code(
        150,
        "the firm's cumulative cap, {limit_fen}, is used up: {room_fen} is left",
        "企业累计上限 {limit_fen} 已用尽，剩余 {room_fen}",
    ),
    "budget_short": Code(
        160,
        "the round has {available_fen} available, {amount_fen} is wanted",
        "本轮可用资金 {available_fen}，需要 {amount_fen}",
    ),
}


#: Only money that came back can be returned to the treasury: what is short there is not the budget.
_LESS_RECOVERED: Final = Code(
    CODES["budget_short"].precedence,
    "{recovered_fen} came back to the round and can be returned, {amount_fen} is wanted",
    "本轮已追回可上缴 {recovered_fen}，需要 {amount_fen}",
)


class Refusal(NamedTuple):
    """Why a command was refused: a code of CODES, the clause (if one refuses), and the arithmetic."""

    code: str
    clause: str | None = None
    arithmetic: Mapping[str, Any] = MappingProxyType({})


def detail(code: str, arithmetic: Mapping[str, Any], language: str = "en") -> str:
    """The refusal as one sentence for people, in `en` or `zh`, made from the stored arithmetic."""
    entry = CODES.get(code)
    if entry is None:
        return code
    words = {name: _shown(name, value, language) for name, value in arithmetic.items()}
    if code == "budget_short" and "recovered_fen" in words:
        entry = _LESS_RECOVERED
    return (entry.zh if language == "zh" else entry.en).format_map(_Words(words))


class _Words(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "–"


def _shown(name: str, value: Any, language: str) -> str:
    if type(value) is int and name.endswith("_fen"):
        return format_fen(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    reasons = REASONS.get(value) if isinstance(value, str) else None
    if reasons is None:
        return str(value)
    return reasons[1] if language == "zh" else reasons[0]


#: Short reasons that stand inside a refusal's arithmetic as a word: English, Chinese.
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "id_used": ("the claim id is used already", "该申请编号已被使用"),
    "days_shared": ("both cover days of the same period of the loan", "同一贷款的期间重叠"),
    "rounds_to_nothing": ("the amount rounds down to 0", "金额向下取整后为 0"),
    "no_new_step": ("the certified total reaches no step above the mark", "认定总额未达到新的台阶"),
    "publicise_first": ("only a publicised claim can be paid", "仅已公示的申请可以支付"),
    "decided_first": ("only a decided claim can be publicised", "仅已决定的申请可以公示"),
    "void_before_payment": (
        "only an unpaid claim can be voided; recover a paid one",
        "仅未支付的可以撤销；已支付的请追回",
    ),
    "paid_first": ("only a paid claim can be recovered or returned", "仅已支付的可以追回或退回"),
    "round_closed": ("the round takes no more decisions on money", "该轮次不再受理"),
    "open_first": ("only an open round can be closed", "仅开放的轮次可以关闭"),
    "hold_unpaid": ("only an unpaid claim that is not on hold can be held", "仅未支付且未暂缓的可以暂缓"),
    "hold_first": ("only a claim on hold can be released", "仅已暂缓的可以解除"),
    "return_whole": (
        "only a payment of which nothing was recovered can be returned",
        "仅未曾追回的支付可以退回",
    ),
    "only_facts": ("only a fact that stands can be reversed", "仅有效的事实可以冲正"),
    "payout_compensated": ("the payout is compensated already", "该代偿已获补偿"),
    "closed": ("closed", "已关闭"),
    "open": ("open", "开放"),
    "on_hold": ("on hold", "已暂缓"),
    "reversed": ("reversed", "已冲正"),
    "recovered": ("recovered, wholly or in part", "已追回（全部或部分）"),
    "not_a_fact": ("not a fact", "不是事实"),
    "recover_at_most": ("more than what is left to recover", "超过尚可追回的金额"),
    "not_defaulted": ("a loan defaults once", "一笔贷款只登记一次违约"),
    "decided": ("decided", "已决定"),
    "publicised": ("publicised", "已公示"),
    "paid": ("paid", "已支付"),
    "voided": ("voided", "已撤销"),
    "refused": ("refused", "已拒绝"),
    "defaulted": ("in default", "已违约"),
}
