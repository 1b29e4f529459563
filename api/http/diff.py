"""GET /v1/diff: the events that make up the difference between two points, to the fen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.roles import READ
from api.service import asking, schemas
from api.service.asking import Clocks, resolve
from api.service.limits import Limits
from api.service.operations import Answer, Operation, Try
from api.service.paging import Cursor
from api.service.parameters import CLOCKS, ON, account, day, identifier, instant, paging, position, uscc
from api.service.problems import HttpProblem
from api.service.reads import (
    TAG,
    UNCHANGED,
    clocks_of,
    echo,
    entity_tag,
    is_known,
    pinned,
    tagged,
    wants_none,
)
from api.service.requests import Reply, Request, json_bytes
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf

_SUBJECTS: Final = (
    account("account", "An account, or with a trailing / its subtree. 账户或其下合计。", "query"),
    uscc("firm", "All accounts of this firm. 该企业的全部账户。"),
    uscc("bank", "All accounts of this bank. 该银行的全部账户。"),
    identifier("round", "All accounts of this round. 该轮次的全部账户。", "R1", "query"),
)
_FROM_POSITION: Final = position(
    "from_position", "The first point: as known at a position, from 1. 起点所知序号。", least=0
)
_FROM_ON: Final = day("from_on", "The first point: business date; default: all. 起点业务日期；默认全部。")
_FROM_KNOWN_AT: Final = instant("from_known_at", "The first point: as known at an instant. 起点所知时刻。")
_FILTERS: Final = (ON, *_SUBJECTS, _FROM_ON, _FROM_POSITION)
_FIRM: Final = {"firm": "91350100M000100Y43"}


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The difference."""
    return [
        Operation(
            "diff",
            "GET",
            "/v1/diff",
            "reads",
            "What changed between two points, from_… and on, known_at or known_position, for an account, firm, bank or "
            "round: the events that make up the difference. Where a point says nothing, all dates and the newest.",
            "两个时点之间的变化：逐条列出构成差额的事件。",
            READ,
            _diff,
            (
                Answer(200, "A page of the lines, and the accounts on it.", schemas.DIFF, headers=TAG),
                UNCHANGED,
            ),
            (*_SUBJECTS, _FROM_ON, _FROM_KNOWN_AT, _FROM_POSITION, *CLOCKS, *paging(limits)),
            codes=("not_known", "unknown_account", "unknown_round", "unknown_party", "invalid_cursor"),
            tries=(
                Try(200, query={"account": "public/round/R1/available", "from_position": 6}),
                Try(200, query={**_FIRM, "from_position": 5, "known_position": 9}),
                Try(200, query={"round": "R1", "from_on": "2024-06-30", "on": "2024-12-31", "limit": 1}),
                Try(304, query=_FIRM, headers={"If-None-Match": "*"}),
                Try(404, "unknown_account", query={"account": "nowhere/at/all"}),
                Try(404, "unknown_round", query={"round": "nope"}),
                Try(404, "unknown_party", query={"bank": "91110000101623741K"}),
                Try(404, "not_known", query={**_FIRM, "from_position": 999_999}),
                Try(404, "not_known", query={**_FIRM, "known_position": 999_999}),
                Try(422, "invalid_parameter", query={"from_position": 6}),
                Try(422, "invalid_parameter", query={**_FIRM, "round": "R1"}),
                Try(422, "invalid_cursor", query={**_FIRM, "cursor": "x"}),
            ),
        )
    ]


async def _diff(request: Request) -> Reply:
    given, service = request.parameters, request.service
    page, asked = pinned(request, _FILTERS)
    what, name = _subject(asked)
    first, last = _points(request, page, asked)
    limit = given["limit"] or service.limits.page_rows
    skipped = 0 if page is None else page.after

    def question(store: Store) -> tuple[AsOf, AsOf, dict[str, Any] | None]:
        later = resolve(store, last, service.projected.reached)
        if first.is_newest and last.is_newest:  # one newest position for both
            earlier = AsOf(first.on, later.known_position)
        else:
            earlier = resolve(store, first, service.projected.reached)
        points = earlier, later
        if is_known(request, later, earlier.known_position):
            return (*points, None)
        service.projected.ensure(store, max(point.known_position for point in points))
        return (*points, asking.difference(store, what, name, points, skipped, limit + 1))

    earlier, later, found = await service.slow.ask(question)
    headers = tagged(entity_tag(request, later, earlier.known_position))
    if found is None or wants_none(request):
        return Reply(304, b"", headers)
    following = None
    if len(found["lines"]) > limit:
        pins = {**asked, _FROM_POSITION.name: earlier.known_position}
        known_at = echo(request, later)["known_at"]
        path = request.scope["path"]
        following = Cursor(path, pins, later.known_position, skipped + limit, known_at).text()
    lines = found["lines"][:limit]
    shown = {line["account"] for line in lines}
    accounts = [row for row in found["accounts"] if row["account"] in shown]
    page_of_it = {**found, "accounts": accounts, "lines": lines, "next_cursor": following}
    return Reply(200, json_bytes({**echo(request, later), **page_of_it}), headers)


def _subject(asked: Mapping[str, Any]) -> tuple[str, str | None]:
    """What is compared. Raises HttpProblem."""
    named = [(s.name, asked[s.name]) for s in _SUBJECTS if asked[s.name] is not None]
    if len(named) != 1:
        raise HttpProblem(
            "invalid_parameter",
            "give one of account, firm, bank and round",
            "须给出 account、firm、bank、round 之一",
        )
    kind, name = named[0]
    return (name, None) if kind == "account" else (kind, name)


def _points(request: Request, page: Cursor | None, asked: Mapping[str, Any]) -> tuple[Clocks, Clocks]:
    """The two points as the request gave them, or as the page before found them. Raises HttpProblem."""
    given = request.parameters
    if page is not None:
        if given["from_known_at"] is not None:
            raise HttpProblem("invalid_cursor", "the cursor pins the first point", "游标已固定起点")
        last = Clocks(asked["on"], None, page.known_position or None, given["min_position"])
        return Clocks(asked["from_on"], None, asked["from_position"] or None), last
    if given["from_known_at"] is not None and given["from_position"] is not None:
        raise HttpProblem(
            "invalid_parameter",
            "give from_known_at or from_position, not both",
            "from_known_at 与 from_position 只能给出一个",
        )
    return Clocks(given["from_on"], given["from_known_at"], given["from_position"]), clocks_of(request)
