"""A request as the resources see it, and a reply."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.service.access import Sender
from api.service.problems import MEDIA_TYPE, HttpProblem

if TYPE_CHECKING:
    from api.service.service import Service

T = TypeVar("T")
Headers = list[tuple[bytes, bytes]]

#: What the answers of an API need: never sniffed, framed, or run as a page. Few, since each costs every answer.
SECURITY: Final[Headers] = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]


#: Where the scope has what to call before long work: the end of what the client sends then counts as its leaving.
END_IS_LEAVING: Final = "kejin.end_is_leaving"
#: Where the scope has the problem of a body that was broken off: what came of it is no whole.
BROKEN_OFF: Final = "kejin.broken_off"
#: So much of a body that is too long is read before the answer.
_DISCARDED_BYTES_MAX: Final = 16 * 2**20


@dataclass(slots=True)
class Request:
    """One request: who sent it, in which language it is answered, its parameters as values (absent: None)."""

    service: Service
    scope: Scope
    receive: Receive
    send: Send
    sender: Sender
    language: str
    id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: The instant that a cursor's first page was asked for, as it is echoed.
    pinned_instant: str | None = None
    #: What the log line of the request says besides: positions, refusals.
    noted: dict[str, Any] = field(default_factory=dict)

    def header(self, name: bytes) -> bytes | None:
        """The value of a header (its name in lower case), the first one if it is sent twice."""
        headers: Headers = self.scope["headers"]
        return next((value for key, value in headers if key == name), None)

    def header_once(self, name: bytes) -> bytes | None:
        """The value of a header that may stand once only. Raises HttpProblem `invalid_parameter`."""
        headers: Headers = self.scope["headers"]
        found = [value for key, value in headers if key == name]
        if len(found) > 1:
            shown = name.decode("latin-1")
            raise HttpProblem("invalid_parameter", f"the header {shown} stands twice", f"请求头 {shown} 重复")
        return found[0] if found else None

    def header_joined(self, name: bytes) -> bytes | None:
        """The value of a header that is a list, whose parts may stand apart."""
        return joined(self.scope["headers"], name)

    async def body(self, bytes_max: int) -> bytes:
        """The whole body. One that is somewhat too long is read to its end and thrown away, since many clients
        look for an answer only then. Raises HttpProblem `body_too_large`, `timeout`, `malformed_request`,
        ClientLeft."""
        self.check_declared_length(bytes_max, _DISCARDED_BYTES_MAX)
        message = await self.next_message()
        pieces, size = bytearray(message.get("body", b"")), len(message.get("body", b""))
        while message.get("more_body") and size <= _DISCARDED_BYTES_MAX:
            message = await self.next_message()
            piece = message.get("body", b"")
            size += len(piece)
            if size <= bytes_max:
                pieces += piece
        if size > bytes_max:
            raise too_large(bytes_max)
        return bytes(pieces)

    def check_declared_length(self, bytes_max: int, discarded_bytes_max: int = 0) -> None:
        """Whether what Content-Length announces is taken, or at least read and thrown away. Raises HttpProblem
        `body_too_large`."""
        declared = self.header(b"content-length")
        if (
            declared is not None
            and declared.isdigit()
            and int(declared) > max(bytes_max, discarded_bytes_max)
        ):
            raise too_large(bytes_max)

    async def next_message(self) -> Message:
        """The next piece of the body. Raises HttpProblem `timeout`, `malformed_request`, ClientLeft."""
        if _has_come(self.receive):
            return await self._checked(self.receive())
        waiting = self.service.bodies
        try:
            async with asyncio.timeout(self.service.limits.body_seconds_max) as limit:
                waiting.add(limit)
                return await self._checked(self.receive())
        except TimeoutError:
            raise HttpProblem("timeout", "the body did not come in time", "请求体未及时到达") from None
        finally:
            waiting.discard(limit)

    async def while_here(self, answer: asyncio.Future[T]) -> T:
        """What is answered, to a request whose body was read or that has none; who leaves is waited for no longer, and
        the answer not wanted any more. Raises ClientLeft, and what the answer is instead."""
        leaving = asyncio.ensure_future(self.left())
        try:
            await asyncio.wait((answer, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            answer.cancel()
        if answer.cancelled():
            raise ClientLeft
        return answer.result()

    async def left(self) -> None:
        """Wait until the client is gone, or has closed its half: nobody can tell these two apart."""
        if tell := self.scope.get(END_IS_LEAVING):
            tell()
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def _checked(self, received: Awaitable[Message]) -> Message:
        message = await received
        if message["type"] == "http.disconnect":
            raise ClientLeft
        if (problem := self.scope.get(BROKEN_OFF)) is not None:
            raise problem
        return message


def _has_come(receive: Receive) -> bool:
    """Whether the next message is here already, as it is with nearly every request: no clock has to run for it."""
    cycle = getattr(receive, "__self__", None)
    return isinstance(cycle, RequestResponseCycle) and cycle.message_event.is_set()


class ClientLeft(Exception):
    """Whoever asked is gone: there is nobody to answer."""


@dataclass(slots=True)
class Reply:
    """What is answered."""

    status: int
    body: bytes
    headers: Headers = field(default_factory=list)
    media_type: bytes = b"application/json"

    async def send(self, send: Send) -> None:
        """Send it."""
        headers = [*self.headers]
        if self.body or self.status not in (204, 304):
            headers += [
                (b"content-type", self.media_type),
                (b"content-length", str(len(self.body)).encode()),
            ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def json_bytes(document: Any) -> bytes:
    """A document as JSON. A sum may have more than the 64 bits that orjson writes."""
    try:
        return orjson.dumps(document)
    except TypeError:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def problem_reply(problem: HttpProblem, language: str, retry_seconds: int) -> Reply:
    """A problem as RFC 9457 has it, in the reader's language."""
    from api.service.problems import KINDS

    headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    if KINDS[problem.code].again:
        headers.append((b"retry-after", str(retry_seconds).encode()))
    headers.append((b"content-language", language.encode()))
    return Reply(problem.status, json_bytes(problem.document(language)), headers, MEDIA_TYPE.encode())


