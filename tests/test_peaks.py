"""The largest value on both clocks, against brute force in whole integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from projections.peaks import peaks

Line = tuple[int, int, int, int]  # key, position, day, amount

KEYS = 4
SMALL = st.integers(-5, 5)
LARGE = st.sampled_from([2**53 - 1, 1 - 2**53, 2**62, -(2**62), 2**63 - 1, 1 - 2**63, 1, -1])


def events(amounts: st.SearchStrategy[int], days: int) -> st.SearchStrategy[list[list[tuple[int, int, int]]]]:
    """Histories: of each event the lines (key, day, amount)."""
    line = st.tuples(st.integers(0, KEYS - 1), st.integers(-3, days), amounts)
    return st.lists(st.lists(line, max_size=4), max_size=14)


def lines_of(history: list[list[tuple[int, int, int]]], in_order: bool = False) -> list[Line]:
    """The lines with the position of their event; where `in_order`, no event's days before those of another."""
    return [
        (key, position, day + 100 * position * in_order, amount)
        for position, event in enumerate(history, 1)
        for key, day, amount in event
    ]


def by_brute_force(lines: list[Line]) -> list[int]:
    """Per key the largest value over every position and every day, added up anew for each."""
    highest = [0] * KEYS
    for known in {line[1] for line in lines}:
        for day in {line[2] for line in lines}:
            for key in range(KEYS):
                value = sum(
                    line[3] for line in lines if line[0] == key and line[1] <= known and line[2] <= day
                )
                highest[key] = max(highest[key], value)
    return highest


def by_columns(lines: list[Line]) -> list[int]:
    """What `peaks` says."""
    columns = np.array(lines, np.int64).reshape(-1, 4).T
    found: list[int] = peaks(columns[0], columns[1], columns[2].astype(np.int32), columns[3], KEYS).tolist()
    return found


@settings(max_examples=600, deadline=None)
@given(events(SMALL, 3) | events(SMALL, 40), st.booleans())
@example([[(0, 1, 3), (0, 0, -3)]], False)
def test_peaks_are_those_of_brute_force(history: list[list[tuple[int, int, int]]], in_order: bool) -> None:
    """Per key the largest value on any day at the end of any event, in any order of dates, and 0 before any."""
    lines = lines_of(history, in_order)
    assert by_columns(lines) == by_brute_force(lines)


@settings(max_examples=300, deadline=None)
@given(events(LARGE, 4), st.booleans())
def test_amounts_of_any_size_are_added_exactly(
    history: list[list[tuple[int, int, int]]], in_order: bool
) -> None:
    """Sums beyond 64 bits are right, and beside them those of the keys that stay small."""
    lines = lines_of(history, in_order)
    assert by_columns(lines) == by_brute_force(lines)


def test_an_event_counts_as_a_whole() -> None:
    """What an event takes and gives back at once was never there."""
    assert by_columns([(0, 1, 1, 9), (0, 1, 1, -9), (0, 2, 1, 4)])[0] == 4
    assert by_columns([(0, 1, 2, 9), (0, 1, 1, -9), (0, 2, 1, 4)])[0] == 4


def test_what_was_known_once_counts_although_it_was_taken_back() -> None:
    """A use that is voided later was the highest until then; one that is dated later never met it on any day."""
    assert by_columns([(0, 1, 5, 7), (0, 2, 5, -7), (0, 3, 6, 1)])[0] == 7
    assert by_columns([(0, 1, 5, 7), (0, 2, 3, 2), (0, 3, 9, -9), (0, 4, 9, 1)])[0] == 9


@pytest.mark.parametrize("keys", [1, 300])
def test_the_same_answer_in_bulk(keys: int) -> None:
    """Tens of thousands of lines on hundreds of days, in one key or many: that of a fold day by day."""
    random = np.random.default_rng(5)
    count = 20_000
    key, day = random.integers(0, keys, count), random.integers(0, 700, count)
    amount = random.integers(-1000, 1000, count)
    position = np.cumsum(random.integers(0, 2, count)) + 1
    values, expected = np.zeros((keys, 700), np.int64), np.zeros(keys, np.int64)
    for at in range(count):
        values[key[at], day[at] :] += amount[at]
        if at + 1 == count or position[at + 1] != position[at]:
            changed = key[position == position[at]]
            expected[changed] = np.maximum(expected[changed], values[changed].max(axis=1))
    assert np.array_equal(peaks(key, position, day.astype(np.int32), amount, keys), expected)


def test_without_lines() -> None:
    """No lines, no keys; keys without lines have 0."""
    nothing = np.empty(0, np.int64)
    assert peaks(nothing, nothing, nothing, nothing).tolist() == []
    assert peaks(nothing, nothing, nothing, nothing, 2).tolist() == [0, 0]
