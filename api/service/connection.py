"""A client's connection: uvicorn's, with what it leaves open closed.

The head of a request may be only so long and take only so long; a wish for another protocol is declined without losing
the body (RFC 9110 §7.8); who has sent everything and closed that half is still answered, unless the answer takes long
work; what comes after a body is no header; what is no HTTP is answered as a problem, like everything else.
"""

from __future__ import annotations

import asyncio
import weakref
from asyncio.events import TimerHandle
from functools import partial
from typing import Any, Final, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.service.problems import MEDIA_TYPE, HttpProblem
from api.service.requests import BROKEN_OFF, END_IS_LEAVING, SECURITY, json_bytes

HEAD_BYTES_MAX: Final = 64 * 2**10
HEAD_SECONDS_MAX: Final = 30.0
#: So long what a client goes on sending after it was refused is thrown away: a connection that is closed before what
#: came was read is reset, and the answer lost with it (RFC 9112 §9.6).
_LINGERING_SECONDS: Final = 5.0
#: So much of an answer is not kept for the sake of one piece.
_MUCH_BYTES: Final = 16 * 2**10
#: What asks for another protocol; none of them is for the body.
_WISHES: Final = (b"upgrade", b"http2-settings")


class _InOnePiece:
    """A transport that sends the head of an answer and its body as one piece: uvicorn writes them one after the other,
    and each piece costs both sides as much as a small answer."""

    __slots__ = ("_bytes", "_is_ended", "_loop", "_pieces", "_transport", "lingers")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._is_ended = False
        self.lingers = False  # closed by us first as far as we write, then as soon as the client has closed

    def write(self, data: bytes) -> None:
        """Send with what is written next: when the answer is complete, or else as soon as the event loop is free. Much
        goes at once, so that who writes more of it is told to wait."""
        if not self._pieces:
            self._loop.call_soon(self.flush)
        self._pieces.append(data)
        self._bytes += len(data)
        if self._bytes >= _MUCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what was written, if there is anybody left."""
        pieces, self._pieces, self._bytes = self._pieces, [], 0
        if pieces and not self._transport.is_closing():
            self._transport.write(b"".join(pieces))

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._is_ended or self._transport.is_closing()

    def close(self) -> None:
        """Send what was written, and close."""
        self.flush()
        if self.lingers and self._transport.can_write_eof() and not self.is_closing():
            self._is_ended = True
            self._transport.write_eof()
            self._transport.resume_reading()
            self._loop.call_later(_LINGERING_SECONDS, self._transport.close)
        else:
            self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(HttpToolsProtocol):
    """One connection, which may bring many requests."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._in_head = False
        self._in_body = False
        self._head_bytes = 0  # of the head at hand, but for the piece that it begins in
        self._head_timer: TimerHandle | None = None
        self._has_sent_all = False
        self._leaves: RequestResponseCycle | None = None  # whose client leaves with the end of what it sends
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self._answers = _InOnePiece(transport, self.loop)
        self.transport = cast(asyncio.Transport, self._answers)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more is expected."""
        self._head_is_here()
        super().connection_lost(exc)
        if self._leaves is not None:  # not the newest request, where others wait behind it
            self._leave(self._leaves)

    def data_received(self, data: bytes) -> None:
        """Take in a piece, wherever it was cut."""
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        was_in_head = self._in_head
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as wish:
            self._decline(data[wish.args[0] :])
        except httptools.HttpParserError:
            self.refuse(_broken_body() if self._in_body else _no_http())
        self._watch_head(len(data) if was_in_head else 0)

    def _watch_head(self, head_bytes: int) -> None:
        """After a piece, of which so many bytes are of the head at hand if that is not complete."""
        if self._is_refused:
            return
        cycle = self._exchange
        if self._in_head or cycle is None or cycle.response_complete:
            self._expect_head()  # also where what came begins none: nothing else has a clock then
        if self._in_head:
            self._head_bytes += head_bytes
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse_head()

    def _refuse_head(self) -> None:
        en = f"the head of the request is longer than {HEAD_BYTES_MAX} bytes"
        self.refuse(HttpProblem("head_too_large", en, f"请求头超过 {HEAD_BYTES_MAX} 字节"))

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """The client sends nothing more. What it sent whole is still answered."""
        cycle = self._exchange
        self._has_sent_all = True
        if cycle is None or (cycle.response_complete and not self.pipeline):
            return None
        if cycle.more_body:  # the rest of the body never comes
            self._leave(cycle)
            return None
        if self._leaves is not None and not self._leaves.response_complete:
            self._leave(self._leaves)
            return None
        return True

    def _end_is_leaving(self, one: weakref.ReferenceType[RequestResponseCycle]) -> None:
        """From now on, for one request: who sends nothing more is taken to be gone. A client that closed its half only
        and one that closed all look the same; long work for nobody would keep others waiting."""
        cycle = one()
        if cycle is None:
            return
        self._leaves = cycle
        if self._has_sent_all:
            self._leave(cycle)
            self.transport.close()

    @staticmethod
    def _leave(cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True
        cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Go on with the next request, or leave with a client that sends none."""
        self._answers.flush()
        others_wait = bool(self.pipeline)
        super().on_response_complete()
        if self._has_sent_all and not others_wait:
            self.transport.close()

    # --- the parser's calls --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; blanks around its value are not part of it (RFC 9112 §5.1). What comes after the body is none
        (RFC 9110 §6.5.1): who checked the head must not have missed a sender or a key."""
        if self._in_head:
            super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        """The head is here. One with a wish is taken up again without it."""
        self._in_head = False
        self._head_is_here()
        # However many pieces it came in: one that was complete with its first was not counted.
        if len(self.url) + sum([len(name) + len(value) for name, value in self.headers]) > HEAD_BYTES_MAX:
            self._refuse_head()
        elif not self.parser.should_upgrade():
            super().on_headers_complete()
            self._in_body = True
            # Weakly: else each request would be a ring that only a search for cycles takes apart, long pauses of all.
            leaving = partial(self._end_is_leaving, weakref.ref(self.cycle))
            self.cycle.scope[END_IS_LEAVING] = leaving  # type: ignore[typeddict-unknown-key]

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if not self._is_refused and not self.parser.should_upgrade():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is here."""
        self._in_body = False
        if not self._is_refused and not self.parser.should_upgrade():
            super().on_message_complete()

    # --- what is declined ----------------------------------------------------------------------------------------

    def _decline(self, rest: bytes) -> None:
        """Begin the request again as if it wished for nothing; `rest` is what follows its head."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.refuse(HttpProblem("malformed_request", "this is no proxy", "本服务不是代理"))
            return
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                kept = [one for one in value.split(b",") if one.strip().lower() not in _WISHES]
                lines += [name + b": " + b",".join(kept)] if kept else []
            elif name not in _WISHES:
                lines.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def refuse(self, problem: HttpProblem) -> None:
        """Take nothing more. The problem is the answer, unless the request that it is about has one, or another one is
        under way."""
        self._is_refused = True
        self._answers.lingers = not self._has_sent_all
        self._head_is_here()
        cycle = self._exchange
        if cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False
            if cycle.more_body:  # whoever reads it must not wait for more
                cycle.scope[BROKEN_OFF] = problem  # type: ignore[typeddict-unknown-key]
                cycle.more_body = False
                cycle.message_event.set()
            return
        if self._in_body:  # of a request that was answered without it
            self.transport.close()
            return
        body = json_bytes(problem.document("en"))
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *SECURITY,
        ]
        told = b"".join([name + b": " + value + b"\r\n" for name, value in headers])
        self.transport.write(STATUS_LINE[problem.status] + told + b"\r\n" + body)
        self.transport.close()

    @property
    def _exchange(self) -> RequestResponseCycle | None:
        """The newest request and its answer; None before the first."""
        return self.cycle

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS_MAX, self._head_is_late)

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._in_head:
            self.refuse(HttpProblem("timeout", "the request did not come in time", "请求未及时到达"))
        elif not self.transport.is_closing():
            self.transport.close()


def _no_http() -> HttpProblem:
    return HttpProblem("malformed_request", "this is not HTTP/1.1", "不是 HTTP/1.1 请求")


def _broken_body() -> HttpProblem:
    return HttpProblem(
        "malformed_request",
        "the body breaks off: what came next is no chunk of HTTP/1.1; send it again",
        "请求体中断：其后内容不合 HTTP/1.1 分块格式；请重新提交",
    )
