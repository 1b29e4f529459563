"""Caps: for every business date D, at the end of every event P, used(D, P) <= limit(D, P).

From the postings alone, without the code that decided. A round's available money is bounded likewise: never
below 0 on any date. Per key the question is the largest prefix sum, over its days, of (use - limit).

Three steps, each for the keys that the one before left open: a sufficient test that clears nearly all; the largest
value on both clocks (`projections.peaks`); and, for keys that were passed, line by line which event did it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ledger.dates import Day
from ledger.money import format_fen
from ledger.store import Store
from projections.columns import BrokenLog, Columns
from projections.fold import fold_binary, query
from projections.peaks import peaks
from projections.verification.reading import Reading
from projections.verification.report import Finding, Report

#: Sums of float64 are exact as long as they stay below this.
_EXACT_SUM: Final = float(2**53)

# What moves use between keys, or changes limits after the fact: nobody granted beyond what was known.
_LATER_KNOWLEDGE: Final = frozenset({"PartiesMerged", "FactReversed"})


def check(reading: Reading) -> Report:
    """The first breach of every cap and key: a finding if it was known then, else a notice. Raises BrokenLog."""
    keys = _key_of_accounts(reading.store)
    lines = _joined([_lines_of(columns, keys) for columns in reading.columns()])
    passed = _passed(lines, len(keys))
    if not passed.any():
        return Report()
    positions = np.unique(lines.position[passed[lines.key]])
    return _exactly(reading.store, positions.tolist(), np.flatnonzero(passed[np.abs(keys)]).tolist())


# --- which keys were passed -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines that count for a cap, in order of the log. `key`: the id of an account that stands for it; `day`:
    see `Columns`; `net`: what is used (above 0) or made room for (below 0), in fen."""

    key: NDArray[np.int32]
    position: NDArray[np.int64]
    day: NDArray[np.int32]
    net: NDArray[np.int64]


def _key_of_accounts(store: Store) -> NDArray[np.int32]:
    """By account id the id that stands for its key: positive where a line counts as use, negative where it makes
    room, 0 where no cap rests on it. Raises BrokenLog: ids that are not 1 to n."""
    ((every, ids, keys),) = fold_binary(store, "cap_accounts")
    numbers = np.sort(np.frombuffer(every or b"", ">i4"))
    if not np.array_equal(numbers, np.arange(1, len(numbers) + 1)):
        raise BrokenLog(f"the ids of {len(numbers)} accounts are not 1 to {len(numbers)}", "accounts")
    key_of = np.zeros(len(numbers) + 1, np.int32)
    key_of[np.frombuffer(ids or b"", ">i4")] = np.frombuffer(keys or b"", ">i4")
    return key_of


def _lines_of(columns: Columns, key_of: NDArray[np.int32]) -> _Lines:
    strange = (columns.account < 1) | (columns.account >= len(key_of))
    if strange.any():
        account, position = columns.account[strange][0], int(columns.position[strange][0])
        raise BrokenLog(f"account {account} of event {position} has no row", "accounts")
    key = key_of[columns.account]
    of = np.flatnonzero(key)
    key, amount = key[of], columns.amount_fen[of]
    if (amount == np.iinfo(np.int64).min).any():
        raise BrokenLog(f"an amount between {columns.after + 1} and {columns.until} cannot be taken back")
    return _Lines(np.abs(key), columns.position[of], columns.day[of], np.where(key > 0, amount, -amount))


def _joined(parts: list[_Lines]) -> _Lines:
    nothing = np.empty(0, np.int32)
    return _Lines(
        np.concatenate([nothing, *(part.key for part in parts)]),
        np.concatenate([nothing.astype(np.int64), *(part.position for part in parts)]),
        np.concatenate([nothing, *(part.day for part in parts)]),
        np.concatenate([nothing.astype(np.int64), *(part.net for part in parts)]),
    )


def _passed(lines: _Lines, keys: int) -> NDArray[np.bool_]:
    """Per key whether on some day, at the end of some event, its use was above its limit."""
    open_keys = _unclear(lines, keys)
    of = open_keys[lines.key]
    number = np.cumsum(open_keys) - 1
    highest = peaks(
        number[lines.key[of]], lines.position[of], lines.day[of], lines.net[of], int(open_keys.sum())
    )
    passed = np.zeros(keys, np.bool_)
    passed[open_keys] = highest > 0
    return passed


def _unclear(lines: _Lines, keys: int) -> NDArray[np.bool_]:
    """Per key whether all that was ever added to its use is more than the room that was there from the first use
    on: known by then, and effective on the earliest day of any use. A key that this clears was never passed:
    wherever some use counts, all of that room does."""
    key, added = lines.key, lines.net > 0
    first_known = np.full(keys, np.iinfo(np.int64).max)
    np.minimum.at(first_known, key[added], lines.position[added])
    first_day = np.full(keys, np.iinfo(np.int32).max, np.int32)
    np.minimum.at(first_day, key[added], lines.day[added])
    there = ~added & (lines.position <= first_known[key]) & (lines.day <= first_day[key])
    added_fen = np.bincount(key[added], lines.net[added], keys)
    room_fen = np.bincount(key[there], -lines.net[there], keys)
    # A float64 may be off from that sum on: such keys are added up exactly. Room that reaches it covers all below it.
    return (added_fen > room_fen) | (added_fen >= _EXACT_SUM)


