"""Measures: how many and how much, of a subject, as lines of its folio: known on both clocks from one page.

A measure stands where an account's id does. A line holds a count of -1, 0 or 1 and an amount in one number, the count
times 2^62 plus the fen: half the lines, half the work. What lines of one measure and day come to must stay below 2^60
fen, so that the two can be told apart again. Of an amount of 2^36 fen (687 million yuan) or more only the lower 36 bits
stand there; how many times 2^36 fen the rest is, a line of its own says. So it takes millions of lines on one day to
pass 2^60; a fold that would pass it stops the projection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from projections import folios
from projections.clocks import AsOf
from projections.columns import Columns, day_number
from projections.page_checks import check_pages
from projections.pages import LINE, Page, Pages, Records, advanced, extended
from projections.shelves import Shelf

Index = NDArray[np.int64]

#: What a line's amount holds once per count.
COUNT: Final = 1 << 62
_SUM_FEN_MAX: Final = 1 << 60
#: Of a large amount, the lower bits that stand beside the count; and what is added to the number of a measure in the
#: line of the rest.
_LOWER_BITS: Final = 36
_REST: Final = 128


class SumsTooLarge(OverflowError):
    """More lines of large amounts on one day than a folio of measures can add up."""


class Sum(NamedTuple):
    """How many, and how much in fen."""

    number: int
    fen: int


def split(value: int) -> Sum:
    """The count and the fen that lines of one measure and day come to."""
    number = (value + COUNT // 2) // COUNT
    return Sum(number, value - number * COUNT)


def _fen_of(lines: Records) -> Index:
    """The fen of lines without their counts: `split`, of each."""
    value: Index = lines["amount_fen"]
    return value - (value + COUNT // 2) // COUNT * COUNT


def _parted(place: Index, lines: Records) -> tuple[Index, Records]:
    """The same lines, each of a large amount followed by one for its rest."""
    rest = _fen_of(lines) >> _LOWER_BITS
    is_large = (rest > 0) | (rest < -1)
    if not is_large.any():
        return place, lines
    ends = np.cumsum(1 + is_large)
    lines, place = np.repeat(lines, 1 + is_large), np.repeat(place, 1 + is_large)
    of_rest = ends[is_large] - 1
    lines["amount_fen"][of_rest - 1] -= rest[is_large] << _LOWER_BITS
    lines["amount_fen"][of_rest] = rest[is_large]
    lines["account"][of_rest] += _REST
    return place, lines


@dataclass(slots=True)
class Gathered:
    """Lines that a fold gathers from a range, part by part; `place` is the folio of each, any distinct numbers."""

    columns: Columns
    parts: list[tuple[Index, Index, Index, Index]] = field(default_factory=list)

    def add(self, measure: int, event: Index, place: Index, count: int, amount_fen: Index | int) -> None:
        """Lines of one measure: per line its event (index into the range), its folio's place, its amount."""
        amounts = np.broadcast_to(np.asarray(amount_fen, np.int64) + count * COUNT, event.shape)
        self.parts.append((np.full(len(event), measure), event, place, amounts))

    def lines(self) -> tuple[Index, Records]:
        """Per line its folio's place; the lines, in order of the log and, of one event, of the measures."""
        if not self.parts:
            return np.empty(0, np.int64), np.empty(0, LINE)
        measure, event, place, amount_fen = (
            np.concatenate(column) for column in zip(*self.parts, strict=True)
        )
        order = np.argsort((event << 8) | measure, kind="stable")
        event = event[order]
        lines = np.empty(len(order), LINE)
        lines["position"], lines["day"] = event + (self.columns.after + 1), self.columns.days[event]
        lines["account"], lines["amount_fen"] = measure[order], amount_fen[order]
        return place[order], lines


def lines_of(columns: Columns, of_event: NDArray[np.bool_]) -> Index:
    """The lines (indices) of some events of a range."""
    if not of_event.any():
        return np.empty(0, np.int64)
    return np.flatnonzero(np.repeat(of_event, columns.counts))


def events_of(columns: Columns, line: Index) -> Index:
    """Per line (index) its event (index)."""
    return columns.position[line] - (columns.after + 1)


