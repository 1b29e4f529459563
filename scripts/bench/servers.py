"""What the benchmarks of the HTTP service share: a ledger of their own, servers, the client process, medians."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ledger.server import share
from scripts.bench.claims import Line
from scripts.bench.measuring import Figures

ROOT = Path(__file__).resolve().parents[2]
KEJIN = [sys.executable, "-m", "api"]


@dataclass(frozen=True)
class Bench:
    """A ledger and some servers on it."""

    folder: Path
    ports: list[int]

    def record(self, lines: Iterable[Line]) -> float:
        """Record lines by `kejin run`; the seconds."""
        started = time.perf_counter()
        words = [*KEJIN, "run", "-", "--json", "--data", str(self.folder / "data")]
        done = subprocess.run(words, input=ndjson(lines), stdout=subprocess.DEVNULL, cwd=ROOT, check=False)
        if done.returncode:
            raise SystemExit(f"kejin run ended with {done.returncode}")
        return time.perf_counter() - started

    def ask(self, requests: Iterable[bytes], connections: int) -> dict[str, Any]:
        """Send requests from a client process; what it measured."""
        file = self.folder / "requests"
        file.write_bytes(b"".join(len(request).to_bytes(4, "big") + request for request in requests))
        ports = ",".join(map(str, self.ports))
        words = [sys.executable, "-m", "scripts.bench.client", str(file), ports, str(connections)]
        done = subprocess.run(words, capture_output=True, cwd=ROOT, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@contextlib.contextmanager
def bench(servers: int = 1) -> Iterator[Bench]:
    """A new ledger on the embedded PostgreSQL, and server processes on it."""
    with tempfile.TemporaryDirectory(prefix="kejin-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with share(folder / "data"), contextlib.ExitStack() as stack:
            ports = [stack.enter_context(_server(folder, number)) for number in range(servers)]
            yield Bench(folder, ports)


@contextlib.contextmanager
def _server(folder: Path, number: int) -> Iterator[int]:
    words = [*KEJIN, "serve", "--port", "0", "--json", "--data", str(folder / "data")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEJIN_")}
    with (folder / f"server-{number}.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, env=environment)
    assert process.stdout is not None
    try:
        address = json.loads(process.stdout.readline())["address"]
        urllib.request.urlopen(f"{address}/health").close()  # our own address
        yield int(address.rpartition(":")[2])
    finally:
        process.terminate()
        process.wait()


def ndjson(lines: Iterable[Line]) -> bytes:
    """Lines as `kejin run` reads them."""
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def post(line: Line) -> bytes:
    """One command as a request."""
    fields = orjson.dumps({name: value for name, value in line.items() if name != "command"})
    return request("POST", f"/v1/commands/{line['command']}", fields)


def request(method: str, address: str, body: bytes = b"") -> bytes:
    """A request of HTTP/1.1."""
    head = f"{method} {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def arguments(about: str, events: int, connections: int = 32) -> argparse.Namespace:
    """The options that every row takes."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--events", type=int, default=events, help="requests or lines of each run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--connections", type=int, default=connections)
    return parser.parse_args()


def add(figures: Figures, name: str, run: dict[str, Any], beside: str | None = None) -> None:
    """One run of requests: how many a second, and how long the middle one and the slowest of a hundred took."""
    figures.add(f"{name}: a second", run["per_second"], "1/s", beside)
    for key, title in (("p50_ms", "p50"), ("p99_ms", "p99")):
        if key in run:
            figures.add(f"{name}: {title}", run[key], "ms")
