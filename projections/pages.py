"""Folios: the lines of a subject's accounts in the order of the log, in pages, each opened with the sums so far.

A folio holds the accounts of one subject (a loan, a party, a round) or all that lies below a path. Its lines stand in
pages of 2,048; a page opens with the sums by account and day of all lines before it. So a balance at any (on, known
position) is one page, found by its first position: its opening and its own lines. The cost does not grow with
history. Pure, numpy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ledger.day_sums import DaySums
from projections.columns import iso_day

LINES_MAX: Final = 2_048
#: Up to so many sums and lines are added up one by one.
_FEW: Final = 64

#: One line: the position of its event, its amount in fen, its account (id; 0 in a subtree's folio), its business
#: date (days since 2000-01-01).
LINE: Final = np.dtype([("position", "<i8"), ("amount_fen", "<i8"), ("account", "<i4"), ("day", "<i4")])
#: The sum of an account's day as high * 2^32 + low with 0 <= low < 2^32: sums may pass 64 bits and stay exact.
DAY_SUM: Final = np.dtype([("account", "<i4"), ("day", "<i4"), ("high", "<i8"), ("low", "<i8")])

Records = NDArray[Any]
Index = NDArray[np.int64]

NO_LINES: Final[Records] = np.empty(0, LINE)
NO_SUMS: Final[Records] = np.empty(0, DAY_SUM)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: what was there before it, and its lines."""

    opening: Records
    lines: Records

    def known(self, position: int) -> Page:
        """As known at a position."""
        return Page(self.opening, self.lines[: np.searchsorted(self.lines["position"], position, "right")])

    def of(self, account: int) -> Page:
        """One account's part of it."""
        opening, lines = (np.flatnonzero(one["account"] == account) for one in (self.opening, self.lines))
        return Page(taken(self.opening, opening), taken(self.lines, lines))

    def value_fen(self, last_day: int) -> int:
        """The sum of everything effective on or before a day."""
        opening = self.opening[self.opening["day"] <= last_day]
        amounts = self.lines["amount_fen"][self.lines["day"] <= last_day]
        return (int(opening["high"].sum()) << 32) + int(opening["low"].sum()) + _sum_fen(amounts)

    def iso_day_sums(self) -> DaySums:
        """Of one account: its sums by day, as what decides keeps them."""
        sums = DaySums()
        few = len(self.opening) + len(self.lines) <= _FEW
        for day, fen in self._few_days() if few else [(day, fen) for _, day, fen in self.day_sums()]:
            sums.add(iso_day(day), fen)
        return sums

    def _few_days(self) -> list[tuple[int, int]]:
        """As `day_sums` of one account, without columns: they cost more than some lines do."""
        by_day = {day: (high << 32) + low for _, day, high, low in self.opening.tolist()}
        for _, fen, _, day in self.lines.tolist():
            by_day[day] = by_day.get(day, 0) + fen
        return sorted((day, fen) for day, fen in by_day.items() if fen)

    def day_sums(self) -> list[tuple[int, int, int]]:
        """(account, day, sum in fen) of everything, by account and day; days that sum to 0 are left out."""
        sums = advanced(self.opening, self.lines)
        return [(account, day, (high << 32) + low) for account, day, high, low in sums.tolist()]


class Extract:
    """Of a page what belongs to one account or subtree, made ready for its balance to be asked for many times."""

    __slots__ = ("_days", "_highs", "_lines", "_lows")

    def __init__(self, page: Page) -> None:
        """`page` holds nothing else."""
        self._days = page.opening["day"].copy()  # of records that go
        self._highs, self._lows = page.opening["high"].cumsum(), page.opening["low"].cumsum()
        self._lines = page.lines

    @property
    def size_bytes(self) -> int:
        """Of its columns."""
        return int(self._days.nbytes + self._highs.nbytes + self._lows.nbytes + self._lines.nbytes)

    def value_fen(self, position: int, last_day: int) -> int:
        """The sum of everything effective on or before a day, as known at a position."""
        opened = int(self._days.searchsorted(last_day, "right"))
        known = self._lines[: self._lines["position"].searchsorted(position, "right")]
        lines_fen = _sum_fen(known["amount_fen"][known["day"] <= last_day])
        if opened == 0:
            return lines_fen
        return (int(self._highs[opened - 1]) << 32) + int(self._lows[opened - 1]) + lines_fen


