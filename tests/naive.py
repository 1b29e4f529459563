"""What the views should answer, folded naively from the log's events at every question: slow and obvious, and without
anything of projections/."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger import codec
from ledger.catalogue import discover_instruments
from ledger.store import Store

GRANTS = {instrument.event for instrument in discover_instruments().values()}
COMMANDS = {instrument.spec.name: key for key, instrument in discover_instruments().items()}


@dataclass(frozen=True)
class Told:
    """An event with its data read."""

    position: int
    type: str
    on: str
    tags: tuple[str, ...]
    data: Mapping[str, Any]


class Naive:
    """The log up to a position, and of it what takes effect by a day (None: everything)."""

    def __init__(self, store: Store, known: int, on: str | None) -> None:
        self.known = [
            Told(e.position, e.type, e.effective_on, e.tags, codec.parse_object(e.data))
            for e in store.stored_events(0, known)
        ]
        self.day = on or "9999-12-31"
        self.events = [event for event in self.known if event.on <= self.day]

    # --- rounds ---------------------------------------------------------------------------------------

    def rounds(self) -> dict[tuple[str, str], dict[str, int]]:
        """Per round and instrument what each claim of it came to."""
        found: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for event in self.events:
            data = event.data
            if event.type == "ClaimRefused":
                found[data["round"], COMMANDS[data["command"]]]["refused"] += 1
            elif event.type in GRANTS:
                row = found[data["round"], data["instrument"]]
                steps = [e for e in self.events if e.data.get("claim") == data["claim"]]
                amount_fen = data["amount_fen"]
                voided = any(e.type == "GrantVoided" for e in steps)
                paid = sum({"GrantPaid": 1, "PaymentReturned": -1}.get(e.type, 0) for e in steps)
                returned = sum(e.type == "PaymentReturned" for e in steps)
                row["voided"] += voided
                row["grants"] += not voided
                row["granted_fen"] += 0 if voided else amount_fen
                row["committed_fen"] += 0 if voided else amount_fen * (1 - paid)
                row["paid_fen"] += amount_fen * paid
                row["returned_fen"] += amount_fen * returned
                row["recovered_fen"] += sum(e.data["amount_fen"] for e in steps if e.type == "GrantRecovered")
        return found

    def payees(self, round_id: str) -> dict[str, int]:
        """Per instrument the distinct payees of grants that stand."""
        gone = {e.data["claim"] for e in self.events if e.type == "GrantVoided"}
        found = defaultdict(set)
        for event in self.events:
            if event.type in GRANTS and event.data["round"] == round_id and event.data["claim"] not in gone:
                found[event.data["instrument"]].add(event.data["payee"])
        return {instrument: len(payees) for instrument, payees in found.items()}

    def life(self, round_id: str) -> list[tuple[int, str]]:
        """Position and type of what happened to a round itself; totals that were taken back are left out."""
        gone = {e.data["position"] for e in self.known if e.type == "FactReversed"}
        return [
            (e.position, e.type)
            for e in self.events
            if f"budget:{round_id}" in e.tags
            and e.type not in ("FactReversed", "CommandRefused")
            and e.position not in gone
        ]

    # --- portfolio ------------------------------------------------------------------------------------

    def portfolio(self) -> dict[str, dict[str, int]]:
        """Per bank what its loans came to; a fact that was taken back counts as if never told."""
        found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        gone = {e.data["position"] for e in self.known if e.type == "FactReversed"}
        defaulted: set[str] = set()
        for event in self.known:
            self._add(found, event, defaulted, counts=event.on <= self.day and event.position not in gone)
        return found

    def _add(
        self, found: dict[str, dict[str, int]], event: Told, defaulted: set[str], *, counts: bool
    ) -> None:
        data, row = event.data, found[self._bank(event)]
        if event.type == "FactReversed" and data["reversed_type"] == "RepaymentDefaulted":
            defaulted.discard(data["loan"])
        loan = next((t.removeprefix("loan:") for t in event.tags if t.startswith("loan:")), "")
        in_default = loan in defaulted
        if event.type == "RepaymentDefaulted":
            defaulted.add(loan)
        if not counts:
            return
        if event.type == "LoanDrawn":
            row["loans"] += 1
            row["lent_fen"] += data["principal_fen"]
        elif event.type == "RepaymentDefaulted":
            row["defaults"] += 1
            row["defaulted_fen"] += data["outstanding_fen"]
            row["in_default_fen"] += data["outstanding_fen"]
        elif event.type == "GuaranteePaidOut":
            row["payouts"] += 1
            row["payout_principal_fen"] += data["principal_fen"]
            row["payout_interest_fen"] += data["interest_fen"]
        elif event.type == "RecoveryReceived" and "payout" in data:
            row["payout_recovered_fen"] += data["amount_fen"]
        name, amount_fen = {
            "LoanRepaid": ("repaid_fen", data.get("amount_fen", 0)),
            "GuaranteePaidOut": ("repaid_fen", data.get("principal_fen", 0)),
            "LossReported": ("lost_fen", data.get("loss_fen", 0)),
            "RecoveryReceived": ("recovered_fen", 0 if "payout" in data else data.get("amount_fen", 0)),
        }.get(event.type, ("", 0))
        if name:
            row[name] += amount_fen
            row["in_default_fen"] -= amount_fen if in_default else 0

    def _bank(self, event: Told) -> str:
        """The bank that an event names, else that of the payout that it is about."""
        bank = next((tag.removeprefix("bank:") for tag in event.tags if tag.startswith("bank:")), "")
        payout, known = event.data.get("payout"), self.known[: event.position - 1]
        paid = [e for e in known if e.type == "GuaranteePaidOut" and e.data["payout"] == payout]
        return self._bank(paid[-1]) if paid and not bank else bank

    # --- parties --------------------------------------------------------------------------------------

    def names(self) -> dict[str, str]:
        """Per party the name of the latest business date by the day, else its first."""
        taken: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
        for event in self.known:
            if event.type in ("PartyRegistered", "PartyRenamed"):
                taken[event.data["uscc"]].append((event.on, event.position, event.data["name"]))
        return {
            uscc: max([entry for entry in names if entry[0] <= self.day], default=min(names))[2]
            for uscc, names in taken.items()
        }

    def certificates(self, uscc: str) -> list[int]:
        """The positions of a party's certificates of qualities."""
        gone = {e.data["position"] for e in self.known if e.type == "FactReversed"}
        return [
            e.position
            for e in self.events
            if e.type == "FirmCertified" and e.data["uscc"] == uscc and e.position not in gone
        ]

    def mergers(self, uscc: str) -> list[int]:
        """The positions of a party's mergers and splits."""
        return [
            e.position
            for e in self.events
            if e.type in ("PartiesMerged", "PartySplit")
            and uscc in [e.data.get(role) for role in ("survivor", "absorbed", "original", "created")]
        ]

    # --- milestones -----------------------------------------------------------------------------------

    def awards(self) -> dict[tuple[str, str], dict[str, int]]:
        """Per bank and product the standing awards by claim, with what of each was not recovered for error."""
        found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for event in self.events:
            if event.type == "CreditAwarded":
                claim, bank = event.data["claim"], event.data["bank"]
                left_fen = event.data["amount_fen"]
                for step in self.events:
                    if step.type == "PartiesMerged" and step.position > event.position:
                        bank = step.data["survivor"] if step.data["absorbed"] == bank else bank
                    if step.data.get("claim") == claim and step.type == "GrantVoided":
                        left_fen = 0
                    if step.data.get("claim") == claim and step.type == "GrantRecovered":
                        left_fen -= step.data["amount_fen"] if step.data["cause"] == "error" else 0
                if left_fen > 0:
                    found[bank, event.data["product"]][claim] = left_fen
        return found

    def certified(self) -> dict[tuple[str, str], dict[int, int]]:
        """Per bank and product the certified total in force of each year."""
        gone = {e.data["position"] for e in self.events if e.type == "FactReversed"}
        found: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
        for event in self.events:
            if event.type == "CreditCertified" and event.position not in gone:
                key = event.data["bank"], event.data["product"]
                found[key][event.data["year"]] = event.data["total_fen"]
        return found