def joined(headers: Headers, name: bytes) -> bytes | None:
    """The value of a header that is a list, whose parts may stand apart (RFC 9110 §5.3)."""
    return b",".join([value for key, value in headers if key == name]) or None


def language_of(headers: Headers) -> str:
    """`zh` or `en` by Accept-Language (RFC 9110 §12.5.4); English where neither is wanted more."""
    accepted = joined(headers, b"accept-language")
    if accepted is None:
        return "en"
    weights: dict[str, float] = {}
    for part in accepted.decode("latin-1").split(","):
        name, _, parameters = part.strip().partition(";")
        language = name.strip().lower().partition("-")[0]
        weights[language] = max(_weight(parameters), weights.get(language, 0.0))
    others = weights.get("*", 0.0)
    return "zh" if weights.get("zh", others) > weights.get("en", others) else "en"


def wants_lines(accepted: bytes | None) -> bool:
    """Whether Accept prefers NDJSON to JSON (RFC 9110 §12.5.1)."""
    if accepted is None or b"ndjson" not in accepted.lower():
        return False
    weights: dict[str, float] = {}
    for part in accepted.decode("latin-1").lower().split(","):
        name, _, parameters = part.strip().partition(";")
        weights[name.strip()] = _weight(parameters)
    lines = weights.get("application/x-ndjson", 0.0)
    return lines > 0 and lines >= weights.get("application/json", 0.0)


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0


def too_large(bytes_max: int) -> HttpProblem:
    """A body over its limit."""
    return HttpProblem(
        "body_too_large",
        f"the body is longer than {bytes_max} bytes; send less at once",
        f"请求体超过 {bytes_max} 字节；请分次提交",
        {"Connection": "close"},
    )
