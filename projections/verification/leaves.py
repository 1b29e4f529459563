"""Every leaf computed again from the stored fields, as fast as two cores can: ranges of positions in processes of
their own, fields read as text and bytes aggregated per 128 events, so that no row costs a Python object per column.

What a batch hands over is only believed when it is unambiguous (no separator inside a field, arrays of the plain
shape); any batch that is not, or whose leaves differ, is read again row by row, exactly, and that reading decides.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import psycopg

from ledger import codec, merkle
from ledger.sql import load
from ledger.store import Store
from projections.forking import Fork

BLOCK: Final = 4096
_BATCH: Final = 128
#: Below this many events one process is faster than two.
_PARALLEL_FROM: Final = 50_000
#: From PostgreSQL's epoch (2000) to Unix's, in microseconds.
_EPOCH_US: Final = 946_684_800_000_000
#: Where so much is wrong, more of it says nothing.
FINDINGS_MAX: Final = 100

_QUERIES: Final = load("projections", "verification/queries.sql")


@dataclass(slots=True)
class Recomputed:
    """A range of positions: the root of each block of 4096 leaves (the last may be shorter), the leaves of the blocks
    that were asked for, and what is wrong (position, what)."""

    roots: list[bytes] = field(default_factory=list)
    leaves: dict[int, list[bytes]] = field(default_factory=dict)
    wrong: list[tuple[int, str]] = field(default_factory=list)


def recompute(store: Store, until: int, wanted: Collection[int]) -> Recomputed:
    """Recompute the leaves of all events up to a position; `wanted` are the blocks whose leaves are needed."""
    paths = _paths(store)
    if until < _PARALLEL_FROM:
        return _range(store, 0, until, wanted, paths)
    middle = (until // 2) // BLOCK * BLOCK
    second = Fork(lambda: _opened(store.address, middle, until, wanted, paths))
    first = _range(store, 0, middle, wanted, paths)
    rest = second.result()
    return Recomputed(first.roots + rest.roots, first.leaves | rest.leaves, first.wrong + rest.wrong)


def _paths(store: Store) -> dict[bytes, bytes]:
    """The paths of all accounts, by their ids as text."""
    found: dict[bytes, bytes] = {}
    for count, path_count, joined_ids, joined_paths in store.connection.execute(
        _QUERIES["joined_paths"], binary=True
    ):
        ids, paths = (joined_ids or b"").split(b"\1"), (joined_paths or b"").split(b"\1")
        if not len(ids) == len(paths) == path_count == count:  # a separator in a path, one that is missing
            rows = store.connection.execute(_QUERIES["paths"])
            return {str(number).encode(): str(path).encode() for number, path in rows}
        found.update(zip(ids, paths, strict=True))
    return found


def _opened(
    address: str, after: int, until: int, wanted: Collection[int], paths: dict[bytes, bytes]
) -> Recomputed:
    """The range over a connection of its own."""
    with Store.open(address) as store:
        return _range(store, after, until, wanted, paths)


def _range(
    store: Store, after: int, until: int, wanted: Collection[int], paths: dict[bytes, bytes]
) -> Recomputed:
    done = Recomputed()
    last_us = _instant_before(store, after)
    for first in range(after, until, BLOCK):
        end = min(first + BLOCK, until)
        leaves: list[bytes] = []
        for row in _read(store, first, end):
            found = _fast(row, first + len(leaves), end, last_us, paths)
            if found is None:
                start = first + len(leaves)
                found = _exact(store, start, min(start + _BATCH, end), last_us, done.wrong)
            batch, last_us = found
            leaves += batch
            if len(done.wrong) >= FINDINGS_MAX:
                return done
        done.roots.append(merkle.root_of(b"".join(leaves)))
        if first // BLOCK in wanted:
            done.leaves[first // BLOCK] = leaves
    return done


def _read(store: Store, first: int, end: int) -> list[Any]:
    with store.connection.cursor(binary=True) as cursor:
        query = _QUERIES["fields"]
        return cursor.execute(
            query, {"after": first, "last": end - 1, "until": end, "batch": _BATCH}
        ).fetchall()


def _instant_before(store: Store, position: int) -> int:
    """The recording time of an event, in microseconds since 2000: the next one's may not be earlier."""
    row = store.connection.execute(_QUERIES["instant_at"], {"position": position}, binary=True).fetchone()
    return -(2**63) if row is None else int.from_bytes(row[0], "big", signed=True)


