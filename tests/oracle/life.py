"""The life of a grant: notice, hold and release, payment and its return, void, recovery."""

from __future__ import annotations

from tests.oracle.log import Log
from tests.oracle.records import Draft, Event, RefusedError, transfer
from tests.oracle.shapes import Command


class Life(Log):
    """Each step demands a state, then a date not before the latest step."""

    def decide_publicise(self, command: Command, on: str) -> list[Draft]:
        self.demand_not_on_hold(command["claim"])
        self.demand_step(command["claim"], on, "decided")
        return [("GrantPublicised", command, [])]

    def decide_hold(self, command: Command, on: str) -> list[Draft]:
        if self.is_on_hold(command["claim"]):
            raise RefusedError("wrong_state")
        self.demand_step(command["claim"], on, "decided", "publicised")
        return [("GrantHeld", command, [])]

    def decide_release(self, command: Command, on: str) -> list[Draft]:
        if self.grants_of(command["claim"]) and not self.is_on_hold(command["claim"]):
            raise RefusedError("wrong_state")
        self.demand_step(command["claim"], on, "decided", "publicised")
        return [("GrantReleased", command, [])]

    def decide_pay(self, command: Command, on: str) -> list[Draft]:
        self.demand_not_on_hold(command["claim"])
        grant = self.demand_step(command["claim"], on, "publicised")
        amount_fen, committed = grant.data["amount_fen"], f"public/round/{grant.data['round']}/committed"
        moves = transfer(on, committed, self.paid_account(grant), amount_fen)
        return [("GrantPaid", command, moves + self.change_use("reserved", grant, on, -amount_fen))]

    def decide_return_payment(self, command: Command, on: str) -> list[Draft]:
        if self.recovered_fen(command["claim"], self.events, "error", "misconduct") > 0:
            raise RefusedError("wrong_state")
        grant = self.demand_step(command["claim"], on, "paid")
        amount_fen, committed = grant.data["amount_fen"], f"public/round/{grant.data['round']}/committed"
        moves = transfer(on, self.paid_account(grant), committed, amount_fen)
        return [("PaymentReturned", command, moves + self.change_use("reserved", grant, on, amount_fen))]

    def decide_void(self, command: Command, on: str) -> list[Draft]:
        grant = self.demand_step(command["claim"], on, "decided", "publicised")
        account, amount_fen = f"public/round/{grant.data['round']}", grant.data["amount_fen"]
        moves = transfer(on, f"{account}/committed", f"{account}/available", amount_fen)
        for book in ("quota", "reserved"):
            moves += self.change_use(book, grant, on, -amount_fen)
        return [("GrantVoided", command, moves)]

    def decide_recover(self, command: Command, on: str) -> list[Draft]:
        claim, amount_fen = command["claim"], command["amount_fen"]
        so_far_fen = self.recovered_fen(claim, self.events, "error", "misconduct")
        if any(so_far_fen + amount_fen > grant.data["amount_fen"] for grant in self.grants_of(claim)):
            raise RefusedError("wrong_state")
        grant = self.demand_step(claim, on, "paid")
        moves = transfer(on, self.paid_account(grant), f"public/recovered/{grant.data['round']}", amount_fen)
        if command["cause"] == "error":
            moves += self.change_use("quota", grant, on, -amount_fen)
        return [("GrantRecovered", command, moves)]

    def demand_not_on_hold(self, claim: str) -> None:
        if self.is_on_hold(claim):
            raise RefusedError("on_hold")

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
