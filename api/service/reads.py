"""What every read shares: its clocks are resolved once, echoed, and make its entity tag."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, Final

from api.roles import READ
from api.service.asking import Clocks, resolve, resolved_at_once
from api.service.limits import Limits
from api.service.operations import Answer, Operation, Parameter, Try
from api.service.paging import Cursor, cut, read_cursor, shown_instant
from api.service.parameters import CLOCKS, ON, paging
from api.service.problems import HttpProblem
from api.service.reading import ALONE, Lane
from api.service.requests import Reply, Request, json_bytes, wants_lines
from api.service.schemas import page_of
from ledger.store import Store
from projections.clocks import AsOf

#: Asks a store for the members of a document.
Read = Callable[[Store, AsOf, Mapping[str, Any]], Mapping[str, Any]]
#: One of several requests that are read together: its clocks, its parameters.
Asked = tuple[AsOf, Mapping[str, Any]]
#: Asks a store for the members of several documents at once, or for the problem in a document's place.
ReadTogether = Callable[[Store, Sequence[Asked]], Sequence[Mapping[str, Any] | HttpProblem]]
#: Finds the members of a document in this process's memory, if they are there.
ReadAtOnce = Callable[[AsOf, Mapping[str, Any]], Mapping[str, Any] | None]
#: Asks a store for all rows of a list.
ReadRows = Callable[[Store, AsOf, Mapping[str, Any]], Sequence[Any]]
#: Asks a store for the rows of a page: those after a cursor (None: the first), so many at most; and where they end, if
#: there are more: how many were given by then, or the name of the last.
ReadPage = Callable[
    [Store, AsOf, Mapping[str, Any], Cursor | None, int], tuple[Sequence[Any], int | str | None]
]
_NOT_MODIFIED: Final = object()
_CODES: Final = ("not_known",)


def clocks_of(request: Request) -> Clocks:
    """The clocks that a request gave."""
    given = request.parameters
    return Clocks(given.get("on"), given["known_at"], given["known_position"], given["min_position"])


def echo(request: Request, as_of: AsOf) -> dict[str, Any]:
    """What was asked, as the answer says it."""
    return {"on": as_of.on, "known_at": _known_at(request), "known_position": as_of.known_position}


def _known_at(request: Request) -> str | None:
    """The instant that was asked for, on this page or on the first one."""
    return request.pinned_instant or shown_instant(request.parameters["known_at"])


def entity_tag(request: Request, as_of: AsOf, *more: object) -> bytes:
    """Strong: at one position the same question has the same answer for ever, byte for byte. The release is part of
    it, since another release may say more; the question itself, so that who has a tag has had this answer; and
    whatever `more` the question leaves open."""
    scope = request.scope
    form = b"\n" if wants_lines(request.header_joined(b"accept")) else b""
    question = sha256(scope["raw_path"] + b"?" + scope["query_string"] + form).hexdigest()[:12]
    parts = (request.service.version, as_of.known_position, question, *more)
    return f'"{".".join(map(str, parts))}"'.encode()


def is_known(request: Request, as_of: AsOf, *more: object) -> bool:
    """Whether If-None-Match names the tag of the answer (RFC 9110 §13.1.2)."""
    sent = request.header_joined(b"if-none-match")
    if sent is None:
        return False
    tags = [one.strip().removeprefix(b"W/") for one in sent.split(b",")]
    return entity_tag(request, as_of, *more) in tags


def tagged(tag: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of an answer that a client may keep and ask about again."""
    return [(b"etag", tag), (b"cache-control", b"private, no-cache"), (b"vary", b"accept, authorization")]


async def answered(
    request: Request,
    lane: Lane,
    read: Callable[[Store, AsOf], Any],
    *,
    projected: bool,
    page: Cursor | None = None,
    always: bool = False,
) -> tuple[AsOf, Any]:
    """Resolve the clocks and read, in a lane; nothing is read for a client that has this answer already, but where
    that shows only in the answer (`always`)."""
    clocks = clocks_of(request)
    if page is not None:
        clocks = Clocks(page.filters["on"], None, page.known_position or None, clocks.min_position)
    service = request.service

    def question(store: Store) -> tuple[AsOf, Any]:
        as_of, is_known_ = _resolved(request, clocks, store)
        if is_known_ and not always:
            return as_of, _NOT_MODIFIED
        if projected:
            service.projected.ensure(store, as_of.known_position)
        return as_of, read(store, as_of)

    return await lane.ask(question)


