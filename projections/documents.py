"""Documents: what is known of a subject, as one JSON object for each change of it, with the position of the change.

As known at a position a subject's document is its newest one up to there. Business dates stand inside the documents:
a read leaves out what takes effect later.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from ledger import codec
from ledger.copying import HEADER, TRAILER
from ledger.dates import Day
from projections.base import Damaged, Log
from projections.columns import EPOCH, Columns, type_codes
from projections.fold import fold, fold_binary
from projections.shelves import Shelf

Document = dict[str, Any]
#: A subject's key, the position of the event that changed it, the document from then on.
Version = tuple[str, int, Document]


def create(shelf: Shelf) -> None:
    """Make the table."""
    shelf.run("create_documents")


def write(shelf: Shelf, versions: Iterable[Version]) -> None:
    """In a transaction: add versions. Each is beyond those that its key has."""
    rows = [_copy_row(*version) for version in versions]
    if rows:
        shelf.copy_in("copy_documents", [HEADER, *rows, TRAILER])


def _copy_row(key: str, position: int, document: Document) -> bytes:
    name, text = key.encode(), codec.canonical(document)
    numbers = struct.pack("!iqi", 8, position, len(text))
    return struct.pack("!hi", 3, len(name)) + name + numbers + text


def newest(shelf: Shelf, position: int, keys: Iterable[str]) -> dict[str, Document]:
    """The documents of some subjects as known at a position; those without one are left out."""
    wanted = list(keys)
    if not wanted:
        return {}
    return _parsed(shelf.rows("documents_of_keys", keys=wanted, position=position))


def all_newest(shelf: Shelf, position: int, containing: str = "") -> dict[str, Document]:
    """The documents of all subjects as known at a position, by key; with `containing` only those whose key or JSON
    text, A to Z made small, holds it."""
    return _parsed(shelf.rows("all_documents", position=position, containing=containing))


def _parsed(rows: Sequence[tuple[str, str]]) -> dict[str, Document]:
    return {key: orjson.loads(text) for key, text in rows}


def stored(shelf: Shelf) -> tuple[str, int]:
    """SHA-256 (hex) over all rows in order, and how many there are."""
    hashes, rows = shelf.rows("whole_documents")[0]
    if len(hashes or b"") != hashlib.sha256().digest_size * rows:
        raise Damaged(f"{shelf.schema}.documents", "a row lacks a value")
    return hashlib.sha256(hashes or b"").hexdigest(), rows


def digest(versions: Iterable[Version]) -> str:
    """The SHA-256 (hex) that `stored` gives for these versions."""
    rows = sorted((key, position, codec.canonical(document)) for key, position, document in versions)
    # Canonical JSON holds no raw line breaks or tabs, nor do keys: they are ids.
    hashes = (
        hashlib.sha256(b"%s\t%d\t%s" % (key.encode(), position, text)).digest()
        for key, position, text in rows
    )
    return hashlib.sha256(b"".join(hashes)).hexdigest()


@dataclass(frozen=True, slots=True)
class Change:
    """What a fold takes from an event: its position, type, business date and data; `keys` are its tags of the kind
    that was asked for, without the kind."""

    position: int
    type: str
    on: Day
    data: Document
    keys: tuple[str, ...] = ()


def changes(log: Log, columns: Columns, types: Sequence[str], of_kind: str | None = None) -> list[Change]:
    """The events of some types in a range, in order; with `of_kind` (`product:`) only those that carry a tag of that
    kind. Parses the JSON of these alone."""
    names = {code: name for name, code in type_codes(log.store, types).items()}
    at = np.flatnonzero(np.isin(columns.types, list(names)))
    keys: dict[int, list[str]] = {}
    if of_kind is not None:
        asked = (at + (columns.after + 1)).tolist()
        for position, tag in fold(log.store, "tags_of_events", positions=asked, kind=of_kind):
            keys.setdefault(position, []).append(tag.removeprefix(of_kind))
        at = np.array(list(keys), np.int64) - (columns.after + 1)
    positions = at + (columns.after + 1)
    rows = zip(
        positions.tolist(),
        columns.types[at].tolist(),
        np.datetime_as_string(EPOCH + columns.days[at]).tolist(),
        data_of(log, positions),
        strict=True,
    )
    return [Change(p, names[code], on, data, tuple(keys.get(p, ()))) for p, code, on, data in rows]


def data_of(log: Log, positions: NDArray[np.int64]) -> list[Document]:
    """The data of the events at positions, given and returned in ascending order."""
    if not len(positions):
        return []
    (joined,) = fold_binary(log.store, "data_of_events", positions=positions.tolist())[0]
    found: list[Document] = orjson.loads(b"[" + bytes(joined or b"") + b"]")
    return found


def effective(entries: Iterable[Document], last_day: Day) -> list[Document]:
    """The entries of a document that take effect (`on`) on or before a day."""
    return [entry for entry in entries if entry["on"] <= last_day]
