"""Questions that go through the whole log: who leaves gives way, and only so many wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from api.roles import NOTHING
from api.service.access import Sender
from api.service.limits import Limits
from api.service.problems import HttpProblem
from api.service.reading import Lane
from api.service.requests import ClientLeft, Request
from api.service.walking import Walk, walked
from ledger.store import Store


def in_a_lane(address: str, test: Callable[[Lane], Coroutine[Any, Any, None]], **limits: int) -> None:
    """Run a test's coroutine with a lane of one thread."""

    async def run() -> None:
        lane = Lane("test", lambda: Store.open_for_reading(address, 10.0), 1, **limits)
        lane.start()
        try:
            await test(lane)
        finally:
            await asyncio.to_thread(lane.stop)

    asyncio.run(run())


def leaving(lane: Lane, leaves: asyncio.Event) -> Request:
    """A request to a service with this lane, whose client leaves when it is told to."""
    messages = [{"type": "http.request"}]

    async def receive() -> dict[str, str]:
        if messages:
            return messages.pop()
        await leaves.wait()
        return {"type": "http.disconnect"}

    service, nobody = cast(Any, SimpleNamespace(walks=lane)), Sender(None, None, NOTHING)
    return Request(service, {}, receive, cast(Any, None), nobody, "en", "x")


def test_a_walk_ends_when_whoever_asked_has_left(database: str) -> None:
    """The lane answers the next question at once, not when the time of the first is over."""

    async def test(lane: Lane) -> None:
        loop, began = asyncio.get_running_loop(), asyncio.Event()
        walk = Walk(3_600.0)

        def walk_on(store: Store) -> None:
            loop.call_soon_threadsafe(began.set)
            while True:
                walk.look()

        with pytest.raises(ClientLeft):
            await walked(leaving(lane, began), walk, walk_on)
        assert await lane.ask(lambda store: store.head().position) == 0

    in_a_lane(database, test)


def test_whoever_leaves_while_others_are_answered_is_not_asked_for(database: str) -> None:
    """A question whose client is gone is never begun."""

    async def test(lane: Lane) -> None:
        release, gone = threading.Event(), asyncio.Event()
        gone.set()
        first = lane.ask(lambda store: release.wait())
        begun: list[Store] = []
        with pytest.raises(ClientLeft):
            await walked(leaving(lane, gone), Walk(3_600.0), begun.append)
        release.set()
        assert await first
        assert await lane.ask(lambda store: store.head().position) == 0
        assert begun == []

    in_a_lane(database, test)


def test_more_than_may_wait_are_turned_away_at_once(database: str) -> None:
    """503 `busy`; those that wait are answered."""

    async def test(lane: Lane) -> None:
        release, began = threading.Event(), threading.Event()

        def hold(store: Store) -> int:
            began.set()
            release.wait()
            return store.head().position

        first = lane.ask(hold)
        await asyncio.to_thread(began.wait)
        others = [lane.ask(lambda store: store.head().position) for _ in range(2)]
        with pytest.raises(HttpProblem) as refused:
            lane.ask(hold)
        assert (refused.value.code, refused.value.status) == ("busy", 503)
        release.set()
        assert await asyncio.gather(first, *others) == [0, 0, 0]

    in_a_lane(database, test, waiting_max=2)


def test_as_many_may_wait_as_is_promised() -> None:
    """At least 256 requests wait rather than get 503."""
    assert Limits().walks_max >= 256
