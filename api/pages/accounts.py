"""/accounts/{account}: a balance on both clocks, and its statement from a day on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.service import asking
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import Content, Section, View, page
from api.service.parameters import account, day
from api.service.problems import HttpProblem
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The books, and one account."""
    return [
        page("books", "/accounts", "Every book in a few lines.", "各账簿。", _books),
        page(
            "account",
            "/accounts/{account:path}",
            "A balance, and its statement from a day on.",
            "余额，及自某日起的对账单。",
            _account,
            parameters=(
                account("account", "The account's path. 账户路径。", "path"),
                day("from", "First business date of the statement. 对账单起始日期。"),
            ),
            template="account.html",
        ),
    ]


def _books(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    document = asking.trial_balance_document(store, as_of)
    sections = [
        Section(
            view.word(book["book"]),
            [
                *({"account": path, "balance_fen": fen} for path, fen in book["balances_fen"].items()),
                {"account": None, "balance_fen": book["total_fen"]},
            ],
        )
        for book in document["books"]
    ]
    told = (
        view.say("the public and the private book sum to zero", "公共账与私人账合计为零")
        if document["balanced"]
        else view.say("NOT BALANCED", "不平衡")
    )
    return Content(view.say("Trial balance", "试算平衡"), sections, told)


def _account(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    path = given["account"]
    (balance,) = asking.balances(store, [(path, as_of)])
    if isinstance(balance, HttpProblem):
        raise balance
    sections = []
    if given["from"] is not None:
        found = asking.statement_document(store, as_of, path, given["from"])
        sections = [
            Section(
                view.say(f"Statement from {given['from']}", f"自 {given['from']} 起的对账单"),
                [
                    {
                        "effective_on": None,
                        "position": None,
                        "amount_fen": None,
                        "balance_fen": found["opening_fen"],
                    },
                    *found["lines"],
                ],
            )
        ]
    return Content(path, sections, extra={"balance_fen": balance, "first": given["from"] or ""})
