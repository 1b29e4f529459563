"""Folios in PostgreSQL: written in bulk, read one page at a time."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ledger.copying import HEADER, TRAILER
from projections.base import Damaged
from projections.pages import (
    DAY_SUM,
    LINE,
    LINES_MAX,
    NO_LINES,
    NO_SUMS,
    Index,
    Page,
    Pages,
    Records,
    advanced,
    taken,
)
from projections.shelves import Shelf

_ROWS_AT_ONCE: Final = 2_000
_NEWEST: Final = 2**62
#: Up to so many pages one statement is cheaper than a temporary table.
_FEW_PAGES: Final = 2_000

# COPY's binary format, see ledger/copying.py.
_ROW_BEGINS: Final = struct.Struct("!hi")
_NUMBERS: Final = struct.Struct("!iiiqi")
_LENGTH: Final = struct.Struct("!i")


def create(shelf: Shelf) -> None:
    """Make the table. Its index comes with the first rows, which are written faster without."""
    shelf.run("create_folios")


def last_pages(shelf: Shelf, names: Sequence[str]) -> Pages:
    """The last page of each folio that has one; `folio` in the answer indexes `names`, which are in order."""
    if not shelf.rows("folios_indexed")[0][0]:
        return _pages(names, [])
    return _pages(names, shelf.rows("last_pages", folios=list(names)))


def digest_of_stored(shelf: Shelf) -> tuple[str, int]:
    """SHA-256 (hex) over every row of the table, column by column, and how many there are."""
    count, hashes = 0, [hashlib.sha256() for _ in range(7)]
    rows = shelf.stream("stored_folios", _ROWS_AT_ONCE)
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        count += len(some)
        names, page, first_position, openings, lines = zip(*some, strict=True)
        columns = (
            "".join(f"{name}\n" for name in names).encode(),
            np.array(page, ">i4").tobytes(),
            np.array(first_position, ">i8").tobytes(),
            np.array([*map(len, openings)], ">i4").tobytes(),
            np.array([*map(len, lines)], ">i4").tobytes(),
            b"".join(openings),
            b"".join(lines),
        )
        for hashed, column in zip(hashes, columns, strict=True):
            hashed.update(column)
    return _digest_of_hashes(hashes), count


def digest_of_lines(parts: Sequence[tuple[Sequence[str], NDArray[np.int32], Records]]) -> str:
    """The digest that `digest_of_stored` gives where the table holds these lines. Each part has names, per line an
    index into them, and the lines in the order of the log; no name stands in two parts."""
    names = sorted({name for some, _, _ in parts for name in some})
    place = {name: i for i, name in enumerate(names)}
    folio = np.concatenate([np.array([place[name] for name in some])[index] for some, index, _ in parts])
    packed = (folio << 32) + np.arange(len(folio))
    packed.sort()
    lines = taken(np.concatenate([lines for _, _, lines in parts]), packed & 0xFFFFFFFF)
    ends = np.searchsorted(packed >> 32, np.arange(len(names)), "right")
    sizes = np.diff(np.append(0, ends))
    pages = -(-sizes // LINES_MAX)
    page = np.arange(pages.sum()) - np.repeat(np.cumsum(pages) - pages, pages)
    starts = np.repeat(ends - sizes, pages) + page * LINES_MAX
    row_ends = np.minimum(starts + LINES_MAX, np.repeat(ends, pages))
    sizes_of_openings, openings = _openings(lines, page, starts)
    columns = (
        "".join([f"{names[i]}\n" for i in np.repeat(np.arange(len(names)), pages).tolist()]).encode(),
        page.astype(">i4").tobytes(),
        lines["position"][starts].astype(">i8").tobytes(),
        sizes_of_openings.astype(">i4").tobytes(),
        ((row_ends - starts) * LINE.itemsize).astype(">i4").tobytes(),
        openings,
        lines.tobytes(),
    )
    return _digest_of_hashes([hashlib.sha256(column) for column in columns])


def _openings(lines: Records, page: Index, starts: Index) -> tuple[Index, bytes]:
    """Per row how many bytes it opens with, and all these bytes."""
    sizes, parts, opening = np.zeros(len(page), np.int64), [], NO_SUMS
    for row in np.flatnonzero(page).tolist():
        before = NO_SUMS if page[row] == 1 else opening
        opening = advanced(before, lines[starts[row] - LINES_MAX : starts[row]])
        sizes[row] = opening.nbytes
        parts.append(opening.tobytes())
    return sizes, b"".join(parts)


def _digest_of_hashes(hashes: Iterable[hashlib._Hash]) -> str:
    return hashlib.sha256(b"".join(hashed.digest() for hashed in hashes)).hexdigest()


def all_pages(shelf: Shelf) -> tuple[Pages, Sequence[int]]:
    """Every page, in order of folio and first position, and the first position that each says it has."""
    rows = shelf.rows("all_pages")
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * 7
    folio_of = [name for joined in columns[0] for name in joined.split("\n")]
    names = list(dict.fromkeys(folio_of))
    place = {name: i for i, name in enumerate(names)}
    numbers = [np.frombuffer(b"".join(columns[i]), kind).astype(np.int64) for i, kind in _SENT]
    page, first_positions, opening_bytes, line_bytes = numbers
    if len(folio_of) != len(page):
        raise Damaged(f"{shelf.schema}.folios", "the name of a folio has a line end")
    pages = Pages(
        names=names,
        folio=np.array([place[name] for name in folio_of], np.int64),
        page=page,
        opening_counts=opening_bytes // DAY_SUM.itemsize,
        openings=_records(columns[4], DAY_SUM, opening_bytes, shelf),
        line_counts=line_bytes // LINE.itemsize,
        lines=_records(columns[6], LINE, line_bytes, shelf),
    )
    return pages, first_positions.tolist()


#: The columns of numbers in what `all_pages` is sent, and their form.
_SENT: Final = ((1, ">i4"), (2, ">i8"), (3, ">i4"), (5, ">i4"))


def _records(parts: Sequence[bytes], kind: np.dtype[Any], lengths: Index, shelf: Shelf) -> Records:
    if (lengths % kind.itemsize).any():
        raise Damaged(f"{shelf.schema}.folios", "a page holds a part of a record")
    return np.frombuffer(b"".join(parts), kind)


def _pages(names: Sequence[str], rows: Sequence[tuple[str, int, bytes, bytes]]) -> Pages:
    place = {name: i for i, name in enumerate(names)}
    rows = sorted(rows, key=lambda row: (place[row[0]], row[1]))
    return Pages(
        names=names,
        folio=np.array([place[row[0]] for row in rows], np.int64),
        page=np.array([row[1] for row in rows], np.int64),
        opening_counts=np.array([len(row[2]) // DAY_SUM.itemsize for row in rows], np.int64),
        openings=np.frombuffer(b"".join(row[2] for row in rows), DAY_SUM) if rows else NO_SUMS,
        line_counts=np.array([len(row[3]) // LINE.itemsize for row in rows], np.int64),
        lines=np.frombuffer(b"".join(row[3] for row in rows), LINE) if rows else NO_LINES,
    )


def write(shelf: Shelf, pages: Pages) -> None:
    """In a transaction: add new pages, replace changed ones."""
    if not len(pages):
        return
    if not shelf.rows("folios_indexed")[0][0]:
        shelf.copy_in("copy_folios", _copy_rows(pages))
        shelf.run("index_folios")
    elif len(pages) <= _FEW_PAGES:
        _save_few(shelf, pages)
    else:
        shelf.run("begin_changed_folios")
        shelf.copy_in("copy_changed_folios", _copy_rows(pages))
        shelf.run("merge_changed_folios")


def _save_few(shelf: Shelf, pages: Pages) -> None:
    line_ends, opening_ends = np.cumsum(pages.line_counts), np.cumsum(pages.opening_counts)
    shelf.run(
        "save_folios",
        folios=[pages.names[folio] for folio in pages.folio.tolist()],
        pages=pages.page.tolist(),
        positions=pages.first_positions.tolist(),
        openings=[
            pages.openings[end - count : end].tobytes()
            for end, count in zip(opening_ends, pages.opening_counts, strict=True)
        ],
        lines=[
            pages.lines[end - count : end].tobytes()
            for end, count in zip(line_ends, pages.line_counts, strict=True)
        ],
    )


def _copy_rows(pages: Pages) -> Iterator[bytes]:
    """The pages as COPY's binary format, some thousand rows at a time."""
    encoded = [name.encode() for name in pages.names]
    lines, openings = (
        np.ascontiguousarray(records).view(np.uint8) for records in (pages.lines, pages.openings)
    )
    line_ends = (np.cumsum(pages.line_counts) * LINE.itemsize).tolist()
    opening_ends = (np.cumsum(pages.opening_counts) * DAY_SUM.itemsize).tolist()
    line_bytes, opening_bytes = lines.tobytes(), openings.tobytes()
    rows = zip(
        pages.folio.tolist(),
        pages.page.tolist(),
        pages.first_positions.tolist(),
        opening_ends,
        line_ends,
        strict=True,
    )
    begins, numbers, length = _ROW_BEGINS.pack, _NUMBERS.pack, _LENGTH.pack
    parts: list[bytes] = [HEADER]
    opening_from = lines_from = 0
    for folio, page, first_position, opening_to, lines_to in rows:
        name = encoded[folio]
        parts += (
            begins(5, len(name)),
            name,
            numbers(4, page, 8, first_position, opening_to - opening_from),
            opening_bytes[opening_from:opening_to],
            length(lines_to - lines_from),
            line_bytes[lines_from:lines_to],
        )
        opening_from, lines_from = opening_to, lines_to
        if len(parts) > 6 * _ROWS_AT_ONCE:
            yield b"".join(parts)
            parts = []
    parts.append(TRAILER)
    yield b"".join(parts)


