"""The live stream: every event once, in order, across restarts; slow readers and half-closed connections."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from api.service.live import RING_EVENTS, Feed
from api.service.reading import Lane
from ledger.store import Store
from tests.cli.program import FIRM, OPENING, PATIENCE_SECONDS, Program, draw, register, repay
from tests.http.service import Service, start
from tests.http.test_commands import problem


def events(service: Service, last: int | None = None, **query: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """The stream's events as (id, document), until it ends."""
    with closing(service.connect()) as connection:
        named = "&".join(f"{name}={value}" for name, value in query.items())
        headers = {"Accept": "text/event-stream", **({} if last is None else {"Last-Event-ID": str(last)})}
        connection.request("GET", f"/v1/events/stream?{named}", headers=headers)
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        identifier = 0
        while line := response.readline():
            if line.startswith(b"id: "):
                identifier = int(line[4:])
            elif line.startswith(b"data: "):
                yield identifier, json.loads(line[6:])


def take(stream: Iterator[tuple[int, Any]], until: int) -> list[tuple[int, Any]]:
    """Events up to a position."""
    found: list[tuple[int, Any]] = []
    for event in stream:
        found.append(event)
        if event[0] >= until:
            return found
    return found


def test_the_stream_is_the_log(service: Service, database: str) -> None:
    """From 0: whole envelopes, each once, in order, `id` the position; filters choose by tag and type."""
    service.record(*OPENING, *(repay(n) for n in range(1, 1_200)))
    found = take(events(service, after=0), 1_204)
    assert [identifier for identifier, _ in found] == list(range(1, 1_205))
    assert [document for _, document in found] == Program(database).events()
    chosen = take(events(service, after=0, type="PartyRegistered"), 4)
    assert [document["type"] for _, document in chosen] == ["PartyRegistered"] * 2
    tagged = take(events(service, last=3, tag=f"firm:{FIRM}"), 5)
    assert tagged[0][0] == 5


def test_every_event_once_while_servers_are_killed_and_restarted(database: str, tmp_path: Path) -> None:
    """A reader that resumes by Last-Event-ID on one server after another sees each event exactly once, in order,
    while two servers record and one after the other is killed."""
    kejin, total = Program(database), 900
    recorder = start(kejin, tmp_path / "recorder")
    recorder.record(*OPENING)
    seen: list[int] = []
    servers: list[Service] = [start(kejin, tmp_path / "first")]

    def read() -> None:
        while len(seen) < total + 5:
            try:
                for identifier, _ in events(servers[-1], last=seen[-1] if seen else 0):
                    seen.append(identifier)
                    if identifier == total + 5:
                        return
            except OSError:
                pass
            except Exception:  # a connection that was cut in the middle of an answer
                pass

    reader = threading.Thread(target=read)
    reader.start()
    for round_number in range(3):
        for amount in range(300):
            assert recorder.post(repay(round_number * 300 + amount + 1)).status == 201
            if amount == 150 and round_number < 2:
                following = start(kejin, tmp_path / f"server-{round_number}")
                servers.append(following)
                servers[-2].kill()
    reader.join(PATIENCE_SECONDS)
    assert seen == list(range(1, total + 6))
    for server in (recorder, servers[-1]):
        server.close()
        assert server.stop() == 0


def test_a_stopping_server_ends_its_streams(service: Service) -> None:
    """The stream ends whole, so that its reader resumes elsewhere; the server stops."""
    service.record(*OPENING)
    stream = events(service, after=0)
    take(stream, 5)
    service.close()
    assert service.stop() == 0
    assert list(stream) == []


