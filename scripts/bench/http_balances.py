"""Row: balances over HTTP, at random business dates and positions, of the round and of random firms' caps."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.bench.claims import claims, opening
from scripts.bench.servers import arguments, bench, report, request

_RECORDED = 100_000


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", events=6_000)
    with bench(options.servers) as running:
        lines = [*opening("B"), *claims("B", _RECORDED)]
        running.record(lines)
        running.ask(_requests(100, len(lines), 0), options.connections)  # the projections catch up
        found = [
            running.ask(_requests(options.events, len(lines), seed), options.connections)
            for seed in range(1, options.runs + 1)
        ]
        assert all(run["statuses"] == {"200": options.events} for run in found), found
        report("http_balances", options, found, recorded=len(lines))


def _requests(count: int, last: int, seed: int) -> Iterator[bytes]:
    chosen = random.Random(seed)
    accounts = ["public/round/B/available", "public/round/B/committed"]
    accounts += [f"quota/shanxi.loan_interest.loan/B-{chosen.randrange(4_000)}" for _ in range(400)]
    for _ in range(count):
        day = f"2026-{chosen.randrange(1, 13):02d}-{chosen.randrange(1, 29):02d}"
        known = chosen.randrange(last // 2, last)
        account = accounts[chosen.randrange(2)] if chosen.random() < 0.5 else chosen.choice(accounts)
        yield request("GET", f"/v1/balances/{account}?on={day}&known_position={known}")


if __name__ == "__main__":
    main()
