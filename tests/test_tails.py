"""Tails: whose day sums are stored anew, and when."""

from __future__ import annotations

import pytest

from ledger.events import Event
from ledger.tails import FEW_EVENTS, OVERDUE_EVENTS, TAIL_EVENTS_MAX, Tails


def grown(tails: Tails, tag: str, events: int) -> None:
    """So many events concern a tag."""
    for _ in range(events):
        tails.count([Event(1, "LoanDrawn", "2024-01-01", ("loan:L1", tag), {}, ())])


@pytest.mark.parametrize(
    ("turn", "most"), [(FEW_EVENTS, TAIL_EVENTS_MAX), (FEW_EVENTS - 1, OVERDUE_EVENTS)], ids=["many", "few"]
)
def test_an_owner_is_stored_once_its_tail_is_long(turn: int, most: int) -> None:
    """After more events than may lie behind its sums, and for a turn for which people wait after many more; from then
    on its tail is counted anew. A tag whose tail nobody counts is never stored."""
    tails = Tails()
    tails.set("firm:A", 0)
    grown(tails, "firm:A", most)
    assert tails.take_long(turn) == []
    grown(tails, "firm:A", 1)
    assert tails.take_long(turn) == ["firm:A"]
    grown(tails, "firm:A", most)
    assert tails.take_long(turn) == []


def test_an_owner_of_many_sums_is_stored_only_after_as_many_events() -> None:
    """Storing writes all sums of an owner: a round's thousand are not written for three hundred events."""
    tails = Tails()
    tails.note_stored("round:R1", 1_000)
    tails.set("round:R1", 1_000)
    assert tails.take_long(FEW_EVENTS) == []
    grown(tails, "round:R1", 1)
    assert tails.take_long(FEW_EVENTS) == ["round:R1"]


def test_an_owner_that_is_set_aside_takes_its_tail_along() -> None:
    """It is not stored while it is away; taken back, its tail goes on from where it was."""
    tails = Tails()
    tails.set("firm:A", TAIL_EVENTS_MAX + 1)
    assert tails.take("firm:A") == TAIL_EVENTS_MAX + 1
    assert tails.take("firm:A") is None
    assert tails.take_long(FEW_EVENTS) == []
    tails.set("firm:A", TAIL_EVENTS_MAX + 1)
    assert tails.take_long(FEW_EVENTS) == ["firm:A"]
