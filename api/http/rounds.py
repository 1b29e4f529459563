"""GET /v1/rounds/{round}: a round's money by instrument, and its control totals."""

from __future__ import annotations

from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Operation, Try
from api.service.parameters import identifier
from api.service.reads import document
from ledger.catalogue import Catalogue


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """Rounds."""
    return [
        document(
            "round",
            "/v1/rounds/{round}",
            "A round: appropriated, committed, paid, recovered by instrument; control totals and whether they tie.",
            "轮次：按工具的拨入、决定、支付、追回；控制总数是否相符。",
            schemas.read_of({"round": {"type": "string"}}),
            lambda store, as_of, given: asking.round_document(store, as_of, given["round"]),
            parameters=(identifier("round", "The round's id. 轮次编号。", "R1"),),
            codes=("unknown_round",),
            tries=(Try(200, path={"round": "R1"}), Try(404, "unknown_round", path={"round": "R99"})),
            projected=True,
        )
    ]
