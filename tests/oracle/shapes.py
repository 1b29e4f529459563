"""What a well-formed command is: its fields, their values, and the key that it brings along."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

Command = Mapping[str, Any]
Check = Callable[[Any], bool]

AMOUNT_FEN_MAX = 2**53 - 1

MEASURES = ("shanxi-2022",)
CALLS = ("shanxi-2023", "shanxi-2024")
PARTY_KINDS = ("firm", "research_institute", "bank", "guarantor", "service_body", "investor", "insurer")
SECURITIES = ("credit", "guaranteed", "mortgage", "pledge")
CAUSES = ("error", "misconduct")
REVIEW_KINDS = ("expert", "onsite")
INSTRUMENTS = (
    *("loan_interest", "credit_award", "risk_compensation", "guarantee_compensation"),
    *("service_grant", "venture_risk", "insurance_premium"),
)

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
ID_PATTERN = re.compile(r"[A-Za-z0-9\u4e00-\u9fff._-]{1,64}")
DATE_PATTERN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def uscc_check_character(first_seventeen: str) -> str:
    """The 18th character that GB 32100-2015 gives to the first seventeen."""
    total = sum(USCC_ALPHABET.index(c) * (3**i % 31) for i, c in enumerate(first_seventeen))
    return USCC_ALPHABET[(31 - total % 31) % 31]


def is_uscc(value: Any) -> bool:
    """Length and alphabet only; the check digit is a warning that a person confirms."""
    return isinstance(value, str) and len(value) == 18 and all(c in USCC_ALPHABET for c in value)


def is_whole_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_amount(value: Any) -> bool:
    return is_whole_number(value) and 1 <= value <= AMOUNT_FEN_MAX


def is_amount_or_zero(value: Any) -> bool:
    return is_whole_number(value) and 0 <= value <= AMOUNT_FEN_MAX


def is_signed_amount(value: Any) -> bool:
    return is_whole_number(value) and value != 0 and abs(value) <= AMOUNT_FEN_MAX


def is_year(value: Any) -> bool:
    return is_whole_number(value) and 1 <= value <= 9999


def is_id(value: Any) -> bool:
    return isinstance(value, str) and ID_PATTERN.fullmatch(value) is not None


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_date(value: Any) -> bool:
    if not isinstance(value, str) or DATE_PATTERN.fullmatch(value) is None:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def one_of(names: Iterable[str]) -> Check:
    allowed = tuple(names)
    return lambda value: isinstance(value, str) and value in allowed


def is_slip(value: Any) -> bool:
    return fits(value, {"number": is_text, "amount_fen": is_amount})


def is_slip_list(value: Any) -> bool:
    return isinstance(value, list) and all(is_slip(slip) for slip in value)


def is_review(value: Any) -> bool:
    shape = {"kind": one_of(REVIEW_KINDS), "passed": is_flag, "document": is_text, "on": is_date}
    return fits(value, shape)


def is_review_list(value: Any) -> bool:
    return isinstance(value, list) and all(is_review(review) for review in value)


def fits(value: Any, shape: Mapping[str, Check]) -> bool:
    """Exactly the fields of the shape, each well-formed; a name that ends in `?` may be left out."""
    if not isinstance(value, Mapping):
        return False
    checks = {name.rstrip("?"): check for name, check in shape.items()}
    required = {name for name in shape if not name.endswith("?")}
    return required <= set(value) <= set(checks) and all(checks[name](value[name]) for name in value)


DECIDED_BY_PEOPLE: dict[str, Check] = {
    "claim": is_id,
    "round": is_id,
    "decided_fen?": is_amount,
    "document?": is_text,
    "reviews?": is_review_list,
}
SHAPES: dict[str, dict[str, Check]] = {
    "open-round": {
        "round": is_id,
        "year": is_year,
        "budget_fen": is_amount_or_zero,
        "rulebook": one_of(MEASURES),
        "call?": one_of(CALLS),
    },
    "adjust-budget": {"round": is_id, "amount_fen": is_signed_amount, "document": is_text},
    "close-round": {"round": is_id, "document": is_text},
    "return-to-treasury": {"round": is_id, "amount_fen": is_amount, "document": is_text},
    "assert-control-total": {
        "round": is_id,
        "instrument?": one_of(INSTRUMENTS),
        "count?": is_amount_or_zero,
        "total_fen?": is_amount_or_zero,
        "source": is_text,
    },
    "register-party": {
        "uscc": is_uscc,
        "kind": one_of(PARTY_KINDS),
        "name": is_text,
        "confirm_uscc?": is_flag,
    },
    "rename-party": {"uscc": is_uscc, "name": is_text},
    "merge-parties": {"survivor": is_uscc, "absorbed": is_uscc, "document": is_text},
    "split-party": {"original": is_uscc, "created": is_uscc, "document": is_text},
    "certify-firm": {
        "uscc": is_uscc,
        "quality": is_text,
        "valid_from": is_date,
        "valid_to": is_date,
        "document": is_text,
    },
    "draw-loan": {
        "loan": is_id,
        "firm": is_uscc,
        "bank": is_uscc,
        "principal_fen": is_amount,
        "drawn_on": is_date,
        "security": one_of(SECURITIES),
        "guarantor?": is_uscc,
        "product?": is_id,
    },
    "repay-loan": {"loan": is_id, "amount_fen": is_amount},
    "report-default": {"loan": is_id, "outstanding_fen": is_amount_or_zero, "defaulted_on": is_date},
    "report-loss": {"loan": is_id, "loss_fen": is_amount, "document": is_text},
    "pay-guarantee": {
        "payout": is_id,
        "loan": is_id,
        "guarantor": is_uscc,
        "amount_fen": is_amount,
        "paid_on": is_date,
    },
    "record-recovery": {"payout?": is_id, "loan?": is_id, "amount_fen": is_amount},
    "certify-credit": {
        "bank": is_uscc,
        "product": is_id,
        "year": is_year,
        "total_fen": is_amount_or_zero,
        "certificate": is_text,
    },
    "claim-loan-interest": {
        "claim": is_id,
        "round": is_id,
        "loan": is_id,
        "interest_paid_fen": is_amount,
        "period_from": is_date,
        "period_to": is_date,
        "slips?": is_slip_list,
    },
    "claim-credit-award": {
        "claim": is_id,
        "round": is_id,
        "bank": is_uscc,
        "product": is_id,
        "year": is_year,
    },
    "claim-guarantee-compensation": {**DECIDED_BY_PEOPLE, "payout": is_id},
    "claim-risk-compensation": {**DECIDED_BY_PEOPLE, "payee": is_uscc, "loan?": is_id},
    "claim-service-grant": {**DECIDED_BY_PEOPLE, "payee": is_uscc, "loan?": is_id},
    "claim-venture-risk": {**DECIDED_BY_PEOPLE, "payee": is_uscc, "loan?": is_id},
    "claim-insurance-premium": {**DECIDED_BY_PEOPLE, "payee": is_uscc, "loan?": is_id},
    "publicise": {"claim": is_id, "notice": is_text, "notice_from?": is_date, "notice_to?": is_date},
    "hold": {"claim": is_id, "reason": is_text},
    "release": {"claim": is_id, "reason": is_text},
    "pay": {"claim": is_id, "voucher": is_text, "paid_on": is_date},
    "return-payment": {"claim": is_id, "voucher": is_text, "returned_on": is_date},
    "void": {"claim": is_id, "reason": is_text},
    "recover": {"claim": is_id, "amount_fen": is_amount, "cause": one_of(CAUSES), "document": is_text},
    "reverse-fact": {"position": is_amount, "reason": is_text},
}
COMMON_FIELDS: dict[str, Check] = {"command": is_text, "key?": is_text, "effective_on?": is_date}
OWN_DATE = {
    "draw-loan": "drawn_on",
    "report-default": "defaulted_on",
    "pay-guarantee": "paid_on",
    "pay": "paid_on",
    "return-payment": "returned_on",
}
MAKES = {
    "open-round": ("round",),
    "register-party": ("uscc", "kind"),
    "draw-loan": ("loan",),
    "pay-guarantee": ("payout",),
} | {name: ("claim",) for name in SHAPES if name.startswith("claim-")}


def is_well_formed(command: Command) -> bool:
    name = command.get("command")
    if not isinstance(name, str) or name not in SHAPES:
        return False
    if not fits(command, SHAPES[name] | COMMON_FIELDS):
        return False
    return name not in MORE or MORE[name](command)


MORE: dict[str, Callable[[Command], bool]] = {
    "draw-loan": lambda command: (command["security"] == "guaranteed") == ("guarantor" in command),
    "claim-loan-interest": lambda command: bool(command["period_from"] <= command["period_to"]),
    "assert-control-total": lambda command: "count" in command or "total_fen" in command,
    "merge-parties": lambda command: bool(command["survivor"] != command["absorbed"]),
    "split-party": lambda command: bool(command["original"] != command["created"]),
    "record-recovery": lambda command: ("payout" in command) != ("loan" in command),
}


def default_key(command: Command) -> str | None:
    """The key of a command that makes a thing and brings none; None for every other command."""
    if command["command"] not in MAKES:
        return None
    return ":".join([command["command"], *(str(command[name]) for name in MAKES[command["command"]])])


def fingerprint(command: Command) -> str:
    return json.dumps({name: command[name] for name in command if name != "key"}, sort_keys=True)
