"""GET /v1/events, /v1/events/{position}, /v1/events/{position}/explanation: the log itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.roles import READ
from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Answer, Operation, Try
from api.service.parameters import CLOCKS, ON, paging, position, text
from api.service.reads import (
    answered,
    document,
    entity_tag,
    not_modified,
    page_document,
    pinned,
    tagged,
)
from api.service.requests import Reply, Request, json_bytes, wants_lines
from ledger import codec
from ledger.catalogue import Catalogue
from projections.clocks import AsOf

_FILTERS: Final = (
    position("after", "Only later positions. 仅此序号之后。", least=0),
    position("until", "Only up to this position. 至此序号为止。", least=0),
    text("tag", "e.g. firm:<uscc>, loan:<id>, claim:<id>, round:<id>. 标签。", "loan:L1"),
    text("type", "e.g. LoanInterestGranted, ClaimRefused. 类型。", "LoanDrawn"),
)
_NDJSON: Final = "application/x-ndjson"
_POSITION: Final = position("position", "The event's position. 事件序号。", "path", example=5)
_PATH: Final = {"position": 5}


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The list, one event, and why this amount."""
    return [
        Operation(
            "events",
            "GET",
            "/v1/events",
            "reads",
            "The events in order, whole. With Accept: application/x-ndjson a line each.",
            "按序列出事件全文。",
            READ,
            _list,
            (
                Answer(
                    200,
                    "A page of events, with what was asked.",
                    schemas.page_of({"$ref": "#/components/schemas/Event"}),
                    headers={
                        "ETag": "strong, of the question and the position that the answer knows",
                        "Link": "of lines: the next page, if there is one",
                        "Kejin-Known-Position": "of lines: the position that the answer knows",
                    },
                    others={_NDJSON: {"type": "string"}},
                ),
                Answer(304, "What If-None-Match names is still the answer.", {}, media_type=""),
            ),
            (
                *_FILTERS,
                *CLOCKS,
                *paging(limits),
            ),
            codes=("not_known", "invalid_cursor"),
            tries=(
                Try(200),
                Try(200, query={"tag": "loan:L1", "limit": 1}),
                Try(200, query={"after": 2, "until": 4, "type": "PartyRegistered", "on": "2024-12-31"}),
                Try(304, headers={"If-None-Match": "*"}),
                Try(404, "not_known", query={"known_position": 999_999}),
                Try(422, "invalid_parameter", query={"limit": 0}),
                Try(422, "invalid_cursor", query={"cursor": "x"}),
            ),
        ),
        document(
            "event",
            "/v1/events/{position}",
            "One event, whole.",
            "单条事件全文。",
            schemas.ENVELOPE_READ,
            lambda store, as_of, given: asking.event(store, as_of, given["position"]),
            parameters=(_POSITION,),
            tries=(Try(200, path=_PATH), Try(404, "not_known", path={"position": 999_999})),
            quick=True,
        ),
        document(
            "explanation",
            "/v1/events/{position}/explanation",
            "Why this amount, or why it was refused: the stored legs, which one bound, the reading, the rules.",
            "为何是此金额，或为何被拒。",
            schemas.EXPLANATION,
            lambda store, as_of, given: asking.explanation(store, as_of, given["position"]),
            parameters=(_POSITION,),
            codes=("nothing_to_explain",),
            tries=(
                Try(200, path={"position": 7}),
                Try(404, "nothing_to_explain", path={"position": 3}),
            ),
            quick=True,
            projected=True,
        ),
    ]


async def _list(request: Request) -> Reply:
    given = request.parameters
    page, filters = pinned(request, (ON, *_FILTERS))
    limit = given["limit"] or request.service.limits.page_rows
    as_of, found = await answered(
        request,
        request.service.slow,
        lambda store, as_of: asking.events(
            store,
            (filters["after"] or 0) if page is None else page.after,
            _until(filters, as_of),
            limit,
            filters["tag"],
            filters["type"],
            filters["on"],
        ),
        projected=False,
        page=page,
    )
    headers = tagged(entity_tag(request, as_of))
    if not_modified(request, found):
        return Reply(304, b"", headers)
    last: int | None = found[-1]["position"] if len(found) == limit else None
    after = last if last is not None and last < _until(filters, as_of) else None
    document = page_document(request, as_of, found, filters, after)
    if wants_lines(request.header_joined(b"accept")):
        return _lines(document, given["limit"], headers)
    return Reply(200, json_bytes(document), headers)


def _until(filters: Mapping[str, Any], as_of: AsOf) -> int:
    until: int | None = filters["until"]
    return as_of.known_position if until is None else min(until, as_of.known_position)


def _lines(document: dict[str, Any], limit: int | None, headers: list[tuple[bytes, bytes]]) -> Reply:
    """A page as NDJSON; the next page's address is a link, to as many rows as were asked for."""
    body = b"".join(codec.line(item) for item in document["items"])
    cursor = document["next_cursor"]
    if cursor is not None:
        asked = "" if limit is None else f"&limit={limit}"
        headers.append((b"link", f'</v1/events?cursor={cursor}{asked}>; rel="next"'.encode()))
    headers.append((b"kejin-known-position", str(document["known_position"]).encode()))
    return Reply(200, body, headers, _NDJSON.encode())
