"""GET /v1/events/stream: events as they are recorded, as server-sent events that can be resumed.

Each event has its position as `id`; a client that comes back with Last-Event-ID gets what came after it, from whatever
server. Nothing is skipped or doubled, since what is sent next depends on that position alone. A client that has waited
in vain is told how far it has seen, by an `id` without an event: it could not come back to there otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from api.roles import READ
from api.service.limits import Limits
from api.service.live import FeedEvent
from api.service.operations import Answer, Operation, Parameter, Try
from api.service.parameters import position, text, whole_number
from api.service.problems import HttpProblem
from api.service.requests import Reply, Request
from ledger.catalogue import Catalogue
from ledger.money import MAX_FEN

_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),
)
_HEARTBEAT_SECONDS: Final = 15.0
#: A reader that takes nothing for so long is let go; it can resume.
_STALLED_SECONDS: Final = 60.0
_LAST: Final = Parameter(
    "Last-Event-ID",
    "header",
    {"type": "integer", "minimum": 0, "maximum": MAX_FEN},
    whole_number(0),
    "The last position that was received: the stream goes on after it. 最后收到的序号。",
    f"an integer from 0 to {MAX_FEN}",
    f"0 至 {MAX_FEN} 的整数",
)


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The stream."""
    return [
        Operation(
            "stream",
            "GET",
            "/v1/events/stream",
            "live",
            "Events as they are recorded (server-sent events). Begins after Last-Event-ID or `after`, else with what "
            "is recorded from now on.",
            "实时事件流，可由 Last-Event-ID 续传。",
            READ,
            _stream,
            (
                Answer(
                    200, "Events; `id` is the position.", {"type": "string"}, media_type="text/event-stream"
                ),
            ),
            (
                position(
                    "after", "Begin after this position; 0 is the whole log. 从此序号之后开始。", least=0
                ),
                text("tag", "Only events with this tag. 标签。", "round:R1"),
                text("type", "Only events of this type. 类型。", "GrantPaid"),
                _LAST,
            ),
            codes=("too_many_streams", "not_known"),
            tries=(
                Try(404, "not_known", headers={"Last-Event-ID": "999999"}),
                Try(422, "invalid_parameter", query={"after": -1}),
                Try(422, "invalid_parameter", headers={"Last-Event-ID": "yesterday"}),
            ),
        )
    ]


async def _stream(request: Request) -> Reply | None:
    service = request.service
    if service.feed.streams >= service.limits.streams_max:
        raise HttpProblem(
            "too_many_streams", "too many streams are open; try again", "事件流连接过多；请稍后再试"
        )
    service.feed.streams += 1
    try:
        after = await _begin(request)
        if request.scope["method"] == "HEAD":
            await request.send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
            await request.send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await _stream_from(request, after)
    finally:
        service.feed.streams -= 1
    return None


async def _begin(request: Request) -> int:
    """The position after which the stream begins. Raises HttpProblem `not_known` for one beyond the log: a client
    that has seen more than there is speaks of another log, or of one before it was restored."""
    given = request.parameters
    after: int | None = given["Last-Event-ID"] if given["Last-Event-ID"] is not None else given["after"]
    newest: int = await request.service.quick.ask(lambda store: store.head().position)
    if after is not None and after > newest:
        raise HttpProblem(
            "not_known",
            f"position {after} is beyond the newest, {newest}",
            f"序号 {after} 超过最新序号 {newest}",
        )
    return newest if after is None else after


async def _stream_from(request: Request, after: int) -> None:
    left = asyncio.ensure_future(request.left())
    sending = asyncio.ensure_future(_send_all(request, after))
    try:
        await asyncio.wait((left, sending), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (left, sending):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, TimeoutError):
                await task


async def _send_all(request: Request, after: int) -> None:
    service, given = request.service, request.parameters
    now = asyncio.get_running_loop().time
    await request.send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
    await _send(request, b": kejin\n\n")
    sent_at = now()
    told = given["Last-Event-ID"] if given["Last-Event-ID"] is not None else given["after"]
    while not service.feed.ended:
        try:
            patience = max(0.0, sent_at + _HEARTBEAT_SECONDS - now())
            seen, found = await service.feed.next(after, given["tag"], given["type"], patience)
        except HttpProblem:  # the database is away: the reader waits with us
            await asyncio.sleep(service.limits.retry_seconds)
            continue
        if not service.access.may_go_on(request.sender):
            break
        if found:
            await _send(request, b"".join(map(_shown, found)))
            sent_at, told = now(), found[-1].position
            del found  # whoever waits for the next ones holds nothing
        elif now() - sent_at >= _HEARTBEAT_SECONDS:
            await _send(request, b": still here\n" + (b"id: %d\n\n" % seen if seen != told else b"\n"))
            sent_at, told = now(), seen
        after = seen
        request.noted["position"] = after
    if after != told:
        await _send(request, b"id: %d\n\n" % after)
    await request.send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(request: Request, data: bytes) -> None:
    async with asyncio.timeout(_STALLED_SECONDS):
        await request.send({"type": "http.response.body", "body": data, "more_body": True})


def _shown(event: FeedEvent) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, _one_line(event.type), event.data)


def _one_line(text: str) -> bytes:
    """Another recorder may name its events as it likes."""
    return " ".join(text.split()).encode()
