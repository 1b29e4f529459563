"""GET /v1/reports/{name}: the lists of `kejin report` over the whole ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Operation, Try
from api.service.reads import rows
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf

_REPORTS = {
    "near-caps": ("Firms at 80, 90 and 100 % of a cap.", "达到上限 80%、90%、100% 的企业。"),
    "duties": (
        "Who entered, decided, publicised and paid each claim.",
        "每笔申请由谁录入、决定、公示、支付。",
    ),
    "duplicates": (
        "The same payee, loan, slip or voucher paid twice.",
        "同一收款方、贷款、回单或凭证重复支付。",
    ),
}


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """One operation per report."""
    return [_operation(name, limits) for name in _REPORTS]


def _operation(name: str, limits: Limits) -> Operation:
    def read(store: Store, as_of: AsOf, given: Mapping[str, Any]) -> Sequence[Any]:
        return asking.WHOLE_REPORTS[name](store, as_of)

    return rows(
        f"report-{name}",
        f"/v1/reports/{name}",
        *_REPORTS[name],
        schemas.ANY,
        read,
        limits,
        tries=(Try(200),),
        projected=True,
    )
