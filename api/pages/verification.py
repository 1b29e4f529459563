"""/verification: the checks that recompute from the whole log, for those who may verify."""

from __future__ import annotations

from typing import Any

from api.http.verification import CHECK, verified
from api.roles import VERIFY
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import operation, show, view_of
from api.service.parameters import CLOCKS
from api.service.requests import Reply, Request
from ledger.catalogue import Catalogue


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """One page: the choice, and what a check found."""
    return [
        operation(
            "page-verification",
            "GET",
            "/verification",
            "Check the whole log.",
            "核验整个日志。",
            VERIFY,
            _verify,
            (CHECK, *CLOCKS),
        )
    ]


async def _verify(request: Request) -> Reply:
    report: Any = None
    if request.parameters["check"] is not None:  # the page itself checks nothing yet: it may take long
        _, report = await verified(request)
    checks, chosen = CHECK.schema["enum"], request.parameters["check"] or ""
    return show(request, "verification.html", view_of(request), report=report, checks=checks, chosen=chosen)
