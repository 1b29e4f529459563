"""Serving: a listening socket, uvicorn on it, and a stop that loses nothing that was taken."""

from __future__ import annotations

import contextlib
import gc
import ipaddress
import socket
import sys
import time
from types import FrameType
from typing import Final

import uvicorn

from api import interrupts
from api.service.application import application
from api.service.connection import Connection
from api.service.service import Service

_BACKLOG: Final = 2_048
_KEEP_ALIVE_SECONDS: Final = 75
#: How long a stopping server still answers newcomers with 503, so that a balancer notices.
_DRAIN_SECONDS_MIN: Final = 0.5
_DRAIN_SECONDS_MAX: Final = 60.0
#: The writer's thread must get the interpreter back soon after each answer of the database.
_SWITCH_SECONDS: Final = 0.002


class Server(uvicorn.Server):
    """uvicorn, whose stop first lets the service finish what it took."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._asked_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: drain; a second one: stop now. It may come at any moment, also while this thread holds a lock, that
        of the log for one: nothing that takes one is done here."""
        if self._asked_at is not None:
            super().handle_exit(sig, frame)
            return
        self._asked_at = time.monotonic()

    async def on_tick(self, counter: int) -> bool:
        """Whether to leave the main loop: once what was taken is answered."""
        if self._asked_at is not None:
            if not self._service.draining:
                self._service.lines.add("info", "stopping", in_flight=self._service.in_flight)
                self._service.drain()
            waited = time.monotonic() - self._asked_at
            idle = self._service.in_flight == 0 and waited >= _DRAIN_SECONDS_MIN
            self.should_exit = self.should_exit or idle or waited >= _DRAIN_SECONDS_MAX
        return await super().on_tick(counter)


def is_loopback(host: str) -> bool:
    """Whether every address of a host is this machine's own."""
    try:
        found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(address).is_loopback for address in found)


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound


def serve(service: Service, bound: socket.socket) -> None:
    """Serve until a signal; what was taken is answered first."""
    # Memories live long and hold no cycles: looking for cycles among them over and over costs a fifth of the time.
    gc.set_threshold(100_000, 50, 100)
    sys.setswitchinterval(_SWITCH_SECONDS)
    config = uvicorn.Config(
        application(service),
        http=Connection,
        loop="auto",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=5,
    )
    server = Server(config, service)
    interrupts.handle(server.handle_exit)  # uvicorn knows nothing of SIGHUP
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[bound])
