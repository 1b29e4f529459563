"""A request as the resources see it, and a reply."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from starlette.types import Message, Receive, Scope, Send

from api.service.access import Sender
from api.service.problems import MEDIA_TYPE, HttpProblem

if TYPE_CHECKING:
    from api.service.service import Service

Headers = list[tuple[bytes, bytes]]


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
    #: What the log line of the request says besides: positions, refusals.
    noted: dict[str, Any] = field(default_factory=dict)

    def header(self, name: bytes) -> bytes | None:
        """The value of a header (its name in lower case), the first one if it is sent twice."""
        headers: Headers = self.scope["headers"]
        return next((value for key, value in headers if key == name), None)

    async def body(self, bytes_max: int) -> bytes:
        """The whole body. Raises HttpProblem `body_too_large`, `timeout`, ClientLeft."""
        message = await self.next_message()
        first: bytes = message.get("body", b"")
        if not message.get("more_body"):
            if len(first) > bytes_max:
                raise too_large(bytes_max)
            return first
        pieces = bytearray(first)
        while message.get("more_body"):
            if len(pieces) > bytes_max:
                raise too_large(bytes_max)
            message = await self.next_message()
            pieces += message.get("body", b"")
        if len(pieces) > bytes_max:
            raise too_large(bytes_max)
        return bytes(pieces)

    async def next_message(self) -> Message:
        """The next piece of the body. Raises HttpProblem `timeout`, ClientLeft."""
        waiting = self.service.bodies
        try:
            async with asyncio.timeout(self.service.limits.body_seconds_max) as limit:
                waiting.add(limit)
                message = await self.receive()
        except TimeoutError:
            raise HttpProblem("timeout", "the body did not come in time", "请求体未及时到达") from None
        finally:
            waiting.discard(limit)
        if message["type"] == "http.disconnect":
            raise ClientLeft
        return message


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


def language_of(accepted: bytes | None) -> str:
    """`zh` or `en` by Accept-Language (RFC 9110 §12.5.4); English where neither is wanted."""
    best, weight_of_best = "en", 0.0
    for part in (accepted or b"").decode("latin-1").split(","):
        name, _, parameters = part.strip().partition(";")
        language = name.strip().lower().partition("-")[0]
        if language in ("zh", "en"):
            weight = _weight(parameters)
            if weight > weight_of_best:
                best, weight_of_best = language, weight
    return best


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, float(value))
    except ValueError:
        return 0.0


def too_large(bytes_max: int) -> HttpProblem:
    """A body over its limit."""
    return HttpProblem(
        "body_too_large",
        f"the body is longer than {bytes_max} bytes; send less at once",
        f"请求体超过 {bytes_max} 字节；请分次提交",
        {"Connection": "close"},
    )
