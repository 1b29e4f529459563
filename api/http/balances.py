"""GET /v1/balances/{account}: what an account or subtree held, on both clocks."""

from __future__ import annotations

from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Operation, Try
from api.service.parameters import account
from api.service.reads import document
from ledger.catalogue import Catalogue

_ACCOUNT = account(
    "account",
    "The account's path; with a trailing / the sum of its subtree. 账户路径；末尾加 / 为合计。",
    "path",
)
_PATH = {"account": "public/treasury"}


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """Balances."""
    return [
        document(
            "balance",
            "/v1/balances/{account:path}",
            "The balance of an account or subtree at any (on, known position).",
            "任意业务日期、任意所知时点的账户余额。",
            schemas.BALANCE,
            lambda store, as_of, given: {
                "account": given["account"],
                "balance_fen": asking.balance(store, as_of, given["account"]),
            },
            parameters=(_ACCOUNT,),
            codes=("unknown_account",),
            tries=(
                Try(200, path=_PATH),
                Try(200, path={"account": "public/round/R1/"}),
                Try(404, "unknown_account", path={"account": "nowhere/at/all"}),
            ),
            quick=True,
            projected=True,
        )
    ]
