"""Forms: a command's fields as a browser sends them, made from the registry: a new instrument needs no line here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.service.words import word
from ledger.commands import COMMON_FIELDS, CommandSpec, Field, InvalidCommand
from ledger.money import MAX_FEN, format_fen

#: Amounts are typed in yuan, as people count; the ledger has whole fen.
_AMOUNTS: Final = frozenset({"amount_fen", "amount_or_zero_fen", "signed_amount_fen"})
_NUMBERS: Final = frozenset({"year", "count", "position"})
#: Lists are typed one entry a line.
_EXAMPLES: Final[Mapping[str, str]] = {
    "slips": "S-1 120,000.00",
    "reviews": "expert yes 2024-06-01 评审-1",
}
_LISTS: Final = _EXAMPLES.keys()
_LINES: Final[Mapping[str, tuple[str, str]]] = {
    "slips": ("a line each: number, amount in yuan", "每行一张：编号、金额（元）"),
    "reviews": (
        "a line each: expert or onsite, yes or no, date, document",
        "每行一项：expert（专家）或 onsite（现场）、yes（通过）或 no、日期、文件",
    ),
}
_REVIEW_WORDS: Final = {"专家": "expert", "现场": "onsite"}
_YES_NO: Final = {"yes": True, "no": False, "是": True, "否": False, "通过": True, "未通过": False}
#: With commas between thousands only: one in another place may be meant for a decimal point.
_YUAN: Final = re.compile(r"([+-]?)([0-9]{1,30}|[1-9][0-9]{0,2}(?:[,，][0-9]{3}){1,9})(?:\.([0-9]{1,2}))?")
_WHOLE: Final = re.compile(r"[0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class Input:
    """One field as the form shows it. `kind` is how it is typed: text, yuan, number, date, choice or lines."""

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
    elif kind == "lines":
        wanted = _LINES[field.type.name][language == "zh"]
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
        return "lines", ()
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
    for field in spec.fields:
        if field.required and field.name not in values:
            raise _wrong(field.name, "it is missing", "未填写")
    return values


def _value(name: str, kind: str, text: str) -> Any:
    if kind in _AMOUNTS:
        return _fen(name, kind, text)
    if kind in _NUMBERS and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "flag" and text in ("true", "false"):
        return text == "true"
    if kind == "slips":
        return [_slip(name, line) for line in text.splitlines() if line.strip()]
    if kind == "reviews":
        return [_review(name, line) for line in text.splitlines() if line.strip()]
    return text


def _wrong(name: str, en: str, zh: str) -> InvalidCommand:
    return InvalidCommand(f"{word(name, 'en')}: {en}", f"{word(name, 'zh')}：{zh}")


def _fen(name: str, kind: str, text: str) -> int:
    match = _YUAN.fullmatch(text)
    if match is None:
        raise _wrong(
            name,
            f"{text[:60]!r} is no amount in yuan; write it as 1234.56 or 1,234.56",
            f"{text[:60]!r} 不是以元为单位的金额；请写作 1234.56 或 1,234.56",
        )
    sign, yuan, decimals = match.groups()
    fen = int(re.sub("[,，]", "", yuan)) * 100 + int((decimals or "").ljust(2, "0"))
    least = {"amount_or_zero_fen": 0, "signed_amount_fen": -MAX_FEN}.get(kind, 1)
    fen = -fen if sign == "-" else fen
    if not least <= fen <= MAX_FEN or (fen == 0 and kind != "amount_or_zero_fen"):
        between = f"{format_fen(least)}", format_fen(MAX_FEN)
        zero_en, zero_zh = (", and not 0", "，且不为 0") if least < 0 else ("", "")
        raise _wrong(
            name,
            f"{text[:60]!r} is not from {between[0]} to {between[1]}{zero_en}",
            f"{text[:60]!r} 不在 {between[0]} 至 {between[1]} 之间{zero_zh}",
        )
    return fen


def _slip(name: str, line: str) -> dict[str, Any]:
    number, _, amount = line.strip().replace("\t", " ").rpartition(" ")
    return {"number": number.strip(), "amount_fen": _fen(name, "amount_fen", amount)}


def _review(name: str, line: str) -> dict[str, Any]:
    kind, passed, on, document = [*line.split(None, 3), "", "", "", ""][:4]
    if passed not in _YES_NO:
        raise _wrong(
            name,
            f"{line.strip()[:60]!r} is no review; write expert yes 2024-06-01 document",
            f"{line.strip()[:60]!r} 不是评审；请写作 专家 通过 2024-06-01 文件",
        )
    kind = _REVIEW_WORDS.get(kind, kind)
    return {"kind": kind, "passed": _YES_NO[passed], "document": document.strip(), "on": on}
