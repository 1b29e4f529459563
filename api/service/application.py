"""The application: every operation of api/http/ found by discovery, routed, and described in one OpenAPI document."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import AsyncIterator, Sequence
from types import ModuleType
from typing import Any, Final

from fastapi import FastAPI
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api import http, pages
from api.service import front
from api.service.document import openapi
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.problems import HttpProblem
from api.service.service import Service
from ledger.catalogue import Catalogue

_COMMANDS: Final = "/v1/commands/"


def discover(known: Catalogue, limits: Limits) -> list[Operation]:
    """Every operation of the modules of api/http/, in order of the files."""
    return _found_in(http, known, limits)


def discover_pages(known: Catalogue, limits: Limits) -> list[Operation]:
    """Every operation of the modules of api/pages/, likewise."""
    return _found_in(pages, known, limits)


def _found_in(package: ModuleType, known: Catalogue, limits: Limits) -> list[Operation]:
    found: list[Operation] = []
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        found += importlib.import_module(f"{package.__name__}.{module.name}").operations(known, limits)
    # What is named comes before what may be anything: /v1/events/stream is not the event called stream.
    return sorted(found, key=lambda operation: operation.path.count("{"))


class _Endpoint:
    """An operation as an ASGI application."""

    def __init__(self, service: Service, operation: Operation) -> None:
        self._service = service
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path_params") or {}
        await front.handle(self._service, self._operation, path, scope, receive, send)


def application(service: Service) -> ASGIApp:
    """The ASGI application of a service, which it starts and stops."""
    operations = discover(service.catalogue, service.limits)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await _in_thread(service)

    app = FastAPI(
        title="Kejin 科金",
        version=service.version,
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        openapi_url=None,  # api/http/openapi.py serves it, as it serves everything
        lifespan=lifespan,
        redirect_slashes=False,
    )
    described: dict[str, Any] = openapi(operations, service.version)
    app.openapi = lambda: described  # type: ignore[method-assign]
    app.state.openapi = described
    service.described = described
    # Pages are for people: no part of that document.
    operations += discover_pages(service.catalogue, service.limits)
    for operation in operations:
        app.router.routes.append(
            Route(
                operation.path, _Endpoint(service, operation), methods=[operation.method], name=operation.name
            )
        )
    return _Switch(service, app, operations)


async def _in_thread(service: Service) -> None:
    import asyncio

    await asyncio.to_thread(service.stop)


class _Switch:
    """Commands go straight to their operation; everything else is routed by Starlette. What no route takes is
    answered as a problem too."""

    def __init__(self, service: Service, app: FastAPI, operations: Sequence[Operation]) -> None:
        self._service = service
        self._app = app
        self._commands = {
            operation.path: _Endpoint(service, operation)
            for operation in operations
            if operation.method == "POST" and operation.path.startswith(_COMMANDS)
        }
        #: In order, by how their addresses begin: trying all of them costs a read as much as answering it.
        self._routes: dict[str, list[BaseRoute]] = {}
        for operation, route in zip(operations, app.router.routes[-len(operations) :], strict=True):
            self._routes.setdefault(_beginning(operation.path), []).append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            # No name in an address has control characters or what is no UTF-8; patterns that end in $ take a line end.
            if not scope["path"].isprintable() or "\ufffd" in scope["path"]:
                await front.refuse(self._service, _not_found(scope), scope, send)
                return
            endpoint = self._commands.get(scope["path"])
            if endpoint is not None and scope["method"] == "POST":
                await endpoint(scope, receive, send)
                return
            await self._route(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._app(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed: set[str] = set()
        for route in self._routes.get(_beginning(scope["path"]), ()):
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                await found["endpoint"](scope, receive, send)
                return
            if match is Match.PARTIAL and isinstance(route, Route):
                allowed |= route.methods or set()
        await front.refuse(
            self._service, _not_allowed(scope, allowed) if allowed else _not_found(scope), scope, send
        )


def _beginning(path: str) -> str:
    """The first names of an address, as many as hold no parameter: two below /v1, else one."""
    names = path.split("/", 3)
    return "/".join(names[:3] if names[1:2] == ["v1"] else names[:2])


def _not_allowed(scope: Scope, allowed: set[str]) -> HttpProblem:
    listed = ", ".join(sorted(allowed))
    return HttpProblem(
        "method_not_allowed",
        f"{scope['method']} is not a method of this address; it takes {listed}",
        f"此地址不支持 {scope['method']}；可用：{listed}",
        {"Allow": listed},
    )


def _not_found(scope: Scope) -> HttpProblem:
    path = scope["path"][:100]
    if path.startswith(_COMMANDS):
        return HttpProblem(
            "unknown_command",
            f"there is no command {path.removeprefix(_COMMANDS)!r}",
            f"没有命令 {path.removeprefix(_COMMANDS)!r}",
        )
    return HttpProblem(
        "not_found",
        f"there is nothing at {path!r}; see /openapi.json",
        f"{path!r} 处没有内容；见 /openapi.json",
    )
