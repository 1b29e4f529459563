"""The front of the service: every request passes here first and last. Plain ASGI, since it is on the hottest path.

It gives each request an id, refuses what must not come in (a stopping or overfull server, another site's page, an
unknown token), calls the operation, turns whatever goes wrong into a problem document, and notes what became of it.
"""

from __future__ import annotations

import ipaddress
import re
import time
import traceback
from collections.abc import Mapping
from random import getrandbits
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from api.roles import NOTHING
from api.service import pages
from api.service.access import Sender, unauthorized
from api.service.operations import Operation
from api.service.parameters import read_parameters
from api.service.problems import HttpProblem
from api.service.reading import busy
from api.service.requests import (
    SECURITY,
    ClientLeft,
    Headers,
    Reply,
    Request,
    joined,
    language_of,
    problem_reply,
)
from api.service.service import Service
from api.tokens import PREFIX

#: A secret that somebody put into an address.
_SECRET: Final = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]+")
_NO_STORE: Final = (b"cache-control", b"no-store")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class Exchange:
    """One request and its answer: the headers that every answer has, and what is noted in the end."""

    __slots__ = ("_security", "_send", "request_id", "started", "status")

    def __init__(self, send: Send, security: Headers = SECURITY) -> None:
        self._send = send
        self._security = security
        self.request_id = f"{getrandbits(64):016x}"  # a name, no secret
        self.started = time.perf_counter()
        self.status = 0

    async def send(self, message: Message) -> None:
        """Send on, with the headers of every answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"]
            headers += self._security
            headers.append((b"x-request-id", self.request_id.encode()))
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(_NO_STORE)
        await self._send(message)


async def handle(
    service: Service,
    operation: Operation,
    path: Mapping[str, str],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Answer one request to an operation."""
    is_page = operation.is_page
    exchange = Exchange(send, pages.SECURITY if is_page else SECURITY)
    language, request, problem = "en", None, None
    service.in_flight += 1
    try:
        headers = _first_of_each(scope)
        language = pages.page_language(scope["headers"]) if is_page else language_of(scope["headers"])
        sender = await _admitted(service, operation, scope, headers)
        request = Request(service, scope, receive, exchange.send, sender, language, exchange.request_id)
        _check_body(operation, headers)
        request.parameters = read_parameters(
            operation.parameters,
            path,
            pages.cleaned(scope["query_string"]) if is_page else scope["query_string"],
            request.header_once,
            service.limits,
        )
        reply = await operation.handle(request)
    except ClientLeft:
        reply = None
    except HttpProblem as error:
        problem = error.code
        reply = _shown(service, error, language, scope, is_page=is_page)
    except Exception as error:
        problem, reply = "failed", _failed(service, exchange, error)
    finally:
        service.in_flight -= 1
    if reply is not None and exchange.status == 0:
        await reply.send(exchange.send)
    _note(service, operation, scope, exchange, request, problem)


async def refuse(service: Service, problem: HttpProblem, scope: Scope, send: Send) -> None:
    """Answer a request to no operation with a problem."""
    is_page = (
        not scope["path"].startswith("/v1/")
        and b"text/html" in (joined(scope["headers"], b"accept") or b"").lower()
    )
    exchange = Exchange(send, pages.SECURITY if is_page else SECURITY)
    language = pages.page_language(scope["headers"]) if is_page else language_of(scope["headers"])
    await _shown(service, problem, language, scope, is_page=is_page).send(exchange.send)
    _note(service, None, scope, exchange, None, problem.code)


def _shown(service: Service, problem: HttpProblem, language: str, scope: Scope, *, is_page: bool) -> Reply:
    """A problem for a program, or for people."""
    if is_page:
        return pages.problem_page(service, problem, language, scope)
    return problem_reply(problem, language, service.limits.retry_seconds)


def _first_of_each(scope: Scope) -> dict[bytes, bytes]:
    return dict(reversed(scope["headers"]))


