"""/login, /logout, /language/{language} and /style.css: what every page needs besides the ledger."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from api.service.limits import Limits
from api.service.operations import Operation, Parameter
from api.service.pages import (
    LANGUAGE_COOKIE,
    TOKEN_COOKIE,
    form_fields,
    operation,
    own_address,
    redirect,
    show,
    view_of,
)
from api.service.parameters import word
from api.service.requests import Headers, Reply, Request
from ledger.catalogue import Catalogue

#: Any text: what is no address of ours leads to the first page.
_NEXT: Final = Parameter(
    "next", "query", {"type": "string"}, str, "Where to go on. 随后前往。", "an address", "地址", "/rounds/R1"
)
#: A working day. The token itself may end earlier.
_KEPT_SECONDS: Final = 10 * 3600
_YEAR_SECONDS: Final = 365 * 86_400


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """Five operations, open to all."""
    return [
        operation("page-login", "GET", "/login", "Who are you?", "登录。", None, _ask, (_NEXT,)),
        operation("page-login", "POST", "/login", "Who are you?", "登录。", None, _login, (_NEXT,)),
        operation("page-logout", "POST", "/logout", "Forget the token.", "退出。", None, _logout),
        operation(
            "page-language",
            "GET",
            "/language/{language}",
            "Pages in a language.",
            "页面语言。",
            None,
            _language,
            (word("language", "zh or en. 语言。", ("zh", "en"), "path"), _NEXT),
        ),
        operation("page-style", "GET", "/style.css", "How pages look.", "页面样式。", None, _style),
    ]


async def _ask(request: Request) -> Reply:
    return show(request, "login.html", view_of(request), failed=False)


async def _login(request: Request) -> Reply:
    """Keep a token that holds in a cookie that no script reads and no other site sends."""
    sent = form_fields(request, await request.body(request.service.limits.body_bytes_max))
    token = sent.get("token", "").strip()
    service, proof = request.service, b"Bearer " + token.encode("latin-1", "replace")
    sender = service.access.sender(proof) or await service.sender_of_new(proof)
    if sender is None or not service.access.exist:
        return show(request, "login.html", view_of(request), 401, failed=service.access.exist)
    request.noted["principal"] = sender.principal
    cookie = _cookie(request, TOKEN_COOKIE, token, _KEPT_SECONDS, "Strict")
    return redirect(own_address(request.parameters["next"]), cookie)


async def _logout(request: Request) -> Reply:
    return redirect("/login", _cookie(request, TOKEN_COOKIE, "", 0, "Strict"))


async def _language(request: Request) -> Reply:
    given = request.parameters
    cookie = _cookie(request, LANGUAGE_COOKIE, given["language"], _YEAR_SECONDS, "Lax")
    return redirect(own_address(given["next"]), cookie)


def _cookie(request: Request, name: str, value: str, seconds: int, site: str) -> Headers:
    # A proxy in front of us that ends TLS says so. Who says it of themselves harms nobody but their own cookie.
    forwarded = (request.header(b"x-forwarded-proto") or b"").partition(b",")[0].strip().lower()
    is_secure = b"https" in (request.scope["scheme"].encode(), forwarded)
    secure = "; Secure" if is_secure else ""
    cookie = f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={site}{secure}"
    return [(b"set-cookie", cookie.encode("latin-1"))]


@cache
def _sheet() -> bytes:
    return (files("api.pages") / "templates" / "style.css").read_bytes()


async def _style(request: Request) -> Reply:
    return Reply(200, _sheet(), [(b"cache-control", b"max-age=3600")], b"text/css; charset=utf-8")