def _sum_fen(amounts_fen: Index) -> int:
    """The exact sum: high and low halves apart, since it may pass 64 bits."""
    high, low = np.add.reduce(amounts_fen >> 32), np.add.reduce(amounts_fen & 0xFFFFFFFF)
    return (int(high) << 32) + int(low)


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages as columns, by folio and page. `folio` indexes `names`; `openings` and `lines` hold those of all pages one
    after the other, `opening_counts` and `line_counts` how many belong to each."""

    names: Sequence[str]
    folio: Index
    page: Index
    opening_counts: Index
    openings: Records
    line_counts: Index
    lines: Records

    @classmethod
    def none(cls) -> Self:
        """No pages."""
        empty = np.empty(0, np.int64)
        return cls([], empty, empty, empty, NO_SUMS, empty, NO_LINES)

    def __len__(self) -> int:
        return len(self.folio)

    @property
    def first_positions(self) -> Index:
        """Per page the position of its first line."""
        return np.asarray(self.lines["position"][np.cumsum(self.line_counts) - self.line_counts])

    def digest(self) -> str:
        """SHA-256 (hex) over names and columns: two sets of pages have one digest only if they are the same."""
        whole = hashlib.sha256(hashlib.sha256("\n".join(self.names).encode()).digest())
        for column in (self.folio, self.page, self.opening_counts, self.line_counts):
            whole.update(hashlib.sha256(column.astype("<i8").tobytes()).digest())
        for records in (self.openings, self.lines):
            whole.update(hashlib.sha256(records.tobytes()).digest())
        return whole.hexdigest()


def summed_by_day(
    folio: NDArray[np.int32],
    position: Index,
    day: NDArray[np.int32],
    amount_fen: Index,
) -> tuple[NDArray[np.int32], Index, NDArray[np.int32], Index]:
    """Lines in log order with those of one folio, event and day as one; what sums to 0 is left out. Ordered by
    position and folio."""
    folio, position, day, amount_fen = _runs_summed(folio, position, day, amount_fen)
    # After that, of a folio's lines of one event and day several are left only where another's stand between them.
    apart = np.zeros(len(position), bool)
    apart[2:] = position[2:] == position[:-2]
    event = np.unique(position[apart])
    at = np.flatnonzero(np.isin(position, event)) if len(event) else np.empty(0, np.int64)
    order = at[np.lexsort((day[at], folio[at], position[at]))]
    for column in (folio, day, amount_fen):
        column[at] = column[order]
    return _runs_summed(folio, position, day, amount_fen)


def _runs_summed(
    folio: NDArray[np.int32], position: Index, day: NDArray[np.int32], amount_fen: Index
) -> tuple[NDArray[np.int32], Index, NDArray[np.int32], Index]:
    first = np.ones(len(folio), bool)
    first[1:] = (folio[1:] != folio[:-1]) | (position[1:] != position[:-1]) | (day[1:] != day[:-1])
    starts = np.flatnonzero(first)
    sums = np.add.reduceat(amount_fen, starts) if len(starts) else amount_fen
    kept = starts[sums != 0]
    return folio[kept], position[kept], day[kept], sums[sums != 0]


def extended(last: Pages, names: Sequence[str], folio: NDArray[np.int32], lines: Records) -> Pages:
    """The pages that change or come into being when lines follow the `last` page of each folio.

    `folio` (into `names`, which are those of `last` followed by others) and `lines` are in the order of the log, and
    every position is beyond those in `last`.
    """
    folios = np.concatenate([np.repeat(last.folio, last.line_counts), folio])
    # A plain sort of packed integers is several times faster than a stable sort of indices.
    packed = (folios << 32) + np.arange(len(folios))
    packed.sort()
    order, folios = packed & 0xFFFFFFFF, packed >> 32
    lines = taken(np.concatenate([last.lines, lines]) if len(last) else lines, order)
    starts = np.flatnonzero(np.concatenate([[True], folios[1:] != folios[:-1]])) if len(folios) else order
    own, counts = folios[starts], np.diff(np.append(starts, len(folios)))
    pages = (counts + LINES_MAX - 1) // LINES_MAX
    within = np.arange(pages.sum()) - np.repeat(np.cumsum(pages) - pages, pages)
    first_line = np.repeat(starts, pages) + within * LINES_MAX
    first_page = np.zeros(len(own), np.int64)
    first_page[np.searchsorted(own, last.folio)] = last.page
    counts_of_openings, openings = _openings(last, own, starts, counts, pages, lines)
    return Pages(
        names=names,
        folio=np.repeat(own, pages),
        page=np.repeat(first_page, pages) + within,
        opening_counts=counts_of_openings,
        openings=openings,
        line_counts=np.minimum(LINES_MAX, np.repeat(starts + counts, pages) - first_line),
        lines=lines,
    )


def taken(records: Records, order: Index) -> Records:
    """`records[order]`, four times faster: numpy copies a row of whole numbers at once, a record field by field."""
    rows = records.view("<i8").reshape(-1, 3)
    moved: Records = rows.take(order, axis=0).view(records.dtype).ravel()
    return moved


def _openings(
    last: Pages, own: Index, starts: Index, counts: Index, pages: Index, lines: Records
) -> tuple[Index, Records]:
    """How many sums each page opens with, and all of them: for the first page of a folio those of its last one, then
    what came on top."""
    before: dict[int, Records] = {}
    ends = np.cumsum(last.opening_counts)
    for i in np.flatnonzero(last.opening_counts).tolist():
        before[int(last.folio[i])] = last.openings[ends[i] - last.opening_counts[i] : ends[i]]
    opened = np.isin(own, list(before)) | (pages > 1)
    opening_counts = np.zeros(int(pages.sum()), np.int64)
    openings = [NO_SUMS]
    first_pages = np.cumsum(pages) - pages
    for i in np.flatnonzero(opened).tolist():
        opening, start = before.get(int(own[i]), NO_SUMS), int(starts[i])
        for page in range(int(pages[i])):
            if page:
                begins = start + page * LINES_MAX
                opening = advanced(opening, lines[begins - LINES_MAX : begins])
            opening_counts[first_pages[i] + page] = len(opening)
            openings.append(opening)
    return opening_counts, np.concatenate(openings)


def advanced(opening: Records, lines: Records) -> Records:
    """The sums by account and day after more lines, in order of both; what sums to 0 is left out."""
    account = np.concatenate([opening["account"], lines["account"]])
    day = np.concatenate([opening["day"], lines["day"]])
    high = np.concatenate([opening["high"], lines["amount_fen"] >> 32])
    low = np.concatenate([opening["low"], lines["amount_fen"] & 0xFFFFFFFF])
    if not len(day):
        return NO_SUMS
    order = np.argsort((account.astype(np.int64) << 32) + day)  # faster than lexsort
    account, day = account[order], day[order]
    starts = np.flatnonzero(np.concatenate([[True], (account[1:] != account[:-1]) | (day[1:] != day[:-1])]))
    highs, lows = np.add.reduceat(high[order], starts), np.add.reduceat(low[order], starts)
    sums = np.empty(len(starts), DAY_SUM)
    sums["account"], sums["day"] = account[starts], day[starts]
    sums["high"], sums["low"] = highs + (lows >> 32), lows & 0xFFFFFFFF
    kept: Records = sums[(sums["high"] != 0) | (sums["low"] != 0)]
    return kept
