"""How a server takes the signal that ends it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from types import SimpleNamespace
from typing import Any, cast

import uvicorn

from api.service.logs import LogLines
from api.service.serving import Server


class Log:
    """Lines as a server writes them, to be read when they are closed."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        self.lines = LogLines(self._writing)

    def closed(self) -> list[Any]:
        """Close it: what was written."""
        self.lines.close()
        os.close(self._writing)
        with os.fdopen(self._reading) as stream:
            return [json.loads(line) for line in stream]


def test_the_handler_of_a_signal_writes_no_log() -> None:
    """It may have interrupted this thread while it held the log's lock, and would wait for itself for ever. That it is
    stopping is logged by the main loop, which then takes no more requests."""
    before, after, drained = Log(), Log(), list[bool]()
    service = SimpleNamespace(in_flight=3, draining=False, drain=lambda: drained.append(True))
    server = Server(uvicorn.Config(cast(Any, None)), cast(Any, service))
    service.lines = before.lines
    server.handle_exit(signal.SIGINT, None)
    assert (before.closed(), drained) == ([], [])
    service.lines = after.lines
    asyncio.run(server.on_tick(1))
    (line,) = after.closed()
    assert (line["event"], line["in_flight"], drained) == ("stopping", 3, [True])
