"""GET /v1/firms/{uscc}, /v1/banks/{uscc}, /v1/guarantors/{uscc}: a party in its role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Operation, Try
from api.service.parameters import uscc
from api.service.reads import document
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf

_KINDS = {
    "firm": ("A firm: names, loans, grants, caps, what was refused.", "企业：名称、贷款、补助、上限、拒绝。"),
    "bank": (
        "A bank: names, loans, grants, milestones, what was refused.",
        "银行：名称、贷款、补助、里程碑、拒绝。",
    ),
    "guarantor": (
        "A guarantor: names, payouts, grants, what was refused.",
        "担保机构：名称、代偿、补助、拒绝。",
    ),
}
_REGISTERED = {"firm": "91350100M000100Y43", "bank": "91110108551385082Q", "guarantor": "91110000600037341L"}
_NOBODY = "91110000101623741K"


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """One operation per role."""
    return [_operation(kind) for kind in _KINDS]


def _operation(kind: str) -> Operation:
    def read(store: Store, as_of: AsOf, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return asking.party_document(store, as_of, given["uscc"], kind)

    unknown = Try(404, "unknown_party", path={"uscc": _NOBODY})
    return document(
        kind,
        f"/v1/{kind}s/{{uscc}}",
        *_KINDS[kind],
        schemas.read_of({"uscc": {"type": "string"}}),
        read,
        parameters=(uscc("uscc", "The party's code. 统一社会信用代码。", "path"),),
        codes=("unknown_party",),
        tries=(Try(200, path={"uscc": _REGISTERED[kind]}), unknown),
        projected=True,
    )
