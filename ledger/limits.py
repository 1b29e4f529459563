"""Limits: the postings that date a cap's limit."""

from __future__ import annotations

from ledger.dates import Day
from ledger.day_sums import DaySums
from ledger.events import Posting


def missing_limit(account: str, posted: DaySums, limit_fen: int, since: Day) -> tuple[Posting, ...]:
    """The postings that make the limit `limit_fen` from `since` on, up to the next date that gives another.

    Usually one, with the first event that needs it, and none afterwards.
    """
    change_fen = limit_fen - posted.at(since)
    if change_fen == 0:
        return ()
    later = next((day for day, fen in posted.items() if day > since and fen), None)
    first = Posting(account, change_fen, since)
    return (first,) if later is None else (first, Posting(account, -change_fen, later))
