"""Rounds, parties, loans, guarantees and certificates: what is reported and not decided, and its reversal."""

from __future__ import annotations

from tests.oracle.log import Log
from tests.oracle.records import (
    FIRM_LIMIT_FEN,
    NEVER_ENDS,
    PROGRAMME_START,
    Draft,
    Event,
    Move,
    RefusedError,
    total,
    transfer,
)
from tests.oracle.shapes import Command, uscc_check_character

REVERSIBLE = (
    *("LoanDrawn", "LoanRepaid", "RepaymentDefaulted", "LossReported", "GuaranteePaidOut"),
    *("RecoveryReceived", "CreditCertified", "FirmCertified", "ControlTotalAsserted"),
)
COMPENSATIONS = ("GuaranteeCompensationGranted", "RiskCompensationGranted")


class Rounds(Log):
    """The money of a round: given, changed, closed, handed back."""

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

    def decide_adjust_budget(self, command: Command, on: str) -> list[Draft]:
        round_id, amount_fen = command["round"], command["amount_fen"]
        self.the_one("RoundOpened", "unknown_round", round=round_id)
        self.demand_open(round_id)
        if -amount_fen > self.least_available(round_id, on) and amount_fen < 0:
            raise RefusedError("budget_short")
        moves = transfer(on, "public/treasury", f"public/round/{round_id}/available", amount_fen)
        return [("BudgetAdjusted", command, moves)]

    def decide_close_round(self, command: Command, on: str) -> list[Draft]:
        self.the_one("RoundOpened", "unknown_round", round=command["round"])
        self.demand_open(command["round"])
        return [("RoundClosed", command, [])]

    def decide_return_to_treasury(self, command: Command, on: str) -> list[Draft]:
        self.the_one("RoundOpened", "unknown_round", round=command["round"])
        recovered = f"public/recovered/{command['round']}"
        if command["amount_fen"] > self.least_balance(recovered, on):
            raise RefusedError("budget_short")
        moves = transfer(on, recovered, "public/treasury", command["amount_fen"])
        return [("ReturnedToTreasury", command, moves)]

    def decide_assert_control_total(self, command: Command, on: str) -> list[Draft]:
        self.the_one("RoundOpened", "unknown_round", round=command["round"])
        return [("ControlTotalAsserted", command, [])]

    def demand_open(self, round_id: str) -> None:
        if self.find("RoundClosed", round=round_id):
            raise RefusedError("wrong_state")


class Parties(Log):
    """Who there is, and who has become whom."""

    def decide_register_party(self, command: Command, on: str) -> list[Draft]:
        uscc = command["uscc"]
        if self.find("PartyRegistered", uscc=uscc, kind=command["kind"]):
            raise RefusedError("duplicate_party")
        if uscc[17] != uscc_check_character(uscc[:17]) and not command.get("confirm_uscc", False):
            raise RefusedError("uscc_check_digit")
        return [("PartyRegistered", command, [])]

    def decide_rename_party(self, command: Command, on: str) -> list[Draft]:
        self.the_one("PartyRegistered", "unknown_party", uscc=command["uscc"])
        return [("PartyRenamed", command, [])]

    def decide_certify_firm(self, command: Command, on: str) -> list[Draft]:
        self.the_one("PartyRegistered", "unknown_party", uscc=command["uscc"])
        return [("FirmCertified", command, [])]

    def decide_merge_parties(self, command: Command, on: str) -> list[Draft]:
        self.demand_living(command["survivor"], command["absorbed"])
        return [("PartiesMerged", command, self.inherit(command["survivor"], command["absorbed"], on))]

    def decide_split_party(self, command: Command, on: str) -> list[Draft]:
        self.demand_living(command["original"], command["created"])
        return [("PartySplit", command, [])]

    def demand_living(self, *both: str) -> None:
        for uscc in both:
            self.the_one("PartyRegistered", "unknown_party", uscc=uscc)
        if any(self.is_absorbed(uscc) for uscc in both):
            raise RefusedError("party_absorbed")

    def inherit(self, survivor: str, absorbed: str, on: str) -> list[Move]:
        """What was used by the day moves on the day; what is dated later moves on its own day."""
        moves: list[Move] = []
        for book in ("quota", "reserved"):
            giver, receiver = f"{book}/firm/{absorbed}", f"{book}/firm/{survivor}"
            own = [line for line in self.lines() if line.account == giver]
            for day in sorted({max(on, line.effective_on) for line in own}):
                amount_fen = sum(line.amount_fen for line in own if max(on, line.effective_on) == day)
                moves += transfer(day, giver, receiver, amount_fen)
        limit = f"limit/firm/{survivor}"
        if moves and not self.accounts(self.lines(), limit):
            moves.append((PROGRAMME_START, limit, FIRM_LIMIT_FEN))
        return moves


