"""The live feed: new events are read once per process and given to every stream, each at its own pace.

A stream remembers only its own position. While it is near the end of the log it is served from a ring of the newest
events; further behind it reads pages from the log. So a slow reader costs nobody anything, and nothing is skipped or
doubled: what a stream sends next depends on its position alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.service import asking
from api.service.listening import Bell
from api.service.problems import HttpProblem
from api.service.reading import Lane
from api.service.requests import json_bytes

if TYPE_CHECKING:
    from api.service.service import Service

RING_EVENTS: Final = 2_000
#: So many are read, and handed on, at once: a stream whose reader takes nothing keeps this many in memory.
_PAGE_EVENTS: Final = 100


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One event, ready to be sent."""

    position: int
    type: str
    tags: frozenset[str]
    data: bytes


class Feed:
    """The newest events. For the event loop's thread."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._ring: deque[FeedEvent] = deque(maxlen=RING_EVENTS)
        self._head = 0
        self._filling: asyncio.Task[None] | None = None
        self._bell = Bell()
        self.ended = False
        self.streams = 0

    @property
    def _ready(self) -> int:
        """The ring holds the newest events up to here."""
        return self._ring[-1].position if self._ring else 0

    @property
    def head(self) -> int:
        """The newest position heard of."""
        return self._head

    def appended(self, head: int) -> None:
        """The log reaches a position now. Read what is new, if anybody looks."""
        if head > self._head:
            self._head = head
            self._wake()

    def end(self) -> None:
        """Every stream ends."""
        self.ended = True
        self._bell.ring()

    def _wake(self) -> None:
        if self.streams and self._ready < self._head and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill())

    async def _fill(self) -> None:
        """Bring the ring up to the head, then wake the streams; as long as more comes."""
        while True:
            head = self._head
            after = self._ring[-1].position if self._ring else head - RING_EVENTS
            if head - after > RING_EVENTS:  # nobody looked for long
                self._ring.clear()
                after = head - RING_EVENTS
            after = max(after, 0)
            while after < head:
                try:
                    found = await self._page(self._service.slow, after, head, None, None)
                except HttpProblem:  # the database is away; the listener rings again when it is back
                    self._bell.ring()
                    return
                self._ring.extend(found)
                after = found[-1].position if found else head
            self._bell.ring()
            if self._head == head:
                return

    @staticmethod
    async def _page(
        lane: Lane, after: int, until: int, tag: str | None, event_type: str | None
    ) -> list[FeedEvent]:
        """Events from the log. Raises HttpProblem."""
        return await lane.ask(
            lambda store: [
                FeedEvent(e["position"], e["type"], frozenset(e["tags"]), json_bytes(e))
                for e in asking.events(store, after, until, _PAGE_EVENTS, tag, event_type, None)
            ]
        )

    async def next(
        self, after: int, tag: str | None, event_type: str | None, seconds_max: float
    ) -> tuple[int, list[FeedEvent]]:
        """The next matching events after a position, and the position up to which all were seen. Returns with
        nothing after a while. Raises HttpProblem."""
        if after >= self._ready:
            self._wake()
            await self._bell.wait(seconds_max)
        if after >= self._ready or self.ended:
            return after, []
        if self._ring and self._ring[0].position <= after + 1 <= self._ring[-1].position:
            start = after + 1 - self._ring[0].position  # positions have no gaps
            chosen = [self._ring[i] for i in range(start, min(len(self._ring), start + _PAGE_EVENTS))]
            return chosen[-1].position, [e for e in chosen if _matches(e, tag, event_type)]
        until = self._ready
        found = await self._page(self._service.streams, after, until, tag, event_type)
        return (found[-1].position if len(found) == _PAGE_EVENTS else until), found


def _matches(event: FeedEvent, tag: str | None, event_type: str | None) -> bool:
    return (tag is None or tag in event.tags) and (event_type is None or event_type == event.type)