def _fast(
    row: Sequence[Any], after: int, until: int, last_us: int, paths: dict[bytes, bytes]
) -> tuple[list[bytes], int] | None:
    """The leaves of a batch and the time of its last event, or None if anything about it must be looked at exactly."""
    (
        count,
        positions,
        instants,
        heads,
        tags,
        postings,
        accounts,
        amounts,
        days,
        lengths,
        data,
        stored,
        plain,
    ) = row
    expected = min(_BATCH, until - after)
    fixed = (len(positions), len(instants), len(postings), len(lengths), len(stored))
    if not plain or fixed != (8 * expected, 8 * expected, 4 * expected, 4 * expected, 32 * expected):
        return None  # rows are missing or doubled, or a value is
    if count != expected or not heads:
        return None
    at_position = struct.unpack(f">{count}q", positions)
    at_us = struct.unpack(f">{count}q", instants)
    counts = struct.unpack(f">{count}i", postings)
    sizes = struct.unpack(f">{count}i", lengths)
    total = sum(counts)
    ids = accounts.split(b"\1") if accounts else []
    fens = amounts.split(b"\1") if amounts else []
    texts = heads.replace(b"\1", b"\0").split(b"\2")
    own_days = days.split(b"\2")
    ambiguous = (
        at_position != tuple(range(after + 1, after + 1 + count))
        or any(earlier > later for earlier, later in zip((last_us, *at_us), at_us, strict=False))
        or (len(ids), len(fens), len(texts), len(own_days)) != (total, total, count, count)
        or heads.count(b"\1") != 6 * count + tags
        or b"\0" in heads
    )
    if ambiguous:
        return None
    lines = [b""] * (3 * total)
    try:
        lines[::3] = [paths[number] for number in ids]
    except KeyError:
        return None
    lines[1::3] = fens
    line_days: list[bytes] = []
    for text, size, own in zip(texts, counts, own_days, strict=True):
        line_days += own.split(b"\1") if own else [text[: text.index(b"\0")]] * size
    if len(line_days) != total:
        return None
    lines[2::3] = line_days
    leaves, line, at, join = [], 0, 0, b"\0".join
    for position, us, text, size, length in zip(at_position, at_us, texts, counts, sizes, strict=True):
        line_end, end = line + 3 * size, at + length
        moved = b"%d\0%b\0" % (size, join(lines[line:line_end])) if size else b"0\0"
        entry = b"\0kejin-event-1\0%d\0%d\0%b\0%b%b" % (position, us + _EPOCH_US, text, moved, data[at:end])
        leaves.append(sha256(entry).digest())
        line, at = line_end, end
    return (leaves, at_us[-1]) if b"".join(leaves) == stored and at == len(data) else None


def _exact(
    store: Store, after: int, until: int, last_us: int, wrong: list[tuple[int, str]]
) -> tuple[list[bytes], int]:
    """The same, row by row through the store's own reading; notes what is wrong. A leaf that cannot be computed is
    replaced by the stored one, or by zeros."""
    leaves: list[bytes] = []
    for position in range(after + 1, until + 1):
        rows = store.connection.execute(_QUERIES["row_at"], {"position": position}, binary=True).fetchall()
        if len(rows) != 1:
            wrong.append(
                (position, "the event is missing" if not rows else f"the position stands {len(rows)} times")
            )
            leaves.append(bytes(32))
            continue
        instant, stored, plain = rows[0]
        us = int.from_bytes(instant or b"", "big", signed=True)
        if us < last_us:
            wrong.append((position, "recorded before the event before it"))
        last_us = us
        leaf = _leaf_at(store, position)
        if leaf is None or not plain:
            wrong.append((position, "its stored fields are not of the form in which events are written"))
        elif leaf != stored:
            wrong.append((position, "the leaf is not that of the stored fields"))
        leaves.append(leaf or stored or bytes(32))
    return leaves, last_us


def _leaf_at(store: Store, position: int) -> bytes | None:
    """The leaf of the stored fields, or None if they are no event."""
    try:
        (event,) = store.stored_events_at([position])
        return codec.leaf_hash(codec.entry_of(event))
    except (psycopg.DataError, TypeError, ValueError, LookupError, AttributeError, OverflowError):
        return None


def block_of(size: int) -> int:
    """The number of the block that is not full at a size, or of the next one."""
    return size // BLOCK
