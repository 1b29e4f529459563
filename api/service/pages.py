"""Pages: what a browser shows of the ledger. The same reads as under /v1, as HTML; no script, nothing from elsewhere.

A file of api/pages/ has `operations(known, limits)`, as those of api/http/ have. What a page shows is plain data (facts
and tables), so that most pages need no template of their own. A browser is known by a cookie that holds its token; the
cookie opens pages only, never /v1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from api.roles import READ, VERIFY
from api.service import asking
from api.service.access import Sender
from api.service.operations import Answer, Operation, Parameter
from api.service.parameters import CLOCKS, position
from api.service.problems import KINDS, HttpProblem, head
from api.service.reading import Question
from api.service.reads import clocks_of
from api.service.requests import Headers, Reply, Request, language_of
from api.service.walking import Walk, walked
from api.service.words import value_word, warning_word, word
from api.tokens import PREFIX
from ledger.dates import is_day
from ledger.money import format_fen, format_yuan
from ledger.store import Store
from projections.clocks import AsOf

if TYPE_CHECKING:
    from api.service.service import Service

TOKEN_COOKIE: Final = "kejin_token"
LANGUAGE_COOKIE: Final = "kejin_language"
HTML: Final = b"text/html; charset=utf-8"
_POLICY: Final = (
    b"default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none';"
    b" frame-ancestors 'none'"
)
#: A page shows what we send and asks only us; nothing of it is run.
SECURITY: Final[Headers] = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", _POLICY),
    (b"referrer-policy", b"same-origin"),
]
#: Members that name somebody or something that has a page.
_PARTIES: Final = frozenset(
    {"uscc", "firm", "bank", "guarantor", "payee", "party", "survivor", "absorbed", "original", "created"}
)
#: Members that are positions of events.
_POSITIONS: Final = frozenset({"position", "certified_at", "first_parting", "parted_at"})
#: Members whose values are words of a closed list.
_SPELLED: Final = frozenset(
    [
        *("type", "instrument", "kind", "security", "state", "part", "cause", "risk", "why", "method"),
        *("code", "refused_then", "refused_now", "check", "reversed_type"),
    ]
)
#: Members that are counts.
_COUNTS: Final = frozenset(
    [
        "grants",
        "payees",
        "voided",
        "refused",
        "mark",
        "count",
        "asserted_count",
        "ledger_count",
        "difference_count",
        "loans",
        "defaults",
        "payouts",
        "default_rate",
        "loss_rate",
        "level_percent",
        "claims",
        "hits",
    ]
)
#: What people are told where what programs are told helps nobody.
_FOR_PEOPLE: Final[Mapping[str, tuple[str, str]]] = {
    "unauthorized": (
        "You are logged out: nothing was recorded. Log in and send it again.",
        "您已退出登录：未作任何登记。请登录后重新提交。",
    ),
    "not_found": ("There is no such page.", "没有此页面。"),
    "unknown_command": ("There is no such page.", "没有此页面。"),
}
#: What links and the form of the clocks say anew: the point of both clocks, and which piece of a table.
_POINT: Final = frozenset({"on", "known_at", "known_position", "min_position", "table", "row"})
#: An address that is longer leads back to its page without what was asked there.
_ADDRESS_LENGTH_MAX: Final = 6_000
#: Where another question to the same page may be answered.
_ASKED_BADLY: Final = (404, 422)
_ANSWERS: Final = (Answer(200, "A page.", {}, media_type="text/html"),)


@dataclass(frozen=True, slots=True)
class Section:
    """Part of a page: a table of rows (dicts whose members are the columns), or facts where `rows` is one dict. Of a
    long table a page shows a piece: rows from `first` of `count`, and where the pieces before and after it are."""

    title: str
    rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]
    note: str = ""
    first: int = 0
    count: int = 0
    before: str | None = None
    after: str | None = None
    known_position: int | None = None  # what its links know, where that is more than the page does


@dataclass(frozen=True, slots=True)
class Content:
    """What a page shows. `more` leads to the next page of a long list, `back` to the one before: what to change in the
    query."""

    title: str
    sections: Sequence[Section]
    subtitle: str = ""
    more: Mapping[str, Any] | None = None
    back: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # for a template of its own


@dataclass(frozen=True, slots=True)
class View:
    """How a page is seen: in which language, at which point of both clocks. Links keep the point."""

    language: str
    on: str | None = None
    known_position: int | None = None  # as it was asked for; None: the newest
    names: Mapping[str, str] = field(default_factory=dict)  # of the parties that the page names, by code

    def say(self, en: str, zh: str) -> str:
        """One of the two."""
        return zh if self.language == "zh" else en

    def word(self, name: str) -> str:
        """What a member of a document is called."""
        return word(name, self.language)

    def value(self, text: str) -> str:
        """What a value of a closed list is called."""
        return value_word(text, self.language) or text

    def link(self, path: str, **query: Any) -> str:
        """The address of another page, at the same point of both clocks."""
        kept = {"on": self.on, "known_position": self.known_position, **query}
        given = {name: value for name, value in kept.items() if value is not None and value != ""}
        return quote(path, safe="/") + ("?" + urlencode(given) if given else "")

    def knowing(self, position: int | None) -> View:
        """The same at a point that knows at least this position."""
        if position is None or self.known_position is None or position <= self.known_position:
            return self
        return replace(self, known_position=position)

    def cell(self, name: str, value: Any, *, in_column: bool = False) -> Markup:
        """A member of a document, with a link where it names what has a page. In a column all amounts are in 元."""
        if value is None:
            return Markup("")
        if isinstance(value, bool):
            return escape(self.say("yes", "是") if value else self.say("no", "否"))
        if isinstance(value, int) and name.endswith("_fen"):
            return escape(format_yuan(value) if in_column else format_fen(value))
        if isinstance(value, Mapping):
            return self._facts(value)
        if isinstance(value, list | tuple):
            return self._list(name, value)
        text = str(value)
        target = self._target(name, text)
        if name == "warning":
            return Markup("{} <small>{}</small>").format(warning_word(text, self.language), text)
        called = value_word(text, self.language) if name in _SPELLED else None
        if called is not None:
            return Markup("{} <small>{}</small>").format(called, text)
        if target is None:
            return escape(text)
        if text in self.names and name != "uscc":
            return Markup('<a href="{}">{}</a> <small>{}</small>').format(target, self.names[text], text)
        return Markup('<a href="{}">{}</a>').format(target, text)

    @staticmethod
    def is_number(name: str) -> bool:
        """Whether a column is read from its right end."""
        return name.endswith("_fen") or name in _COUNTS

    @staticmethod
    def is_day(name: str) -> bool:
        """Whether a column holds dates, which are not broken into two lines."""
        return name == "on" or name.endswith(("_on", "_from", "_to"))

    def _facts(self, values: Mapping[str, Any]) -> Markup:
        parts = [
            Markup("<dt>{}</dt><dd>{}</dd>").format(self.word(key), self.cell(key, part))
            for key, part in values.items()
        ]
        return Markup('<dl class="inner">{}</dl>').format(Markup("").join(parts))

    def _list(self, name: str, values: Sequence[Any]) -> Markup:
        if values and all(isinstance(value, Mapping) for value in values):
            return Markup("").join([self._facts(value) for value in values])
        one = "tag" if name == "tags" else name.removesuffix("s")
        return Markup(", ").join([self.cell(one, value) for value in values])

    def _target(self, name: str, value: str) -> str | None:
        """Where a link on the member leads."""
        if name in _PARTIES and len(value) == 18:
            return self.link(f"/parties/{value}")
        if name in _POSITIONS and value.isdigit():
            # It may take effect later than the day of this page.
            return self.link(f"/events/{value}", on=None)
        if name in ("claim", "with_claim"):
            return self.link(f"/claims/{value}")
        if name == "round":
            return self.link(f"/rounds/{value}")
        if name == "loan":
            return self.link("/events", tag=f"loan:{value}")
        if name == "account":
            return self.link(f"/accounts/{value}")
        if name == "tag":
            return self.link("/events", tag=value)
        return None


#: Makes the content of a page from a store's answers.
Read = Callable[[Store, AsOf, Mapping[str, Any], View], Content]
#: As `Read`, going through the whole log in the time that it has.
Walking = Callable[[Store, AsOf, Mapping[str, Any], View, Walk], Content]
#: Of a long table: which one a page shows another piece of, and from which row on.
_PIECE: Final = (
    position("table", "Which table of the page. 页内第几张表。", least=0),
    position("row", "Its first row, from 0. 起始行，从 0 起。", least=0),
)


def page(
    name: str,
    path: str,
    en: str,
    zh: str,
    read: Read,
    *,
    parameters: Sequence[Parameter] = (),
    projected: bool = True,
    template: str = "page.html",
) -> Operation:
    """A page that shows what a read finds, on both clocks."""

    async def handle(request: Request) -> Reply:
        def found(store: Store, as_of: AsOf, view: View) -> Content:
            return read(store, as_of, request.parameters, view)

        return await answered(request, template, request.service.slow.ask, found, projected=projected)

    return read_page(name, path, en, zh, handle, parameters)


def walking_page(
    name: str,
    path: str,
    en: str,
    zh: str,
    read: Walking,
    parameters: Sequence[Parameter],
    template: str,
    *,
    asks: str,
    is_dated: bool = True,
) -> Operation:
    """A page that shows what is found by going through the whole log, one question at a time; nothing is asked, and
    nobody waited for, without the parameter `asks`. Where it is not `is_dated`, every business date counts."""

    async def handle(request: Request) -> Reply:
        walk = Walk(request.service.limits.slow_seconds_max)

        def found(store: Store, as_of: AsOf, view: View) -> Content:
            return read(store, as_of, request.parameters, view, walk)

        ask = partial(walked, request, walk) if request.parameters[asks] else request.service.slow.ask
        return await answered(request, template, ask, found, is_dated=is_dated)

    return read_page(name, path, en, zh, handle, parameters)


def read_page(
    name: str,
    path: str,
    en: str,
    zh: str,
    handle: Callable[[Request], Any],
    parameters: Sequence[Parameter] = (),
) -> Operation:
    """A page for whoever may read, on both clocks."""
    return operation(f"page-{name}", "GET", path, en, zh, READ, handle, (*parameters, *_PIECE, *CLOCKS))


async def answered(
    request: Request,
    template: str,
    ask: Callable[[Question[Any]], Awaitable[Any]],
    found: Callable[[Store, AsOf, View], Content],
    *,
    projected: bool = True,
    is_dated: bool = True,
) -> Reply:
    """The page of what is found at the point of both clocks that was asked for; `ask` asks it in a lane."""

    def question(store: Store) -> tuple[AsOf, View, Content]:
        service, view, clocks = request.service, view_of(request), clocks_of(request)
        if not is_dated:
            view, clocks = replace(view, on=None), replace(clocks, on=None)
        as_of = asking.resolve(store, clocks, service.projected.reached)
        if request.parameters["known_at"] is not None:  # links keep what was known at that instant
            view = replace(view, known_position=as_of.known_position)
        if projected:
            service.projected.ensure(store, as_of.known_position)
        content = _in_pieces(found(store, as_of, view), request, as_of, view)
        names = asking.party_names(store, as_of, codes_in(content)) if projected else {}
        return as_of, replace(view, names=names), content

    as_of, view, content = await ask(question)
    return show(request, template, view, content=content, as_of=as_of, is_dated=is_dated)


def _in_pieces(content: Content, request: Request, as_of: AsOf, view: View) -> Content:
    """The content with a piece of each table that is too long for a page: its first, or the one that is asked for. What
    is known stays the same on the pages that it goes on to: else rows would be lost and doubled."""
    given, most = request.parameters, request.service.limits.page_rows
    pin = {"known_position": as_of.known_position}
    kept = {k: v for k, v in parse_qsl(request.scope["query_string"].decode("latin-1")) if k not in _POINT}

    def piece(number: int, section: Section) -> Section:
        rows = section.rows
        if isinstance(rows, Mapping) or len(rows) <= most:
            return section

        def link(row: int) -> str:
            return view.link(request.scope["path"], **kept, **pin, table=number, row=row) + f"#table-{number}"

        first = min(given["row"] or 0, len(rows) - 1) if given["table"] == number else 0
        return replace(
            section,
            rows=rows[first : first + most],
            first=first,
            count=len(rows),
            before=link(max(0, first - most)) if first else None,
            after=link(first + most) if first + most < len(rows) else None,
        )

    return replace(
        content,
        sections=[piece(i, section) for i, section in enumerate(content.sections)],
        more=None if content.more is None else {**content.more, **pin},
        back=None if content.back is None else {**content.back, **pin},
    )


def codes_in(content: Content) -> set[str]:
    """The parties that a page names."""
    found: set[str] = set()
    waiting: list[tuple[str, Any]] = [("", section.rows) for section in content.sections]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += value.items()
        elif isinstance(value, list | tuple):
            waiting += [(name, one) for one in value]
        elif name in _PARTIES and isinstance(value, str):
            found.add(value)
    return found


def operation(
    name: str,
    method: str,
    path: str,
    en: str,
    zh: str,
    may: str | None,
    handle: Callable[[Request], Any],
    parameters: Sequence[Parameter] = (),
) -> Operation:
    """A page of its own kind. A form is called as its command is: whoever may send the one may send the other."""
    return Operation(name, method, path, "pages", en, zh, may, handle, _ANSWERS, parameters, is_page=True)


def view_of(request: Request) -> View:
    """How a request sees the ledger."""
    given = request.parameters
    return View(request.language, given.get("on"), given.get("known_position"))


def show(request: Request, template: str, view: View, status: int = 200, **values: Any) -> Reply:
    """A template filled in."""
    return _html(template, view, status, request.scope, request.sender, **values)


def _html(
    template: str, view: View, status: int, scope: Mapping[str, Any], sender: Sender | None, **values: Any
) -> Reply:
    query = _asked(scope["query_string"])
    path = quote(scope["path"], safe="/")
    whole = path + ("?" + urlencode(query) if query else "")
    # As part of another address a long one would be refused.
    here = next(one for one in (whole, path, "/") if len(quote(one)) <= _ADDRESS_LENGTH_MAX)
    text = (
        _templates()
        .get_template(template)
        .render(
            view=view,
            say=view.say,
            path=scope["path"],
            query=dict(query),
            point=_POINT,
            here=here,
            principal=None if sender is None else sender.principal,
            may_verify=sender is None or sender.scope.allows(VERIFY, "page-verification"),
            **values,
        )
    )
    headers = [(b"content-language", view.language.encode()), (b"vary", b"cookie, accept-language")]
    return Reply(status, text.encode(), headers, HTML)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("api.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # templates and routes are those of one release
    )


def _asked(query: bytes) -> list[tuple[str, str]]:
    return [(name, value) for name, value in parse_qsl(query.decode("latin-1")) if value]


def problem_page(service: Service, problem: HttpProblem, language: str, scope: Mapping[str, Any]) -> Reply:
    """A problem as people read it, with what they asked, to ask otherwise. Who is not known yet is asked for a token
    first."""
    query = cleaned(scope["query_string"])
    if problem.code == "unauthorized" and scope["method"] in ("GET", "HEAD"):
        target = scope["path"] + ("?" + query.decode("latin-1") if query else "")
        return redirect("/login?" + urlencode({"next": target}))
    sender = service.access.sender(authorization_of(scope["headers"]))
    title = head(problem.code, language)["title"]
    view = _view_of_query(query, language)
    detail = view.say(str(problem), problem.zh)
    if problem.code in _FOR_PEOPLE:
        detail = view.say(*_FOR_PEOPLE[problem.code])
    is_asked_badly = (
        scope["method"] == "GET" and problem.status in _ASKED_BADLY and problem.code not in _FOR_PEOPLE
    )
    reply = _html(
        "problem.html",
        view,
        problem.status,
        scope,
        sender,
        title=title,
        detail=detail,
        asked=_asked(query) if is_asked_badly else [],
        wants_token=problem.code == "unauthorized",
        wants_other=problem.code == "forbidden",
    )
    reply.headers += [
        (name.lower().encode(), value.encode())
        for name, value in problem.headers.items()
        if name != "WWW-Authenticate"  # a browser would ask for a name and a password
    ]
    if KINDS[problem.code].again:
        reply.headers.append((b"retry-after", str(service.limits.retry_seconds).encode()))
    return reply


def _view_of_query(query: bytes, language: str) -> View:
    """The point of both clocks that a query names, as far as it can be read."""
    given = dict(parse_qsl(query.decode("latin-1")))
    on, known = given.get("on", ""), given.get("known_position", "")
    known_position = int(known) if known.isascii() and known.isdigit() and len(known) < 17 else None
    return View(language, on if is_day(on) else None, known_position)


def redirect(target: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> Reply:
    """See other (RFC 9110 §15.4.4)."""
    return Reply(303, b"", [(b"location", target.encode("latin-1", "replace")), *headers], HTML)


def own_address(text: str | None) -> str:
    """An address of ours to go on to; anything else is the first page."""
    if text is None or not text.startswith("/") or text.startswith(("//", "/\\")) or not text.isprintable():
        return "/"
    return quote(text, safe="/?&=%:+,;@!$'()*~.-_")


def cookies_of(headers: Headers, name: str) -> list[str]:
    """The values of our cookie of a name. Other cookies (every port of a host shares them) may hold what they like."""
    pairs = b";".join([value for key, value in headers if key == b"cookie"]).split(b";")
    named = (pair.strip().partition(b"=") for pair in pairs)
    return [value.decode("latin-1").strip() for key, _, value in named if key == name.encode()]


def authorization_of(headers: Headers) -> bytes | None:
    """What a page's request proves itself with: its own header, else the cookie's token."""
    own = next((value for key, value in headers if key == b"authorization"), None)
    tokens = [value for value in cookies_of(headers, TOKEN_COOKIE) if value.startswith(PREFIX)]
    return own if own is not None or not tokens else b"Bearer " + tokens[0].encode("latin-1")


def page_language(headers: Headers) -> str:
    """The language that was chosen, else the browser's."""
    for chosen in cookies_of(headers, LANGUAGE_COOKIE):
        if chosen in ("en", "zh"):
            return chosen
    return language_of(headers)


def cleaned(query: bytes) -> bytes:
    """A query without the fields of a form that nobody filled in; of the two ways to say what was known the instant,
    which is empty until somebody chooses it."""
    filled = [pair for pair in query.split(b"&") if pair.partition(b"=")[2]]
    if any(pair.startswith(b"known_at=") for pair in filled):
        filled = [pair for pair in filled if not pair.startswith(b"known_position=")]
    return b"&".join(filled)


def form_fields(request: Request, body: bytes) -> dict[str, str]:
    """The fields of a form. Raises HttpProblem `invalid`."""
    kind = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower()
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200)
    except ValueError:
        pairs = None
    if pairs is None or kind != b"application/x-www-form-urlencoded":
        raise HttpProblem(
            "invalid",
            "this is not a form that a page sent; programs send commands to /v1/commands",
            "提交的内容不是页面表单；程序请使用 /v1/commands",
        )
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise HttpProblem("invalid", "a field stands twice", "字段重复")
    return fields