# --- which event passed them ----------------------------------------------------------------------------

Line = tuple[str, int, str, Day, int, bool]  # key, position, event type, day, net fen, is a limit


def _exactly(store: Store, positions: list[int], accounts: list[int]) -> Report:
    """The breaches of some keys, from their lines read one by one."""
    report = Report()
    with store.connection.transaction(), store.connection.cursor(name="cap_lines") as cursor:
        cursor.itersize = 20_000
        cursor.execute(query("cap_lines"), {"positions": positions, "accounts": accounts})
        for key, lines in groupby(cursor, key=itemgetter(0)):
            for breach in breaches(list(lines)):
                what = f"{key} is passed by {format_fen(breach.over_fen)}"
                found = report.findings if breach.known_then else report.notices
                found.append(Finding("caps", what, "events", breach.position))
    return report


@dataclass(frozen=True, slots=True)
class Breach:
    """An event that raised the use of some day above its limit, or further above it than before; `over_fen` is the
    most on such a day."""

    position: int
    over_fen: int
    known_then: bool  # the event itself took more than was left; else later knowledge or a merger did


def breaches(lines: list[Line]) -> list[Breach]:
    """Of one key: the first breach by later knowledge, if any, and the first that was known then, if any.

    Day by day, not by the highest of all days: what one event passed must not hide what a later one passes elsewhere.
    """
    over_after = _over_after(lines)
    found: dict[bool, Breach] = {}
    for (position, kind), group in groupby(lines, key=itemgetter(1, 2)):
        event_lines = list(group)
        over_fen = over_after(event_lines)
        if over_fen > 0:
            raised_use = any(net > 0 and not is_limit for *_, net, is_limit in event_lines)
            known_then = raised_use and kind not in _LATER_KNOWLEDGE
            found.setdefault(known_then, Breach(position, over_fen, known_then))
    return list(found.values())


class _InOrder:
    """Dates never go back from event to event: no day behind an event's first one has a line of another."""

    def __init__(self) -> None:
        self._total_fen = 0

    def __call__(self, lines: Iterable[Line]) -> int:
        """Take in an event: the highest value on the days that it raises, or 0."""
        highest_fen = raised_fen = 0
        for _, of_day in groupby(sorted(lines, key=itemgetter(3)), key=itemgetter(3)):
            net_fen = sum(line[4] for line in of_day)
            raised_fen += net_fen
            self._total_fen += net_fen
            if raised_fen > 0:
                highest_fen = max(highest_fen, self._total_fen)
        return highest_fen


class _AnyOrder:
    """A segment tree over the key's days: each node keeps its sum and its largest prefix sum."""

    def __init__(self, days: list[Day]) -> None:
        self._leaf_of = {day: i for i, day in enumerate(days)}
        self._size = 1 << max(0, (len(days) - 1).bit_length())
        self._sums = [0] * (2 * self._size)
        self._peaks = [0] * (2 * self._size)

    def __call__(self, lines: Iterable[Line]) -> int:
        """Take in an event: the highest value on the days that it raises, or 0."""
        net_fen: dict[int, int] = defaultdict(int)
        for line in lines:
            net_fen[self._leaf_of[line[3]]] += line[4]
        for leaf, fen in net_fen.items():
            self._add(self._size + leaf, fen)
        highest_fen = raised_fen = 0
        for leaf, end in pairwise([*sorted(net_fen), len(self._leaf_of)]):
            raised_fen += net_fen[leaf]
            if raised_fen > 0:
                highest_fen = max(highest_fen, self._highest(leaf, end))
        return highest_fen

    def _add(self, node: int, net_fen: int) -> None:
        sums, peaks = self._sums, self._peaks
        sums[node] += net_fen
        peaks[node] = sums[node]
        node >>= 1
        while node:
            left, right = 2 * node, 2 * node + 1
            sums[node] = sums[left] + sums[right]
            peaks[node] = max(peaks[left], sums[left] + peaks[right])
            node >>= 1

    def _highest(self, first: int, end: int) -> int:
        """The highest value on the days numbered from `first` to before `end`."""
        low, high = first + self._size, end + self._size
        value_fen = self._before(low)
        begin, rest = list[int](), list[int]()
        while low < high:
            if low & 1:
                begin.append(low)
                low += 1
            if high & 1:
                high -= 1
                rest.append(high)
            low, high = low >> 1, high >> 1
        highest_fen = 0
        for node in (*begin, *reversed(rest)):
            highest_fen = max(highest_fen, value_fen + self._peaks[node])
            value_fen += self._sums[node]
        return highest_fen

    def _before(self, node: int) -> int:
        """The sum of all leaves before one."""
        fen = 0
        while node > 1:
            if node & 1:
                fen += self._sums[node - 1]
            node >>= 1
        return fen


def _over_after(lines: list[Line]) -> _InOrder | _AnyOrder:
    by_event = [sorted(line[3] for line in group) for _, group in _events(lines)]
    flat = [day for days in by_event for day in days]
    if all(a <= b for a, b in pairwise(flat)):
        return _InOrder()
    return _AnyOrder(sorted(set(flat)))


def _events(lines: list[Line]) -> Iterator[tuple[int, Iterator[Line]]]:
    return groupby(lines, key=itemgetter(1))
