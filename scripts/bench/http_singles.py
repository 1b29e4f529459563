"""Row: single claims over HTTP, each durable, cap-checked, hashed, under its own key, over 32 connections of a client
process; and over two server processes on one ledger.

The state is cold in the first run (each loan and firm is remembered for the first time) and warm in the others. Beside
them, in turn, peers that append one event under a condition, from 8 threads.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from scripts.bench import single_peers
from scripts.bench.claims import Line, claims, opening
from scripts.bench.measuring import Figures
from scripts.bench.servers import Bench, add, arguments, bench, post

_SINGLES = "single claims"


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", events=8_000)
    figures = Figures("http_singles", options)
    for servers, name in ((1, _SINGLES), (2, f"{_SINGLES}, two servers")):
        with bench(servers) as running:
            running.record(opening("B"))
            sent = claims("B", (options.runs + 1) * options.events)
            _run(running, sent, options.events, options.connections, figures, f"{name}, cold")
            for _ in range(options.runs):
                _run(running, sent, options.events, options.connections, figures, name)
    for _ in range(options.runs):
        single_peers.measure(figures, f"{_SINGLES}: a second")
    figures.tell()


def _run(
    running: Bench, sent: Iterator[Line], count: int, connections: int, figures: Figures, name: str
) -> None:
    found = running.ask(map(post, itertools.islice(sent, count)), connections)
    assert found["statuses"] == {"201": count}, found
    add(figures, name, found, None if name == _SINGLES else f"{_SINGLES}: a second")


if __name__ == "__main__":
    main()
