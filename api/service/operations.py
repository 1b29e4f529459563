"""Operations: what a resource offers, declared as data. Routing, checking, access and the OpenAPI document follow.

A file of api/http/ has `operations(known: Catalogue)`, which returns them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from api.service.requests import Reply, Request

Schema = Mapping[str, Any]
#: Makes a value of a parameter's text. Raises ValueError for what is none.
Reading = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the path or the query; what is wrong with a bad one is said from `wanted`."""

    name: str
    place: str  # path, query or header
    schema: Schema
    read: Reading
    en: str
    wanted_en: str
    wanted_zh: str
    example: Any = None


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries: its media type, schema, and named examples."""

    media_type: str
    schema: Schema
    examples: Mapping[str, Any]
    required: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    status: int
    en: str
    schema: Schema
    example: Any = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)  # name to what it says
    others: Mapping[str, Schema] = field(default_factory=dict)  # by media type, where the client may choose


@dataclass(frozen=True, slots=True)
class Try:
    """A request whose answer is known, on the ledger of api/service/examples.py: shown in the document and run by
    the tests. `code` is the problem's, for those that are answered with one."""

    status: int
    code: str | None = None
    path: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    raw: bytes | None = None  # a body that is no JSON, instead


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address. `may` is the permission it wants (None: open to all); `codes` are the problems that
    it can answer beside those that every operation can."""

    name: str
    method: str
    path: str
    tag: str
    en: str
    zh: str
    may: str | None
    handle: Callable[[Request], Awaitable[Reply | None]]
    answers: Sequence[Answer]
    parameters: Sequence[Parameter] = ()
    body: Body | None = None
    codes: Sequence[str] = ()
    tries: Sequence[Try] = ()
    is_page: bool = (
        False  # for a browser: answers HTML, also for what goes wrong; takes the token of a cookie
    )
