"""Sums of one account by business date: what a cap, a limit or a round's available money needs to know.

An account's value on day d, as known now, is the sum of its postings effective on or before d.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from ledger.dates import Day


class DaySums:
    """`{day: sum}`, the sorted days and the total, all in fen. Adding in date order and asking about the
    newest day are O(1); anything back-dated is linear in the days after it."""

    __slots__ = ("by_day", "days", "total_fen")

    def __init__(self) -> None:
        self.by_day: dict[Day, int] = {}
        self.days: list[Day] = []
        self.total_fen = 0

    def add(self, day: Day, amount_fen: int) -> None:
        """Post `amount_fen` (signed) on `day`."""
        known = self.by_day.get(day)
        if known is None:
            if self.days and day < self.days[-1]:
                insort(self.days, day)
            else:
                self.days.append(day)
            self.by_day[day] = amount_fen
        else:
            self.by_day[day] = known + amount_fen
        self.total_fen += amount_fen

    def at(self, day: Day) -> int:
        """The value on `day`: everything effective on or before it."""
        if not self.days or day >= self.days[-1]:
            return self.total_fen
        later = bisect_right(self.days, day)
        return self.total_fen - sum(self.by_day[d] for d in self.days[later:])

    def highest_from(self, day: Day) -> int:
        """max over d >= day of the value on d."""
        value = highest = self.total_fen
        by_day = self.by_day
        for d in reversed(self.days):
            if d <= day:
                break
            value -= by_day[d]
            if value > highest:  # noqa: PLR1730 - max() costs more than the comparison in this hot loop
                highest = value
        return highest

    def lowest_from(self, day: Day) -> int:
        """min over d >= day of the value on d."""
        value = lowest = self.total_fen
        by_day = self.by_day
        for d in reversed(self.days):
            if d <= day:
                break
            value -= by_day[d]
            if value < lowest:  # noqa: PLR1730 - as above
                lowest = value
        return lowest

    def copy(self) -> DaySums:
        """An independent copy."""
        twin = DaySums()
        twin.by_day, twin.days, twin.total_fen = dict(self.by_day), list(self.days), self.total_fen
        return twin


def room_fen(limit: DaySums, used: DaySums, on: Day) -> int:
    """What may still be added on `on`: min over d >= on of (limit(d) - used(d)), never below 0 (design §4).

    Not limit - used(on), and not limit - everything: both break under back-dating.
    """
    if not limit.days or on >= limit.days[-1]:
        return max(0, limit.total_fen - used.highest_from(on))
    turning_days = {on, *limit.days[bisect_left(limit.days, on) :], *used.days[bisect_left(used.days, on) :]}
    return max(0, min(limit.at(day) - used.at(day) for day in turning_days))
