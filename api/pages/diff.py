"""/diff: the events that make up the difference between two points, to the fen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.service import asking
from api.service.asking import Clocks
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import Content, Section, View, page
from api.service.parameters import day, position, text, word
from api.service.problems import HttpProblem
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf
from projections.differences import SUBJECTS

_KINDS: Final = ("account", *SUBJECTS)
_FENS: Final = ("from_fen", "to_fen", "difference_fen")


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The difference; the page's own point is the later one."""

    def diff(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
        return _diff(store, as_of, given, view, limits.page_rows)

    return [
        page(
            "diff",
            "/diff",
            "What changed between two points of both clocks.",
            "两个时点之间的变化。",
            diff,
            parameters=(
                word("what", "What is compared. 比较对象。", _KINDS),
                text("name", "Its path, code or id. 账户、信用代码或编号。", "public/round/R1/available"),
                day("from_on", "The first point: business date. 起点业务日期。"),
                position("from_position", "The first point: what was known. 起点所知序号。"),
                position("after", "So many lines were shown. 已列出的行数。", least=0),
            ),
            template="diff.html",
        )
    ]


def _diff(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View, limit: int) -> Content:
    title, what, name = view.say("What changed", "变化"), given["what"], given["name"]
    asked = {key: given[key] or "" for key in ("what", "name", "from_on", "from_position")}
    extra = {**asked, "kinds": _KINDS}
    if name is None:
        told = view.say(
            "Choose an account, firm, bank or round and an earlier point; the later one is chosen above.",
            "请选择账户、企业、银行或轮次及较早的时点；较晚的时点在上方选择。",
        )
        return Content(title, [], told, extra=extra)
    if what is None:
        raise HttpProblem("invalid_parameter", "say what it is", "请说明比较对象的类别")
    earlier = asking.resolve(store, Clocks(given["from_on"], None, given["from_position"]))
    after = given["after"] or 0
    if what == "account":
        what, name = name, None
    found = asking.difference(store, what, name, (earlier, as_of), after, limit + 1)
    lines, more = found["lines"], None
    if len(lines) > limit:
        lines, more = lines[:limit], {**asked, "after": after + limit}
    columns = ("position", "type", "claim", "account", "effective_on", "amount_fen", "why")
    shown = {line["account"] for line in lines}
    sections = [
        Section(
            view.say("Accounts of these lines", "所涉账户"),
            [
                {k: row[k] for k in ("account", *_FENS)}
                for row in found["accounts"]
                if row["account"] in shown
            ],
        ),
        Section(view.say("Lines", "分录"), [{column: line[column] for column in columns} for line in lines]),
    ]
    if "difference_fen" in found:
        sections.insert(0, Section("", {key: found[key] for key in _FENS}))
    return Content(title, sections, f"{view.word(asked['what'])} {asked['name']}", more, extra)
