"""A naive model of the ledger, written from the policy and the command contract alone.

Slow and obvious on purpose: it keeps the list of what happened and nothing else, and answers every
question by going through the whole list again. The real program is held against it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

Command = Mapping[str, Any]
Check = Callable[[Any], bool]

YUAN = 100
YI = 100_000_000 * YUAN  # one hundred million yuan, the height of one step of the credit award
FIRM_LIMIT_FEN = 200_000 * YUAN
STEP_AWARD_FEN = 200_000 * YUAN
PROGRAMME_START = "2022-01-01"
AMOUNT_FEN_MAX = 2**53 - 1
NEVER_ENDS = "9999-12-31"

MEASURES = ("shanxi-2022",)
CALLS = ("shanxi-2023", "shanxi-2024")
PARTY_KINDS = ("firm", "research_institute", "bank", "guarantor", "service_body", "investor", "insurer")
SECURITIES = ("credit", "guaranteed", "mortgage", "pledge")
CAUSES = ("error", "misconduct")

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
ID_PATTERN = re.compile(r"[A-Za-z0-9\u4e00-\u9fff._-]{1,64}")
DATE_PATTERN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


# --- what well-formed means ---------------------------------------------------------------------------


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


def fits(value: Any, shape: Mapping[str, Check]) -> bool:
    """Exactly the fields of the shape, each well-formed; a name that ends in `?` may be left out."""
    if not isinstance(value, Mapping):
        return False
    checks = {name.rstrip("?"): check for name, check in shape.items()}
    required = {name for name in shape if not name.endswith("?")}
    return required <= set(value) <= set(checks) and all(checks[name](value[name]) for name in value)


SHAPES: dict[str, dict[str, Check]] = {
    "open-round": {
        "round": is_id,
        "year": is_year,
        "budget_fen": is_amount_or_zero,
        "rulebook": one_of(MEASURES),
        "call?": one_of(CALLS),
    },
    "register-party": {
        "uscc": is_uscc,
        "kind": one_of(PARTY_KINDS),
        "name": is_text,
        "confirm_uscc?": is_flag,
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
    "publicise": {"claim": is_id, "notice": is_text, "notice_from?": is_date, "notice_to?": is_date},
    "pay": {"claim": is_id, "voucher": is_text, "paid_on": is_date},
    "void": {"claim": is_id, "reason": is_text},
    "recover": {"claim": is_id, "amount_fen": is_amount, "cause": one_of(CAUSES), "document": is_text},
}
COMMON_FIELDS: dict[str, Check] = {"command": is_text, "key?": is_text, "effective_on?": is_date}
OWN_DATE = {"draw-loan": "drawn_on", "report-default": "defaulted_on", "pay": "paid_on"}
MAKES = {
    "open-round": ("round",),
    "register-party": ("uscc", "kind"),
    "draw-loan": ("loan",),
    "claim-loan-interest": ("claim",),
    "claim-credit-award": ("claim",),
}
OUT_OF_SCOPE = (
    *("adjust-budget", "close-round", "return-to-treasury", "assert-control-total", "rename-party"),
    *("merge-parties", "split-party", "certify-firm", "report-loss", "pay-guarantee", "record-recovery"),
    *("claim-guarantee-compensation", "claim-risk-compensation", "claim-service-grant"),
    *("claim-venture-risk", "claim-insurance-premium", "hold", "release", "return-payment", "reverse-fact"),
)


def is_well_formed(command: Command) -> bool:
    name = command.get("command")
    if not isinstance(name, str) or name not in SHAPES:
        return False
    if not fits(command, SHAPES[name] | COMMON_FIELDS):
        return False
    if name == "draw-loan":
        is_guaranteed: bool = command["security"] == "guaranteed"
        return is_guaranteed == ("guarantor" in command)
    if name == "claim-loan-interest":
        return bool(command["period_from"] <= command["period_to"])
    return True


def default_key(command: Command) -> str | None:
    """The key of a command that makes a thing and brings none; None for every other command."""
    if command["command"] not in MAKES:
        return None
    return ":".join([command["command"], *(str(command[name]) for name in MAKES[command["command"]])])


def fingerprint(command: Command) -> str:
    return json.dumps({name: command[name] for name in command if name != "key"}, sort_keys=True)


# --- what is written down -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One movement: a position, an effective date, an account, an amount."""

    position: int
    effective_on: str
    account: str
    amount_fen: int


