"""A firm, a bank or a guarantor: names over time, loans, grants, caps, milestones, what was refused."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from ledger import codec
from ledger.events import Event
from ledger.store import Store
from ledger.subjects.guarantees import Payout
from ledger.subjects.loans import Loan
from projections.caps import caps, highest_uses
from projections.clocks import AsOf
from projections.existing import UnknownParty
from projections.fold import fold
from projections.milestones import milestones
from projections.parties import party
from projections.reports.grants import Grant, grants_of_tags

_LOAN_FACTS: Final = (
    "LoanDrawn",
    "LoanRepaid",
    "RepaymentDefaulted",
    "LossReported",
    "GuaranteePaidOut",
    "RecoveryReceived",
    "FactReversed",
)


def party_report(store: Store, as_of: AsOf, uscc: str, kind: str) -> dict[str, Any]:
    """Everything about one party in its role (firm, bank, guarantor). Raises UnknownParty."""
    known = party(store, as_of, uscc)
    kinds = sorted(entry["kind"] for entry in known.kinds) if known else []
    if known is None or kind not in kinds:
        raise UnknownParty(uscc)
    tags = [f"{each}:{uscc}" for each in kinds]
    report: dict[str, Any] = {
        "uscc": uscc,
        "kinds": kinds,
        "names": known.names,
        "certificates": known.certificates,
        "mergers": known.mergers,
        "grants": [_grant_row(g) for g in grants_of_tags(store, as_of, tags).values() if g.payee == uscc],
        "refused": _refused(store, as_of, f"{kind}:{uscc}"),
    }
    if kind == "firm":
        rows = caps(store, as_of, uscc)
        highest = highest_uses(store, as_of.known_position, [(row.cap, row.key) for row in rows])
        report["caps"] = [{**asdict(row), "highest_fen": highest[row.cap, row.key]} for row in rows]
    if kind == "bank":
        report["milestones"] = [asdict(row) for row in milestones(store, as_of, uscc)]
    if kind in ("firm", "bank"):
        report["loans"] = _loans(store, as_of, f"{kind}:{uscc}")
    if kind == "guarantor":
        report["payouts"] = _payouts(store, as_of, f"guarantor:{uscc}")
    return report


def _grant_row(grant: Grant) -> dict[str, Any]:
    return {
        "claim": grant.claim,
        "instrument": grant.instrument,
        "round": grant.round,
        "amount_fen": grant.amount_fen,
        "state": grant.state,
        "paid_fen": grant.paid_fen,
        "recovered_fen": grant.recovered_fen,
        "position": grant.position,
    }


def _refused(store: Store, as_of: AsOf, tag: str) -> list[dict[str, Any]]:
    rows = []
    for row in fold(store, "events_of_tag", until=as_of.known_position, tag=tag, types=["ClaimRefused"]):
        if row[2] <= as_of.last_day:
            data = codec.read_canonical(row[4])
            rows.append(
                {
                    "claim": data["claim"],
                    "code": data["code"],
                    "arithmetic": data["arithmetic"],
                    "position": row[0],
                }
            )
    return rows


def _loans(store: Store, as_of: AsOf, tag: str) -> list[dict[str, Any]]:
    loans: dict[str, Loan] = {}
    for event in _events(store, as_of, tag):
        loans.setdefault(event.data["loan"], Loan()).apply(event, f"loan:{event.data['loan']}")
    drawn = [(loan.id, loan) for loan in loans.values() if loan.id is not None]
    owed_fen = _owed_fen(store, as_of, [name for name, _ in drawn])
    return [
        {
            "loan": name,
            "firm": loan.firm,
            "bank": loan.bank,
            "principal_fen": loan.principal_fen,
            "outstanding_fen": owed_fen[name],
            "drawn_on": loan.drawn_on,
            "security": loan.security,
            "defaulted_on": loan.defaulted_on,
            "losses_fen": loan.losses_fen,
        }
        for name, loan in drawn
    ]


def _owed_fen(store: Store, as_of: AsOf, loans: list[str]) -> dict[str, int]:
    """What the books of loans hold as outstanding; a payout is decided by what a default reported instead."""
    asked = {"until": as_of.known_position, "last_day": as_of.last_day, "types": list(_LOAN_FACTS)}
    return {loan: int(fen) for loan, fen in fold(store, "owed_on_loans", loans=loans, **asked)}


def _payouts(store: Store, as_of: AsOf, tag: str) -> list[dict[str, Any]]:
    payouts: dict[str, Payout] = {}
    for event in _events(store, as_of, tag):
        if "payout" in event.data:
            payouts.setdefault(event.data["payout"], Payout()).apply(event, f"payout:{event.data['payout']}")
    return [
        {
            "payout": payout.id,
            "loan": payout.loan,
            "amount_fen": payout.amount_fen,
            "recovered_fen": payout.recovered_fen,
            "loss_fen": payout.loss_fen,
        }
        for payout in payouts.values()
        if payout.id is not None
    ]


def _events(store: Store, as_of: AsOf, tag: str) -> list[Event]:
    found = []
    rows = fold(store, "events_of_tag", until=as_of.known_position, tag=tag, types=list(_LOAN_FACTS))
    for position, kind, on, tags, raw, _ in rows:
        if on <= as_of.last_day:
            data = codec.read_canonical(raw)
            loan = next((t.removeprefix("loan:") for t in tags if t.startswith("loan:")), None)
            if loan is not None:
                found.append(Event(position, kind, on, tuple(tags), {"loan": loan, **data}, ()))
    return found
