"""Row: claims over HTTP as NDJSON batches, streamed both ways; each claim durable, cap-checked, hashed, under its own
key."""

from __future__ import annotations

import itertools
import time
from typing import Any

from scripts.bench.claims import claims, opening
from scripts.bench.measuring import Figures
from scripts.bench.servers import add, arguments, bench, ndjson


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", events=40_000, connections=1)
    figures = Figures("http_batches", options)
    with bench() as running:
        running.record(opening("B"))
        sent = claims("B", (options.runs + 1) * options.events)
        for number in range(options.runs + 1):
            name = "claims in batches" if number else "claims in batches, cold"
            add(figures, name, _run(running, list(itertools.islice(sent, options.events))))
    figures.tell()


def _run(running: Any, lines: list[dict[str, Any]]) -> dict[str, Any]:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", running.ports[0])
    body = ndjson(lines)
    started = time.perf_counter()
    connection.request("POST", "/v1/commands", body)
    answer = connection.getresponse().read()
    seconds = time.perf_counter() - started
    connection.close()
    accepted = answer.count(b'"outcome":"accepted"')
    assert accepted == len(lines), answer[-500:]
    return {"requests": len(lines), "per_second": round(len(lines) / seconds)}


if __name__ == "__main__":
    main()