@dataclass(frozen=True)
class Event:
    """Something that happened, with the fields that were sent and what was decided."""

    position: int
    effective_on: str
    kind: str
    data: Mapping[str, Any]
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The answer to one command; of a repeated one, everything but `outcome` is the first answer's."""

    outcome: str
    code: str | None = None
    clause: str | None = None
    amount_fen: int | None = None
    first: str | None = None
    positions: tuple[int, ...] = ()

    def as_line(self) -> dict[str, Any]:
        """The same answer in the shape of an outcome line of `kejin run`."""
        everything: dict[str, Any] = {
            "outcome": self.outcome,
            "positions": list(self.positions),
            "first": self.first,
        }
        everything |= {"code": self.code, "clause": self.clause, "amount_fen": self.amount_fen}
        return {name: value for name, value in everything.items() if value is not None}


@dataclass(frozen=True)
class Answered:
    """A key with the command that used it and the answer that it got."""

    key: str
    fingerprint: str
    outcome: Outcome


@dataclass(frozen=True)
class CapRow:
    kind: str
    key: str
    party: str
    limit_fen: int
    consumed_fen: int
    reserved_fen: int
    room_fen: int


@dataclass(frozen=True)
class MilestoneRow:
    bank: str
    product: str
    mark: int
    awarded_fen: int
    next_at_fen: int


@dataclass(frozen=True)
class Breach:
    """On this date, as known at the end of this position, an account was past its bound by this much."""

    position: int
    effective_on: str
    account: str
    over_fen: int


