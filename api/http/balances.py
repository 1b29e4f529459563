"""GET /v1/balances/{account}: what an account or subtree held, on both clocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Operation, Try
from api.service.parameters import account
from api.service.problems import HttpProblem
from api.service.reads import Asked, document_together
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf
from projections.kept import KeptExtracts

_ACCOUNT = account(
    "account",
    "The account's path; with a trailing / the sum of its subtree. 账户路径；末尾加 / 为合计。",
    "path",
)
_PATH = {"account": "public/treasury"}


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """Balances."""
    kept = KeptExtracts(limits.kept_extracts_bytes_max)
    return [
        document_together(
            "balance",
            "/v1/balances/{account:path}",
            "The balance of an account or subtree at any (on, known position).",
            "任意业务日期、任意所知时点的账户余额。",
            schemas.BALANCE,
            lambda store, asked: _balances(store, asked, kept),
            lambda as_of, given: _kept_balance(as_of, given["account"], kept),
            parameters=(_ACCOUNT,),
            codes=("unknown_account",),
            tries=(
                Try(200, path=_PATH),
                Try(200, path={"account": "public/round/R1/"}),
                Try(404, "unknown_account", path={"account": "nowhere/at/all"}),
            ),
        )
    ]


def _balances(
    store: Store, asked: Sequence[Asked], kept: KeptExtracts
) -> list[Mapping[str, Any] | HttpProblem]:
    found = asking.balances(store, [(given["account"], as_of) for as_of, given in asked], kept)
    return [
        value if isinstance(value, HttpProblem) else _document(given["account"], value)
        for (_, given), value in zip(asked, found, strict=True)
    ]


def _kept_balance(as_of: AsOf, path: str, kept: KeptExtracts) -> Mapping[str, Any] | None:
    fen = asking.balance_at_once(kept, path, as_of)
    return None if fen is None else _document(path, fen)


def _document(path: str, fen: int) -> Mapping[str, Any]:
    return {"account": path, "balance_fen": fen}
