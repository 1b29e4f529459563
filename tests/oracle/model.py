"""The whole ledger: commands in, answers out, and the questions that may be asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.oracle.claims import Claims
from tests.oracle.life import Life
from tests.oracle.records import (
    NEVER_ENDS,
    YI,
    Answered,
    Breach,
    CapRow,
    Draft,
    Event,
    Line,
    MilestoneRow,
    NotKnownError,
    Outcome,
    RefusedError,
    dates_of,
    total,
)
from tests.oracle.shapes import OWN_DATE, Command, default_key, fingerprint, is_well_formed

MAY_PASS_A_BOUND = ("PartiesMerged", "FactReversed")  # an inherited sum, later knowledge


class Oracle(Claims, Life):
    """A list of events and a list of answered keys."""

    def __init__(self, today: str) -> None:
        super().__init__()
        self.today = today
        self.answered: list[Answered] = []

    # --- commands -------------------------------------------------------------------------------------

    def submit(self, command: Command, line_key: str | None = None) -> Outcome:
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
        if name == "reverse-fact":
            on = self.events[command["position"] - 1].effective_on
        positions = tuple(self.write(on, draft) for draft in drafts)
        decided = drafts[-1][1]
        return Outcome(
            "accepted",
            amount_fen=decided["amount_fen"] if name.startswith("claim-") else None,
            positions=positions,
            warnings=tuple(decided.get("warnings", ())),
        )

    def decide(self, name: str, command: Command, on: str) -> list[Draft]:
        method: Callable[[Command, str], list[Draft]] = getattr(self, "decide_" + name.replace("-", "_"))
        return method(command, on)

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
        """Every account of the public book, and the interest of every payout, posted to by then."""
        lines = self.known_lines(known_position)
        names = self.accounts(lines, "public/") + self.accounts(lines, "private/guarantee/")
        return {name: total(lines, name, on or NEVER_ENDS) for name in names}

    def caps(
        self, party: str | None = None, on: str | None = None, known_position: int | None = None
    ) -> dict[tuple[str, str], CapRow]:
        """One row per cap that was ever used, by (`firm` and USCC) or (`principal` and loan)."""
        lines = self.known_lines(known_position)
        day = on or NEVER_ENDS
        rows = {}
        for account in self.accounts(lines, "limit/"):
            _, kind, key = account.split("/")
            owner = key if kind == "firm" else self.borrower(key, self.known_at(known_position))
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

    def borrower(self, loan: str, known: list[Event]) -> str:
        """Of the newest draw known, reversed or not."""
        draws = [event.data for event in known if event.kind == "LoanDrawn" and event.data["loan"] == loan]
        return str(draws[-1]["firm"])

    def milestones(
        self, bank: str | None = None, known_position: int | None = None
    ) -> dict[tuple[str, str], MilestoneRow]:
        """One row per bank and product that ever had an award or inherited one; `awarded_fen` still stands."""
        known = self.known_at(known_position)
        awards = [event.data for event in known if event.kind == "CreditAwarded"]
        names = {(award["bank"], award["product"]) for award in awards}
        names |= {(self.survivor_of(holder, known), product) for holder, product in names}
        rows = {}
        for holder, product in sorted(names):
            if bank in (None, holder):
                mark = self.mark(holder, product, known)
                standing = self.standing_awards(holder, product, known)
                awarded_fen = sum(award.data["amount_fen"] for award in standing)
                rows[holder, product] = MilestoneRow(holder, product, mark, awarded_fen, (mark + 1) * YI)
        return rows

    # --- the proof ------------------------------------------------------------------------------------

    def breaches(self) -> list[Breach]:
        """Every event, but a merger or a reversal, that passes a bound, or passes it further, on any date."""
        lines = self.lines()
        found = []
        for account in self.accounts(lines, "quota/"):
            found += self.breaches_of(account, account.replace("quota/", "limit/", 1), lines)
        for account in self.accounts(lines, "public/"):
            if account != "public/treasury":
                found += self.breaches_of(account, None, lines)
        return found

    def breaches_of(self, account: str, limit: str | None, lines: list[Line]) -> list[Breach]:
        own = [line for line in lines if line.account in (account, limit)]
        before = dict.fromkeys(dates_of(own), 0)
        found = []
        for position in sorted({line.position for line in own}):
            known = [line for line in own if line.position <= position]
            for day in before:
                value_fen = total(known, account, day)
                over_fen = value_fen - total(known, limit, day) if limit else -value_fen
                is_worse = over_fen > max(0, before[day])
                if is_worse and self.events[position - 1].kind not in MAY_PASS_A_BOUND:
                    found.append(Breach(position, day, account, over_fen))
                before[day] = over_fen
        return found
