"""/rounds and /rounds/{round}: all of them; a round's money by instrument, its control totals, what happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.service import asking
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import Content, Section, View, page
from api.service.parameters import identifier
from ledger import accounts
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The list, and one round."""
    parameter = identifier("round", "The round's id. 轮次编号。", "R1")
    return [
        page("rounds", "/rounds", "The rounds.", "各轮次。", _rounds),
        page("round", "/rounds/{round}", "A round.", "轮次。", _round, parameters=(parameter,)),
    ]


def _rounds(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    return Content(view.say("Rounds", "轮次"), [Section("", rows_of_rounds(store, as_of))])


def rows_of_rounds(store: Store, as_of: AsOf) -> list[dict[str, Any]]:
    """The rounds, each with what is left of its money and what is bound."""
    found = asking.opened_rounds(store, as_of)
    paths = [path(row["round"]) for row in found for path in (accounts.available, accounts.committed)]
    balances = asking.balances(store, [(path, as_of) for path in paths])
    return [
        {**row, "available_fen": balances[2 * i], "committed_fen": balances[2 * i + 1]}
        for i, row in enumerate(found)
    ]


def _round(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    report = dict(asking.round_document(store, as_of, given["round"]))
    instruments, totals = report.pop("instruments"), report.pop("control_totals")
    facts = [
        {"position": fact["position"], "type": fact["event"], "effective_on": fact["on"]}
        for fact in asking.round_life(store, as_of, given["round"])
    ]
    sections = [
        Section(view.say("Money", "资金"), report),
        Section(view.say("By instrument", "按工具"), instruments),
        Section(view.say("Control totals", "控制总数"), totals),
        Section(view.say("Its own life", "轮次事项"), facts),
    ]
    return Content(f"{view.word('round')} {given['round']}", [one for one in sections if one.rows])
