"""The log as it is decided again: read once, in order, some thousand events at a time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from ledger.redecide import Recorded
from ledger.store import Store
from projections.fold import fold, walk
from projections.progress import Progress, silent


def recorded_events(
    store: Store, after: int, until: int, progress: Progress = silent
) -> Generator[Recorded, None, None]:
    """The events with after < position <= until, in order, streamed in constant memory."""
    with closing(walk(store, "recorded_events", after=after, until=until)) as parts:
        for rows in parts:
            for row in rows:
                yield Recorded(*row)
            progress("log", rows[-1][0], until)


def account_ids(store: Store) -> dict[str, str]:
    """The ids of all accounts, as `Recorded` spells them, by path."""
    ((paths, ids),) = fold(store, "all_accounts")
    return dict(zip(paths.split("\n"), ids.split("\n"), strict=True)) if paths else {}


def watched_positions(store: Store, until: int) -> frozenset[int]:
    """The positions that recorded reversals, granted or refused, ask for."""
    return frozenset(row[0] for row in fold(store, "reversed_positions", until=until))


def go_on() -> None:
    """What is called now and then by long work that nobody may end: nothing."""
