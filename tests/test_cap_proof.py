"""The proof of caps against brute force: for every day, at the end of every event."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from projections.verification.caps import Line, breaches

_DAYS = tuple(f"2024-01-{day:02d}" for day in range(1, 8))
_LINE = st.tuples(st.sampled_from(_DAYS), st.integers(-5, 5).filter(bool), st.booleans())
_HISTORY = st.lists(st.lists(_LINE, min_size=1, max_size=3), max_size=12)


def _lines(history: list[list[tuple[str, int, bool]]], kind: str) -> list[Line]:
    """Lines of one key: (key, position, event type, day, net fen, is a limit)."""
    return [
        ("key", position, kind, day, net_fen, is_limit)
        for position, event in enumerate(history, 1)
        for day, net_fen, is_limit in event
    ]


def _peaks_by_brute_force(lines: list[Line]) -> dict[int, int]:
    """At the end of each event the largest use above the limit on any day (0: none)."""
    peaks = {}
    for position in sorted({line[1] for line in lines}):
        known = [line for line in lines if line[1] <= position]
        values = [sum(line[4] for line in known if line[3] <= day) for day in _DAYS]
        peaks[position] = max(0, *values)
    return peaks


@settings(max_examples=400, deadline=None)
@given(_HISTORY)
def test_the_first_breach_is_the_one_that_brute_force_finds(
    history: list[list[tuple[str, int, bool]]],
) -> None:
    """The first event after which some day's use is above its limit, and by how much, in any order of dates."""
    lines = _lines(history, "LoanInterestGranted")
    over = {position: peak for position, peak in _peaks_by_brute_force(lines).items() if peak}
    found = sorted(breaches(lines), key=lambda breach: breach.position)
    assert bool(found) == bool(over)
    if over:
        assert (found[0].position, found[0].over_fen) == next(iter(over.items()))


@settings(max_examples=200, deadline=None)
@given(_HISTORY)
def test_what_later_knowledge_passed_is_no_finding(history: list[list[tuple[str, int, bool]]]) -> None:
    """An event that moves or reverses never takes more than was left: what it passes is a notice."""
    assert not any(breach.known_then for breach in breaches(_lines(history, "PartiesMerged")))


def test_a_grant_beyond_a_merger_is_found_behind_its_notice() -> None:
    """A cap that a merger passed is a notice; a grant that takes still more is a finding beside it."""
    merged = ("key", 2, "PartiesMerged", "2024-01-02", 5, False)
    lines = [("key", 1, "X", "2024-01-01", -3, True), merged, ("key", 3, "X", "2024-01-03", 1, False)]
    assert [(b.position, b.over_fen, b.known_then) for b in breaches(lines)] == [(2, 2, False), (3, 3, True)]
