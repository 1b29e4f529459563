"""Folios in PostgreSQL: written in bulk, read one page at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from projections.pages import DAY_SUM, LINE, NO_LINES, NO_SUMS, Page, Pages
from projections.shelves import Shelf

_ROWS_AT_ONCE: Final = 2_000

# COPY's binary format (PostgreSQL manual, COPY, "Binary Format"): a signature, flags, the length of an extension; then
# for each row the number of fields, and before each field its length; a row of -1 fields at the end.
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_TRAILER: Final = struct.pack("!h", -1)
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


def all_pages(shelf: Shelf) -> tuple[Pages, list[int]]:
    """Every page, in order of folio and page, and the first position that each says it has."""
    with (
        shelf.store.connection.transaction(),
        shelf.store.connection.cursor("all_pages", binary=True) as cursor,
    ):
        cursor.itersize = 20_000
        rows = cursor.execute(shelf.text("all_pages")).fetchall()
    names = list(dict.fromkeys(row[0] for row in rows))
    return _pages(names, [(row[0], row[1], row[3], row[4]) for row in rows]), [row[2] for row in rows]


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
    indexed = shelf.rows("folios_indexed")[0][0]
    if indexed:
        shelf.run("begin_changed_folios")
        shelf.copy_in("copy_changed_folios", [*_copy_rows(pages)])
        shelf.run("merge_changed_folios")
    else:
        shelf.copy_in("copy_folios", [*_copy_rows(pages)])
        shelf.run("index_folios")


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
    parts: list[bytes] = [_HEADER]
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
    parts.append(_TRAILER)
    yield b"".join(parts)


def pages_at(shelf: Shelf, names: Iterable[str], position: int) -> Mapping[str, Page]:
    """Of each folio the page that holds its last line up to a position, cut there. Folios without are left out."""
    rows: list[Any] = shelf.rows("pages_at", folios=list(names), position=position)
    return {
        folio: Page(np.frombuffer(opening, DAY_SUM), np.frombuffer(lines, LINE)).known(position)
        for folio, opening, lines in rows
    }