class Loans(Log):
    """Loans, what became of them, what guarantors paid, and what banks certified."""

    def decide_draw_loan(self, command: Command, on: str) -> list[Draft]:
        for role in ("firm", "bank", "guarantor"):
            if role in command:
                self.demand_party(command[role], role)
        if self.facts("LoanDrawn", loan=command["loan"]):
            raise RefusedError("duplicate_loan")
        return [("LoanDrawn", command, [])]

    def decide_repay_loan(self, command: Command, on: str) -> list[Draft]:
        self.the_one("LoanDrawn", "unknown_loan", loan=command["loan"])
        return [("LoanRepaid", command, [])]

    def decide_report_default(self, command: Command, on: str) -> list[Draft]:
        self.the_one("LoanDrawn", "unknown_loan", loan=command["loan"])
        if self.facts("RepaymentDefaulted", loan=command["loan"]):
            raise RefusedError("wrong_state")
        return [("RepaymentDefaulted", command, [])]

    def decide_report_loss(self, command: Command, on: str) -> list[Draft]:
        self.the_one("LoanDrawn", "unknown_loan", loan=command["loan"])
        return [("LossReported", command, [])]

    def decide_certify_credit(self, command: Command, on: str) -> list[Draft]:
        self.demand_party(command["bank"], "bank")
        return [("CreditCertified", command, [])]

    def decide_pay_guarantee(self, command: Command, on: str) -> list[Draft]:
        loan = self.the_one("LoanDrawn", "unknown_loan", loan=command["loan"]).data
        self.demand_party(command["guarantor"], "guarantor")
        if self.facts("GuaranteePaidOut", payout=command["payout"]):
            raise RefusedError("duplicate_payout")
        warnings = [] if self.facts("RepaymentDefaulted", loan=command["loan"]) else ["not_in_default"]
        if command["guarantor"] != loan.get("guarantor"):
            warnings.append("not_the_guarantor_of_the_loan")
        part_fen = min(command["amount_fen"], self.outstanding_fen(loan))
        interest_fen = command["amount_fen"] - part_fen
        data = {**command, "principal_part_fen": part_fen, "warnings": warnings}
        interest = f"private/guarantee/{command['payout']}/interest"
        return [("GuaranteePaidOut", data, [(on, interest, interest_fen)])]

    def outstanding_fen(self, loan: Command) -> int:
        """The principal, or what a default reported, less what was recorded as paid or recovered since."""
        left_fen: int = loan["principal_fen"]
        since = 0
        for default in self.facts("RepaymentDefaulted", loan=loan["loan"]):
            left_fen, since = default.data["outstanding_fen"], default.position
        paid_off = (
            *(("LoanRepaid", "amount_fen"), ("RecoveryReceived", "amount_fen")),
            ("GuaranteePaidOut", "principal_part_fen"),
        )
        for kind, name in paid_off:
            later = [fact for fact in self.facts(kind, loan=loan["loan"]) if fact.position > since]
            left_fen -= sum(fact.data[name] for fact in later)
        return max(0, left_fen)

    def decide_record_recovery(self, command: Command, on: str) -> list[Draft]:
        warnings = []
        if "payout" in command:
            self.the_one("GuaranteePaidOut", "unknown_payout", payout=command["payout"])
            if self.standing_compensations(command["payout"]):
                warnings.append("return_due")
        else:
            self.the_one("LoanDrawn", "unknown_loan", loan=command["loan"])
        return [("RecoveryReceived", {**command, "warnings": warnings}, [])]

    def standing_compensations(self, payout: str) -> list[Event]:
        granted = self.find("GuaranteeCompensationGranted", payout=payout)
        return [grant for grant in granted if self.stands(grant, self.events)]


class Reversals(Log):
    """A fact that was wrong: known from now, on the date of the fact."""

    def decide_reverse_fact(self, command: Command, on: str) -> list[Draft]:
        if command["position"] > len(self.events):
            raise RefusedError("unknown_position")
        fact = self.events[command["position"] - 1]
        if fact.kind not in REVERSIBLE or self.is_reversed(fact):
            raise RefusedError("wrong_state")
        if any(self.money_is_out(grant) and self.rests_on(grant, fact) for grant in self.grants()):
            raise RefusedError("fact_in_use")
        moves = [(line.effective_on, line.account, -line.amount_fen) for line in fact.lines]
        return [("FactReversed", command, moves + self.limit_given_by(fact))]

    def rests_on(self, grant: Event, fact: Event) -> bool:
        """A grant rests on what was known when it was decided. The loan of a guarantee compensation is that of
        its payout."""
        if grant.position < fact.position:
            return False
        if fact.kind == "LoanDrawn":
            return bool(grant.data.get("loan") == fact.data["loan"])
        if fact.kind == "RepaymentDefaulted":
            return grant.kind in COMPENSATIONS and grant.data.get("loan") == fact.data["loan"]
        if fact.kind == "LossReported":  # a payout's compensation asks for no loss of the bank
            return grant.kind == "RiskCompensationGranted" and grant.data.get("loan") == fact.data["loan"]
        if fact.kind == "GuaranteePaidOut":
            return bool(grant.data.get("payout") == fact.data["payout"])
        return fact.kind == "CreditCertified" and grant.data.get("certified_at") == fact.position

    def limit_given_by(self, fact: Event) -> list[Move]:
        """The cap on a loan's principal goes with the draw that gave it."""
        account = f"limit/principal/{fact.data.get('loan')}"
        limit_fen = total(self.lines(), account, NEVER_ENDS)
        if fact.kind != "LoanDrawn" or limit_fen == 0:
            return []
        return [(fact.effective_on, account, -limit_fen)]


class Facts(Rounds, Parties, Loans, Reversals):
    """All of them."""
