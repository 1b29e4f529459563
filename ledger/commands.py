"""Commands: what a line of input may say. Fields are declared once; reading, help and schemas follow from them.

Malformed input never reaches the ledger: it raises InvalidCommand and writes nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ledger import codec, parties
from ledger.accounts import ID_CHARACTERS
from ledger.dates import Day, is_day
from ledger.money import MAX_FEN, is_amount
from ledger.plain import Plain

_ID: Final = re.compile(f"[{ID_CHARACTERS}]{{1,64}}")
# Control characters, line separators, and surrogates, which UTF-8 cannot hold.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
TEXT_LENGTH_MAX: Final = 500
KEY_LENGTH_MAX: Final = 200
SLIPS_MAX: Final = 1000
REVIEWS_MAX: Final = 100
REVIEW_KINDS: Final = ("expert", "onsite")


class InvalidCommand(ValueError):
    """A line that is no command. `problem_en` / `problem_zh` say what is wrong, where, and what to do."""

    def __init__(self, problem_en: str, problem_zh: str) -> None:
        super().__init__(problem_en)
        self.problem_en = problem_en
        self.problem_zh = problem_zh


@dataclass(frozen=True, slots=True)
class FieldType:
    """A kind of value: whether a JSON value is one, and what to tell a person when it is not."""

    name: str
    accepts: Callable[[Any], bool]
    wanted_en: str
    wanted_zh: str


def _is_id(value: object) -> bool:
    return type(value) is str and _ID.fullmatch(value) is not None


def _is_text(value: object) -> bool:
    return (
        type(value) is str
        and 0 < len(value) <= TEXT_LENGTH_MAX
        and not value.isspace()
        and _CONTROL.search(value) is None
    )


def _is_reviews(value: object) -> bool:
    return (
        type(value) is list
        and len(value) <= REVIEWS_MAX
        and all(
            type(review) is dict
            and review.keys() == {"kind", "passed", "document", "on"}
            and review["kind"] in REVIEW_KINDS
            and type(review["passed"]) is bool
            and _is_text(review["document"])
            and type(review["on"]) is str
            and is_day(review["on"])
            for review in value
        )
    )


def _is_slips(value: object) -> bool:
    return (
        type(value) is list
        and len(value) <= SLIPS_MAX
        and all(
            type(slip) is dict
            and slip.keys() == {"number", "amount_fen"}
            and _is_text(slip["number"])
            and is_amount(slip["amount_fen"])
            for slip in value
        )
    )


ID = FieldType(
    "id",
    _is_id,
    "an id: 1 to 64 letters, digits, CJK characters, '.', '_' or '-'",
    "标识：1 至 64 个字母、数字、汉字或 . _ -",
)
TEXT = FieldType(
    "text",
    _is_text,
    f"a text of 1 to {TEXT_LENGTH_MAX} characters without control characters",
    f"1 至 {TEXT_LENGTH_MAX} 个字符的文本，不含控制字符",
)
USCC = FieldType(
    "uscc",
    lambda value: type(value) is str and parties.is_well_formed(value),
    "a unified social credit code: 18 characters of 0-9 and A-Z without I O S V Z",
    "统一社会信用代码：18 位，数字与大写字母（不含 I O S V Z）",
)
DAY = FieldType(
    "date",
    lambda value: type(value) is str and is_day(value),
    "a real date written YYYY-MM-DD",
    "真实存在的日期，写作 YYYY-MM-DD",
)
YEAR = FieldType(
    "year",
    lambda value: type(value) is int and 1 <= value <= 9999,
    "a year as an integer, 1 to 9999",
    "整数年份，1 至 9999",
)
AMOUNT = FieldType(
    "amount_fen",
    is_amount,
    f"an integer amount in fen from 1 to {MAX_FEN}",
    f"以分为单位的整数金额，1 至 {MAX_FEN}",
)
AMOUNT_OR_ZERO = FieldType(
    "amount_or_zero_fen",
    lambda value: is_amount(value, least=0),
    f"an integer amount in fen from 0 to {MAX_FEN}",
    f"以分为单位的整数金额，0 至 {MAX_FEN}",
)
FLAG = FieldType("flag", lambda value: type(value) is bool, "true or false", "true 或 false")
SLIPS = FieldType(
    "slips",
    _is_slips,
    f"a list of at most {SLIPS_MAX} objects {{number, amount_fen}}",
    f"至多 {SLIPS_MAX} 个 {{number, amount_fen}} 对象的列表",
)
REVIEWS = FieldType(
    "reviews",
    _is_reviews,
    f"a list of at most {REVIEWS_MAX} objects {{kind: expert or onsite, passed, document, on}}",
    f"至多 {REVIEWS_MAX} 个 {{kind: expert 或 onsite, passed, document, on}} 对象的列表",
)
SIGNED_AMOUNT = FieldType(
    "signed_amount_fen",
    lambda value: type(value) is int and is_amount(abs(value)),
    f"an integer amount in fen, positive or negative, at most {MAX_FEN}",
    f"以分为单位的整数金额，可为负，绝对值至多 {MAX_FEN}",
)
COUNT = FieldType(
    "count",
    lambda value: is_amount(value, least=0),
    f"an integer from 0 to {MAX_FEN}",
    f"整数，0 至 {MAX_FEN}",
)
POSITION = FieldType(
    "position", is_amount, f"a position of the log, 1 to {MAX_FEN}", f"日志序号，1 至 {MAX_FEN}"
)
KEY = FieldType(
    "key",
    lambda value: _is_text(value) and len(value) <= KEY_LENGTH_MAX,
    f"a text of 1 to {KEY_LENGTH_MAX} characters without control characters",
    f"1 至 {KEY_LENGTH_MAX} 个字符的文本，不含控制字符",
)


def one_of(*words: str) -> FieldType:
    """A field that takes one of a closed list of words."""
    listed = ", ".join(words)
    return FieldType(
        "one of " + "|".join(words), lambda v: v in words, f"one of {listed}", f"以下之一：{listed}"
    )


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a command, with its explanation for people in English and Chinese."""

    name: str
    type: FieldType
    en: str
    zh: str
    required: bool = True


