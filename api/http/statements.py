"""GET /v1/statements/{account}, /v1/trial-balance: an account between two dates; every book in a few lines."""

from __future__ import annotations

from typing import Final

from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Operation, Try
from api.service.parameters import account, day
from api.service.reads import document
from ledger.catalogue import Catalogue

_ACCOUNT: Final = account(
    "account", "The account's path; with a trailing / its subtree. 账户路径；末尾加 / 为合计。", "path"
)
_PATH: Final = {"account": "public/round/R1/available"}
_INTEGER: Final = {"type": "integer"}
#: None: from the beginning, to the end.
_DAY_OR_NULL: Final = {"type": ["string", "null"], "format": "date"}


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """Statements and the trial balance."""
    return [
        document(
            "statement",
            "/v1/statements/{account:path}",
            "An account or subtree from a business date to another (`on`): opening balance, lines, closing balance.",
            "对账单：期初余额、逐笔明细、期末余额。",
            schemas.read_of(
                {
                    "account": {"type": "string"},
                    "from": _DAY_OR_NULL,
                    "to": _DAY_OR_NULL,
                    "opening_fen": _INTEGER,
                    "lines": {"type": "array"},
                    "closing_fen": _INTEGER,
                }
            ),
            lambda store, as_of, given: asking.statement_document(
                store, as_of, given["account"], given["from"]
            ),
            parameters=(
                _ACCOUNT,
                day("from", "First business date; default: of all. 起始日期；默认自始。"),
            ),
            codes=("unknown_account",),
            tries=(
                Try(200, path=_PATH, query={"from": "2024-01-01"}),
                Try(200, path=_PATH),
                Try(404, "unknown_account", path={"account": "nowhere/at/all"}, query={"from": "2024-01-01"}),
                Try(422, "invalid_parameter", path=_PATH, query={"from": "2024-02-30"}),
                Try(422, "invalid_parameter", path=_PATH, query={"from": "2024-02-01", "on": "2024-01-31"}),
            ),
            projected=True,
        ),
        document(
            "trial-balance",
            "/v1/trial-balance",
            "Every book in a few lines; the public and the private book sum to zero.",
            "各账簿试算平衡表；公共账与私人账合计为零。",
            schemas.read_of({"balanced": {"type": "boolean"}, "books": {"type": "array"}}),
            lambda store, as_of, given: asking.trial_balance_document(store, as_of),
            tries=(Try(200),),
            projected=True,
        ),
    ]
