"""Listeners: threads with a connection each that hear of new events and changed tokens."""

from __future__ import annotations

import asyncio
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

import psycopg

from api.service.problems import HttpProblem
from ledger.connection import StoreError
from ledger.server import ServerError
from ledger.sql import load
from ledger.store import Store

_QUERIES: Final = load("api", "queries.sql")
#: It also looks by itself now and then, whatever was or was not heard.
RECHECK_SECONDS: Final = 1.0
#: So long after the last notification the log is at rest.
REST_SECONDS: Final = 0.05
_REOPEN_SECONDS: Final = 0.2
_log = logging.getLogger("kejin.listener")


class Listener:
    """Calls `heard(store, names)` in its thread: at the start of every connection and for each notification, `names`
    being the channels heard (all of them after a new connection); and `passed(store, at_rest)` once the log is at rest,
    under load once a second."""

    CHANNELS: Final = frozenset({"kejin_appended", "kejin_tokens"})

    def __init__(
        self,
        name: str,
        opened: Callable[[], Store],
        heard: Callable[[Store, frozenset[str]], None],
        passed: Callable[[Store, bool], None],
    ) -> None:
        self._opened = opened
        self._heard = heard
        self._passed = passed
        self._stopping = threading.Event()
        self._bell, self._doorbell = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"kejin-{name}", daemon=True)
        self._heard_at = time.monotonic()

    @property
    def silent_seconds(self) -> float:
        """How long ago it last did what it is for; more than RECHECK_SECONDS: it works, or is cut off."""
        return time.monotonic() - self._heard_at

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._doorbell.close()
        self._thread.join()
        self._bell.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._opened() as store:
                    self._listen(store)
            except Exception as error:  # whatever it is, nobody else hears: say so and go on
                expected = isinstance(error, (psycopg.Error, StoreError, ServerError, HttpProblem))
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                _log.warning("%s was interrupted: %s", self._thread.name, reason, exc_info=not expected)
                self._stopping.wait(_REOPEN_SECONDS)

    def _listen(self, store: Store) -> None:
        # Listening comes before the first look, so that nothing can happen unseen between the two.
        store.query_nothing("listen_appended")
        store.connection.execute(_QUERIES["listen_tokens"])
        self._heard(store, self.CHANNELS)
        connection = store.connection.pgconn
        with selectors.DefaultSelector() as ready:
            ready.register(connection.socket, selectors.EVENT_READ)
            ready.register(self._bell, selectors.EVENT_READ)
            rested, news = time.monotonic(), False
            while not self._stopping.is_set():
                ready.select(REST_SECONDS if news else RECHECK_SECONDS)
                connection.consume_input()
                names = set()
                while notification := connection.notifies():
                    names.add(notification.relname.decode())
                if names:
                    self._heard(store, frozenset(names))
                # At rest soon after the last news, and under load all the same once a second.
                news = bool(names) and time.monotonic() - rested < RECHECK_SECONDS
                if not news:
                    self._passed(store, not names)
                    rested = time.monotonic()
                self._heard_at = time.monotonic()


class Bell:
    """Wakes every coroutine that waits for news. For the event loop's thread."""

    def __init__(self) -> None:
        self._next: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake them."""
        if self._next is not None and not self._next.done():
            self._next.set_result(None)
        self._next = None

    async def wait(self, seconds_max: float) -> None:
        """Return at the next ring, or after a while."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._next], timeout=seconds_max)
