"""The two clocks of a read: the business date (`on`) and what was known (a position)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.dates import END_OF_TIME, Day


@dataclass(frozen=True, slots=True)
class AsOf:
    """What was effective `on` a day (None: all effective dates), as known at a position."""

    on: Day | None
    known_position: int

    @property
    def last_day(self) -> Day:
        """The day to fold up to."""
        return self.on or END_OF_TIME
