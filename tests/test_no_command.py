"""Events of no command, which a recorder appended: whatever they hold, no report, sample or check trips over them."""

from __future__ import annotations

import pytest

from ledger.explain import NothingToExplain
from ledger.pending import PendingEvent
from projections.clocks import AsOf
from projections.reports import explanation
from projections.reports.duplicates import duplicates
from projections.reports.duties import duties
from projections.reports.near_caps import near_caps
from projections.reports.party import party_report
from projections.reports.portfolio import portfolio_report
from projections.reports.round import round_report
from projections.runner import ensure
from projections.sampling import METHODS
from projections.sampling import document as sample
from projections.verification import CHECKS, run
from tests.cli.program import BANK, FIRM, OPENING, claim, pay, publicise
from tests.support import Ledger

KINDS = (
    *("GrantPaid", "ClaimRefused", "LoanInterestGranted", "GrantVoided"),
    *("FactReversed", "CommandRefused", "LoanDrawn", "RoundClosed"),
)
TAGS = (f"firm:{FIRM}", f"bank:{BANK}", "claim:C1", "loan:L1", "round:R1", f"party:{FIRM}")


@pytest.mark.parametrize(
    "data", [b"\xff", b"[", b'{"claim":"C1","amount_fen":1,"instrument":"loan_interest"}']
)
def test_no_report_looks_at_them(data: bytes, ledger: Ledger) -> None:
    """Under the types and tags of ours, well-formed or not: every report says what it said before."""
    ledger.submit(*OPENING, claim(), publicise(), pay())

    def reports(known: int) -> list[object]:
        ensure(ledger.store, ledger.store.head().position)
        as_of = AsOf(None, known)
        return [
            duties(ledger.store, as_of),
            duplicates(ledger.store, as_of),
            near_caps(ledger.store, as_of),
            party_report(ledger.store, as_of, FIRM, "firm"),
            party_report(ledger.store, as_of, BANK, "bank"),
            round_report(ledger.store, as_of, "R1"),
            portfolio_report(ledger.store, as_of),
            [sample(ledger.store, known, method, 10, "7", None)["claims"] for method in METHODS],
        ]

    last = ledger.store.head().position
    before = reports(last)
    with ledger.store.turn() as turn:
        turn.append([PendingEvent(kind, "2024-01-01", TAGS, data, span=0) for kind in KINDS], "recorder")
    newest = ledger.store.head().position
    assert reports(newest) == before
    for position in range(last + 1, newest + 1):
        with pytest.raises(NothingToExplain):
            explanation.document(ledger.store, ledger.store.events_at([position], newest)[0].event, newest)
    assert run(ledger.store, list(CHECKS)).findings == []
    (outcome,) = ledger.submit(claim("C2", 1_000, "2023-04-01"))
    for position, to_the_claim in ((6, 6), (outcome["positions"][0], newest + 1)):
        ensure(ledger.store, newest + 1)
        event = ledger.store.events_at([position], newest + 1)[0].event
        tree = explanation.document(ledger.store, event, newest + 1)["tree"]
        came_from = {given["name"]: given["positions"] for given in tree["inputs"]}
        assert (came_from["principal_fen"], came_from["interest_paid_fen"]) == ([5], [to_the_claim])
        assert not {told["position"] for told in tree["events"]} & set(range(last + 1, newest + 1))
