"""The list of what happened, and what can be read off it by going through it once more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.oracle.records import Draft, Event, Line, Move, RefusedError, dates_of, total

GRANTS = {
    "LoanInterestGranted": "loan_interest",
    "CreditAwarded": "credit_award",
    "RiskCompensationGranted": "risk_compensation",
    "GuaranteeCompensationGranted": "guarantee_compensation",
    "ServiceGrantAwarded": "service_grant",
    "VentureRiskGranted": "venture_risk",
    "InsurancePremiumGranted": "insurance_premium",
}
STATE_AFTER = {
    "GrantPublicised": "publicised",
    "GrantPaid": "paid",
    "PaymentReturned": "publicised",
    "GrantVoided": "void",
}
LIFE = (*STATE_AFTER, "GrantHeld", "GrantReleased", "GrantRecovered")


class Log:
    """A list of events; everything else is looked up in it, from its first to its last."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, on: str, draft: Draft) -> int:
        kind, data, moves = draft
        position = len(self.events) + 1
        lines = tuple(Line(position, day, account, amount) for day, account, amount in moves)
        self.events.append(Event(position, on, kind, data, lines))
        return position

    # --- looking things up ----------------------------------------------------------------------------

    def find(self, kind: str, /, **fields: Any) -> list[Event]:
        """Every event of a kind with these fields, in order of recording, whatever its effective date."""
        return [
            event
            for event in self.events
            if event.kind == kind and all(event.data.get(name) == value for name, value in fields.items())
        ]

    def facts(self, kind: str, /, **fields: Any) -> list[Event]:
        """The same without the facts that were reversed."""
        return [fact for fact in self.find(kind, **fields) if not self.is_reversed(fact)]

    def is_reversed(self, fact: Event) -> bool:
        return bool(self.find("FactReversed", position=fact.position))

    def the_one(self, kind: str, code: str, /, **fields: Any) -> Event:
        found = self.facts(kind, **fields)
        if not found:
            raise RefusedError(code)
        return found[0]

    def lines(self) -> list[Line]:
        return [line for event in self.events for line in event.lines]

    def accounts(self, lines: Iterable[Line], prefix: str) -> list[str]:
        return sorted({line.account for line in lines if line.account.startswith(prefix)})

    # --- grants ---------------------------------------------------------------------------------------

    def grants(self) -> list[Event]:
        return [event for event in self.events if event.kind in GRANTS]

    def grants_of(self, claim: str) -> list[Event]:
        return [grant for grant in self.grants() if grant.data["claim"] == claim]

    def life_of(self, claim: str, known: list[Event]) -> list[Event]:
        return [event for event in known if event.kind in LIFE and event.data["claim"] == claim]

    def state_of(self, claim: str) -> str:
        state = "decided"
        for step in self.life_of(claim, self.events):
            state = STATE_AFTER.get(step.kind, state)
        return state

    def is_on_hold(self, claim: str) -> bool:
        """From a hold to its release, or to the void that ends it all."""
        kinds = [step.kind for step in self.life_of(claim, self.events)]
        last = [kind for kind in kinds if kind in ("GrantHeld", "GrantReleased", "GrantVoided")][-1:]
        return last == ["GrantHeld"]

    def recovered_fen(self, claim: str, known: list[Event], *causes: str) -> int:
        return sum(
            step.data["amount_fen"]
            for step in self.life_of(claim, known)
            if step.kind == "GrantRecovered" and step.data["cause"] in causes
        )

    def is_void(self, grant: Event, known: list[Event]) -> bool:
        return any(step.kind == "GrantVoided" for step in self.life_of(grant.data["claim"], known))

    def stands(self, grant: Event, known: list[Event]) -> bool:
        """Neither voided nor wholly recovered for error: misconduct does not undo a grant."""
        by_error_fen = self.recovered_fen(grant.data["claim"], known, "error")
        return not self.is_void(grant, known) and by_error_fen < grant.data["amount_fen"]

    def money_is_out(self, grant: Event) -> bool:
        """Neither voided nor wholly recovered, for whatever cause: the facts below it are in use."""
        back_fen = self.recovered_fen(grant.data["claim"], self.events, "error", "misconduct")
        return not self.is_void(grant, self.events) and back_fen < grant.data["amount_fen"]

    def paid_account(self, grant: Event) -> str:
        data = grant.data
        return f"public/paid/{data['instrument']}/{data['payee']}/{data['round']}"

    # --- parties --------------------------------------------------------------------------------------

    def demand_party(self, uscc: str, kind: str) -> None:
        if not self.find("PartyRegistered", uscc=uscc, kind=kind):
            raise RefusedError("unknown_party")

    def is_absorbed(self, uscc: str) -> bool:
        return bool(self.find("PartiesMerged", absorbed=uscc))

    def survivor_of(self, uscc: str, known: list[Event]) -> str:
        """Who a party has become through all the mergers known, whatever their dates; itself if none."""
        for event in known:
            if event.kind == "PartiesMerged" and event.data["absorbed"] == uscc:
                return self.survivor_of(event.data["survivor"], known)
        return uscc

    # --- the use of caps ------------------------------------------------------------------------------

    def change_use(self, book: str, grant: Event, on: str, amount_fen: int) -> list[Move]:
        """A grant's use of its caps grows or shrinks: on the loan, and on whoever carries the firm's use."""
        if grant.kind != "LoanInterestGranted":
            return []
        by_firm = self.change_firm_use(book, grant.data["payee"], on, amount_fen)
        return [*by_firm, (on, f"{book}/principal/{grant.data['loan']}", amount_fen)]

    def change_firm_use(self, book: str, firm: str, on: str, amount_fen: int) -> list[Move]:
        """On the firm until the day on which it was absorbed, from that day on on its survivor."""
        account = f"{book}/firm/{firm}"
        for merger in self.find("PartiesMerged", absorbed=firm):
            survivor, merged_on = merger.data["survivor"], merger.effective_on
            if on >= merged_on:
                return self.change_firm_use(book, survivor, on, amount_fen)
            until_then = [(on, account, amount_fen), (merged_on, account, -amount_fen)]
            return until_then + self.change_firm_use(book, survivor, merged_on, amount_fen)
        return [(on, account, amount_fen)]

    def room(self, kind: str, key: str, on: str, lines: list[Line]) -> int:
        """The least of limit(d) - used(d) over every d from `on`, never below 0."""
        limit, quota = f"limit/{kind}/{key}", f"quota/{kind}/{key}"
        own = [line for line in lines if line.account in (limit, quota)]
        days = [on] + [day for day in dates_of(own) if day > on]
        return max(0, min(total(own, limit, day) - total(own, quota, day) for day in days))

    def least_available(self, round_id: str, on: str) -> int:
        return self.least_balance(f"public/round/{round_id}/available", on)

    def least_balance(self, account: str, on: str) -> int:
        """The least that an account holds on any date from `on`."""
        own = [line for line in self.lines() if line.account == account]
        days = [on] + [day for day in dates_of(own) if day > on]
        return min(total(own, account, day) for day in days)
