"""Row: single claims over HTTP, each durable, cap-checked, hashed, under its own key. The state is cold in the first
run (each loan and firm is remembered for the first time) and warm in the others; both are reported."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.bench.claims import claims, opening
from scripts.bench.servers import arguments, bench, post, report


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", events=8_000)
    with bench(options.servers) as running:
        running.record(opening("B"))
        sent = claims("B", (options.runs + 1) * options.events)
        found = [
            running.ask(map(post, itertools.islice(sent, options.events)), options.connections)
            for _ in range(options.runs + 1)
        ]
        assert all(run["statuses"] == {"201": options.events} for run in found), found
        report("http_singles", options, found[1:], cold=found[0])


if __name__ == "__main__":
    main()