@dataclass
class CommandSpec:
    """What a command is called, takes and makes.

    `makes` names the fields that identify the thing it makes; its default idempotency key is then
    `<command>:<id>`. `dated_by` is the field that gives the default effective date. `check` looks at fields
    together and raises InvalidCommand.
    """

    name: str
    en: str
    zh: str
    fields: tuple[Field, ...]
    makes: tuple[str, ...] = ()
    dated_by: str | None = None
    check: Callable[[Mapping[str, Any]], None] | None = None
    #: Every field that may stand in the command but for its key, with its name and what it accepts at hand.
    checks: tuple[tuple[str, Callable[[Any], bool], Field], ...] = dataclass_field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        self.checks = tuple(
            (field.name, field.type.accepts, field) for field in (*self.fields, COMMON_FIELDS[0])
        )

    def default_key(self, fields: Mapping[str, Any]) -> str | None:
        """`<command>:<id>` for a command that makes a thing, else None."""
        if not self.makes:
            return None
        return f"{self.name}:{':'.join([str(fields[name]) for name in self.makes])}"


#: Every command takes these two besides its own.
COMMON_FIELDS: Final = (
    Field(
        "effective_on",
        DAY,
        "the business date; see each command for its default",
        "业务日期；默认值见各命令",
        required=False,
    ),
    Field(
        "key",
        KEY,
        "idempotency key: the same key and fields again change nothing",
        "幂等键：同一键、同样内容再次提交不产生变化",
        required=False,
    ),
)


@mypyc_attr(acyclic=True)
class Command(Plain):
    """One well-formed command: its fields as sent, its key, its business date, its fingerprint (32 bytes), and who
    sent it where several people share one writer."""

    __slots__ = ("effective_on", "fields", "fingerprint", "key", "name", "principal")

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Any],
        key: str | None,
        effective_on: Day,
        fingerprint: bytes,
        principal: str | None = None,
    ) -> None:
        self.name: Final = name
        self.fields: Final = fields
        self.key: Final = key
        self.effective_on: Final = effective_on
        self.fingerprint: Final = fingerprint
        self.principal: Final = principal


