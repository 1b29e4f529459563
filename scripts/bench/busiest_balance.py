"""Row: the balance of the busiest account, a round's available money, on a day and as known at a position drawn at
random, read in process over one connection.

    python -m scripts.bench.busiest_balance [--events N] [--runs N]

At 100,000 events and at N; the ratio of both is the growth.
"""

from __future__ import annotations

import statistics
from datetime import date, timedelta
from random import Random

from ledger import accounts
from ledger.store import Store
from projections.balances import balance_fen
from projections.clocks import AsOf
from projections.runner import ensure
from scripts.bench.measuring import Figures, Place, arguments, file_of, percentile, place, timed
from scripts.bench.workload import ROUND_YEARS, commands

READS = 1_000
WARM_UP_READS = 100
SMALL_EVENTS = 100_000


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    figures = Figures("busiest_balance", options)
    for events in sorted({min(SMALL_EVENTS, options.events), options.events}):
        _measure(figures, events, options.runs)
    figures.tell()


def _measure(figures: Figures, events: int, runs: int) -> None:
    with place() as ours, file_of(commands(events - 1)) as file:
        ours.kejin("run", "-", given=file, refusals=True)
        measure(figures, ours, events, runs)


def measure(figures: Figures, ours: Place, events: int, runs: int) -> None:
    """Let the projections reach the end, and read."""
    with Store.open(ours.address, as_owner=True) as store:
        newest = store.known_position()
        ensure(store, newest, lambda name, reached, until: None)
    ours.settle()
    with Store.open(ours.address) as store:
        random = Random(7)
        _reads(store, random, newest, WARM_UP_READS)
        for _ in range(runs):
            milliseconds = _reads(store, random, newest, READS)
            for name, value in (
                ("p50", statistics.median(milliseconds)),
                ("p99", percentile(milliseconds, 0.99)),
            ):
                small = f"{name} of a read at {SMALL_EVENTS:,} events"
                title = f"{name} of a read at {events:,} events"
                figures.add(title, value, "ms", None if title == small else small)


def _reads(store: Store, random: Random, newest: int, count: int) -> list[float]:
    account = accounts.available(f"R{ROUND_YEARS[-1]}")
    found = []
    for _ in range(count):
        on = (date(2025, 1, 1) + timedelta(random.randrange(730))).isoformat()
        as_of = AsOf(on, random.randrange(1, newest + 1))
        found.append(timed(lambda: balance_fen(store, account, as_of))[1] * 1e3)  # noqa: B023 - called at once
    return found


if __name__ == "__main__":
    main()
