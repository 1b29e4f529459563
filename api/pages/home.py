"""/: what the ledger holds, its rounds, and a way to everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.pages.rounds import rows_of_rounds
from api.service import asking
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import Content, Section, View, page
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The first page."""
    return [page("home", "/", "The ledger and its rounds.", "账本与各轮次。", _home, template="home.html")]


def _home(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    (paid,) = asking.balances(store, [("public/paid/", as_of)])
    return Content(
        "Kejin 科金",
        [Section(view.say("Rounds", "轮次"), rows_of_rounds(store, as_of))],
        view.say("An event-sourced ledger of public fund flows", "公共资金流向的事件溯源账本"),
        extra={"events": as_of.known_position, "paid_fen": paid},
    )