def write(shelf: Shelf, names: Sequence[str], place: Index, lines: Records) -> None:
    """In a transaction: add lines to the folios that stand at their places in `names`. Raises SumsTooLarge."""
    place, lines = _parted(place, lines)
    used = np.flatnonzero(np.bincount(place, minlength=len(names)))
    order = sorted(used.tolist(), key=lambda i: names[i])
    wanted = [names[i] for i in order]
    folio = np.zeros(len(names), np.int32)
    folio[order] = np.arange(len(order))
    pages = extended(folios.last_pages(shelf, wanted), wanted, folio[place], lines)
    _refuse_large_sums(pages, lines)
    folios.write(shelf, pages)


def _refuse_large_sums(pages: Pages, added: Records) -> None:
    """Raises SumsTooLarge. By induction no sum is ever past what `split` can tell apart: what was there is below the
    bound, what is added as well."""
    too_large = int((np.abs(_fen_of(added)) >> 32).sum()) >= _SUM_FEN_MAX >> 32
    ends, opening_ends = np.cumsum(pages.line_counts), np.cumsum(pages.opening_counts)
    last = np.flatnonzero(np.append(pages.folio[1:] != pages.folio[:-1], True)) if len(pages) else ()
    for i in last:
        opening = pages.openings[opening_ends[i] - pages.opening_counts[i] : opening_ends[i]]
        high = advanced(opening, pages.lines[ends[i] - pages.line_counts[i] : ends[i]])["high"]
        fen_high = high - (high + (COUNT >> 33) >> 30 << 30)  # without the count, as `split` does it
        too_large |= bool((fen_high >= _SUM_FEN_MAX >> 32).any() or (fen_high < -_SUM_FEN_MAX >> 32).any())
    if too_large:
        raise SumsTooLarge("what the lines of a measure on a day come to passes 2^60 fen")


def stored(shelf: Shelf) -> tuple[str, int]:
    """SHA-256 (hex) over the lines of every folio, and the number of pages. Raises Damaged where a page contradicts
    those before it."""
    pages, first_positions = folios.all_pages(shelf)
    check_pages(pages, first_positions, f"{shelf.schema}.folios")
    counts = np.bincount(pages.folio, pages.line_counts, len(pages.names)).astype(np.int64)
    return _digest(pages.names, counts, pages.lines), len(pages)


def digest(names: Sequence[str], place: Index, lines: Records) -> str:
    """The SHA-256 (hex) that `stored` gives for these lines, in order of the log and of the measures."""
    place, lines = _parted(place, lines)
    counts = np.bincount(place, minlength=len(names))
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda i: names[i])
    rank = np.zeros(len(names), np.int64)
    rank[order] = np.arange(len(order))
    packed = (rank[place] << 32) + np.arange(len(place))
    packed.sort()
    return _digest([names[i] for i in order], counts[order], lines[packed & 0xFFFFFFFF])


def _digest(names: Sequence[str], counts: Index, lines: Records) -> str:
    whole = hashlib.sha256("\n".join(names).encode())
    whole.update(counts.astype("<i8").tobytes())
    whole.update(np.ascontiguousarray(lines).view(np.uint8).data)
    return whole.hexdigest()


def names_of(shelf: Shelf, prefix: str = "") -> list[str]:
    """The names of all folios that begin with a prefix, in order; few, however long their history."""
    return [row[0] for row in shelf.rows("names_of_folios", prefix=prefix)]


def sums(shelf: Shelf, names: Iterable[str], as_of: AsOf) -> dict[str, Mapping[int, Sum]]:
    """Per folio and measure how many and how much on both clocks, from one page; folios that have none by then are
    left out."""
    last_day = day_number(as_of.last_day)
    pages = folios.pages_at(shelf, names, as_of.known_position)
    return {name: _of_page(page, last_day) for name, page in pages.items()}


def _of_page(page: Page, last_day: int) -> dict[int, Sum]:
    found: dict[int, Sum] = {}
    for measure, day, value in page.day_sums():
        if day <= last_day:
            number, fen = split(value) if measure < _REST else (0, value << _LOWER_BITS)
            before = found.get(measure % _REST, Sum(0, 0))
            found[measure % _REST] = Sum(before.number + number, before.fen + fen)
    return found