def _resolved(request: Request, clocks: Clocks, store: Store) -> tuple[AsOf, bool]:
    """What a request's clocks mean, and whether its client has the answer already. Raises HttpProblem."""
    as_of = resolve(store, clocks, request.service.projected.reached)
    return as_of, is_known(request, as_of)


def _all_answered(read: ReadTogether, store: Store, requests: Sequence[Request]) -> list[Any]:
    """As `answered`, of many requests: for each the clocks and what was found, or the problem to raise."""
    answers: list[Any] = []
    asked: list[tuple[int, Asked]] = []
    for number, request in enumerate(requests):
        try:
            as_of, is_known_ = _resolved(request, clocks_of(request), store)
        except HttpProblem as problem:
            answers.append(problem)
            continue
        answers.append((as_of, _NOT_MODIFIED))
        if not is_known_:
            asked.append((number, (as_of, request.parameters)))
    projected = requests[0].service.projected
    if len(requests) > 1:  # who must wait for the projections holds up nobody else
        for number in [number for number, (as_of, _) in asked if as_of.known_position > projected.reached]:
            answers[number] = ALONE
        asked = [one for one in asked if answers[one[0]] is not ALONE]
    if asked:
        projected.ensure(store, max(as_of.known_position for _, (as_of, _) in asked))
        all_found = read(store, [one for _, one in asked])
        for (number, (as_of, _)), found in zip(asked, all_found, strict=True):
            answers[number] = found if isinstance(found, HttpProblem) else (as_of, found)
    return answers


def not_modified(request: Request, answer: object) -> bool:
    """Whether `answered` found that the client has the answer, or that there is one where it wants none (`*`)."""
    return answer is _NOT_MODIFIED or wants_none(request)


def wants_none(request: Request) -> bool:
    """Whether no answer is wanted where there is any (RFC 9110 §13.1.2): to be asked once there is one."""
    return request.header(b"if-none-match") == b"*"


def document(
    name: str,
    path: str,
    en: str,
    zh: str,
    schema: Mapping[str, Any],
    read: Read,
    *,
    parameters: Sequence[Parameter] = (),
    codes: Sequence[str] = (),
    tries: Sequence[Try] = (),
    tag: str = "reads",
    quick: bool = False,
    projected: bool = False,
    besides: Callable[[Mapping[str, Any]], str] | None = None,
) -> Operation:
    """A read that answers one document. `besides` says what of it does not follow from its position: part of the
    entity tag, which is then made of the answer itself."""

    async def handle(request: Request) -> Reply:
        lane = request.service.quick if quick else request.service.slow
        as_of, found = await answered(
            request,
            lane,
            lambda store, as_of: read(store, as_of, request.parameters),
            projected=projected,
            always=besides is not None,
        )
        if besides is None:
            return _document_reply(request, as_of, found)
        return _document_reply(request, as_of, found, besides(found))

    return _document(name, path, en, zh, schema, handle, parameters, codes, tries, tag)


def document_together(
    name: str,
    path: str,
    en: str,
    zh: str,
    schema: Mapping[str, Any],
    read: ReadTogether,
    at_once: ReadAtOnce,
    *,
    parameters: Sequence[Parameter] = (),
    codes: Sequence[str] = (),
    tries: Sequence[Try] = (),
) -> Operation:
    """A quick read of projections that answers one document. What is found `at_once` is answered by the event loop
    itself; other requests that wait at the same time are read together."""
    together = partial(_all_answered, read)

    async def handle(request: Request) -> Reply:
        service = request.service
        as_of = resolved_at_once(clocks_of(request), service.projected.reached)
        if as_of is not None:
            kept = _NOT_MODIFIED if is_known(request, as_of) else at_once(as_of, request.parameters)
            if kept is not None:
                return _document_reply(request, as_of, kept)
        as_of, found = await service.quick.ask_together(together, request)
        return _document_reply(request, as_of, found)

    return _document(name, path, en, zh, schema, handle, parameters, codes, tries, "reads")


def _document_reply(request: Request, as_of: AsOf, found: Any, *more: str) -> Reply:
    headers = tagged(entity_tag(request, as_of, *more))
    if not_modified(request, found) or (more and is_known(request, as_of, *more)):
        return Reply(304, b"", headers)
    return Reply(200, json_bytes({**echo(request, as_of), **found}), headers)


