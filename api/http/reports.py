"""GET /v1/reports/…: the reports of `kejin report` that are about no single round or party, and a bank's ladders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from api.service import asking, schemas
from api.service.examples import BANK
from api.service.limits import Limits
from api.service.operations import Operation, Try
from api.service.paging import Cursor
from api.service.parameters import uscc
from api.service.reads import ReadPage, document, rows, whole
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
    reads = _reads()
    return [
        *[_operation(name, reads[name], limits) for name in _REPORTS],
        document(
            "report-portfolio",
            "/v1/reports/portfolio",
            "Loans by bank: lent, repaid, defaulted, lost, recovered; bank credit on each yuan of public money.",
            "各银行贷款：发放、偿还、违约、损失、追回；每元财政资金带动的信贷。",
            schemas.read_of({"banks": {"type": "array"}, "total": schemas.ANY, "public": schemas.ANY}),
            lambda store, as_of, given: asking.PORTFOLIO(store, as_of),
            tries=(Try(200),),
            projected=True,
        ),
        document(
            "report-milestones",
            "/v1/reports/milestones/{uscc}",
            "A bank's marks, what each award rests on, certified totals, what is missing to the next award.",
            "银行的里程碑、各奖励所依据的认定、距下一奖励的差额。",
            schemas.read_of({"bank": {"type": "string"}, "products": {"type": "array"}}),
            lambda store, as_of, given: asking.ladders_document(store, as_of, given["uscc"]),
            parameters=(uscc("uscc", "The bank's code. 银行的信用代码。", "path"),),
            codes=("unknown_party",),
            tries=(
                Try(200, path={"uscc": BANK}),
                Try(404, "unknown_party", path={"uscc": "91110000101623741K"}),
            ),
            projected=True,
        ),
    ]


def _reads() -> dict[str, ReadPage]:
    """The lists by name: read whole, or page by page."""
    return {
        **{name: whole(partial(_whole, report)) for name, report in asking.WHOLE_REPORTS.items()},
        "duties": _duties,
    }


def _whole(
    report: Callable[[Store, AsOf], Sequence[Any]], store: Store, as_of: AsOf, given: Mapping[str, Any]
) -> Sequence[Any]:
    return report(store, as_of)


def _duties(
    store: Store, as_of: AsOf, given: Mapping[str, Any], page: Cursor | None, count: int
) -> tuple[Sequence[Any], int | None]:
    return asking.DUTIES(store, as_of, 0 if page is None else page.after, count)


def _operation(name: str, read: ReadPage, limits: Limits) -> Operation:
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
