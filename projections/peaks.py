"""The largest value that each key ever had, over all history, on both clocks.

A key is whatever has lines on business dates: a cap's use above its limit, a cap's use alone. Its value on day D as
known at position P is the sum of its lines with day <= D and position <= P. `peaks` gives the largest one over every
D and every P. Pure numpy, for all keys at once, in O(lines * log(days of a key)) whatever the skew.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Indices = NDArray[np.integer[Any]]
Amounts = NDArray[
    Any
]  # int64, or Python integers of any size (dtype object): the arithmetic below is the same

#: Sums of amounts whose absolute values stay below this fit int64 with room for the rounding of a float64 sum.
_SAFE_SUM: Final = float(2**62)

_HALF: Final = 32  # two numbers below 2**31 are packed into one int64, because sorting plain int64 is fast
_LOW: Final = (1 << _HALF) - 1


def peaks(
    key: Indices,
    position: Indices,
    day: Indices,
    amount: NDArray[np.int64],
    keys: int | None = None,
) -> Amounts:
    """Per key the largest value over all days as known at the end of any event, at least 0 (before any line).

    Four arrays of equal length describe lines in order of the log: `key` (0 <= key < `keys`; by default as many as
    the highest key asks for), `position` (never decreasing; lines of one event are adjacent and count together),
    `day` (any 32-bit day number) and `amount` (signed, any unit). Answers int64 in that unit, exact; where the sums
    of some key might not fit, Python integers (dtype object) for all. At most 2**31 - 1 lines and keys.
    """
    count = int(key.max(initial=-1)) + 1 if keys is None else keys
    huge = np.bincount(key, np.abs(amount.astype(np.float64)), count) >= _SAFE_SUM
    if not huge.any():
        return _peaks(key, position, day, amount, count)
    result = np.zeros(count, object)
    for chosen, kind in ((~huge, np.int64), (huge, object)):
        of = chosen[key]
        result[chosen] = _peaks(key[of], position[of], day[of], amount[of].astype(kind), count)[chosen]
    return result


def _peaks(key: Indices, position: Indices, day: Indices, amount: Amounts, count: int) -> Amounts:
    """As `peaks`, of keys whose sums fit the type of `amount`."""
    # Without negative lines a value only grows: its largest is the total.
    result = np.zeros(count, amount.dtype)
    np.add.at(result, key, amount)
    falls = np.zeros(count, np.bool_)
    falls[key[amount < 0]] = True
    of = falls[key]
    key, position, day, amount = _collapsed(key[of], position[of], day[of], amount[of])
    if not len(key):
        return result
    goes_back = np.zeros(count, np.bool_)
    goes_back[key[1:][(key[1:] == key[:-1]) & (day[1:] < day[:-1])]] = True
    of = goes_back[key]
    _by_running_sum(result, key[~of], amount[~of])
    _by_trees(result, key[of], position[of], day[of], amount[of])
    return result


def _collapsed(
    key: Indices, position: Indices, day: Indices, amount: Amounts
) -> tuple[Indices, Indices, Indices, Amounts]:
    """The lines by (key, position, day), one for each."""
    if not len(key):
        return key, position, day, amount
    order = _order_by(key)
    key, position, day, amount = key[order], position[order], day[order].astype(np.int64), amount[order]
    new_event = _changes(key, position)
    if (~new_event[1:] & (day[1:] < day[:-1])).any():
        event = np.cumsum(new_event)
        order = np.argsort((event << _HALF) | (day - day.min()), kind="stable")
        key, position, day, amount = key[order], position[order], day[order], amount[order]
    first = np.flatnonzero(_changes(key, position, day))
    return key[first], position[first], day[first], np.add.reduceat(amount, first)


def _by_running_sum(result: Amounts, key: Indices, amount: Amounts) -> None:
    """Where days never go back, every value is the total so far at some line. Lines by key; fills `result`."""
    if not len(key):
        return
    first = np.flatnonzero(_changes(key))
    value = _sums_within(amount, first)
    result[key[first]] = np.maximum(np.maximum.reduceat(value, first), 0)


def _by_trees(result: Amounts, key: Indices, position: Indices, day: Indices, amount: Amounts) -> None:
    """A segment tree over the days of each key, swept by position. Lines by (key, position, day); fills `result`.

    A node keeps the sum of its days and their largest prefix sum. Instead of one line after another, one level of
    all trees after another: a node's history is that of its two children merged in order of time.
    """
    if not len(key):
        return
    key, position, leaf, height, amount = _planted(key, position, day, amount)
    sums, highest = _leaf_values(leaf, amount)
    for level in range(int(height[0])):
        growing = int(np.searchsorted(-height, -level))  # lines of trees that are higher than this level
        _climb(leaf[:growing] >> level, sums[:growing], highest[:growing])
    last_of_event = np.append(_changes(key, position)[1:], True)
    first = np.flatnonzero(_changes(key))
    result[key[first]] = np.maximum.reduceat(np.where(last_of_event, highest, 0), first)


def _planted(
    key: Indices, position: Indices, day: Indices, amount: Amounts
) -> tuple[Indices, Indices, Indices, Indices, Amounts]:
    """The lines with their leaf and the height of their tree, the highest trees first: those still growing at a
    level are then a slice, and a leaf shifted by a level is a node that no other tree has."""
    tree = np.cumsum(_changes(key)) - 1
    distinct, rank = np.unique((tree << _HALF) | (day - day.min()), return_inverse=True)
    days_of_tree = np.bincount(distinct >> _HALF)
    rank -= (np.cumsum(days_of_tree) - days_of_tree)[tree]
    height_of_tree = np.ceil(np.log2(days_of_tree)).astype(np.int64)
    trees = np.argsort(-height_of_tree, kind="stable")
    width = np.left_shift(1, height_of_tree[trees])
    leaf_of_tree = np.empty_like(width)
    leaf_of_tree[trees] = np.cumsum(width) - width
    place_of_tree = np.empty_like(trees)
    place_of_tree[trees] = np.arange(len(trees))
    order = _order_by(place_of_tree[tree])
    leaf = leaf_of_tree[tree] + rank
    return key[order], position[order], leaf[order], height_of_tree[tree][order], amount[order]


def _leaf_values(leaf: Indices, amount: Amounts) -> tuple[Amounts, Amounts]:
    """After each line the sum of its leaf, and the same or 0 if that is more."""
    order = _order_by(leaf)
    sums = np.empty_like(amount)
    sums[order] = _sums_within(amount[order], np.flatnonzero(_changes(leaf[order])))
    return sums, np.maximum(sums, 0)


def _climb(node: Indices, sums: Amounts, highest: Amounts) -> None:
    """From each line's node to its parent, in place: the values that the parent has after the line."""
    order = _order_by(node >> 1)
    node, own_sum, own_highest = node[order], sums[order], highest[order]
    # Between two lines of one child the other one stands still: its latest value is that before the run.
    run = np.flatnonzero(_changes(node))
    before = np.maximum(run - 1, 0)
    has_sibling = (node[before] ^ 1) == node[run]
    length = np.diff(np.append(run, len(node)))
    sibling_sum = np.repeat(np.where(has_sibling, own_sum[before], 0), length)
    sibling_highest = np.repeat(np.where(has_sibling, own_highest[before], 0), length)
    is_right = (node & 1).astype(np.bool_)
    sums[order] = own_sum + sibling_sum
    highest[order] = np.where(
        is_right,
        np.maximum(sibling_highest, sibling_sum + own_highest),
        np.maximum(own_highest, own_sum + sibling_highest),
    )


def _order_by(number: Indices) -> Indices:
    """The stable order by a number below 2**31."""
    packed = (number.astype(np.int64) << _HALF) | np.arange(len(number))
    packed.sort()
    return packed & _LOW


def _changes(*columns: Indices) -> Flags:
    """Per line whether any column differs from the line before; true for the first."""
    changed = np.ones(len(columns[0]), np.bool_)
    changed[1:] = columns[0][1:] != columns[0][:-1]
    for column in columns[1:]:
        changed[1:] |= column[1:] != column[:-1]
    return changed


def _sums_within(amount: Amounts, first: Indices) -> Amounts:
    """The running sum within each run that begins at `first`. Sums over all of int64 may wrap; differences of
    them are exact again."""
    running = np.cumsum(amount)
    before = running[first] - amount[first]
    result: Amounts = running - np.repeat(before, np.diff(np.append(first, len(amount))))
    return result
