"""A dry run is of one moment: what others record meanwhile changes nothing of it."""

from __future__ import annotations

from typing import Any

import pytest

from ledger import commands, loading
from ledger.catalogue import catalogue
from ledger.commands import Command
from ledger.rehearsal import Rehearsal
from ledger.store import Store
from ledger.tails import Tails
from tests.cli.program import OPENING, claim, open_round, repay
from tests.support import TODAY, Ledger


def read(line: dict[str, Any]) -> Command:
    """A line as a command without a key."""
    return commands.read(line, catalogue().specs, TODAY, None)


def test_it_does_not_know_what_was_recorded_after_it_began(
    ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round's sums that another process stored after the dry run began are not those that it decides on."""
    monkeypatch.setattr(
        loading, "Tails", lambda: Tails(0, 0)
    )  # sums are stored with every batch, however small
    ledger.submit(open_round(budget_fen=6_000_000), *OPENING[1:])
    with Store.open(database) as store:
        rehearsal = Rehearsal(store, catalogue())
        assert (
            rehearsal.submit([read(repay())])[0].outcome == "accepted"
        )  # begins; nobody asked for the round
        assert ledger.submit(claim())[0]["amount_fen"] == 6_000_000
        (again,) = rehearsal.submit([read(claim("C2", day="2023-03-02"))])
        assert (again.outcome, again.amount_fen) == ("accepted", 6_000_000)
