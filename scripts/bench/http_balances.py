"""Row: balances over HTTP, at random business dates and positions, of the round and of random firms' caps."""

from __future__ import annotations

import random
from collections.abc import Iterator

from scripts.bench.claims import claims, opening
from scripts.bench.measuring import Figures
from scripts.bench.servers import add, arguments, bench, request

_RECORDED = 100_000


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", events=10_000)
    figures = Figures("http_balances", options)
    with bench() as running:
        lines = [*opening("B"), *claims("B", _RECORDED)]
        running.record(lines)
        running.ask(_requests(100, len(lines), 0), options.connections)  # the projections catch up
        for seed in range(1, options.runs + 1):
            found = running.ask(_requests(options.events, len(lines), seed), options.connections)
            assert found["statuses"] == {"200": options.events}, found
            add(figures, "balances", found)
    figures.tell()


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
