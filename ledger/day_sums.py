"""Sums of one account by business date: what a cap, a limit or a round's available money needs to know.

An account's value on day d, as known now, is the sum of its postings effective on or before d.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from mypy_extensions import mypyc_attr

from ledger.dates import Day, shared

#: Of a run of days, in fen: the sum, and the least and the most that the last of them (or none) add up to.
_Run = tuple[int, int, int]

#: Days joined to one text, the sum of each, the total; the last days with a sum below and above 0.
_Kept = tuple[str, list[int], int, Day, Day]
_DAY_LENGTH: Final = len("2024-01-31")

#: Up to so many days are walked one by one.
_FEW_DAYS: Final = 32


@mypyc_attr(acyclic=True)
class DaySums:
    """The sorted days, the sum of each and the total, in fen. Adding in date order is O(1). So is asking about a
    day after which nothing fell (for the highest value) or rose (for the lowest); else months are walked."""

    __slots__ = ("_falls_until", "_months", "_rises_until", "amounts_fen", "days", "total_fen")

    def __init__(self) -> None:
        # Two lists and no dictionary: an account is little to remember, and there are very many.
        self.days: list[Day] = []
        self.amounts_fen: list[int] = []
        self.total_fen = 0
        self._falls_until: Day = ""  # no day after this one has a sum below 0
        self._rises_until: Day = ""  # nor after this one a sum above 0
        self._months: dict[str, _Run | None] | None = (
            None  # in order, once there are many days; None: sum it anew
        )

    def add(self, day: Day, amount_fen: int) -> None:
        """Post `amount_fen` (signed) on `day`."""
        self.total_fen += amount_fen
        days = self.days
        at = len(days) if not days or day > days[-1] else bisect_left(days, day)
        if at < len(days) and days[at] == day:
            amount_fen += self.amounts_fen[at]
            self.amounts_fen[at] = amount_fen
        else:
            days.insert(at, shared(day))  # many accounts have the same days
            self.amounts_fen.insert(at, amount_fen)
            if self._months is not None and day[:7] not in self._months:
                self._months = None  # a new month stands in order only when all are listed again
        if amount_fen < 0:
            self._falls_until = max(self._falls_until, day)
        elif day > self._rises_until:
            self._rises_until = day
        if self._months is not None:
            self._months[day[:7]] = None

    def take(self, days: Sequence[Day], amounts_fen: Sequence[int]) -> None:
        """Post a sum on each of some days."""
        for at, day in enumerate(days):
            self.add(day, amounts_fen[at])

    def items(self) -> list[tuple[Day, int]]:
        """Each day with its sum, in order."""
        return list(zip(self.days, self.amounts_fen, strict=True))

    def at(self, day: Day) -> int:
        """The value on `day`: everything effective on or before it."""
        if not self.days or day >= self.days[-1]:
            return self.total_fen
        return self.total_fen - sum(self.amounts_fen[bisect_right(self.days, day) :])

    def highest_from(self, day: Day) -> int:
        """max over d >= day of the value on d."""
        if day >= self._falls_until:
            return self.total_fen
        return self.total_fen - self._after(day)[1]

    def lowest_from(self, day: Day) -> int:
        """min over d >= day of the value on d."""
        if day >= self._rises_until:
            return self.total_fen
        return self.total_fen - self._after(day)[2]

    def _after(self, day: Day) -> _Run:
        """The days after `day`."""
        days, month, run = self.days, day[:7], (0, 0, 0)
        first = bisect_right(days, day)
        if len(days) - first <= _FEW_DAYS:
            return self._before(run, first, len(days))
        for later, known in reversed(self._listed_months().items()):
            if later <= month:
                break
            fen, least_fen, most_fen = known or self._summed(later)
            run = (run[0] + fen, min(run[1], run[0] + least_fen), max(run[2], run[0] + most_fen))
        return self._before(run, first, bisect_left(days, month + "~"))

    def _before(self, run: _Run, first: int, end: int) -> _Run:
        """A run of days with those from `first` to before `end` in front of it."""
        fen, least_fen, most_fen = run
        for amount_fen in reversed(self.amounts_fen[first:end]):
            fen += amount_fen
            if fen < least_fen:
                least_fen = fen
            elif fen > most_fen:
                most_fen = fen
        return fen, least_fen, most_fen

    def _listed_months(self) -> dict[str, _Run | None]:
        if self._months is None:
            self._months = dict.fromkeys([day[:7] for day in self.days])
        return self._months

    def _summed(self, month: str) -> _Run:
        first, end = bisect_left(self.days, month), bisect_left(self.days, month + "~")
        run = self._listed_months()[month] = self._before((0, 0, 0), first, end)
        return run

    def kept(self) -> _Kept:
        """All that `day_sums_of` needs to make it again: what else is remembered is computed again."""
        days = "".join(self.days)
        return days, self.amounts_fen, self.total_fen, self._falls_until, self._rises_until

    def copy(self) -> DaySums:
        """An independent copy."""
        twin = DaySums()
        twin.days, twin.amounts_fen, twin.total_fen = list(self.days), list(self.amounts_fen), self.total_fen
        twin._falls_until, twin._rises_until = self._falls_until, self._rises_until
        return twin


def day_sums_of(kept: _Kept) -> DaySums:
    """What `kept` told."""
    sums = DaySums()
    days, sums.amounts_fen, sums.total_fen, sums._falls_until, sums._rises_until = kept
    sums.days = [shared(days[at : at + _DAY_LENGTH]) for at in range(0, len(days), _DAY_LENGTH)]
    return sums


def room_fen(limit: DaySums, used: DaySums, on: Day) -> int:
    """What may still be added on `on`: min over d >= on of (limit(d) - used(d)), never below 0 (design §4).

    Not limit - used(on), and not limit - everything: both break under back-dating.
    """
    if not limit.days or on >= limit.days[-1]:
        return max(0, limit.total_fen - used.highest_from(on))
    grew_fen = dict(_since(limit, on))
    for day, fen in _since(used, on):
        grew_fen[day] = grew_fen.get(day, 0) - fen
    left_fen = least_fen = limit.total_fen - used.total_fen
    for day in sorted(grew_fen, reverse=True):
        left_fen -= grew_fen[day]
        least_fen = min(least_fen, left_fen)
    return max(0, least_fen)


def _since(sums: DaySums, on: Day) -> list[tuple[Day, int]]:
    """The days after `on`, each with its sum."""
    first = bisect_right(sums.days, on)
    return list(zip(sums.days[first:], sums.amounts_fen[first:], strict=True))
