"""/sample: granted claims drawn for an auditor, with the positions to prove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from api.http.sample import drawn_by
from api.service import asking
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import Content, Section, View, redirect, walking_page
from api.service.requests import Reply, Request
from api.service.walking import Walk
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections import sampling
from projections.clocks import AsOf


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The sample: drawn once somebody says how."""
    drawing = walking_page(
        "sample",
        "/sample",
        "Claims drawn for an auditor.",
        "审计抽样。",
        _sample,
        drawn_by(limits),
        "sample.html",
        asks="by",
    )

    async def handle(request: Request) -> Reply | None:
        given = request.parameters
        if given["by"] is not None and given["seed"] is None:
            # Every link of the page keeps its address, and with it the sample.
            asked = parse_qsl(request.scope["query_string"].decode("latin-1"))
            return redirect("/sample?" + urlencode([*asked, ("seed", sampling.new_seed())]))
        return await drawing.handle(request)

    return [replace(drawing, handle=handle)]


def _sample(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View, walk: Walk) -> Content:
    asked = {name: given[name] or "" for name in ("by", "seed", "round")} | {
        "size": given["size"] or sampling.SIZE
    }
    title = view.say("Sample for an audit", "审计抽样")
    extra = {**asked, "methods": sampling.METHODS, "again": None}
    if given["by"] is None:
        return Content(title, [], extra=extra)
    found = asking.sample(store, as_of, walk, given, given["seed"])
    facts = {"method": found["method"], "seed": found["seed"], **found["population"]}
    if found["interval_fen"] is not None:
        facts["interval_fen"] = found["interval_fen"]
    columns = ("claim", "position", "round", "instrument", "payee", "effective_on", "amount_fen")
    rows = [
        {**{name: row[name] for name in columns}, "risks": row["risks"], "positions": row["positions"]}
        for row in found["claims"]
    ]
    # The same point, seed and method draw the same for anybody.
    extra["again"] = view.link("/sample", **{**asked, "known_position": as_of.known_position})
    return Content(
        title,
        [
            Section(view.say("Drawn from", "总体"), facts),
            Section(view.say("Drawn claims, with the events to prove", "样本及应取证的事件"), rows),
        ],
        extra=extra,
    )
