"""The log as columns: the postings of a range of positions in typed arrays, read in bulk.

A row costs a client several microseconds, a value inside an array some nanoseconds: PostgreSQL joins the binary
form of thousands of events into one value each for position, day, type and lines, and nothing parses JSON.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ledger.store import Store
from projections.fold import fold, query

#: Positions that one query joins.
SLICE_POSITIONS: Final = 32_768

#: Days are counted as PostgreSQL counts them, from this one.
EPOCH: Final = np.datetime64("2000-01-01", "D")


class BrokenLog(ValueError):
    """The log cannot be read as columns: positions are missing, or lists of postings differ in length."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The events with after < position <= until. Per event: `days` (business date, days since 2000-01-01), `types`
    (see `type_codes`), `counts` (of lines). Per line, in order of the log: `position`, `account` (id), `day`,
    `amount_fen`."""

    after: int
    until: int
    days: NDArray[np.int32]
    types: NDArray[np.int32]
    counts: NDArray[np.int32]
    position: NDArray[np.int64]
    account: NDArray[np.int32]
    day: NDArray[np.int32]
    amount_fen: NDArray[np.int64]

    @property
    def event(self) -> NDArray[np.int64]:
        """Per line the index of its event within this range."""
        return self.position - (self.after + 1)


def read(stores: Sequence[Store], after: int, until: int) -> Columns:
    """The columns of a range, read over several connections at once. Raises BrokenLog."""
    return joined(list(slices(stores, after, until)))


def slices(stores: Sequence[Store], after: int, until: int) -> Iterator[Columns]:
    """The columns of a range in slices, in order, each connection one slice ahead. Raises BrokenLog."""
    bounds = [(first, min(first + SLICE_POSITIONS, until)) for first in range(after, until, SLICE_POSITIONS)]
    with ThreadPoolExecutor(len(stores)) as pool:
        idle = deque(stores)
        waiting: deque[tuple[Store, Future[Columns]]] = deque()
        for first, last in bounds:
            if not idle:
                yield _next(waiting, idle)
            store = idle.popleft()
            waiting.append((store, pool.submit(_slice, store, first, last)))
        while waiting:
            yield _next(waiting, idle)


def _next(waiting: deque[tuple[Store, Future[Columns]]], idle: deque[Store]) -> Columns:
    store, future = waiting.popleft()
    columns = future.result()
    idle.append(store)
    return columns


def joined(parts: Sequence[Columns]) -> Columns:
    """Adjacent ranges as one. An empty list is the empty log."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        none = np.empty(0, np.int32)
        return Columns(0, 0, none, none, none, none.astype(np.int64), none, none, none.astype(np.int64))
    names = ("days", "types", "counts", "position", "account", "day", "amount_fen")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Columns(parts[0].after, parts[-1].until, **columns)


def type_codes(store: Store, names: Iterable[str]) -> dict[str, int]:
    """The codes that `Columns.types` has for types of events. Events that no command recorded have code 0."""
    return dict(fold(store, "type_codes", names=list(names)))


def day_number(day: str) -> int:
    """A business date (ISO) as `Columns` counts days."""
    return int((np.datetime64(day, "D") - EPOCH).astype(np.int64))


def iso_day(number: int) -> str:
    """The ISO date of a day number."""
    return str(EPOCH + np.timedelta64(int(number), "D"))


def _slice(store: Store, after: int, until: int) -> Columns:
    with store.connection.cursor(binary=True) as cursor:
        row: Any = cursor.execute(query("columns"), {"after": after, "until": until}).fetchone()
    positions, days, types, counts, has_days, accounts, amounts, line_days = (value or b"" for value in row)
    if not np.array_equal(np.frombuffer(positions, ">i8"), np.arange(after + 1, until + 1)):
        raise BrokenLog(f"positions between {after + 1} and {until} are missing")
    event_days = np.frombuffer(days, ">i4").astype(np.int32)
    lines = np.frombuffer(counts, ">i4").astype(np.int32)
    line_of = np.repeat(np.arange(len(lines)), lines)
    day = event_days[line_of]
    own_days = np.frombuffer(has_days, np.bool_)
    if own_days.any():
        day[own_days[line_of]] = _elements(line_days, lines[own_days], 4)
    return Columns(
        after=after,
        until=until,
        days=event_days,
        types=np.frombuffer(types, ">i4").astype(np.int32),
        counts=lines,
        position=line_of + (after + 1),
        account=_elements(accounts, lines, 4).astype(np.int32),
        day=day,
        amount_fen=_elements(amounts, lines, 8),
    )


def _elements(sent: bytes, counts: NDArray[np.int32], width: int) -> NDArray[np.int64]:
    """The elements of joined binary arrays of 4 or 8 byte integers, `counts` in each.

    PostgreSQL sends an array as 12 bytes, 8 more per dimension (an empty array has none), and before each element
    its length in 4 bytes (src/backend/utils/adt/arrayfuncs.c, array_send).
    """
    words = np.frombuffer(sent, ">i4")
    stride = 1 + width // 4
    sizes = np.where(counts > 0, 5 + counts * stride, 3)
    if len(words) != sizes.sum():
        raise BrokenLog("lists of postings differ in length")
    starts = np.cumsum(sizes) - sizes + 5
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    at = np.repeat(starts, counts) + within * stride + 1
    first: NDArray[np.int64] = words[at].astype(np.int64)
    if width == 4:
        return first
    whole: NDArray[np.int64] = (first << 32) | words[at + 1].astype(np.int64) & 0xFFFFFFFF
    return whole
