"""GET /v1/caps: every cumulative cap, its use and its room."""

from __future__ import annotations

from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Operation, Try
from api.service.parameters import uscc
from api.service.reads import rows
from ledger.catalogue import Catalogue


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """Caps."""
    return [
        rows(
            "caps",
            "/v1/caps",
            "Every cap and key that was used: limit, consumed, reserved, room.",
            "累计上限：限额、已用、未付、剩余。",
            schemas.CAP_ROW,
            lambda store, as_of, given, page, count: asking.cap_page(
                store, as_of, given["party"], "" if page is None else page.after_name, count
            ),
            limits,
            parameters=(uscc("party", "Only this party's caps. 仅该主体。"),),
            tries=(Try(200), Try(422, "invalid_parameter", query={"party": "nobody"})),
            projected=True,
        )
    ]
