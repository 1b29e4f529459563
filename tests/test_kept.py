"""Extracts that are kept for later: they answer as the lines do, and only what they can answer."""

from __future__ import annotations

from random import Random

import pytest

from projections import pages
from projections.kept import KeptExtracts
from projections.pages import LINES_MAX, Extract, Pages
from tests.test_pages import DAYS, NAMES, Line, page_of, random_lines, records


class Reader:
    """Asks for values at random, of what is kept where it is kept."""

    def __init__(self, seed: int, bytes_max: int) -> None:
        self.random = Random(seed)
        self.kept = KeptExtracts(bytes_max)
        self.hits = 0

    def read(self, found: Pages, lines: list[Line], reached: int, times: int) -> None:
        """As known at positions up to which the pages hold the lines."""
        for _ in range(times):
            known, on = self.random.randrange(1, reached + 1), self.random.randrange(DAYS)
            account = self.random.randrange(15)
            extract = self.kept.find(str(account), known)
            self.hits += extract is not None
            if extract is None:
                page = page_of(found, account // 3, known)
                if page is not None:
                    extract = Extract(page.of(account))
                    self.kept.keep(str(account), page, extract, reached)
            expected = sum(fen for _, p, fen, a, d in lines if a == account and p <= known and d <= on)
            assert (extract.value_fen(known, on) if extract else 0) == expected


@pytest.mark.parametrize("bytes_max", [1_000_000, 60_000])
def test_what_is_kept_answers_as_the_lines_do_while_more_lines_come(bytes_max: int) -> None:
    """At every (on, known position) the kept extract of an account gives the sum of its lines, whichever page it was
    made of and however far that went then; also while everything is let go now and then for want of room."""
    lines = random_lines(Random(bytes_max), 9_000)
    cuts = [i for i in range(1, len(lines)) if lines[i][1] != lines[i - 1][1] and i % 1_500 < 3]
    reader = Reader(bytes_max, bytes_max)
    for end in [*cuts, len(lines)]:
        found = pages.extended(Pages.none(), NAMES, *records(lines[:end]))
        reader.read(found, lines[:end], lines[end - 1][1], 60)
    assert int(found.line_counts.max()) == LINES_MAX, "no page was ever full"
    assert reader.hits > 200


def test_an_event_that_goes_on_in_the_next_page_is_read_there() -> None:
    """The page that holds the first lines of an event does not answer for its position."""
    lines = [(0, position, 1, 0, 0) for position in range(1, LINES_MAX + 1)]
    lines += [(0, LINES_MAX, 1, 0, 1), (0, LINES_MAX + 1, 1, 0, 0)]
    found = pages.extended(Pages.none(), NAMES, *records(lines))
    kept, first = KeptExtracts(1_000_000), page_of(found, 0, 1)
    assert first is not None
    assert len(first.lines) == LINES_MAX
    kept.keep("0", first, Extract(first.of(0)), LINES_MAX + 1)
    assert kept.find("0", LINES_MAX - 1) is not None
    assert kept.find("0", LINES_MAX) is None