def read(
    sent: dict[str, Any],
    specs: Mapping[str, CommandSpec],
    today: Day,
    line_key: Callable[[], str] | None = None,
    principal: str | None = None,
) -> Command:
    """Read a JSON object as a command. `line_key` gives the default key of a command that makes nothing;
    `principal` is who sent it, if that is not the writer's own.

    Raises InvalidCommand.
    """
    name = sent.get("command")
    spec = specs.get(name) if type(name) is str else None
    if spec is None:
        raise _unknown_command(name, specs)
    fields = dict(sent)
    del fields["command"]
    key = fields.pop("key", None)
    _check_fields(spec, fields)
    if "key" in sent and not KEY.accepts(key):
        raise _bad_value(spec.name, COMMON_FIELDS[1], key)
    effective_on = fields.get("effective_on")
    if effective_on is None:
        effective_on = fields[spec.dated_by] if spec.dated_by else today
    key = key or spec.default_key(fields) or (line_key() if line_key else None)
    return Command(spec.name, fields, key, effective_on, codec.fingerprint(spec.name, fields), principal)


def _check_fields(spec: CommandSpec, fields: Mapping[str, Any]) -> None:
    seen = 0
    for name, accepts, field in spec.checks:
        if name in fields:
            seen += 1
            if not accepts(fields[name]):
                raise _bad_value(spec.name, field, fields[name])
        elif field.required:
            raise InvalidCommand(
                f"{spec.name}: the field {field.name} is missing; it wants {field.type.wanted_en}",
                f"{spec.name}：缺少字段 {field.name}，应为{field.type.wanted_zh}",
            )
    if seen != len(fields):
        raise _unknown_field(spec, fields)
    if spec.check is not None:
        spec.check(fields)


def shown(value: object) -> str:
    """A value of the input, short enough for one line."""
    try:
        text = codec.canonical(value).decode()
    except TypeError:
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _bad_value(command: str, field: Field, value: object) -> InvalidCommand:
    return InvalidCommand(
        f"{command}: {field.name} is {shown(value)}; it wants {field.type.wanted_en}",
        f"{command}：{field.name} 为 {shown(value)}，应为{field.type.wanted_zh}",
    )


def _unknown_field(spec: CommandSpec, fields: Mapping[str, Any]) -> InvalidCommand:
    known = [field.name for field in (*spec.fields, *COMMON_FIELDS)]
    strange = next(name for name in fields if name not in known)
    return InvalidCommand(
        f"{spec.name}: unknown field {shown(strange)}; it takes {', '.join(known)}",
        f"{spec.name}：未知字段 {shown(strange)}；可用字段为 {', '.join(known)}",
    )


def _unknown_command(name: object, specs: Mapping[str, CommandSpec]) -> InvalidCommand:
    if name is None:
        return InvalidCommand(
            'the field "command" is missing; name one of those that kejin commands lists',
            '缺少字段 "command"；可用命令见 kejin commands',
        )
    near = difflib.get_close_matches(str(name)[:100], specs, n=1)
    hint_en = f"did you mean {near[0]}? " if near else ""
    hint_zh = f"是否为 {near[0]}？" if near else ""
    return InvalidCommand(
        f"unknown command {shown(name)}; {hint_en}kejin commands lists all",
        f"未知命令 {shown(name)}；{hint_zh}全部命令见 kejin commands",
    )


def not_after(first: str, last: str) -> Callable[[Mapping[str, Any]], None]:
    """A check that of two dates, where both are given, the first is not after the last."""

    def check(fields: Mapping[str, Any]) -> None:
        if first in fields and last in fields and fields[first] > fields[last]:
            raise InvalidCommand(
                f"{first} {fields[first]} is after {last} {fields[last]}; swap or mend them",
                f"{first} {fields[first]} 晚于 {last} {fields[last]}，请更正",
            )

    return check


def names(specs: Sequence[CommandSpec]) -> dict[str, CommandSpec]:
    """Specs by command name."""
    return {spec.name: spec for spec in specs}
