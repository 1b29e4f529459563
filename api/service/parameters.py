"""Parameters: those that many operations share, and how they are read. What a client sends is never trusted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from api.service.limits import Limits
from api.service.operations import Parameter
from api.service.problems import HttpProblem
from ledger.commands import ID, KEY
from ledger.dates import SHANGHAI, is_day
from ledger.money import MAX_FEN
from ledger.parties import ALPHABET, is_well_formed

_DIGITS: Final = re.compile(r"[0-9]+")
_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)(?:(?<=\.[0-9]{6})[0-9]+)?"
    r"([Zz]|[+\- ][0-9]{2}:[0-5][0-9])?"
)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_PLAIN: Final = re.compile(r"[^\x00-\x1f\x7f]{1,300}")

USCC_SCHEMA: Final = {"type": "string", "pattern": f"^[{ALPHABET}]{{18}}$"}


def _checked(accepts: Callable[[str], bool]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not accepts(text):
            raise ValueError(text)
        return text

    return read


def whole_number(least: int, most: int | None = MAX_FEN) -> Callable[[str], int]:
    """Reads decimal digits from `least` to `most`."""

    def read(text: str) -> int:
        if not _DIGITS.fullmatch(text) or int(text) < least or (most is not None and int(text) > most):
            raise ValueError(text)
        return int(text)

    return read


def _instant(text: str) -> datetime:
    """An instant of RFC 3339. Less than a millionth of a second tells no two events apart; a plus that was not
    percent-encoded came as a blank."""
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    day, time, zone = found.groups()
    given = datetime.fromisoformat(f"{day}T{time}{(zone or '').upper().replace(' ', '+')}")
    try:
        return (given if given.tzinfo else given.replace(tzinfo=SHANGHAI)).astimezone(UTC)
    except OverflowError:  # before or after every event
        return _FIRST if given.year == 1 else _LAST


def position(name: str, en: str, place: str = "query", least: int = 1, example: int = 1) -> Parameter:
    """A position of the log."""
    wanted = f"an integer from {least} to {MAX_FEN}", f"{least} 至 {MAX_FEN} 的整数"
    schema = {"type": "integer", "minimum": least, "maximum": MAX_FEN}
    return Parameter(name, place, schema, whole_number(least), en, *wanted, example)


def uscc(name: str, en: str, place: str = "query") -> Parameter:
    """A party's code."""
    wanted = (
        "a unified social credit code: 18 characters of 0-9 and A-Z without I O S V Z",
        "统一社会信用代码：18 位，数字与大写字母（不含 I O S V Z）",
    )
    return Parameter(name, place, USCC_SCHEMA, _checked(is_well_formed), en, *wanted, "91350100M000100Y43")


def identifier(name: str, en: str, example: str, place: str = "path") -> Parameter:
    """An id as commands take it."""
    from api.service.schemas import ID_SCHEMA

    return Parameter(name, place, ID_SCHEMA, _checked(ID.accepts), en, ID.wanted_en, ID.wanted_zh, example)


def text(name: str, en: str, example: str) -> Parameter:
    """A short text of the query."""
    wanted = "1 to 300 characters without control characters", "1 至 300 个字符，不含控制字符"
    schema = {"type": "string", "minLength": 1, "maxLength": 300, "pattern": "^[^\\x00-\\x1f\\x7f]*$"}
    return Parameter(
        name, "query", schema, _checked(lambda t: _PLAIN.fullmatch(t) is not None), en, *wanted, example
    )


def account(name: str, en: str, place: str) -> Parameter:
    """The path of an account or subtree; whether it is one of a known shape is not checked here."""
    return Parameter(
        name,
        place,
        {"type": "string", "minLength": 1, "maxLength": 400},
        _checked(lambda t: len(t) <= 400),
        en,
        "an account such as public/treasury",
        "账户，如 public/treasury",
        "public/treasury",
    )


def word(name: str, en: str, words: Sequence[str], place: str = "query") -> Parameter:
    """One of some words."""
    listed = ", ".join(words)
    return Parameter(
        name,
        place,
        {"type": "string", "enum": [*words]},
        _checked(lambda t: t in words),
        en,
        f"one of {listed}",
        f"以下之一：{listed}",
        words[0],
    )


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


