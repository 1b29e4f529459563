"""Whether the pages of folios agree with each other. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from projections.base import Damaged
from projections.pages import LINES_MAX, NO_SUMS, Pages, advanced


def check_pages(pages: Pages, first_positions: Sequence[int], table: str) -> None:
    """Raises Damaged where pages are missing, not full, or open with other sums than the lines before them give."""
    ends = np.cumsum(pages.line_counts)
    sum_ends = np.cumsum(pages.opening_counts)
    first = np.append(True, pages.folio[1:] != pages.folio[:-1])
    in_turn = np.where(first, pages.page == 0, pages.page == np.append(0, pages.page[:-1]) + 1)
    full = np.append(first[1:], True) | (pages.line_counts == LINES_MAX)
    _all_hold(in_turn, pages, table, "a page is missing or there twice")
    _all_hold(full & (pages.line_counts > 0), pages, table, "a page before the last is not full")
    _all_hold(
        np.array(first_positions) == pages.first_positions, pages, table, "the first position is another"
    )
    opening = NO_SUMS
    for i in np.flatnonzero(~first | (pages.opening_counts > 0)).tolist():
        stored = pages.openings[sum_ends[i] - pages.opening_counts[i] : sum_ends[i]]
        opening = NO_SUMS
        if not first[i]:
            before = pages.openings[sum_ends[i - 1] - pages.opening_counts[i - 1] : sum_ends[i - 1]]
            opening = advanced(before, pages.lines[ends[i - 1] - LINES_MAX : ends[i - 1]])
        if not np.array_equal(stored, opening):
            raise Damaged(
                table, f"page {pages.page[i]} of {pages.names[pages.folio[i]]} opens with other sums"
            )


def _all_hold(holds: NDArray[np.bool_], pages: Pages, table: str, what: str) -> None:
    if not holds.all():
        i = int(np.argmin(holds))
        raise Damaged(table, f"{what}: page {pages.page[i]} of {pages.names[pages.folio[i]]}")
