"""Forms: a command's fields as a browser sends them, made from the registry: a new instrument needs no line here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.service.words import word
from ledger import codec
from ledger.commands import COMMON_FIELDS, CommandSpec, Field, InvalidCommand
from ledger.money import MAX_FEN, format_fen

#: Amounts are typed in yuan, as people count; the ledger has whole fen.
_AMOUNTS: Final = frozenset({"amount_fen", "amount_or_zero_fen", "signed_amount_fen"})
_NUMBERS: Final = frozenset({"year", "count", "position"})
#: Lists are typed as JSON, in fen.
_EXAMPLES: Final[Mapping[str, str]] = {
    "slips": '[{"number": "S-1", "amount_fen": 12000000}]',
    "reviews": '[{"kind": "expert", "passed": true, "document": "…", "on": "2024-06-01"}]',
}
_LISTS: Final = _EXAMPLES.keys()
#: With commas between thousands only: one in another place may be meant for a decimal point.
_YUAN: Final = re.compile(r"([+-]?)([0-9]{1,16}|[0-9]{1,3}(?:[,，][0-9]{3}){1,5})(?:\.([0-9]{1,2}))?")
_WHOLE: Final = re.compile(r"[0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class Input:
    """One field as the form shows it. `kind` is how it is typed: text, yuan, number, date, choice or json."""

    name: str
    label: str
    hint: str
    kind: str
    required: bool
    choices: tuple[str, ...] = ()
    example: str = ""


def inputs(spec: CommandSpec, language: str) -> list[Input]:
    """The fields of a command's form. Its key is no field: the form brings one."""
    return [_input(field, language) for field in (*spec.fields, COMMON_FIELDS[0])]


def _input(field: Field, language: str) -> Input:
    kind, choices = _kind(field.type.name)
    explained, wanted = (
        (field.zh, field.type.wanted_zh) if language == "zh" else (field.en, field.type.wanted_en)
    )
    if kind == "yuan":
        wanted = "单位：元，至多两位小数" if language == "zh" else "in yuan, with at most two decimals"
    elif kind == "choice":
        wanted = ""
    hint = "; ".join(part for part in (explained, wanted) if part)
    example = _EXAMPLES.get(field.type.name, "")
    return Input(field.name, word(field.name, language), hint, kind, field.required, choices, example)


def _kind(name: str) -> tuple[str, tuple[str, ...]]:
    if name.startswith("one of "):
        return "choice", tuple(name.removeprefix("one of ").split("|"))
    if name == "flag":
        return "choice", ("true", "false")
    if name in _AMOUNTS:
        return "yuan", ()
    if name in _NUMBERS:
        return "number", ()
    if name in _LISTS:
        return "json", ()
    return ("date" if name == "date" else "text"), ()


def fields_of(spec: CommandSpec, sent: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a command from those of its form; empty ones are left out. Raises InvalidCommand, also for what is
    no field of this command: which command it is says the address alone."""
    kinds = {field.name: field.type.name for field in (*spec.fields, *COMMON_FIELDS)}
    values: dict[str, Any] = {}
    for name, text in sent.items():
        if name not in kinds:
            raise InvalidCommand(
                f"{name[:60]!r} is no field of {spec.name}", f"{spec.name} 没有字段 {name[:60]!r}"
            )
        if text.strip():
            values[name] = _value(name, kinds[name], text.strip())
    return values


def _value(name: str, kind: str, text: str) -> Any:
    if kind in _AMOUNTS:
        return _fen(name, kind, text)
    if kind in _NUMBERS and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "flag" and text in ("true", "false"):
        return text == "true"
    if kind in _LISTS:
        return _list(name, text)
    return text


def _fen(name: str, kind: str, text: str) -> int:
    match = _YUAN.fullmatch(text)
    if match is None:
        raise InvalidCommand(
            f"{name}: {text[:60]!r} is no amount in yuan; write it as 1234.56 or 1,234.56",
            f"{name}：{text[:60]!r} 不是以元为单位的金额；请写作 1234.56 或 1,234.56",
        )
    sign, yuan, decimals = match.groups()
    fen = int(re.sub("[,，]", "", yuan)) * 100 + int((decimals or "").ljust(2, "0"))
    least = 0 if kind == "amount_or_zero_fen" else 1
    if (sign == "-" and kind != "signed_amount_fen") or not least <= fen <= MAX_FEN:
        raise InvalidCommand(
            f"{name}: {text[:60]!r} is not between {format_fen(least)} and {format_fen(MAX_FEN)}",
            f"{name}：{text[:60]!r} 不在 {format_fen(least)} 与 {format_fen(MAX_FEN)} 之间",
        )
    return -fen if sign == "-" else fen


def _list(name: str, text: str) -> Any:
    """A list is written as JSON; each key of its objects once, as everywhere."""
    try:
        found = codec.parse_object(b'{"list":' + text.encode() + b"}")
    except codec.NotStrictJson as error:
        raise InvalidCommand(f"{name} is no JSON: {error}", f"{name} 不是 JSON：{error}") from None
    if found.keys() != {"list"}:
        raise InvalidCommand(f"{name} is no JSON list", f"{name} 不是 JSON 列表")
    return found["list"]
