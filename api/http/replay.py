"""GET /v1/replay: walk the log for a firm, a bank, a round or everything: what each event changed."""

from __future__ import annotations

from typing import Any, Final

from api.roles import READ
from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Answer, Operation, Try
from api.service.parameters import CLOCKS, ON, identifier, paging, position, uscc
from api.service.problems import HttpProblem
from api.service.reads import (
    answered,
    entity_tag,
    not_modified,
    page_document,
    pinned,
    tagged,
)
from api.service.requests import Reply, Request, json_bytes
from ledger.catalogue import Catalogue

_SUBJECTS: Final = ("firm", "bank", "round")
_FILTERS: Final = (
    uscc("firm", "Only events of this firm. 仅该企业。"),
    uscc("bank", "Only events of this bank. 仅该银行。"),
    identifier("round", "Only events of this round. 仅该轮次。", "R1", "query"),
    position("after", "Only later positions. 仅此序号之后。", least=0),
    position("until", "Only up to this position. 至此序号为止。", least=0),
)
#: Each event of a page asks for several balances.
_ROWS_MAX: Final = 200


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The replay."""
    return [
        Operation(
            "replay",
            "GET",
            "/v1/replay",
            "reads",
            "For each event of a range what it changed: balances and caps before and after, refusals too.",
            "逐条重放：余额与上限的前后变化，含拒绝。",
            READ,
            _replay,
            (
                Answer(
                    200,
                    "A page of events with what they changed.",
                    schemas.page_of(schemas.REPLAY_ROW),
                    headers={"ETag": "strong, of the question and the position that the answer knows"},
                ),
                Answer(304, "What If-None-Match names is still the answer.", {}, media_type=""),
            ),
            (
                *_FILTERS,
                *CLOCKS,
                *paging(limits, _ROWS_MAX),
            ),
            codes=("not_known", "unknown_round", "unknown_party", "invalid_cursor"),
            tries=(
                Try(200),
                Try(200, query={"round": "R1", "after": 2, "until": 9, "limit": 3}),
                Try(200, query={"firm": "91350100M000100Y43", "on": "2024-12-31"}),
                Try(304, headers={"If-None-Match": "*"}),
                Try(404, "not_known", query={"known_position": 999_999}),
                Try(404, "unknown_round", query={"round": "none"}),
                Try(404, "unknown_party", query={"bank": "91110000101623741K"}),
                Try(422, "invalid_parameter", query={"firm": "91350100M000100Y43", "round": "R1"}),
                Try(422, "invalid_cursor", query={"cursor": "x"}),
            ),
        )
    ]


async def _replay(request: Request) -> Reply:
    given = request.parameters
    page, filters = pinned(request, (ON, *_FILTERS))
    limit = given["limit"] or request.service.limits.page_rows
    subjects = [(name, str(filters[name])) for name in _SUBJECTS if filters[name] is not None]
    if len(subjects) > 1:
        raise HttpProblem(
            "invalid_parameter", "give one of firm, bank and round", "firm、bank、round 只能给出一个"
        )
    as_of, found = await answered(
        request,
        request.service.slow,
        lambda store, as_of: asking.replayed(
            store,
            as_of,
            (filters["after"] or 0) if page is None else page.after,
            _until(filters["until"], as_of.known_position),
            limit,
            subjects[0] if subjects else None,
        ),
        projected=True,
        page=page,
    )
    headers = tagged(entity_tag(request, as_of))
    if not_modified(request, found):
        return Reply(304, b"", headers)
    last: int | None = found[-1]["position"] if len(found) == limit else None
    after = last if last is not None and last < _until(filters["until"], as_of.known_position) else None
    return Reply(200, json_bytes(page_document(request, as_of, found, filters, after)), headers)


def _until(until: Any, known_position: int) -> int:
    return known_position if until is None else min(int(until), known_position)
