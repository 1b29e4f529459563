"""Every leaf computed again from the stored fields, as fast as two cores can: ranges of positions in processes of
their own, rows as PostgreSQL sends them, many in one value, taken apart in compiled code.

A row that is not of the form in which events are written, a leaf that differs, a position that is missing or doubled, a
time that goes back: each such position is looked at once more, through the store's own reading, and that decides.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import psycopg

from ledger import codec, merkle, sent
from ledger.sql import load
from ledger.store import Store
from projections.forking import Fork
from projections.progress import Progress, silent

BLOCK: Final = 4096
#: So many rows come as one value: a row by itself costs the client as much as its hash.
_ROWS_AT_ONCE: Final = 2048
#: Below this many events one process is faster than two.
_PARALLEL_FROM: Final = 50_000
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
    if until < _PARALLEL_FROM:
        return _range(store, 0, until, wanted, paths, progress)
    middle = (until // 2) // BLOCK * BLOCK
    with Fork(lambda: _opened(store.address, middle, until, wanted, paths)) as second:
        first = _range(store, 0, middle, wanted, paths, progress)
        rest = second.result()
    return Recomputed(first.roots + rest.roots, first.leaves | rest.leaves, first.wrong + rest.wrong)


def _paths(store: Store) -> dict[int, bytes]:
    """The paths of all accounts, by their ids."""
    found: dict[int, bytes] = {}
    for count, path_count, joined_ids, joined_paths in store.connection.execute(
        _QUERIES["joined_paths"], binary=True
    ):
        ids, paths = (joined_ids or b"").split(b"\1"), (joined_paths or b"").split(b"\1")
        if not len(ids) == len(paths) == path_count == count:  # a separator in a path, one that is missing
            rows = store.connection.execute(_QUERIES["paths"])
            return {int(number): str(path).encode() for number, path in rows}
        found.update(zip(map(int, ids), paths, strict=True))
    return found


def _opened(
    address: str, after: int, until: int, wanted: Collection[int], paths: dict[int, bytes]
) -> Recomputed:
    """The range over a connection of its own."""
    with Store.open(address) as store:
        return _range(store, after, until, wanted, paths)


def _range(
    store: Store,
    after: int,
    until: int,
    wanted: Collection[int],
    paths: dict[int, bytes],
    progress: Progress = silent,
) -> Recomputed:
    done = Recomputed()
    last_us = _instant_before(store, after)
    for first in range(after, until, BLOCK):
        end = min(first + BLOCK, until)
        sound = _sound(store, first, end, paths)
        leaves: list[bytes] = []
        for position in range(first + 1, end + 1):
            found = sound.get(position)
            if found is None or found[0] < last_us:
                found = _looked_at(store, position, last_us, done.wrong)
                if len(done.wrong) >= FINDINGS_MAX:
                    return done
            last_us, leaf = found
            leaves.append(leaf)
        done.roots.append(merkle.root_of(b"".join(leaves)))
        if first // BLOCK in wanted:
            done.leaves[first // BLOCK] = leaves
        progress("log", end - after, until - after)
    return done


def _sound(store: Store, after: int, until: int, paths: dict[int, bytes]) -> dict[int, tuple[int, bytes]]:
    """By position the instant (microseconds since 2000) and the leaf of each event that stands once in a range and is
    what its leaf says."""
    found: dict[int, tuple[int, bytes]] = {}
    for first in range(after, until, _ROWS_AT_ONCE):
        range_ = {"after": first, "until": min(first + _ROWS_AT_ONCE, until)}
        some: dict[int, tuple[int, bytes]] = {}
        try:
            ((joined,),) = store.connection.execute(_QUERIES["joined_rows"], range_, binary=True)
            rows = sent.leaves_of(joined or b"", paths, some)
        except (sent.NotAsWritten, psycopg.errors.ProgramLimitExceeded):
            continue  # each of them is looked at by itself
        if rows != len(some):
            for (position,) in store.connection.execute(_QUERIES["doubled_positions"], range_):
                some.pop(position, None)
        found.update(some)
    return found


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
