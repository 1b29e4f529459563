"""The whole log decided again: `kejin verify decisions`, the whole process.

    python -m scripts.bench.redeciding [--events N] [--runs N]

A programme of N events, recorded by `kejin run`. Prints one JSON document; times are medians, in seconds; CPU time is
that of the command and its second process, without the database's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from ledger.server import share
from scripts.bench.cap_proof import KEJIN, record_programme, settle


def main() -> None:
    """Measure and print."""
    print(json.dumps(measure("redeciding", ["verify", "decisions"], __doc__)))


def measure(name: str, words: list[str], about: str | None) -> dict[str, Any]:
    """Record a programme in a folder that is gone afterwards and run a command on it several times."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kejin-bench-") as parent:
        folder = Path(parent) / "data"
        with share(folder) as server:
            record_programme(folder, server.address(), chosen.events)
            settle(server.address())
            timed = [_timed(folder, words) for _ in range(chosen.runs)]
    seconds = statistics.median(wall for wall, _ in timed)
    return {
        "benchmark": name,
        "cores": os.cpu_count(),
        "runs": chosen.runs,
        "events": chosen.events,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(statistics.median(cpu for _, cpu in timed), 3),
        "events_per_second": round(chosen.events / seconds),
    }


def _timed(folder: Path, words: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one run. Raises CalledProcessError where it finds a fault."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    command = [str(KEJIN), *words, "--data", str(folder), "--json"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return perf_counter() - started, used


if __name__ == "__main__":
    main()
