"""GET /v1/verification: recompute from the log what must hold."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from api.outside import outside_of
from api.problems import Problem
from api.roles import VERIFY
from api.service import schemas
from api.service.asking import resolve
from api.service.limits import Limits
from api.service.operations import Answer, Operation, Try
from api.service.parameters import CLOCKS, word
from api.service.problems import HttpProblem
from api.service.reads import clocks_of, echo
from api.service.requests import Reply, Request, json_bytes
from api.service.walking import Walk, walked
from ledger.catalogue import Catalogue
from ledger.signer import root_at
from ledger.store import Store
from projections.clocks import AsOf
from projections.verification import CHECKS, run
from projections.verification.report import Report

_ALL: Final = "all"
CHECK: Final = word("check", "One check; default: all. 校验项。", (*CHECKS, _ALL))


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The checks. They look at every business date and the whole log, whatever the clocks say; `events` and `root` are
    those of the log as known."""
    return [
        Operation(
            "verification",
            "GET",
            "/v1/verification",
            "reads",
            "Recompute leaves, books, caps and projections from the whole log; events and root are those as known. "
            "Takes long on a long log; not kept.",
            "由整个日志重新计算并校验；events 与 root 为所知时点之值。",
            VERIFY,
            _verify,
            (Answer(200, "What was found; `ok` says whether everything holds.", schemas.VERIFICATION),),
            (CHECK, *CLOCKS),
            codes=("not_known",),
            tries=(
                Try(200, query={"check": "books"}),
                Try(422, "invalid_parameter", query={"check": "everything"}),
                Try(404, "not_known", query={"known_position": 999_999}),
            ),
        )
    ]


async def _verify(request: Request) -> Reply:
    as_of, report = await verified(request)
    return Reply(200, json_bytes({**echo(request, as_of), **report}))


async def verified(request: Request) -> tuple[AsOf, Mapping[str, Any]]:
    """What the check that a request names finds, or all. Raises HttpProblem."""
    check = request.parameters["check"] or _ALL
    names = list(CHECKS) if check == _ALL else [check]

    try:
        outside = await asyncio.to_thread(outside_of, request.service.database.folder)
    except Problem as problem:
        raise HttpProblem("database_unavailable", str(problem), str(problem)) from None

    walk = Walk(request.service.limits.check_seconds_max)

    def question(store: Store) -> tuple[AsOf, Mapping[str, Any]]:
        as_of = resolve(store, clocks_of(request))
        request.service.projected.ensure(store, store.head().position)
        report = run(store, names, lambda name: walk.look(), outside, lambda name, done, of: walk.look())
        return as_of, _known(store, as_of, report).document()

    return await walked(request, walk, question, request.service.checks)


def _known(store: Store, as_of: AsOf, report: Report) -> Report:
    """A report on the whole log, with the size and the root that the log had at the position that is known."""
    size = as_of.known_position
    return report if size >= report.events else replace(report, events=size, root=root_at(store, size).hex())
