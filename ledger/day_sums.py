"""Sums of one account by business date: what a cap, a limit or a round's available money needs to know.

An account's value on day d, as known now, is the sum of its postings effective on or before d.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from sys import intern
from typing import Final

from ledger.dates import Day

#: Of a run of days, in fen: the sum, and the least and the most that the last of them (or none) add up to.
_Run = tuple[int, int, int]

#: Up to so many days are walked one by one.
_FEW_DAYS: Final = 32


class DaySums:
    """`{day: sum}`, the sorted days and the total, all in fen. Adding in date order is O(1). So is asking about a
    day after which nothing fell (for the highest value) or rose (for the lowest); else months are walked."""

    __slots__ = ("_falls_until", "_months", "_rises_until", "by_day", "days", "total_fen")

    def __init__(self) -> None:
        self.by_day: dict[Day, int] = {}
        self.days: list[Day] = []
        self.total_fen = 0
        self._falls_until: Day = ""  # no day after this one has a sum below 0
        self._rises_until: Day = ""  # nor after this one a sum above 0
        self._months: dict[str, _Run | None] | None = (
            None  # in order, once there are many days; None: sum it anew
        )

    def add(self, day: Day, amount_fen: int) -> None:
        """Post `amount_fen` (signed) on `day`."""
        self.total_fen += amount_fen
        known = self.by_day.get(day)
        if known is None:
            day = intern(day)  # many accounts have the same days
            self._begin(day)
        else:
            amount_fen += known
        self.by_day[day] = amount_fen
        if amount_fen < 0:
            self._falls_until = max(self._falls_until, day)
        elif day > self._rises_until:
            self._rises_until = day
        if self._months is not None:
            self._months[day[:7]] = None

    def _begin(self, day: Day) -> None:
        if self.days and day < self.days[-1]:
            insort(self.days, day)
        else:
            self.days.append(day)
        if self._months is not None and day[:7] not in self._months:
            self._months = None  # a new month stands in order only when all are listed again

    def at(self, day: Day) -> int:
        """The value on `day`: everything effective on or before it."""
        if not self.days or day >= self.days[-1]:
            return self.total_fen
        later = bisect_right(self.days, day)
        return self.total_fen - sum(self.by_day[d] for d in self.days[later:])

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
            return self._before(run, days[first:])
        for later, known in reversed(self._listed_months().items()):
            if later <= month:
                break
            fen, least_fen, most_fen = known or self._summed(later)
            run = (run[0] + fen, min(run[1], run[0] + least_fen), max(run[2], run[0] + most_fen))
        return self._before(run, days[first : bisect_left(days, month + "~")])

    def _before(self, run: _Run, days: list[Day]) -> _Run:
        """A run of days with these before it."""
        (fen, least_fen, most_fen), by_day = run, self.by_day
        for day in reversed(days):
            fen += by_day[day]
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
        first, last = bisect_left(self.days, month), bisect_left(self.days, month + "~")
        run = self._listed_months()[month] = self._before((0, 0, 0), self.days[first:last])
        return run

    def copy(self) -> DaySums:
        """An independent copy."""
        twin = DaySums()
        twin.by_day, twin.days, twin.total_fen = dict(self.by_day), list(self.days), self.total_fen
        twin._falls_until, twin._rises_until = self._falls_until, self._rises_until
        return twin


def room_fen(limit: DaySums, used: DaySums, on: Day) -> int:
    """What may still be added on `on`: min over d >= on of (limit(d) - used(d)), never below 0 (design §4).

    Not limit - used(on), and not limit - everything: both break under back-dating.
    """
    if not limit.days or on >= limit.days[-1]:
        return max(0, limit.total_fen - used.highest_from(on))
    first_of_limit, first_of_use = bisect_right(limit.days, on), bisect_right(used.days, on)
    left_fen = least_fen = limit.total_fen - used.total_fen
    for day in sorted({*limit.days[first_of_limit:], *used.days[first_of_use:]}, reverse=True):
        left_fen -= limit.by_day.get(day, 0) - used.by_day.get(day, 0)
        least_fen = min(least_fen, left_fen)
    return max(0, least_fen)