def test_slow_readers_and_half_closed_connections_harm_nobody(service: Service) -> None:
    """Clients that never read, close one side, or send half a request: commands and other streams go on, and the
    server stops in time."""
    service.record(*OPENING)
    sleepers = []
    for request in (
        b"GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/events?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50,
        b"POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{",
        b"POST /v1/commands/pay HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        b"GET /v1/caps HTTP/1.1\r\nHo",
    ):
        for half in (False, True):
            connection = socket.create_connection((service.host, service.port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.sendall(request)
            if half:
                connection.shutdown(socket.SHUT_WR)
            sleepers.append(connection)
    awake = events(service, after=5)
    lines = [draw(f"L{n}", 1_000_000) for n in range(2, 3_000)]
    service.record(*lines)
    found = take(awake, 5 + len(lines))
    assert [identifier for identifier, _ in found] == list(range(6, 6 + len(lines)))
    assert service.post(register(FIRM, "investor")).status == 201
    assert service.read("/v1/balances/public/treasury")["balance_fen"] == -100_000_000
    service.close()
    awake.close()  # type: ignore[attr-defined]
    assert service.stop() == 0
    for connection in sleepers:
        connection.close()


@pytest.mark.parametrize("headers", [{"Last-Event-ID": "-1"}, {"Last-Event-ID": "x"}])
def test_a_stream_refuses_what_is_no_position(service: Service, headers: dict[str, str]) -> None:
    """422 before anything is streamed."""
    problem(service.get("/v1/events/stream", headers), 422, "invalid_parameter")


def test_a_stream_beyond_the_end_is_not_known(service: Service) -> None:
    """A reader that has seen more than there is speaks of another log: it would miss what comes until there."""
    newest = service.read("/v1/events")["known_position"]
    for headers in ({"Last-Event-ID": str(newest + 1)}, {"Last-Event-ID": "999999"}):
        problem(service.get("/v1/events/stream", headers), 404, "not_known")
    assert service.get("/v1/events/stream", {"Last-Event-ID": str(newest)}).status == 200


def opened(connection: HTTPConnection, path: str) -> HTTPResponse:
    """A stream that has begun."""
    connection.request("GET", path)
    response = connection.getresponse()
    assert response.readline() == b": kejin\n"
    return response


def rest(response: HTTPResponse) -> list[int]:
    """Every `id` that a stream still tells until it ends."""
    return [int(line[4:]) for line in response.read().splitlines() if line.startswith(b"id: ")]


def test_who_waited_in_vain_can_come_back(service: Service) -> None:
    """A stream that began with "from now on" and saw nothing says where it stood when the server stops, and so does one
    whose filter let nothing through: what is recorded meanwhile is not skipped. Who has been told is not told again."""
    service.record(*OPENING)
    paths = ("", "?after=2&type=GrantPaid", "?after=4", "?after=5")
    with ExitStack() as stack:
        streams = [
            opened(stack.enter_context(closing(service.connect())), f"/v1/events/stream{query}")
            for query in paths
        ]
        for seen in events(service, after=4):  # by now the others have seen it too
            assert seen[0] == 5
            break
        service.stop()
        assert [rest(stream) for stream in streams] == [[5], [5], [5], []]


def test_streams_that_catch_up_keep_no_list_waiting(database: str) -> None:
    """However many streams are far behind, and however slowly what they missed is read: a list is answered meanwhile,
    and afterwards each stream goes on with the event that it waits for."""
    newest = len(OPENING) + 1 + RING_EVENTS
    Program(database).record(*OPENING, *(repay(number + 1) for number in range(RING_EVENTS)))

    async def run() -> None:
        lanes = {
            name: Lane(name, lambda: Store.open_for_reading(database, PATIENCE_SECONDS), threads)
            for name, threads in (("slow", 1), ("streams", 1))
        }
        feed, goes_on = Feed(cast(Any, SimpleNamespace(**lanes))), threading.Event()
        feed.streams = 9
        for lane in lanes.values():
            lane.start()
        try:
            feed.appended(newest)
            assert (await feed.next(newest - 1, None, None, PATIENCE_SECONDS))[
                0
            ] == newest  # near the end: the ring
            held = lanes["streams"].ask(lambda store: goes_on.wait())
            behind = [
                asyncio.create_task(feed.next(4, tag, None, 0.0)) for tag in (None, "loan:L1", *[None] * 6)
            ]
            await asyncio.sleep(0)  # they have asked
            assert await lanes["slow"].ask(lambda store: store.head().position) == newest
            assert not any(task.done() for task in behind)
            goes_on.set()
            assert await held
            found = await asyncio.gather(*behind)
            assert {(seen, tuple(e.position for e in some)) for seen, some in found} == {
                (104, tuple(range(5, 105)))
            }
        finally:
            goes_on.set()
            for lane in lanes.values():
                await asyncio.to_thread(lane.stop)

    asyncio.run(run())