def whole(shelf: Shelf, name: str, position: int = _NEWEST) -> Iterator[Page]:
    """Every page of a folio up to a position, in order, the last one cut there."""
    rows = shelf.rows("whole_folio", folio=name, position=position)
    for opening, lines in rows:
        yield Page(np.frombuffer(opening, DAY_SUM), np.frombuffer(lines, LINE)).known(position)


def pages_of(shelf: Shelf, asked: Sequence[tuple[str, int]]) -> list[Page | None]:
    """For each (folio, position) the page that holds its last line up to the position, whole, or None."""
    found: list[Page | None] = [None] * len(asked)
    names, positions = [folio for folio, _ in asked], [position for _, position in asked]
    for number, opening, lines in shelf.rows("pages_of", folios=names, positions=positions) if asked else ():
        found[number - 1] = Page(np.frombuffer(opening, DAY_SUM), np.frombuffer(lines, LINE))
    return found


def pages_at(shelf: Shelf, names: Iterable[str], position: int) -> Mapping[str, Page]:
    """Of each folio the page that holds its last line up to a position, cut there. Folios without are left out."""
    wanted = list(names)
    found = pages_of(shelf, [(name, position) for name in wanted])
    return {name: page.known(position) for name, page in zip(wanted, found, strict=True) if page is not None}
