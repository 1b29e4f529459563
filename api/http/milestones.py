"""GET /v1/milestones: each bank's climb on the ladder of the exclusive-credit award."""

from __future__ import annotations

from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Operation, Try
from api.service.parameters import uscc
from api.service.reads import rows, whole
from ledger.catalogue import Catalogue


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """Milestones."""
    return [
        rows(
            "milestones",
            "/v1/milestones",
            "Per bank and product: the mark in whole 亿, what was awarded, the next step.",
            "银行各产品的里程碑、已奖励金额与下一台阶。",
            schemas.MILESTONE_ROW,
            whole(lambda store, as_of, given: asking.milestone_rows(store, as_of, given["bank"])),
            limits,
            parameters=(uscc("bank", "Only this bank's products. 仅该银行。"),),
            tries=(Try(200), Try(422, "invalid_parameter", query={"bank": "nobody"})),
            projected=True,
        )
    ]
