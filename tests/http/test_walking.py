"""Questions that go through the whole log: who leaves gives way, and only so many wait."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest

from api.http.verification import verified
from api.roles import NOTHING
from api.service.access import Sender
from api.service.limits import Limits
from api.service.problems import HttpProblem
from api.service.reading import Lane
from api.service.requests import ClientLeft, Request
from api.service.walking import Walk, walked
from ledger.store import Store
from projections.verification import CHECKS
from projections.verification.reading import Reading
from projections.verification.report import Report
from tests.cli.program import OPENING, PATIENCE_SECONDS
from tests.faults.test_kills import until
from tests.http.service import Service
from tests.http.test_faults import in_flight


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


def test_whoever_has_left_holds_no_place(database: str) -> None:
    """Where as many wait as may, those whose clients are gone make room for others."""

    async def test(lane: Lane) -> None:
        release, began = threading.Event(), threading.Event()

        def hold(store: Store) -> bool:
            began.set()
            return release.wait()

        first = lane.ask(hold)
        try:
            await asyncio.to_thread(began.wait)
            waiting = [lane.ask(lambda store: store.head().position) for _ in range(2)]
            waiting[0].cancel()
            last = lane.ask(lambda store: store.head().position)
            with pytest.raises(HttpProblem):
                lane.ask(hold)
        finally:
            release.set()
        assert await first
        assert [await one for one in (waiting[1], last)] == [0, 0]

    in_a_lane(database, test, waiting_max=2)


def test_as_many_may_wait_as_is_promised() -> None:
    """At least 256 requests wait rather than get 503."""
    assert Limits().walks_max >= 256


def verification(lane: Lane, gone: asyncio.Event, begins: Callable[[], object]) -> Request:
    """A request for a check in this lane, whose client leaves when it is told to; `begins` is called when it does."""
    request = leaving(lane, gone)
    request.service = cast(
        Any,
        SimpleNamespace(
            checks=lane,
            limits=Limits(),
            database=SimpleNamespace(folder=None),
            projected=SimpleNamespace(ensure=lambda store, position: begins()),
        ),
    )
    request.parameters = {"check": "books", "known_at": None, "known_position": None, "min_position": None}
    return request


def test_a_verification_ends_when_whoever_asked_has_left(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a check, where that tells how far it is: the next verification is not kept waiting."""
    given_up = threading.Event()

    def endless(reading: Reading) -> Report:
        while not given_up.is_set():
            reading.progress("log", 1, 2)
        return Report()

    async def test(lane: Lane) -> None:
        loop, began = asyncio.get_running_loop(), asyncio.Event()
        request = verification(lane, began, lambda: loop.call_soon_threadsafe(began.set))
        try:
            with pytest.raises(ClientLeft):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await verified(request)
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await lane.ask(lambda store: store.head().position) == 0
        finally:
            given_up.set()

    monkeypatch.setitem(cast(dict[str, Any], CHECKS), "books", endless)
    in_a_lane(database, test)


def test_a_verification_whose_client_has_left_is_not_begun(database: str) -> None:
    """Who leaves while others are verified for gives way."""

    async def test(lane: Lane) -> None:
        release, gone, begun = threading.Event(), asyncio.Event(), list[bool]()
        gone.set()
        first = lane.ask(lambda store: release.wait())
        try:
            with pytest.raises(ClientLeft):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await verified(verification(lane, gone, lambda: begun.append(True)))
        finally:
            release.set()
        assert await first
        assert await lane.ask(lambda store: store.head().position) == 0
        assert begun == []

    in_a_lane(database, test)


def test_so_many_verifications_wait_and_no_more(service: Service, database: str) -> None:
    """Beyond 256 that wait the answer is 503 `busy` at once with Retry-After, as the document says; once the others
    have left, the next one is answered."""
    service.record(*OPENING)
    ask = b"GET /v1/verification?check=books HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with psycopg.connect(database) as locking, psycopg.connect(database) as looking, ExitStack() as stack:
        locking.execute("lock table events in access exclusive mode")
        looking.autocommit = True

        def one_more() -> socket.socket:
            connection = socket.create_connection((service.host, service.port), PATIENCE_SECONDS)
            connection.sendall(ask)
            return stack.enter_context(connection)

        def is_at_work() -> bool:
            waits = "select from pg_locks where relation = 'events'::regclass and not granted"
            return looking.execute(waits + " and mode = 'AccessShareLock'").fetchone() is not None

        waiting = [one_more()]
        until(is_at_work)
        waiting += [one_more() for _ in range(Limits().walks_max + 3)]
        refused = list[socket.socket]()
        while len(refused) < 3:
            answered, _, _ = select.select(
                [one for one in waiting if one not in refused], [], [], PATIENCE_SECONDS
            )
            assert answered, "nobody was refused"
            refused += answered
        assert len(refused) == 3
        for connection in refused:
            with connection.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503") and b"\r\nretry-after: " in head
            assert json.loads(body)["code"] == "busy"
        stack.close()
        until(lambda: in_flight(service) == 1)
        locking.rollback()
        assert service.read("/v1/verification", check="books")["ok"]
    declared = service.read("/openapi.json")["paths"]["/v1/verification"]["get"]["responses"]["503"]
    assert {"busy", "too_slow"} <= declared["content"]["application/problem+json"]["examples"].keys()
    assert "Retry-After" in declared["headers"]
