"""Business dates (业务日期).

A day is an ISO string `YYYY-MM-DD` everywhere in the ledger: it compares in calendar order, it is what the
canonical bytes hold, and no conversion can go wrong between them.
"""

from __future__ import annotations

import datetime
from functools import lru_cache
from typing import Final

Day = str

#: Later than every business date: "all effective dates".
END_OF_TIME: Final[Day] = "9999-12-31"

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

# China has had one zone without summer time since 1991; a fixed offset needs no time zone database.
SHANGHAI: Final = datetime.timezone(datetime.timedelta(hours=8), "Asia/Shanghai")


@lru_cache(maxsize=65_536)
def is_day(text: str) -> bool:
    """Whether `text` is a real date written `YYYY-MM-DD` (ISO 8601 extended format, ASCII digits only)."""
    if len(text) != 10 or text[4] != "-" or text[7] != "-" or not text.isascii():
        return False
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


@lru_cache(maxsize=65_536)
def shared(day: Day) -> Day:
    """The same day, as one object for all who remember it. The interpreter's own table of such texts holds so many
    others that looking into it costs more than what is done with the day."""
    return day


@lru_cache(maxsize=65_536)
def _ordinal(day: Day) -> int:
    return datetime.date.fromisoformat(day).toordinal()


def days_between(first: Day, last: Day) -> int:
    """How many days a period has, both ends included."""
    return _ordinal(last) - _ordinal(first) + 1


def microseconds(instant: datetime.datetime) -> int:
    """Microseconds since 1970-01-01T00:00Z, exactly."""
    return (instant - _EPOCH) // datetime.timedelta(microseconds=1)


def today_in_shanghai() -> Day:
    """Today's date in Asia/Shanghai. Only the shell may ask: the pure core gets the day handed in."""
    return datetime.datetime.now(SHANGHAI).date().isoformat()