async def _admitted(
    service: Service, operation: Operation, scope: Scope, headers: Mapping[bytes, bytes]
) -> Sender:
    """Who sends the request, if it may come in at all. Raises HttpProblem."""
    if service.draining and operation.may is not None:
        raise HttpProblem(
            "stopping",
            "the server is stopping; try again",
            "服务器正在停止；请稍后再试",
            {"Connection": "close"},
        )
    if service.in_flight > service.limits.requests_max:
        raise busy()
    _check_origin(service, scope, headers)
    sent = scope["headers"]
    if len(headers) != len(sent) and sum(name == b"authorization" for name, _ in sent) > 1:
        raise HttpProblem(
            "malformed_request", "a request has one Authorization", "请求至多有一个 Authorization"
        )
    authorization = (
        pages.authorization_of(scope["headers"]) if operation.is_page else headers.get(b"authorization")
    )
    sender = service.access.sender(authorization)
    if sender is None and operation.may is not None:
        sender = await service.sender_of_new(authorization)
        if sender is None:
            raise unauthorized(is_told=authorization is not None)
    if sender is None:
        return Sender(None, None, NOTHING)
    if operation.may is not None:
        sender.check(operation.may, operation.name)
    return sender


def _check_origin(service: Service, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
    """Refuse what a page of another site makes a browser send. Without tokens the address itself is the only guard,
    so the name it was asked by must be a loopback name (or a page could rebind its own name to us)."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) > 1 or (not hosts and scope["http_version"] == "1.1"):
        raise HttpProblem("malformed_request", "a request names one Host", "请求须有且仅有一个 Host")
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if scope["method"] not in _SAFE:
        origin = headers.get(b"origin")
        site = headers.get(b"sec-fetch-site", b"none")
        if site not in (b"none", b"same-origin") or (
            origin is not None and origin.decode("latin-1").lower().partition("://")[2] != host
        ):
            raise HttpProblem(
                "cross_site",
                "requests from pages of other sites are not taken",
                "不接受来自其他站点页面的请求",
            )
    if not service.access.exist and host and not _is_loopback_name(_name_of(host)):
        raise HttpProblem(
            "misdirected",
            "this server answers on localhost only; make tokens to serve other names",
            "本服务器仅以 localhost 应答；若用其他名称，请先生成令牌",
        )


def _check_body(operation: Operation, headers: Mapping[bytes, bytes]) -> None:
    """A body is read as it is. Raises HttpProblem `unsupported_encoding`."""
    plain = (
        headers.get(b"content-encoding", b"identity").lower() == b"identity"
        and headers.get(b"transfer-encoding", b"chunked").lower() == b"chunked"
    )
    if operation.body is not None and not plain:
        raise HttpProblem(
            "unsupported_encoding",
            "bodies are not decompressed here; send it as it is, without Content-Encoding or Transfer-Encoding: gzip",
            "此处不解压请求体；请原样发送，不带 Content-Encoding，也不用 Transfer-Encoding: gzip",
        )


def _is_loopback_name(name: str) -> bool:
    """An address of this machine itself, as number or name: no other site's name can lead a browser there."""
    if name in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name_of(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _failed(service: Service, exchange: Exchange, error: Exception) -> Reply:
    """A fault of ours. It is logged whole; the client gets the request's id to ask about."""
    service.lines.add(
        "error", "fault", request_id=exchange.request_id, error="".join(traceback.format_exception(error))
    )
    body = (
        b'{"type":"about:blank","title":"Internal Server Error","status":500,"code":"failed","clause":null,'
        b'"detail":"a fault of the server; its log has it under this request id","request_id":"%s"}'
        % exchange.request_id.encode()
    )
    return Reply(500, body, [], b"application/problem+json")


def redacted(path: str) -> str:
    """An address as it may be logged."""
    return _SECRET.sub(PREFIX + "…", path) if PREFIX in path else path


def _note(
    service: Service,
    operation: Operation | None,
    scope: Scope,
    exchange: Exchange,
    request: Request | None,
    problem: str | None,
) -> None:
    seconds = time.perf_counter() - exchange.started
    name = operation.name if operation is not None else "none"
    service.metrics.answered(name, exchange.status, seconds)
    members = {} if request is None else request.noted
    if request is not None and request.sender.token is not None:
        members["principal"] = request.sender.principal
        members["token"] = request.sender.token
    if problem is not None:
        members["problem"] = problem
    service.lines.add(
        "error" if exchange.status >= 500 and problem == "failed" else "info",
        "request",
        request_id=exchange.request_id,
        operation=name,
        method=scope["method"],
        path=redacted(scope["path"]),
        status=exchange.status,
        seconds=round(seconds, 6),
        **members,
    )
