"""A client process for the benchmarks: sends prepared requests over some connections, one after the other on each.

`python -m scripts.bench.client REQUESTS PORT CONNECTIONS`: REQUESTS is a file of requests, each preceded by its length
in 4 bytes. Prints one JSON document. It speaks just enough HTTP to cost little beside the server.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvloop


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the last one is answered."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is none by inheritance
        self._next()

    def _next(self) -> None:
        request = next(self._client.requests, None)
        if request is None:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._client.answered(int(head[9:12]), time.perf_counter() - self._sent_at)
        self._received = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._client.left()


class Client:
    """All connections of one run."""

    def __init__(self, requests: Iterator[bytes], connections: int) -> None:
        self.requests = requests
        self._open = connections
        self._seconds: list[float] = []
        self._statuses: Counter[int] = Counter()

    async def run(self, ports: list[int]) -> dict[str, object]:
        """Until every request is answered."""
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        started = time.perf_counter()
        for number in range(self._open):
            await loop.create_connection(lambda: _Connection(self), "127.0.0.1", ports[number % len(ports)])
        await self._ended
        seconds = time.perf_counter() - started
        ordered = sorted(self._seconds)
        return {
            "requests": len(ordered),
            "per_second": round(len(ordered) / seconds),
            "p50_ms": round(1_000 * ordered[len(ordered) // 2], 2),
            "p99_ms": round(1_000 * ordered[int(len(ordered) * 0.99)], 2),
            "max_ms": round(1_000 * ordered[-1], 2),
            "statuses": {str(status): count for status, count in self._statuses.items()},
        }

    def answered(self, status: int, seconds: float) -> None:
        """One request was answered."""
        self._statuses[status] += 1
        self._seconds.append(seconds)

    def left(self) -> None:
        """A connection has nothing more to send."""
        self._open -= 1
        if self._open == 0:
            self._ended.set_result(None)


def read_requests(file: Path) -> Iterator[bytes]:
    """The requests of a file."""
    data, place = file.read_bytes(), 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 4 + length]
        place += 4 + length


def main() -> None:
    """Run once; the ports are separated by commas."""
    file, ports, connections = Path(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3])
    client = Client(iter(list(read_requests(file))), connections)
    print(json.dumps(uvloop.run(client.run([int(port) for port in ports]))))


if __name__ == "__main__":
    main()
