"""How a server takes the signal that ends it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from types import SimpleNamespace
from typing import Any, cast

import uvicorn

from api.http.batches import operations
from api.roles import ROLES, Scope, permissions_of
from api.service.access import Access, Sender
from api.service.four_eyes import FourEyes
from api.service.limits import Limits
from api.service.logs import LogLines
from api.service.reading import Lane
from api.service.requests import Request
from api.service.serving import Server
from ledger.catalogue import catalogue
from ledger.store import Store
from tests.cli.program import OPENING, ndjson


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


def test_a_batch_that_is_here_whole_when_the_server_stops_has_only_its_lines(database: str) -> None:
    """What was taken is answered, and nothing is said of a rest that there is none of; one whose end is not here yet is
    told where its rest begins."""
    (batch,) = (one for one in operations(catalogue(), Limits()) if one.name == "run")

    async def told(*, more: bool) -> list[Any]:
        lane = Lane("test", lambda: Store.open_for_reading(database, 10.0, by_index=True), 1)
        lane.start()
        service = SimpleNamespace(
            draining=True,
            limits=Limits(),
            batches=asyncio.Semaphore(1),
            bodies=set(),
            access=Access(),
            four_eyes=FourEyes(lambda: False),
            rehearsals=lane,
        )
        sent = list[bytes]()

        async def receive() -> Any:
            return {"type": "http.request", "body": ndjson(*OPENING), "more_body": more}

        async def send(message: Any) -> None:
            sent.append(message.get("body", b""))

        nobody = Sender("nobody", None, Scope(permissions_of(ROLES)))
        request = Request(
            cast(Any, service), {"headers": []}, receive, send, nobody, "en", "x", {"dry_run": True}
        )
        try:
            await batch.handle(request)
        finally:
            await asyncio.to_thread(lane.stop)
        return [json.loads(line) for line in b"".join(sent).splitlines()]

    whole = asyncio.run(told(more=False))
    assert [(line["line"], line["outcome"]) for line in whole] == [(n, "accepted") for n in (1, 2, 3, 4)]
    *begun, last = asyncio.run(told(more=True))
    assert [line["outcome"] for line in begun] == ["accepted"] * 4
    assert (last["line"], last["outcome"], last["code"]) == (5, "unknown", "stopping")
