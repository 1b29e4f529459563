"""Row: claims over HTTP as NDJSON batches, streamed both ways; each claim durable, cap-checked, hashed, under its own
key."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.bench.claims import claims, opening
from scripts.bench.servers import arguments, bench, ndjson, report


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", events=40_000, connections=1)
    with bench(options.servers) as running:
        running.record(opening("B"))
        sent = claims("B", (options.runs + 1) * options.events)
        found = [_run(running, list(itertools.islice(sent, options.events))) for _ in range(options.runs + 1)]
        report("http_batches", options, found[1:], cold=found[0])


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
