"""The log as columns: the postings of a range of positions in typed arrays, read in bulk.

A row costs a client several microseconds, a value inside an array some nanoseconds: PostgreSQL joins the binary
form of thousands of events into one value each for position, day, type and lines, and nothing parses JSON.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ledger.store import Store
from projections.fold import fold, fold_binary

#: Positions that one query joins: a power of two, so that their leaves are a subtree of the log's Merkle tree.
SLICE_POSITIONS: Final = 1 << 15

#: So many bytes of a refusal's data are kept, from the name of its command on; they end in spaces where it is short.
COMMAND_BYTES: Final = 40

#: Days are counted as PostgreSQL counts them, from this one.
EPOCH: Final = np.datetime64("2000-01-01", "D")

#: The first and the last day of the calendar (years 1 to 9999): 22 bits between them.
FIRST_DAY: Final = int((np.datetime64("0001-01-01", "D") - EPOCH).astype(np.int64))
LAST_DAY: Final = int((np.datetime64("9999-12-31", "D") - EPOCH).astype(np.int64))


class BrokenLog(ValueError):
    """The log cannot be read as columns: positions are missing, lists of postings differ in length or have holes,
    a date is none. Says in which table, and at which position where that is known."""

    def __init__(self, detail: str, table: str = "events", position: int | None = None) -> None:
        super().__init__(detail)
        self.table = table
        self.position = position


@dataclass(frozen=True, slots=True)
class Columns:
    """The events with after < position <= until. Per event: `days` (business date, days since 2000-01-01), `types`
    (see `type_codes`), `counts` (of lines). Per line, in order of the log: `position`, `account` (id), `day`,
    `amount_fen`. Where they were asked for: `leaves`, the events' leaf hashes, joined; per refusal in order, what only
    its data and tags say: the first `COMMAND_BYTES` from its command's name on in `refused_commands`, its round, ended
    by a line feed, in `refused_rounds`."""

    after: int
    until: int
    days: NDArray[np.int32]
    types: NDArray[np.int32]
    counts: NDArray[np.int32]
    position: NDArray[np.int64]
    account: NDArray[np.int32]
    day: NDArray[np.int32]
    amount_fen: NDArray[np.int64]
    leaves: bytes = b""
    refused_commands: bytes = b""
    refused_rounds: str = ""

    @property
    def event(self) -> NDArray[np.int64]:
        """Per line the index of its event within this range."""
        return self.position - (self.after + 1)


def read(stores: Sequence[Store], after: int, until: int) -> Columns:
    """The columns of a range with what its refusals say, read over several connections at once. Raises BrokenLog."""
    return joined(list(slices(stores, after, until, with_refusals=True)))


def slices(
    stores: Sequence[Store],
    after: int,
    until: int,
    *,
    with_leaves: bool = False,
    with_refusals: bool = False,
) -> Iterator[Columns]:
    """The columns of a range in slices of `SLICE_POSITIONS`, in order, each connection reading ahead while one is
    worked on. Raises BrokenLog."""
    bounds = [(first, min(first + SLICE_POSITIONS, until)) for first in range(after, until, SLICE_POSITIONS)]
    wanted = {"with_leaves": with_leaves, "with_refusals": with_refusals}
    with ThreadPoolExecutor(len(stores)) as pool:
        idle = deque(stores)
        waiting: deque[tuple[Store, Future[Columns]]] = deque()
        for first, last in bounds:
            ready = None if idle else _next(waiting, idle)
            store = idle.popleft()
            waiting.append((store, pool.submit(_slice, store, first, last, wanted)))
            if ready is not None:
                yield ready
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
    return Columns(
        parts[0].after,
        parts[-1].until,
        **columns,
        leaves=b"".join(part.leaves for part in parts),
        refused_commands=b"".join(part.refused_commands for part in parts),
        refused_rounds="".join(part.refused_rounds for part in parts),
    )


def type_codes(store: Store, names: Iterable[str]) -> dict[str, int]:
    """The codes that `Columns.types` has for types of events. Events that no command recorded have code 0."""
    return dict(fold(store, "type_codes", names=list(names)))


def day_number(day: str) -> int:
    """A business date (ISO) as `Columns` counts days."""
    return int((np.datetime64(day, "D") - EPOCH).astype(np.int64))


@lru_cache(maxsize=65_536)
def iso_day(number: int) -> str:
    """The ISO date of a day number."""
    return str(EPOCH + np.timedelta64(int(number), "D"))


def _slice(store: Store, after: int, until: int, wanted: Mapping[str, bool]) -> Columns:
    (row,) = fold_binary(store, "columns", after=after, until=until, **wanted)
    *values, rounds = row
    positions, days, types, counts, has_days, accounts, amounts, line_days, leaves, commands = (
        value or b"" for value in values
    )
    if not np.array_equal(np.frombuffer(positions, ">i8"), np.arange(after + 1, until + 1)):
        raise BrokenLog(f"positions between {after + 1} and {until} are missing")
    if len(days) != len(counts) or len(counts) != 4 * (
        until - after
    ):  # a missing value is left out when joined
        raise BrokenLog(f"an event between {after + 1} and {until} has no date or no list of postings")
    event_days = np.frombuffer(days, ">i4").astype(np.int32)
    lines = np.frombuffer(counts, ">i4").astype(np.int32)
    line_of = np.repeat(np.arange(len(lines)), lines)
    day = event_days[line_of]
    own_days = np.frombuffer(has_days, np.bool_)
    try:
        if own_days.any():
            day[own_days[line_of]] = _elements(line_days, lines[own_days], 4)
        accounts, amounts = _elements(accounts, lines, 4), _elements(amounts, lines, 8)
    except _Uneven as error:
        raise BrokenLog(f"{error} between {after + 1} and {until}") from None
    _check_days(event_days, np.arange(after + 1, until + 1))
    _check_days(day, line_of + (after + 1))
    return Columns(
        after=after,
        until=until,
        days=event_days,
        types=np.frombuffer(types, ">i4").astype(np.int32),
        counts=lines,
        position=line_of + (after + 1),
        account=accounts.astype(np.int32),
        day=day,
        amount_fen=amounts.astype(np.int64),
        leaves=leaves,
        refused_commands=commands,
        refused_rounds=rounds or "",
    )


def _check_days(days: NDArray[np.int32], position: NDArray[np.int64]) -> None:
    wrong = (days < FIRST_DAY) | (days > LAST_DAY)
    if wrong.any():
        raise BrokenLog("a date is not of the years 1 to 9999", position=int(position[wrong][0]))


class _Uneven(ValueError):
    """Arrays that do not have the elements that were expected."""


def _elements(sent: bytes, counts: NDArray[np.int32], width: int) -> NDArray[np.int64]:
    """The elements of joined binary arrays of 4 or 8 byte integers, `counts` in each. Raises _Uneven.

    PostgreSQL sends an array as 12 bytes (dimensions first), 8 more per dimension (its length first; an empty array
    has none), and before each element its length in 4 bytes, -1 for a missing one (src/backend/utils/adt/
    arrayfuncs.c, array_send).
    """
    words = np.frombuffer(sent, ">i4")
    stride = 1 + width // 4
    sizes = np.where(counts > 0, 5 + counts * stride, 3)
    if len(words) != sizes.sum():
        raise _Uneven("lists of postings differ in length")
    headers = np.cumsum(sizes) - sizes
    filled = counts > 0
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    at = np.repeat(headers + 5, counts) + within * stride + 1
    if (
        (words[headers] != filled).any()
        or (words[headers[filled] + 3] != counts[filled]).any()
        or (words[at - 1] != width).any()
    ):
        raise _Uneven("lists of postings differ in length or have holes")
    first: NDArray[np.int64] = words[at].astype(np.int64)
    if width == 4:
        return first
    whole: NDArray[np.int64] = (first << 32) | words[at + 1].astype(np.int64) & 0xFFFFFFFF
    return whole
