"""Row: UmaDB, a server of its own: one event under an append condition, read before it, from 8 threads; no caps.

Runs where its wheel is: `python -m venv E && E/bin/pip install umadb && E/bin/python scripts/bench/peer_umadb.py`.
Needs nothing else of this project.
"""

from __future__ import annotations

import argparse
import importlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

_THREADS = 8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    umadb: Any = importlib.import_module("umadb")
    with tempfile.TemporaryDirectory(prefix="umadb-bench-") as folder:
        address = f"127.0.0.1:{_free_port()}"
        program = Path(sys.executable).with_name("umadb")
        words = [str(program), "--listen", address, "--db-path", f"{folder}/bench.db"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            client = _connected(umadb, address)
            speeds = [
                round(options.events / _run(umadb, client, options.events, n)) for n in range(options.runs)
            ]
        finally:
            process.terminate()
            process.wait()
    document = {"row": "peer_umadb", "events": options.events, "per_second_median": statistics.median(speeds)}
    print(json.dumps({**document, "runs": speeds}))


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _connected(umadb: Any, address: str) -> Any:
    deadline = time.monotonic() + 30
    while True:
        try:
            client = umadb.Client(f"http://{address}")
            client.head()
            return client
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _run(umadb: Any, client: Any, count: int, number: int) -> float:
    left = iter(range(count))
    guard = threading.Lock()

    def work() -> None:
        while True:
            with guard:
                one = next(left, None)
            if one is None:
                return
            tag = f"claim:{number}-{one}"
            query = umadb.Query([umadb.QueryItem(tags=[tag])])
            list(client.read(query))
            event = umadb.Event("LoanInterestGranted", b"x" * 400, [tag, "round:R1", "firm:F1", "loan:L1"])
            client.append([event], umadb.AppendCondition(query))

    threads = [threading.Thread(target=work) for _ in range(_THREADS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
