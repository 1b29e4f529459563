"""/portfolio, /duties and /duplicates: the loans behind the money, who did what, what may have been paid twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.service import asking
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import Content, Section, View, page
from api.service.parameters import position
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf

_AFTER: Final = position("after", "Claims decided after this position. 此序号之后的决定。", least=0)

#: Of the portfolio: public money less what came back of it; what borrowers paid is no public money.
_CALLED: Final[Mapping[str, str]] = {"paid_fen": "paid_net_fen", "recovered_fen": "recovered_on_loans_fen"}


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """Three pages."""

    def duties(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
        rows, following = asking.DUTIES(store, as_of, given["after"] or 0, limits.page_rows)
        title = view.say("Who entered, decided, publicised and paid", "录入、决定、公示与支付的经办人")
        return Content(title, [Section("", rows)], more=None if following is None else {"after": following})

    return [
        page("portfolio", "/portfolio", "Loans by bank.", "各银行贷款。", _portfolio),
        page("duties", "/duties", "Who did what.", "经办人。", duties, parameters=(_AFTER,)),
        page("duplicates", "/duplicates", "Paid twice?", "重复支付。", _duplicates),
    ]


def _portfolio(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    report = asking.PORTFOLIO(store, as_of)
    banks = [_called(row, "name") for row in report["banks"]]
    total = {**_called(report["public"]), **_called(report["total"], "bank")}
    return Content(
        view.say("Loans behind the public money", "财政资金带动的贷款"),
        [
            Section(view.say("In all", "合计"), total),
            Section(view.say("By bank", "按银行"), banks),
        ],
    )


def _called(row: Mapping[str, Any], *left_out: str) -> dict[str, Any]:
    """A row under names that say on a page, where other figures stand beside them, what they are."""
    return {_CALLED.get(name, name): value for name, value in row.items() if name not in left_out}


def _duplicates(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    rows = asking.WHOLE_REPORTS["duplicates"](store, as_of)
    return Content(view.say("Perhaps paid twice", "疑似重复支付"), [Section("", rows)])