DRY_RUN: Final = Parameter(
    "dry_run",
    "query",
    {"type": "boolean", "default": False},
    _flag,
    "Decide, and write nothing. 只试算，不写入。",
    "true or false",
    "true 或 false",
    False,
)
IDEMPOTENCY_KEY: Final = Parameter(
    "Idempotency-Key",
    "header",
    {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    _checked(KEY.accepts),
    "The same key and fields again change nothing, and are answered with the first outcome. 幂等键。",
    KEY.wanted_en,
    KEY.wanted_zh,
    "2024-0001/1",
)


def day(name: str, en: str) -> Parameter:
    """A business date."""
    return Parameter(
        name,
        "query",
        {"type": "string", "format": "date"},
        _checked(is_day),
        en,
        "a real date written YYYY-MM-DD",
        "真实存在的日期，写作 YYYY-MM-DD",
        "2024-12-31",
    )


def instant(name: str, en: str) -> Parameter:
    """An instant of what was known."""
    return Parameter(
        name,
        "query",
        {"type": "string", "format": "date-time"},
        _instant,
        en,
        "an instant such as 2024-07-01T09:30:00+08:00",
        "时刻，例如 2024-07-01T09:30:00+08:00",
    )


ON: Final = day("on", "Business date; default: all. 业务日期；默认全部。")
#: What was known, and what must be known at least.
KNOWN: Final = (
    instant("known_at", "As known at an instant (RFC 3339; without a zone: Shanghai). 截至该时刻所知。"),
    # Whatever the number, 0 too, it is a question about the log: not_known where the log does not reach.
    Parameter(
        "known_position",
        "query",
        {"type": "integer", "minimum": 0},
        whole_number(0, None),
        "As known at a position of the log, from 1; default: the newest. 截至该序号所知。",
        "an integer from 0",
        "不小于 0 的整数",
        5,
    ),
    position("min_position", "Wait until the answer knows this position. 至少须知至该序号。"),
)
#: The two clocks. Every read takes them.
CLOCKS: Final = (ON, *KNOWN)


def paging(limits: Limits, rows_max: int | None = None) -> tuple[Parameter, Parameter]:
    """The size of a page (`rows_max`: of a list whose rows are costly), and where it begins."""
    most = rows_max or limits.page_rows_max
    return (
        Parameter(
            "limit",
            "query",
            {"type": "integer", "minimum": 1, "maximum": most, "default": limits.page_rows},
            whole_number(1, most),
            "How many rows at most. 每页行数。",
            f"an integer from 1 to {most}",
            f"1 至 {most} 的整数",
            100,
        ),
        Parameter(
            "cursor",
            "query",
            {"type": "string", "maxLength": 2000},
            str,
            "`next_cursor` of the page before: it pins filters and position. 上一页的 next_cursor。",
            "the next_cursor of a page",
            "上一页的 next_cursor",
        ),
    )


def read_parameters(
    declared: Sequence[Parameter],
    path: Mapping[str, str],
    query: bytes,
    header: Callable[[bytes], bytes | None],
    limits: Limits,
) -> dict[str, Any]:
    """The values of an operation's parameters; absent ones are None. Raises HttpProblem."""
    given = _query(query, limits)
    values: dict[str, Any] = {}
    for parameter in declared:
        name = parameter.name
        if parameter.place == "path":
            sent: str | None = path[name]
        elif parameter.place == "header":
            sent = _header_text(parameter, header(name.lower().encode()))
        else:
            sent = given.pop(name, None)
        values[name] = None if sent is None else _value(parameter, sent)
    if given:
        strange = next(iter(given))
        known = ", ".join(p.name for p in declared if p.place == "query") or "–"
        raise HttpProblem(
            "unknown_parameter",
            f"unknown parameter {strange[:60]!r}; this takes {known}",
            f"未知参数 {strange[:60]!r}；可用参数：{known}",
        )
    if values.get("known_at") is not None and values.get("known_position") is not None:
        raise HttpProblem(
            "invalid_parameter",
            "give known_at or known_position, not both",
            "known_at 与 known_position 只能给出一个",
        )
    return values


def _query(query: bytes, limits: Limits) -> dict[str, str]:
    if len(query) > limits.query_bytes_max:
        raise HttpProblem(
            "invalid_parameter",
            f"the query is longer than {limits.query_bytes_max} bytes",
            f"查询字符串超过 {limits.query_bytes_max} 字节",
        )
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict") if query else []
    except ValueError:
        raise HttpProblem(
            "invalid_parameter", "the query is not percent-encoded UTF-8", "查询字符串不是百分号编码的 UTF-8"
        ) from None
    given = dict(pairs)
    if len(given) != len(pairs):
        raise HttpProblem("invalid_parameter", "a parameter stands twice", "参数重复")
    return given


def _header_text(parameter: Parameter, sent: bytes | None) -> str | None:
    if sent is None:
        return None
    try:
        return sent.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad(parameter, sent.decode("latin-1")) from None


def _value(parameter: Parameter, sent: str) -> Any:
    try:
        return parameter.read(sent)
    except ValueError:
        raise _bad(parameter, sent) from None


def _bad(parameter: Parameter, sent: str) -> HttpProblem:
    return HttpProblem(
        "invalid_parameter",
        f"{parameter.name} is {sent[:60]!r}; it wants {parameter.wanted_en}",
        f"{parameter.name} 为 {sent[:60]!r}，应为{parameter.wanted_zh}",
    )
