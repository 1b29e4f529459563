"""Folios in pages: what is read from one page is what all lines say."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections import pages
from projections.pages import LINE, LINES_MAX, Page, Pages, Records

DAYS = 40
Line = tuple[int, int, int, int, int]  # folio, position, amount_fen, account, day


def random_lines(random: Random, count: int, amount_max: int = 10**9) -> list[Line]:
    """Lines of five folios with three accounts each, in the order of the log, several to an event, days at random."""
    position, found = 0, []
    for _ in range(count):
        position += random.choice((0, 1, 1, 2))
        folio = random.choice((0, 0, 0, 0, 1, 2, 3, 4))
        amount_fen = random.choice((-1, 1)) * random.randrange(1, amount_max)
        found.append(
            (folio, position + 1, amount_fen, 3 * folio + random.randrange(3), random.randrange(DAYS))
        )
    return found


def records(lines: list[Line]) -> tuple[np.ndarray, Records]:
    """As `extended` takes them."""
    array = np.array([line[1:] for line in lines], LINE) if lines else np.empty(0, LINE)
    return np.array([line[0] for line in lines], np.int32), array


NAMES = ["a", "b", "c", "d", "e"]


def last_of(found: Pages) -> Pages:
    """The last page of each folio."""
    last = np.append(found.folio[1:] != found.folio[:-1], True)
    return chosen(found, np.flatnonzero(last))


def chosen(found: Pages, at: np.ndarray) -> Pages:
    """Some of the pages."""
    opening_ends, line_ends = np.cumsum(found.opening_counts), np.cumsum(found.line_counts)
    openings = [found.openings[opening_ends[i] - found.opening_counts[i] : opening_ends[i]] for i in at]
    lines = [found.lines[line_ends[i] - found.line_counts[i] : line_ends[i]] for i in at]
    return Pages(
        found.names,
        found.folio[at],
        found.page[at],
        found.opening_counts[at],
        np.concatenate([pages.NO_SUMS, *openings]),
        found.line_counts[at],
        np.concatenate([pages.NO_LINES, *lines]),
    )


def page_of(found: Pages, folio: int, position: int) -> Page | None:
    """The page of a folio that holds its last line up to a position, whole."""
    at = np.flatnonzero((found.folio == folio) & (found.first_positions <= position))
    if not len(at):
        return None
    one = chosen(found, at[-1:])
    return Page(one.openings, one.lines)


def in_pieces(lines: list[Line], cuts: list[int]) -> Pages:
    """All pages after the lines came in several pieces, none of which divides an event."""
    kept: dict[tuple[int, int], Page] = {}
    last = Pages.none()
    for first, end in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        found = pages.extended(last, NAMES, *records(lines[first:end]))
        for i in range(len(found)):
            one = chosen(found, np.array([i]))
            kept[int(found.folio[i]), int(found.page[i])] = Page(one.openings, one.lines)
        at = sorted(kept)
        everything = Pages(
            NAMES,
            np.array([folio for folio, _ in at], np.int64),
            np.array([page for _, page in at], np.int64),
            np.array([len(kept[key].opening) for key in at], np.int64),
            np.concatenate([pages.NO_SUMS, *(kept[key].opening for key in at)]),
            np.array([len(kept[key].lines) for key in at], np.int64),
            np.concatenate([pages.NO_LINES, *(kept[key].lines for key in at)]),
        )
        last = last_of(everything) if at else Pages.none()
    return everything


@pytest.mark.parametrize("seed", range(6))
def test_pages_do_not_depend_on_how_the_lines_were_cut_into_ranges(seed: int) -> None:
    """Any cuts between events give the same pages as one range."""
    random = Random(seed)
    lines = random_lines(random, 9_000)
    between = [i for i in range(1, len(lines)) if lines[i][1] != lines[i - 1][1]]
    whole = pages.extended(Pages.none(), NAMES, *records(lines))
    pieces = in_pieces(lines, sorted(random.sample(between, 7)))
    assert pieces.digest() == whole.digest()
    assert int(whole.line_counts.max()) == LINES_MAX, "no page was ever full"


@pytest.mark.parametrize("seed", range(4))
def test_one_page_answers_for_any_day_and_position(seed: int) -> None:
    """The page that holds an account's last known line gives its value on any day, as the sum of all lines does."""
    random = Random(seed)
    lines = random_lines(random, 8_000)
    found = pages.extended(Pages.none(), NAMES, *records(lines))
    for _ in range(60):
        known, on = random.randrange(1, lines[-1][1] + 2), random.randrange(DAYS)
        account = random.randrange(15)
        whole = page_of(found, account // 3, known)
        expected = sum(fen for _, p, fen, a, d in lines if a == account and p <= known and d <= on)
        if whole is None:
            assert expected == 0
            continue
        page = whole.known(known).of(account)
        assert page.value_fen(on) == expected
        by_day = {day: fen for _, day, fen in page.day_sums()}
        assert sum(fen for day, fen in by_day.items() if day <= on) == expected


def test_sums_beyond_64_bits_stay_exact() -> None:
    """Five thousand lines of the largest amount sum to what they sum to."""
    largest = 2**53 - 1
    lines = [(0, n + 1, largest, 0, n % 3) for n in range(5_000)]
    found = pages.extended(Pages.none(), NAMES, *records(lines))
    one = chosen(found, np.array([len(found) - 1]))
    assert Page(one.openings, one.lines).value_fen(DAYS) == 5_000 * largest > 2**63


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 1), st.integers(-2, 2)), max_size=30
    )
)
def test_lines_of_a_subtree_are_one_for_each_event_and_day(steps: list[tuple[int, int, int, int]]) -> None:
    """Whatever the order of an event's lines, each subtree keeps one line per event and day, none of 0."""
    position, lines = 1, []
    for step, folio, day, amount_fen in steps:
        position += step == 0
        if amount_fen:
            lines.append((folio, position, day, amount_fen))
    columns = [np.array([line[i] for line in lines], np.int64) for i in range(4)]
    found = pages.summed_by_day(
        columns[0].astype(np.int32), columns[1], columns[2].astype(np.int32), columns[3]
    )
    sums: dict[tuple[int, int, int], int] = {}
    for folio, at, day, amount_fen in lines:
        sums[folio, at, day] = sums.get((folio, at, day), 0) + amount_fen
    rows = list(zip(*(column.tolist() for column in found), strict=True))
    assert sorted(rows) == sorted((*key, fen) for key, fen in sums.items() if fen)
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)
