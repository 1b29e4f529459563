"""The seven kinds of claims, in the order in which refusals are named."""

from __future__ import annotations

from tests.oracle.facts import Facts
from tests.oracle.log import GRANTS
from tests.oracle.records import (
    FIRM_LIMIT_FEN,
    NEVER_ENDS,
    PROGRAMME_START,
    STEP_AWARD_FEN,
    YI,
    Draft,
    Event,
    Line,
    Move,
    RefusedError,
    total,
    transfer,
)
from tests.oracle.shapes import REVIEW_KINDS, Command


class Claims(Facts):
    """What every claim must pass, then each kind by itself."""

    def demand_claimable(self, command: Command, on: str, payee: str) -> None:
        """Used id, closed round, too early, absorbed: after all that is unknown."""
        claim, round_id = command["claim"], command["round"]
        if self.grants_of(claim) or self.find("ClaimRefused", claim=claim):
            raise RefusedError("duplicate_claim")
        self.demand_open(round_id)
        if on < self.find("RoundOpened", round=round_id)[0].effective_on:
            raise RefusedError("effective_too_early")
        if self.is_absorbed(payee):
            raise RefusedError("party_absorbed")

    def grant(
        self, kind: str, command: Command, on: str, payee: str, amount_fen: int, moves: list[Move]
    ) -> list[Draft]:
        """The last check, the round's money, and the decision."""
        if amount_fen > self.least_available(command["round"], on):
            raise RefusedError("budget_short")
        account = f"public/round/{command['round']}"
        money = transfer(on, f"{account}/available", f"{account}/committed", amount_fen)
        data = {**command, "instrument": GRANTS[kind], "payee": payee, "amount_fen": amount_fen}
        warnings = ["split_review"] if self.find("PartySplit", created=payee) else []
        return [(kind, {**data, "warnings": warnings}, money + moves)]

    # --- SX-1 -----------------------------------------------------------------------------------------

    def decide_claim_loan_interest(self, command: Command, on: str) -> list[Draft]:
        opened = self.the_one("RoundOpened", "unknown_round", round=command["round"])
        drawn = self.the_one("LoanDrawn", "unknown_loan", loan=command["loan"])
        loan = drawn.data
        self.demand_claimable(command, on, loan["firm"])
        self.demand_eligible_interest(command, loan, opened.data)
        self.demand_days_and_slips_free(command, loan)
        amount_fen = self.interest_grant_fen(command, drawn, on)
        moves = self.missing_limits(drawn)
        for kind, key in (("firm", loan["firm"]), ("principal", loan["loan"])):
            moves += [(on, f"quota/{kind}/{key}", amount_fen), (on, f"reserved/{kind}/{key}", amount_fen)]
        return self.grant("LoanInterestGranted", command, on, loan["firm"], amount_fen, moves)

    def interest_grant_fen(self, command: Command, drawn: Event, on: str) -> int:
        """Least of half the interest and the room under 3 % of principal, then the firm's room."""
        half_fen: int = command["interest_paid_fen"] // 2
        if half_fen == 0:
            raise RefusedError("nothing_due", "SX-1")
        limits = [Line(0, *move) for move in self.missing_limits(drawn)]
        principal_room_fen = self.room("principal", drawn.data["loan"], on, self.lines() + limits)
        if principal_room_fen == 0:
            raise RefusedError("principal_cap_reached", "SX-1")
        firm_room_fen = self.room("firm", drawn.data["firm"], on, self.lines() + limits)
        if firm_room_fen == 0:
            raise RefusedError("firm_cap_reached", "SX-1")
        return min(half_fen, principal_room_fen, firm_room_fen)

    def missing_limits(self, drawn: Event) -> list[Move]:
        """The limits that the first grant under a cap brings with it, each from the date of what gives it."""
        loan = drawn.data
        limits = [
            (PROGRAMME_START, f"limit/firm/{loan['firm']}", FIRM_LIMIT_FEN),
            (drawn.effective_on, f"limit/principal/{loan['loan']}", loan["principal_fen"] * 3 // 100),
        ]
        return [limit for limit in limits if total(self.lines(), limit[1], NEVER_ENDS) == 0]

    def demand_eligible_interest(self, command: Command, loan: Command, opened: Command) -> None:
        narrowed = opened.get("call") == "shanxi-2023"
        if loan["security"] not in (("credit",) if narrowed else ("credit", "guaranteed")):
            raise RefusedError("security_not_eligible", "SX-1")
        year_before = f"{opened['year'] - 1:04d}"
        years = {command["period_from"][:4], command["period_to"][:4]}
        if narrowed and years != {year_before}:
            raise RefusedError("period_not_eligible", "SX-1")
        for default in self.facts("RepaymentDefaulted", loan=command["loan"]):
            if command["period_to"] > default.data["defaulted_on"]:
                raise RefusedError("after_default", "SX-1")

    def demand_days_and_slips_free(self, command: Command, loan: Command) -> None:
        granted = self.find("LoanInterestGranted")
        standing = [grant for grant in granted if not self.is_void(grant, self.events)]
        for other in (grant.data for grant in standing):
            shares_a_day = (
                other["period_from"] <= command["period_to"] and command["period_from"] <= other["period_to"]
            )
            if other["loan"] == command["loan"] and shares_a_day:
                raise RefusedError("duplicate_claim", "SX-1")
        used = [
            slip["number"]
            for grant in standing
            if self.loan_decided_from(grant)["bank"] == loan["bank"]
            for slip in grant.data.get("slips", [])
        ]
        for slip in command.get("slips", []):
            if slip["number"] in used:
                raise RefusedError("duplicate_slip", "SX-1")
            used.append(slip["number"])

    def loan_decided_from(self, grant: Event) -> Command:
        """The draw that counted then; it may have been reversed since."""
        draws = self.find("LoanDrawn", loan=grant.data["loan"])
        return [draw for draw in draws if draw.position < grant.position][-1].data

    # --- SX-2 -----------------------------------------------------------------------------------------

    def decide_claim_credit_award(self, command: Command, on: str) -> list[Draft]:
        self.the_one("RoundOpened", "unknown_round", round=command["round"])
        bank, product = command["bank"], command["product"]
        self.demand_party(bank, "bank")
        certified = self.facts("CreditCertified", bank=bank, product=product, year=command["year"])
        if not certified:
            raise RefusedError("unknown_certificate")
        self.demand_claimable(command, on, bank)
        step = certified[-1].data["total_fen"] // YI
        amount_fen = self.award_fen(step, self.mark(bank, product, self.events))
        if amount_fen == 0:
            raise RefusedError("nothing_due", "SX-2")
        data = {**command, "step": step, "certified_at": certified[-1].position}
        return self.grant("CreditAwarded", data, on, bank, amount_fen, [])

    def award_fen(self, step: int, mark: int) -> int:
        """The first reach pays one sum whatever its height; later each whole step above the mark pays."""
        if step <= mark:
            return 0
        return STEP_AWARD_FEN if mark == 0 else (step - mark) * STEP_AWARD_FEN

    def standing_awards(self, bank: str, product: str, known: list[Event]) -> list[Event]:
        """The awards to a bank and to those that it absorbed, as far as they still stand."""
        return [
            award
            for award in known
            if award.kind == "CreditAwarded"
            and self.survivor_of(award.data["bank"], known) == bank
            and award.data["product"] == product
            and self.stands(award, known)
        ]

    def mark(self, bank: str, product: str, known: list[Event]) -> int:
        standing = self.standing_awards(bank, product, known)
        return max((award.data["step"] for award in standing), default=0)

    # --- SX-3 to SX-7: decided by people --------------------------------------------------------------

    def decide_claim_risk_compensation(self, command: Command, on: str) -> list[Draft]:
        self.demand_payee(command, on, "bank")
        self.demand_decision(command, "SX-3")
        has_losses = "loan" in command and bool(self.facts("LossReported", loan=command["loan"]))
        if has_losses and command["decided_fen"] > self.loss_left_fen(command["loan"]):
            raise RefusedError("exceeds_loss", "SX-3")
        return self.grant_decided("RiskCompensationGranted", command, on, command["payee"])

    def loss_left_fen(self, loan: str) -> int:
        """Losses less what came back, less what was compensated and is still out."""
        left_fen: int = sum(fact.data["loss_fen"] for fact in self.facts("LossReported", loan=loan))
        left_fen -= sum(fact.data["amount_fen"] for fact in self.facts("RecoveryReceived", loan=loan))
        for grant in self.find("RiskCompensationGranted", loan=loan):
            if not self.is_void(grant, self.events):
                left_fen -= grant.data["amount_fen"]
                left_fen += self.recovered_fen(grant.data["claim"], self.events, "error", "misconduct")
        return left_fen

    def decide_claim_guarantee_compensation(self, command: Command, on: str) -> list[Draft]:
        self.the_one("RoundOpened", "unknown_round", round=command["round"])
        payout = self.the_one("GuaranteePaidOut", "unknown_payout", payout=command["payout"]).data
        self.demand_claimable(command, on, payout["guarantor"])
        if self.standing_compensations(command["payout"]):
            raise RefusedError("duplicate_claim", "SX-4")
        passed = {review["kind"] for review in command.get("reviews", []) if review["passed"]}
        if passed != set(REVIEW_KINDS):
            raise RefusedError("review_missing", "SX-4")
        self.demand_decision(command, "SX-4")
        recoveries = self.facts("RecoveryReceived", payout=command["payout"])
        recovered_fen = sum(fact.data["amount_fen"] for fact in recoveries)
        if command["decided_fen"] > payout["amount_fen"] - recovered_fen:
            raise RefusedError("exceeds_loss", "SX-4")
        data = {**command, "loan": payout["loan"]}
        return self.grant_decided("GuaranteeCompensationGranted", data, on, payout["guarantor"])

    def decide_claim_service_grant(self, command: Command, on: str) -> list[Draft]:
        self.demand_payee(command, on, "service_body")
        self.demand_decision(command, "SX-5")
        return self.grant_decided("ServiceGrantAwarded", command, on, command["payee"])

    def decide_claim_venture_risk(self, command: Command, on: str) -> list[Draft]:
        self.demand_payee(command, on, "investor")
        self.demand_decision(command, "SX-6")
        return self.grant_decided("VentureRiskGranted", command, on, command["payee"])

    def decide_claim_insurance_premium(self, command: Command, on: str) -> list[Draft]:
        self.demand_payee(command, on, "firm")
        self.demand_decision(command, "SX-7")
        return self.grant_decided("InsurancePremiumGranted", command, on, command["payee"])

    def demand_payee(self, command: Command, on: str, kind: str) -> None:
        """Round, loan, payee; then what every claim must pass."""
        self.the_one("RoundOpened", "unknown_round", round=command["round"])
        if "loan" in command:
            self.the_one("LoanDrawn", "unknown_loan", loan=command["loan"])
        self.demand_party(command["payee"], kind)
        self.demand_claimable(command, on, command["payee"])

    def demand_decision(self, command: Command, clause: str) -> None:
        if "decided_fen" not in command or "document" not in command:
            raise RefusedError("amount_needs_decision", clause)

    def grant_decided(self, kind: str, command: Command, on: str, payee: str) -> list[Draft]:
        return self.grant(kind, command, on, payee, command["decided_fen"], [])
