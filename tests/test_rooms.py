"""The room of a cap: on random limits and uses it is what the definition says, however both change with time."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from ledger.day_sums import DaySums, room_fen

DAYS = [f"2024-{month:02}-{day:02}" for month in (1, 2, 3) for day in range(1, 21)]
LINES = st.lists(st.tuples(st.sampled_from(DAYS), st.integers(-9, 9)), max_size=40)


@given(limits=LINES, uses=LINES, on=st.sampled_from(DAYS))
@example(limits=[("2024-01-01", 9), ("2024-03-01", -5)], uses=[("2024-02-01", 6)], on="2024-01-15")
@example(limits=[("2024-01-15", 9), ("2024-02-01", 3)], uses=[("2024-01-15", 6)], on="2024-01-15")
def test_room_is_the_least_that_is_left_from_the_day_on(
    limits: list[tuple[str, int]], uses: list[tuple[str, int]], on: str
) -> None:
    """min over d >= on of (limit(d) - used(d)), never below 0, summed line by line for every day."""
    limit, used = DaySums(), DaySums()
    for sums, lines in ((limit, limits), (used, uses)):
        for day, fen in lines:
            sums.add(day, fen)
    left_fen = [
        sum(fen for day, fen in limits if day <= d) - sum(fen for day, fen in uses if day <= d)
        for d in DAYS
        if d >= on
    ]
    assert room_fen(limit, used, on) == max(0, min(left_fen))