def _document(
    name: str,
    path: str,
    en: str,
    zh: str,
    schema: Mapping[str, Any],
    handle: Callable[[Request], Awaitable[Reply]],
    parameters: Sequence[Parameter],
    codes: Sequence[str],
    tries: Sequence[Try],
    tag: str,
) -> Operation:
    return Operation(
        name,
        "GET",
        path,
        tag,
        en,
        zh,
        READ,
        handle,
        (Answer(200, "The answer, with what was asked.", schema, headers=TAG), UNCHANGED),
        (*parameters, *CLOCKS),
        codes=(*_CODES, *codes),
        tries=(*tries, *_common_tries(tries)),
    )


def whole(read: ReadRows) -> ReadPage:
    """The pages of a list that is read whole. While somebody goes through one, the list is kept for the next page: at
    one position it stays the same. One list, the last that was asked for."""
    kept: tuple[Any, Sequence[Any]] | None = None

    def page_of_it(
        store: Store, as_of: AsOf, given: Mapping[str, Any], page: Cursor | None, count: int
    ) -> tuple[Sequence[Any], int | str | None]:
        nonlocal kept
        question, found = (
            (as_of, dict(given)),
            kept,
        )  # read once: another thread may put another list in its place
        rows = found[1] if found is not None and found[0] == question else read(store, as_of, given)
        chosen, after = cut(rows, 0 if page is None else page.after, count)
        kept = None if after is None else (question, rows)
        return chosen, after

    return page_of_it


def rows(
    name: str,
    path: str,
    en: str,
    zh: str,
    row: Mapping[str, Any],
    read: ReadPage,
    limits: Limits,
    *,
    parameters: Sequence[Parameter] = (),
    tries: Sequence[Try] = (),
    projected: bool = False,
) -> Operation:
    """A read that answers a list, page by page."""
    filters = (ON, *parameters)

    async def handle(request: Request) -> Reply:
        count = request.parameters["limit"] or limits.page_rows
        page, asked = pinned(request, filters)
        as_of, found = await answered(
            request,
            request.service.slow,
            lambda store, as_of: read(store, as_of, asked, page, count),
            projected=projected,
            page=page,
        )
        headers = tagged(entity_tag(request, as_of))
        if not_modified(request, found):
            return Reply(304, b"", headers)
        chosen, after = found
        return Reply(200, json_bytes(page_document(request, as_of, chosen, asked, after)), headers)

    return Operation(
        name,
        "GET",
        path,
        "reads",
        en,
        zh,
        READ,
        handle,
        (Answer(200, "A page of rows, with what was asked.", page_of(dict(row)), headers=TAG), UNCHANGED),
        (*parameters, *CLOCKS, *paging(limits)),
        codes=(*_CODES, "invalid_cursor"),
        tries=(*tries, *_common_tries(tries), Try(422, "invalid_cursor", query={"cursor": "x"})),
    )


def pinned(request: Request, filters: Sequence[Parameter]) -> tuple[Cursor | None, Mapping[str, Any]]:
    """The cursor of a request (None for a first page), and the filters of the list by name. Raises HttpProblem."""
    given = request.parameters
    if given["cursor"] is None:
        return None, {filter_.name: given[filter_.name] for filter_ in filters}
    page = read_cursor(given["cursor"], request.scope["path"], filters, given)
    request.pinned_instant = page.known_at
    return page, page.filters


def page_document(
    request: Request, as_of: AsOf, items: Sequence[Any], filters: Mapping[str, Any], after: int | str | None
) -> dict[str, Any]:
    """A page as JSON; `after` is where it ends, if there is more: a place or the name of its last row."""
    following = None
    if after is not None:
        place, name = (after, "") if isinstance(after, int) else (0, after)
        pins = request.scope["path"], filters, as_of.known_position, place, _known_at(request), name
        following = Cursor(*pins).text()
    return {**echo(request, as_of), "items": items, "next_cursor": following}


TAG: Final = {"ETag": "strong, of the question and the position that the answer knows"}
UNCHANGED: Final = Answer(304, "What If-None-Match names is still the answer.", {}, media_type="")


def _common_tries(tries: Sequence[Try]) -> list[Try]:
    """What every read answers to bad clocks."""
    path = tries[0].path if tries else {}
    return [
        Try(200, path=path, query={"on": "2024-12-31", "known_position": 12}),
        Try(304, path=path, headers={"If-None-Match": "*"}),
        Try(404, "not_known", path=path, query={"known_position": 999_999}),
        Try(404, "not_known", path=path, query={"known_at": "2001-01-01T00:00:00Z"}),
        Try(422, "invalid_parameter", path=path, query={"on": "2024-02-30"}),
        Try(422, "unknown_parameter", path=path, query={"colour": "red"}),
    ]
