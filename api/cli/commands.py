"""kejin commands: what `kejin run` understands."""

from __future__ import annotations

from typing import Annotated, Any, Final

import orjson
import typer

from api.language import say
from api.printing import print_json, print_table
from api.problems import Problem
from api.session import Data, Json
from ledger.catalogue import catalogue
from ledger.commands import COMMON_FIELDS, CommandSpec, Field, InvalidCommand


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One command, with its fields. 某一命令的字段。")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """The commands that kejin run understands, and their fields. 可用命令及字段。"""
    specs = catalogue().specs
    if name is not None and name not in specs:
        raise Problem(
            say(
                f"no command {name!r}; there are {', '.join(specs)}",
                f"没有命令 {name!r}；可用：{', '.join(specs)}",
            )
        )
    chosen = list(specs.values()) if name is None else [specs[name]]
    if as_json:
        print_json([_document(spec) for spec in chosen])
    elif name is None:
        print_table(
            [say("command", "命令"), say("what it records", "说明")],
            [[spec.name, say(spec.en, spec.zh)] for spec in chosen],
        )
        print(say("kejin commands NAME shows its fields", "kejin commands 命令名 可查看字段"))
    else:
        _show(chosen[0])


def _document(spec: CommandSpec) -> dict[str, Any]:
    fields = [
        {"name": f.name, "type": f.type.name, "required": f.required, "en": f.en, "zh": f.zh}
        for f in (*spec.fields, *COMMON_FIELDS)
    ]
    return {"command": spec.name, "en": spec.en, "zh": spec.zh, "fields": fields}


def _show(spec: CommandSpec) -> None:
    print(f"{spec.name}: {say(spec.en, spec.zh)}")
    print_table(
        [say("field", "字段"), "", say("what", "含义"), say("wants", "取值")],
        [
            [
                f.name,
                say("required", "必填") if f.required else "",
                say(f.en, f.zh),
                say(f.type.wanted_en, f.type.wanted_zh),
            ]
            for f in (*spec.fields, *COMMON_FIELDS)
        ],
    )
    print(orjson.dumps(example(spec)).decode())


def example(spec: CommandSpec) -> dict[str, Any]:
    """A well-formed command to copy and change: its required fields, and one that its check demands besides."""
    shown = {"command": spec.name, **{f.name: _sample(f) for f in spec.fields if f.required}}
    fuller = (shown | {f.name: _sample(f)} for f in spec.fields if not f.required)
    return next(fields for fields in (shown, *fuller) if _passes(spec, fields))


def _passes(spec: CommandSpec, fields: dict[str, Any]) -> bool:
    try:
        if spec.check is not None:
            spec.check(fields)
    except InvalidCommand:
        return False
    return True


#: Fields that want another party than the one named before them.
_OTHER_PARTIES: Final = {
    "bank": "91110108551385082Q",
    "absorbed": "91110000101623741K",
    "created": "91110000101623741K",
}


def _sample(field: Field) -> Any:
    """A value of the right form."""
    samples: dict[str, Any] = {
        "uscc": _OTHER_PARTIES.get(field.name, "91350100M000100Y43"),
        "date": "2024-07-01",
        "year": 2024,
        "amount_fen": 12_000_000,
        "signed_amount_fen": -12_000_000,
        "count": 279,
        "position": 9,
        "amount_or_zero_fen": 150_000_000_000,
        "flag": True,
        "slips": [{"number": "S-1", "amount_fen": 12_000_000}],
    }
    if field.type.name.startswith("one of "):
        return field.type.name.removeprefix("one of ").partition("|")[0]
    return samples.get(field.type.name, f"{field.name}-1")
