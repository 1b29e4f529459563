"""Every leaf computed again from the stored fields, as fast as two cores can: ranges of positions in processes of
their own, rows as COPY sends them, taken apart many at once in compiled code.

A row that is not of the form in which events are written, a leaf that differs, a position that is missing or doubled, a
time that goes back: each such position is looked at once more, through the store's own reading, and that decides.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import psycopg

from ledger import codec, merkle, sent
from ledger.sql import load
from ledger.store import Store
from projections.forking import Fork
from projections.progress import Progress, silent

BLOCK: Final = 4096
#: So many rows are taken apart at once: few enough to be at hand still.
_ROWS_AT_ONCE: Final = 128
#: Below this many events one process is faster than two.
PARALLEL_FROM: Final = 50_000
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


def recompute(store: Store, until: int, wanted: Collection[int], progress: Progress = silent) -> Recomputed:
    """Recompute the leaves of all events up to a position; `wanted` are the blocks whose leaves are needed."""
    paths = _paths(store)
    if until < PARALLEL_FROM:
        return _range(store, 0, until, wanted, paths, progress)
    middle = (until // 2) // BLOCK * BLOCK
    with Fork(lambda: _opened(store.address, middle, until, wanted, paths)) as second:
        first = _range(store, 0, middle, wanted, paths, progress)
        rest = second.result()
    return Recomputed(first.roots + rest.roots, first.leaves | rest.leaves, first.wrong + rest.wrong)


def _paths(store: Store) -> list[bytes]:
    """The paths of accounts, each at the place that is its id: ids are 1 to their number, and others have none here."""
    ids, paths = list[int](), list[bytes]()
    for count, path_count, joined_ids, joined_paths in store.connection.execute(
        _QUERIES["joined_paths"], binary=True
    ):
        some_ids, some_paths = (joined_ids or b"").split(b"\1"), (joined_paths or b"").split(b"\1")
        # With a separator in a path, or one that is missing, they come one by one.
        if not len(some_ids) == len(some_paths) == path_count == count:
            rows = store.connection.execute(_QUERIES["paths"]).fetchall()
            ids, paths = [row[0] for row in rows], [str(row[1]).encode() for row in rows]
            break
        ids += map(int, some_ids)
        paths += some_paths
    by_id = [b""] * (len(ids) + 1)
    for number, path in zip(ids, paths, strict=True):
        if 0 < number < len(by_id):
            by_id[number] = path
    return by_id


def _opened(address: str, after: int, until: int, wanted: Collection[int], paths: list[bytes]) -> Recomputed:
    """The range over a connection of its own."""
    with Store.open(address) as store:
        return _range(store, after, until, wanted, paths)


def _range(
    store: Store,
    after: int,
    until: int,
    wanted: Collection[int],
    paths: list[bytes],
    progress: Progress = silent,
) -> Recomputed:
    done = Recomputed()
    last_us = _instant_before(store, after)
    for first in range(after, until, BLOCK):
        end = min(first + BLOCK, until)
        found = _read(store, first, end, paths)
        if found.are_sound(last_us):
            last_us = found.instants[-1]
        else:
            last_us = _look_again(store, first, found, last_us, done.wrong)
            if len(done.wrong) >= FINDINGS_MAX:
                return done
        done.roots.append(merkle.root_of(b"".join(found.leaves)))
        if first // BLOCK in wanted:
            done.leaves[first // BLOCK] = found.leaves
        progress("log", end - after, until - after)
    return done


def _read(store: Store, after: int, until: int, paths: list[bytes]) -> sent.Leaves:
    """The leaves of a range, as far as its rows are what their leaves say."""
    found = sent.Leaves(after, until - after)
    with store.connection.cursor() as cursor, cursor.copy(_QUERIES["copy_rows"], (after, until)) as copy:
        rows = iter(copy)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            found.take(b"".join(some), paths)
    return found


def _look_again(
    store: Store, after: int, found: sent.Leaves, last_us: int, wrong: list[tuple[int, str]]
) -> int:
    """Look once more at what is not sound in a range, and give it a leaf; the instant of the last position."""
    for number, leaf in enumerate(found.leaves):
        if leaf and found.instants[number] >= last_us:
            last_us = found.instants[number]
            continue
        last_us, found.leaves[number] = _looked_at(store, after + number + 1, last_us, wrong)
        if len(wrong) >= FINDINGS_MAX:
            break
    return last_us


def _instant_before(store: Store, position: int) -> int:
    """The recording time of an event, in microseconds since 2000: the next one's may not be earlier."""
    row = store.connection.execute(_QUERIES["instant_at"], {"position": position}, binary=True).fetchone()
    return -(2**63) if row is None else int.from_bytes(row[0], "big", signed=True)


def _looked_at(store: Store, position: int, last_us: int, wrong: list[tuple[int, str]]) -> tuple[int, bytes]:
    """The instant and the leaf of one position by the store's own reading; notes what is wrong. A leaf that cannot be
    computed is replaced by the stored one, or by zeros."""
    rows = store.connection.execute(_QUERIES["row_at"], {"position": position}, binary=True).fetchall()
    if len(rows) != 1:
        wrong.append(
            (position, "the event is missing" if not rows else f"the position stands {len(rows)} times")
        )
        return last_us, bytes(32)
    instant, stored, plain = rows[0]
    us = int.from_bytes(instant or b"", "big", signed=True)
    if us < last_us:
        wrong.append((position, "recorded before the event before it"))
    leaf = _leaf_at(store, position)
    if leaf is None or not plain:
        wrong.append((position, "its stored fields are not of the form in which events are written"))
    elif leaf != stored:
        wrong.append((position, "the leaf is not that of the stored fields"))
    return us, leaf or stored or bytes(32)


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
