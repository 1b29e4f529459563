"""GET /health, /ready, /metrics: whether the process lives, whether it can work, its figures."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from api.roles import READ
from api.service import asking, schemas
from api.service.limits import Limits
from api.service.metrics import MEDIA_TYPE
from api.service.operations import Answer, Operation, Try
from api.service.problems import HttpProblem
from api.service.requests import Reply, Request, json_bytes
from ledger.catalogue import Catalogue

#: A projection that lacks more events than this makes reads wait too long.
_LAG_EVENTS_MAX: Final = 1_000_000
#: Whoever has not heard for so long may serve a token that was revoked.
_SILENT_SECONDS_MAX: Final = 30.0
#: So long the figures wait for those that the database has.
_LAG_SECONDS_MAX: Final = 1.0


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """Three operations for those who run the service."""
    return [
        Operation(
            "health",
            "GET",
            "/health",
            "operations",
            "The process lives.",
            "进程存活。",
            None,
            _health,
            (Answer(200, "It lives.", schemas.ANY, {"status": "ok"}),),
            tries=(Try(200), Try(422, "unknown_parameter", query={"colour": "red"})),
        ),
        Operation(
            "ready",
            "GET",
            "/ready",
            "operations",
            "The database answers, its schema is of this release, the projections follow.",
            "数据库可用、模式版本一致、投影跟上。",
            None,
            _ready,
            (Answer(200, "Ready.", schemas.ANY),),
            codes=("stopping", "database_unavailable", "behind", "too_slow"),
            tries=(Try(200),),
        ),
        Operation(
            "metrics",
            "GET",
            "/metrics",
            "operations",
            "Figures for Prometheus.",
            "Prometheus 指标。",
            READ,
            _metrics,
            (Answer(200, "The figures.", {"type": "string"}, media_type="text/plain"),),
            tries=(Try(200),),
        ),
    ]


async def _health(request: Request) -> Reply:
    return Reply(200, json_bytes({"status": "ok", "version": request.service.version}))


async def _ready(request: Request) -> Reply:
    service = request.service
    if service.draining:
        raise HttpProblem("stopping", "the server is stopping", "服务器正在停止")
    if service.listener.silent_seconds > _SILENT_SECONDS_MAX:
        raise HttpProblem(
            "database_unavailable",
            "this process has not heard of new events and tokens for a while",
            "本进程已有一段时间未能获知新事件与令牌变化",
        )
    found = await service.quick.ask(asking.ready)
    behind = [p["name"] for p in found["projections"] if p["lag"] > _LAG_EVENTS_MAX or p["problem"]]
    if behind:
        raise HttpProblem(
            "behind",
            f"projections that do not follow: {', '.join(behind)}",
            f"未跟上的投影：{', '.join(behind)}",
            **found,
        )
    return Reply(200, json_bytes({"status": "ready", **found}))


async def _metrics(request: Request) -> Reply:
    service = request.service
    # Where the database is gone or hangs, the other figures are told all the more.
    with contextlib.suppress(HttpProblem, TimeoutError):
        async with asyncio.timeout(_LAG_SECONDS_MAX):
            for status in await service.quick.ask(asking.projection_status):
                service.metrics.lag.labels(status["name"]).set(status["lag"])
    service.metrics.in_flight.set(service.in_flight)
    service.metrics.waiting.set(service.writer.waiting)
    service.metrics.streams.set(service.feed.streams)
    return Reply(200, service.metrics.text(), media_type=MEDIA_TYPE)
