"""The service: everything that the requests of one server process share, started and stopped together."""

from __future__ import annotations

import asyncio
import importlib.metadata
from typing import Any, Final

import psycopg

from api.service.access import Access, Sender
from api.service.asking import Projected
from api.service.database import Database
from api.service.four_eyes import FourEyes
from api.service.keeping import Keeper
from api.service.limits import Limits
from api.service.listening import Listener
from api.service.live import Feed
from api.service.logs import LogLines
from api.service.metrics import Metrics
from api.service.reading import Lane, unavailable
from api.service.writing import WriterThread
from ledger.catalogue import Catalogue
from ledger.connection import StoreError
from ledger.server import ServerError
from ledger.store import Store

_QUICK_THREADS: Final = 2
_SLOW_THREADS: Final = 3
#: So long a stopping server waits for the rest of a body.
_LAST_BODY_SECONDS: Final = 1.0


class Service:
    """The writer, the lanes of readers, the listener, the tokens, the figures of one process."""

    def __init__(
        self, database: Database, catalogue: Catalogue, principal: str, limits: Limits, lines: LogLines
    ) -> None:
        self.database = database
        self.catalogue = catalogue
        self.principal = principal
        self.limits = limits
        self.lines = lines
        self.version = importlib.metadata.version("kejin-ledger")
        self.metrics = Metrics()
        self.access = Access()
        self.projected = Projected(limits.behind_seconds_max)
        self.feed = Feed(self)
        self.bodies: set[asyncio.Timeout] = set()  # of the requests whose body is not here yet
        self.batches = asyncio.Semaphore(limits.batches_max)
        self.described: dict[str, Any] = {}  # the OpenAPI document
        self._look: asyncio.Task[None] | None = None  # at the tokens, that is to begin
        self._looking = asyncio.Lock()
        self.draining = False
        self.in_flight = 0
        self.four_eyes = FourEyes(lambda: self.access.exist)
        self.writer = WriterThread(
            database.writer,
            catalogue,
            principal,
            self.four_eyes,
            self.metrics.committed,
            limits.turn_commands_max,
        )
        self.quick = Lane("quick", lambda: database.reader(limits.quick_seconds_max), _QUICK_THREADS, 16)
        self.slow = Lane("slow", lambda: database.reader(limits.slow_seconds_max), _SLOW_THREADS)
        # Its proof of the projections fills them anew in a transaction that is rolled back: no reader could.
        self.checks = Lane(
            "checks", lambda: database.checker(limits.check_seconds_max), 1, waiting_max=limits.walks_max
        )
        self.rehearsals = Lane(
            "rehearsals", lambda: database.reader(limits.slow_seconds_max, by_index=True), 1
        )
        # What goes through the whole log in this process takes time and memory: one at a time.
        self.walks = Lane(
            "walks", lambda: database.reader(limits.slow_seconds_max), 1, waiting_max=limits.walks_max
        )
        # Streams that are far behind: many that catch up at once wait for each other, and nobody else for them.
        self.streams = Lane("streams", lambda: database.reader(limits.slow_seconds_max), 1)
        # Who hears does nothing that may take long, so that a token is revoked at once.
        self.listener = Listener("listener", database.listener, self._heard, self._passed)
        self._keeper = Keeper(None if database.folder else database.address, database.folder)
        self._lanes = (self.quick, self.slow, self.checks, self.rehearsals, self.walks, self.streams)

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._read_tokens()  # before the first request: whether tokens exist decides who may come in
        self.writer.start()
        for lane in self._lanes:
            lane.start()
        self.listener.start()
        self._keeper.start()

    def stop(self) -> None:
        """End: what was taken is recorded and answered first."""
        self.listener.stop()
        self.writer.stop()
        self._keeper.stop()
        for lane in self._lanes:
            lane.stop()
        self.projected.close()

    def drain(self) -> None:
        """Take no new requests; those that were taken are finished. Streams end: their readers resume elsewhere."""
        self.draining = True
        self.feed.end()
        # A command that is not here whole was not taken.
        soon = asyncio.get_running_loop().time() + _LAST_BODY_SECONDS
        for limit in self.bodies:
            limit.reschedule(soon)

    async def sender_of_new(self, authorization: bytes | None) -> Sender | None:
        """Who sends a request with a token that is not known yet: it may be a moment old. Raises HttpProblem."""
        if not self.access.may_be_new(authorization):
            return None
        await self._look_at_tokens()
        return self.access.sender(authorization)

    async def _look_at_tokens(self) -> None:
        """Read the tokens again, for one that is not known: by a look that begins from now on, which all share who wait
        for it. Raises HttpProblem."""
        if self._look is None:
            self._look = asyncio.create_task(self._look_soon())
            # Whoever waited may have left: a look that failed is nobody's surprise.
            self._look.add_done_callback(lambda look: look.cancelled() or look.exception())
        await asyncio.shield(self._look)

    async def _look_soon(self) -> None:
        async with self._looking:  # one looks, one waits
            await asyncio.sleep(self.access.looks_again_in_seconds)
            self._look = None  # whoever comes from now on needs another one
            try:
                await asyncio.to_thread(self._read_tokens)
            except (psycopg.Error, StoreError, ServerError):
                raise unavailable() from None

    def _read_tokens(self) -> None:
        with self.database.listener() as store:
            self.access.read(store)

    def _heard(self, store: Store, channels: frozenset[str]) -> None:
        """In the listener's thread: something happened."""
        if "kejin_tokens" in channels:
            self.access.read(store)
        head = store.head().position
        self.metrics.position.set(head)
        self._loop.call_soon_threadsafe(self.feed.appended, head)

    def _passed(self, store: Store, _: bool) -> None:
        """In the listener's thread: nothing happened for a while, or a second passed."""
        self._heard(store, Listener.CHANNELS)
