"""/diff: the events that make up the difference between two points, to the fen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from api.service import asking
from api.service.asking import Clocks
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import Content, Section, View, answered, read_page
from api.service.parameters import day, position, text, word
from api.service.problems import HttpProblem
from api.service.requests import Reply, Request
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf
from projections.differences import SUBJECTS

_KINDS: Final = ("account", *SUBJECTS)
_FENS: Final = ("from_fen", "to_fen", "difference_fen")


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The difference; the page's own point is the later one."""

    async def handle(request: Request) -> Reply:
        given, projected = request.parameters, request.service.projected

        def found(store: Store, as_of: AsOf, view: View) -> Content:
            earlier = AsOf(given["from_on"], as_of.known_position)
            if given["from_position"] is not None:
                clocks = Clocks(given["from_on"], None, given["from_position"])
                earlier = asking.resolve(store, clocks, projected.reached)
                projected.ensure(store, earlier.known_position)
            return _diff(store, (earlier, as_of), given, view, limits.page_rows)

        return await answered(request, "diff.html", request.service.slow.ask, found)

    return [
        read_page(
            "diff",
            "/diff",
            "What changed between two points of both clocks.",
            "两个时点之间的变化。",
            handle,
            (
                word("what", "What is compared. 比较对象。", _KINDS),
                text("name", "Its path, code or id. 账户、信用代码或编号。", "public/round/R1/available"),
                day("from_on", "The first point: business date. 起点业务日期。"),
                position("from_position", "The first point: what was known. 起点所知序号。"),
            ),
        )
    ]


def _diff(
    store: Store, points: tuple[AsOf, AsOf], given: Mapping[str, Any], view: View, limit: int
) -> Content:
    title, what, name = view.say("What changed", "变化"), given["what"], given["name"]
    asked = {key: given[key] or "" for key in ("what", "name", "from_on", "from_position")}
    extra = {**asked, "kinds": _KINDS}
    if name is None or not (asked["from_on"] or asked["from_position"]):
        told = view.say(
            "Choose an account, firm, bank or round and the first point; the last one is chosen above.",
            "请选择账户、企业、银行或轮次及起点；终点在上方选择。",
        )
        return Content(title, [], told, extra=extra)
    if what is None:
        raise HttpProblem("invalid_parameter", "say what it is", "请说明比较对象的类别")
    subtitle = f"{view.word(what)} {name}: {_told(points[0], view)} → {_told(points[1], view)}"
    if what == "account":
        what, name = name, None
    row = given["row"] or 0
    found = asking.difference(store, what, name, points, row, limit + 1)
    lines = found["lines"][:limit]
    columns = ("position", "type", "claim", "account", "effective_on", "amount_fen", "why")
    shown = {line["account"] for line in lines}
    sections = [
        Section(
            view.say("Accounts of these lines", "所涉账户"),
            [
                {k: one[k] for k in ("account", *_FENS)}
                for one in found["accounts"]
                if one["account"] in shown
            ],
        ),
        Section(view.say("Lines", "分录"), [{column: line[column] for column in columns} for line in lines]),
    ]
    if "difference_fen" in found:
        sections.insert(0, Section("", [{key: found[key] for key in _FENS}]))
    known = max(point.known_position for point in points)  # either may be the one that knows more
    sections = [replace(section, known_position=known) for section in sections]
    return Content(
        title,
        sections,
        subtitle,
        more={**asked, "row": row + limit} if len(found["lines"]) > limit else None,
        back={**asked, "row": max(0, row - limit)} if row else None,
        extra=extra,
    )


def _told(point: AsOf, view: View) -> str:
    """A point of both clocks in words."""
    on = point.on or view.say("all business dates", "全部业务日期")
    return view.say(f"{on}, known up to {point.known_position}", f"{on}、所知至第 {point.known_position} 条")