class RefusedError(Exception):
    """The rules say no: a code and, where a clause says it, the clause."""

    def __init__(self, code: str, clause: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.clause = clause


class NotKnownError(Exception):
    """The position asked for was never written."""


Draft = tuple[str, Mapping[str, Any], list[tuple[str, str, int]]]  # kind, data, lines (date, account, amount)
GRANTS = {"LoanInterestGranted": "loan_interest", "CreditAwarded": "credit_award"}
LIFE = ("GrantPublicised", "GrantPaid", "GrantVoided", "GrantRecovered")
STATE_AFTER = {"GrantPublicised": "publicised", "GrantPaid": "paid", "GrantVoided": "void"}


def total(lines: Iterable[Line], account: str, on: str) -> int:
    """What the lines sum to on a date, for one account."""
    return sum(line.amount_fen for line in lines if line.account == account and line.effective_on <= on)


def dates_of(lines: Iterable[Line]) -> list[str]:
    return sorted({line.effective_on for line in lines})


def transfer(on: str, giver: str, receiver: str, amount_fen: int) -> list[tuple[str, str, int]]:
    """The receiving account grows, the giving one shrinks."""
    return [(on, giver, -amount_fen), (on, receiver, amount_fen)] if amount_fen else []


class Oracle:
    """The whole ledger: a list of events and a list of answered keys."""

    def __init__(self, today: str) -> None:
        self.today = today
        self.events: list[Event] = []
        self.answered: list[Answered] = []

    # --- commands -------------------------------------------------------------------------------------

    def submit(self, command: Command, line_key: str | None = None) -> Outcome:
        if command.get("command") in OUT_OF_SCOPE:
            raise NotImplementedError(f"{command['command']} is outside what this model covers")
        if not is_well_formed(command):
            return Outcome("invalid")
        key = command.get("key") or default_key(command) or line_key
        for earlier in self.answered:
            if earlier.key == key:
                if earlier.fingerprint != fingerprint(command):
                    return Outcome("refused", code="key_reused")
                return replace(earlier.outcome, outcome="repeated", first=earlier.outcome.outcome)
        outcome = self.decide_and_write(command)
        if key is not None:
            self.answered.append(Answered(key, fingerprint(command), outcome))
        return outcome

    def decide_and_write(self, command: Command) -> Outcome:
        name = command["command"]
        on = command.get("effective_on") or command.get(OWN_DATE.get(name, ""), self.today)
        try:
            drafts = self.decide(name, command, on)
        except RefusedError as refused:
            kind = "ClaimRefused" if name.startswith("claim-") else "CommandRefused"
            data = {**command, "code": refused.code, "clause": refused.clause}
            position = self.write(on, (kind, data, []))
            return Outcome("refused", code=refused.code, clause=refused.clause, positions=(position,))
        positions = tuple(self.write(on, draft) for draft in drafts)
        amount_fen = drafts[-1][1]["amount_fen"] if name.startswith("claim-") else None
        return Outcome("accepted", amount_fen=amount_fen, positions=positions)

    def write(self, on: str, draft: Draft) -> int:
        kind, data, moves = draft
        position = len(self.events) + 1
        lines = tuple(Line(position, day, account, amount) for day, account, amount in moves)
        self.events.append(Event(position, on, kind, data, lines))
        return position

    def decide(self, name: str, command: Command, on: str) -> list[Draft]:
        method: Callable[[Command, str], list[Draft]] = getattr(self, "decide_" + name.replace("-", "_"))
        return method(command, on)

    def decide_open_round(self, command: Command, on: str) -> list[Draft]:
        if self.find("RoundOpened", round=command["round"]):
            raise RefusedError("duplicate_round")
        versions = [command["rulebook"], *([command["call"]] if "call" in command else [])]
        drafts: list[Draft] = [
            ("RulebookAdopted", {"version": version}, [])
            for version in versions
            if not self.find("RulebookAdopted", version=version)
        ]
        available = f"public/round/{command['round']}/available"
        moves = transfer(on, "public/treasury", available, command["budget_fen"])
        return [*drafts, ("RoundOpened", command, moves)]

    def decide_register_party(self, command: Command, on: str) -> list[Draft]:
        uscc = command["uscc"]
        if self.find("PartyRegistered", uscc=uscc, kind=command["kind"]):
            raise RefusedError("duplicate_party")
        if uscc[17] != uscc_check_character(uscc[:17]) and not command.get("confirm_uscc", False):
            raise RefusedError("uscc_check_digit")
        return [("PartyRegistered", command, [])]

    def decide_draw_loan(self, command: Command, on: str) -> list[Draft]:
        for role in ("firm", "bank", "guarantor"):
            if role in command:
                self.demand_party(command[role], role)
        if self.find("LoanDrawn", loan=command["loan"]):
            raise RefusedError("duplicate_loan")
        return [("LoanDrawn", command, [])]

    def decide_repay_loan(self, command: Command, on: str) -> list[Draft]:
        self.the_one("LoanDrawn", "unknown_loan", loan=command["loan"])
        return [("LoanRepaid", command, [])]

    def decide_report_default(self, command: Command, on: str) -> list[Draft]:
        self.the_one("LoanDrawn", "unknown_loan", loan=command["loan"])
        if self.find("RepaymentDefaulted", loan=command["loan"]):
            raise RefusedError("wrong_state")
        return [("RepaymentDefaulted", command, [])]

    def decide_certify_credit(self, command: Command, on: str) -> list[Draft]:
        self.demand_party(command["bank"], "bank")
        return [("CreditCertified", command, [])]

    # --- the two claims -------------------------------------------------------------------------------

    def decide_claim_loan_interest(self, command: Command, on: str) -> list[Draft]:
        opened = self.the_one("RoundOpened", "unknown_round", round=command["round"])
        loan = self.the_one("LoanDrawn", "unknown_loan", loan=command["loan"]).data
        self.demand_unused_claim(command["claim"])
        self.demand_not_before(on, opened)
        self.demand_eligible_interest(command, loan, opened.data)
        self.demand_days_and_slips_free(command, loan)
        amount_fen = self.interest_grant_fen(command, loan, on)
        self.demand_budget(command["round"], amount_fen, on)
        moves = self.missing_limits(loan)
        for kind, key in (("firm", loan["firm"]), ("principal", loan["loan"])):
            moves += [(on, f"quota/{kind}/{key}", amount_fen), (on, f"reserved/{kind}/{key}", amount_fen)]
        return [self.grant("LoanInterestGranted", command, on, loan["firm"], amount_fen, moves)]

    def interest_grant_fen(self, command: Command, loan: Command, on: str) -> int:
        """Least of half the interest and the room under 3 % of principal, then the firm's room."""
        half_fen: int = command["interest_paid_fen"] // 2
        if half_fen == 0:
            raise RefusedError("nothing_due", "SX-1")
        limits = [Line(0, *move) for move in self.missing_limits(loan)]
        principal_room_fen = self.room("principal", loan["loan"], on, self.lines() + limits)
        if principal_room_fen == 0:
            raise RefusedError("principal_cap_reached", "SX-1")
        firm_room_fen = self.room("firm", loan["firm"], on, self.lines() + limits)
        if firm_room_fen == 0:
            raise RefusedError("firm_cap_reached", "SX-1")
        return min(half_fen, principal_room_fen, firm_room_fen)

    def missing_limits(self, loan: Command) -> list[tuple[str, str, int]]:
        """The limits that the first grant under a cap brings with it."""
        limits = [
            (PROGRAMME_START, f"limit/firm/{loan['firm']}", FIRM_LIMIT_FEN),
            (loan["drawn_on"], f"limit/principal/{loan['loan']}", loan["principal_fen"] * 3 // 100),
        ]
        known = {line.account for line in self.lines()}
        return [limit for limit in limits if limit[1] not in known]

    def demand_eligible_interest(self, command: Command, loan: Command, opened: Command) -> None:
        narrowed = opened.get("call") == "shanxi-2023"
        if loan["security"] not in (("credit",) if narrowed else ("credit", "guaranteed")):
            raise RefusedError("security_not_eligible", "SX-1")
        year_before = f"{opened['year'] - 1:04d}"
        years = {command["period_from"][:4], command["period_to"][:4]}
        if narrowed and years != {year_before}:
            raise RefusedError("period_not_eligible", "SX-1")
        for default in self.find("RepaymentDefaulted", loan=command["loan"]):
            if command["period_to"] > default.data["defaulted_on"]:
                raise RefusedError("after_default", "SX-1")

    def demand_days_and_slips_free(self, command: Command, loan: Command) -> None:
        standing = [grant.data for grant in self.find("LoanInterestGranted") if not self.is_void(grant)]
        for other in standing:
            shares_a_day = (
                other["period_from"] <= command["period_to"] and command["period_from"] <= other["period_to"]
            )
            if other["loan"] == command["loan"] and shares_a_day:
                raise RefusedError("duplicate_claim", "SX-1")
        used = [
            slip["number"]
            for other in standing
            if self.find("LoanDrawn", loan=other["loan"])[0].data["bank"] == loan["bank"]
            for slip in other.get("slips", [])
        ]
        for slip in command.get("slips", []):
            if slip["number"] in used:
                raise RefusedError("duplicate_slip", "SX-1")
            used.append(slip["number"])

    def decide_claim_credit_award(self, command: Command, on: str) -> list[Draft]:
        opened = self.the_one("RoundOpened", "unknown_round", round=command["round"])
        bank, product = command["bank"], command["product"]
        self.demand_party(bank, "bank")
        certified = self.find("CreditCertified", bank=bank, product=product, year=command["year"])
        if not certified:
            raise RefusedError("unknown_certificate")
        self.demand_unused_claim(command["claim"])
        self.demand_not_before(on, opened)
        step = certified[-1].data["total_fen"] // YI
        amount_fen = self.award_fen(step, self.mark(bank, product, self.events))
        if amount_fen == 0:
            raise RefusedError("nothing_due", "SX-2")
        self.demand_budget(command["round"], amount_fen, on)
        return [self.grant("CreditAwarded", {**command, "step": step}, on, bank, amount_fen, [])]

    def award_fen(self, step: int, mark: int) -> int:
        """The first reach pays one sum whatever its height; later each whole step above the mark pays."""
        if step <= mark:
            return 0
        return STEP_AWARD_FEN if mark == 0 else (step - mark) * STEP_AWARD_FEN

    def grant(
        self,
        kind: str,
        command: Command,
        on: str,
        payee: str,
        amount_fen: int,
        moves: list[tuple[str, str, int]],
    ) -> Draft:
        account = f"public/round/{command['round']}"
        money = transfer(on, f"{account}/available", f"{account}/committed", amount_fen)
        data = {**command, "instrument": GRANTS[kind], "payee": payee, "amount_fen": amount_fen}
        return (kind, data, money + moves)

    # --- the life of a grant --------------------------------------------------------------------------

    def decide_publicise(self, command: Command, on: str) -> list[Draft]:
        self.demand_step(command["claim"], on, "decided")
        return [("GrantPublicised", command, [])]

    def decide_pay(self, command: Command, on: str) -> list[Draft]:
        grant = self.demand_step(command["claim"], on, "publicised").data
        committed = f"public/round/{grant['round']}/committed"
        moves = transfer(on, committed, self.paid_account(grant), grant["amount_fen"])
        moves += [(on, f"reserved/{cap}", -grant["amount_fen"]) for cap in self.caps_of(grant)]
        return [("GrantPaid", command, moves)]

    def decide_void(self, command: Command, on: str) -> list[Draft]:
        grant = self.demand_step(command["claim"], on, "decided", "publicised").data
        account = f"public/round/{grant['round']}"
        moves = transfer(on, f"{account}/committed", f"{account}/available", grant["amount_fen"])
        for cap in self.caps_of(grant):
            moves += [
                (on, f"quota/{cap}", -grant["amount_fen"]),
                (on, f"reserved/{cap}", -grant["amount_fen"]),
            ]
        return [("GrantVoided", command, moves)]

    def decide_recover(self, command: Command, on: str) -> list[Draft]:
        amount_fen = command["amount_fen"]
        self.demand_recoverable(command["claim"], amount_fen)
        grant = self.demand_step(command["claim"], on, "paid").data
        moves = transfer(on, self.paid_account(grant), f"public/recovered/{grant['round']}", amount_fen)
        if command["cause"] == "error":
            moves += [(on, f"quota/{cap}", -amount_fen) for cap in self.caps_of(grant)]
        return [("GrantRecovered", command, moves)]

    def demand_step(self, claim: str, on: str, *states: str) -> Event:
        """The grant, if the claim stands in one of the states and the step is not dated too early."""
        grants = self.grants_of(claim)
        if not grants:
            raise RefusedError("wrong_state" if self.find("ClaimRefused", claim=claim) else "unknown_claim")
        if self.state_of(claim) not in states:
            raise RefusedError("wrong_state")
        if on < max(step.effective_on for step in grants + self.life_of(claim, self.events)):
            raise RefusedError("effective_too_early")
        return grants[0]

    def demand_recoverable(self, claim: str, amount_fen: int) -> None:
        for grant in self.grants_of(claim):
            recovered_fen = sum(
                step.data["amount_fen"]
                for step in self.life_of(claim, self.events)
                if step.kind == "GrantRecovered"
            )
            if recovered_fen + amount_fen > grant.data["amount_fen"]:
                raise RefusedError("wrong_state")

    def paid_account(self, grant: Command) -> str:
        return f"public/paid/{grant['instrument']}/{grant['payee']}/{grant['round']}"

    def caps_of(self, grant: Command) -> list[str]:
        if grant["instrument"] != "loan_interest":
            return []
        return [f"firm/{grant['payee']}", f"principal/{grant['loan']}"]

    # --- looking things up in the list ----------------------------------------------------------------

    def find(self, kind: str, /, **fields: Any) -> list[Event]:
        """Every event of a kind with these fields, in order of recording, whatever its effective date."""
        return [
            event
            for event in self.events
            if event.kind == kind and all(event.data.get(name) == value for name, value in fields.items())
        ]

    def the_one(self, kind: str, code: str, /, **fields: Any) -> Event:
        found = self.find(kind, **fields)
        if not found:
            raise RefusedError(code)
        return found[0]

    def lines(self) -> list[Line]:
        return [line for event in self.events for line in event.lines]

    def grants_of(self, claim: str) -> list[Event]:
        return [event for kind in GRANTS for event in self.find(kind, claim=claim)]

    def life_of(self, claim: str, known: list[Event]) -> list[Event]:
        return [event for event in known if event.kind in LIFE and event.data["claim"] == claim]

    def state_of(self, claim: str) -> str:
        state = "decided"
        for step in self.life_of(claim, self.events):
            state = STATE_AFTER.get(step.kind, state)
        return state

    def is_void(self, grant: Event) -> bool:
        return self.state_of(grant.data["claim"]) == "void"

    def demand_party(self, uscc: str, kind: str) -> None:
        if not self.find("PartyRegistered", uscc=uscc, kind=kind):
            raise RefusedError("unknown_party")

    def demand_unused_claim(self, claim: str) -> None:
        if self.grants_of(claim) or self.find("ClaimRefused", claim=claim):
            raise RefusedError("duplicate_claim")

    def demand_not_before(self, on: str, opened: Event) -> None:
        if on < opened.effective_on:
            raise RefusedError("effective_too_early")

    def demand_budget(self, round_id: str, amount_fen: int, on: str) -> None:
        if amount_fen > self.least_available(round_id, on):
            raise RefusedError("budget_short")

    # --- room, on both clocks -------------------------------------------------------------------------

    def room(self, kind: str, key: str, on: str, lines: list[Line]) -> int:
        """The least of limit(d) - used(d) over every d from `on`, never below 0."""
        limit, quota = f"limit/{kind}/{key}", f"quota/{kind}/{key}"
        own = [line for line in lines if line.account in (limit, quota)]
        days = [on] + [day for day in dates_of(own) if day > on]
        return max(0, min(total(own, limit, day) - total(own, quota, day) for day in days))

    def least_available(self, round_id: str, on: str) -> int:
        account = f"public/round/{round_id}/available"
        own = [line for line in self.lines() if line.account == account]
        days = [on] + [day for day in dates_of(own) if day > on]
        return min(total(own, account, day) for day in days)

    # --- milestones -----------------------------------------------------------------------------------

    def standing_awards(self, bank: str, product: str, known: list[Event]) -> list[Event]:
        """Awards neither voided nor wholly recovered for error."""
        awards = [event for event in known if event.kind == "CreditAwarded"]
        own = [award for award in awards if (award.data["bank"], award.data["product"]) == (bank, product)]
        return [award for award in own if not self.is_undone(award, known)]

    def is_undone(self, award: Event, known: list[Event]) -> bool:
        life = self.life_of(award.data["claim"], known)
        by_error_fen = sum(
            step.data["amount_fen"]
            for step in life
            if step.kind == "GrantRecovered" and step.data["cause"] == "error"
        )
        is_void = any(step.kind == "GrantVoided" for step in life)
        return is_void or by_error_fen == award.data["amount_fen"]

    def mark(self, bank: str, product: str, known: list[Event]) -> int:
        standing = self.standing_awards(bank, product, known)
        return max((award.data["step"] for award in standing), default=0)

    # --- questions ------------------------------------------------------------------------------------

    def known_at(self, known_position: int | None) -> list[Event]:
        if known_position is None:
            return self.events
        if not 1 <= known_position <= len(self.events):
            raise NotKnownError(known_position)
        return self.events[:known_position]

    def known_lines(self, known_position: int | None) -> list[Line]:
        return [line for event in self.known_at(known_position) for line in event.lines]

    def balance(self, account: str, on: str | None = None, known_position: int | None = None) -> int:
        """One account, or with a trailing `/` everything below it; without `on`, all effective dates."""
        lines = self.known_lines(known_position)
        if account.endswith("/"):
            return sum(total(lines, name, on or NEVER_ENDS) for name in self.accounts(lines, account))
        return total(lines, account, on or NEVER_ENDS)

    def all_balances(self, on: str | None = None, known_position: int | None = None) -> dict[str, int]:
        """Every account of the public book that was posted to by then, those at 0 included."""
        lines = self.known_lines(known_position)
        return {name: total(lines, name, on or NEVER_ENDS) for name in self.accounts(lines, "public/")}

    def accounts(self, lines: Iterable[Line], prefix: str) -> list[str]:
        return sorted({line.account for line in lines if line.account.startswith(prefix)})

    def caps(
        self, party: str | None = None, on: str | None = None, known_position: int | None = None
    ) -> dict[tuple[str, str], CapRow]:
        """One row per cap that a grant has used, by (`firm` and USCC) or (`principal` and loan)."""
        lines = self.known_lines(known_position)
        day = on or NEVER_ENDS
        rows = {}
        for account in self.accounts(lines, "limit/"):
            _, kind, key = account.split("/")
            owner = key if kind == "firm" else self.find("LoanDrawn", loan=key)[0].data["firm"]
            if party in (None, owner):
                rows[kind, key] = CapRow(
                    kind=kind,
                    key=key,
                    party=owner,
                    limit_fen=total(lines, account, day),
                    consumed_fen=total(lines, f"quota/{kind}/{key}", day),
                    reserved_fen=total(lines, f"reserved/{kind}/{key}", day),
                    room_fen=self.room(kind, key, day, lines),
                )
        return rows

    def milestones(
        self, bank: str | None = None, known_position: int | None = None
    ) -> dict[tuple[str, str], MilestoneRow]:
        """One row per bank and product that ever had an award; `awarded_fen` is what still stands."""
        known = self.known_at(known_position)
        awards = [event.data for event in known if event.kind == "CreditAwarded"]
        rows = {}
        for holder, product in sorted({(award["bank"], award["product"]) for award in awards}):
            if bank in (None, holder):
                mark = self.mark(holder, product, known)
                standing = self.standing_awards(holder, product, known)
                awarded_fen = sum(award.data["amount_fen"] for award in standing)
                rows[holder, product] = MilestoneRow(holder, product, mark, awarded_fen, (mark + 1) * YI)
        return rows

    # --- the proof ------------------------------------------------------------------------------------

    def breaches(self) -> list[Breach]:
        """Every bound at the end of every event that touched it, on every date on which it moves."""
        lines = self.lines()
        found = []
        for account in self.accounts(lines, "quota/"):
            found += self.breaches_of(account, account.replace("quota/", "limit/", 1), lines)
        for account in self.accounts(lines, "public/round/"):
            if account.endswith("/available"):
                found += self.breaches_of(account, None, lines)
        return found

    def breaches_of(self, account: str, limit: str | None, lines: list[Line]) -> list[Breach]:
        own = [line for line in lines if line.account in (account, limit)]
        found = []
        for position in sorted({line.position for line in own}):
            known = [line for line in own if line.position <= position]
            for day in dates_of(own):
                value_fen = total(known, account, day)
                over_fen = value_fen - total(known, limit, day) if limit else -value_fen
                if over_fen > 0:
                    found.append(Breach(position, day, account, over_fen))
        return found
