"""kejin what-if: who would have got more or less under other rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.language import language, say
from api.printing import as_of_line, print_json, print_table, show_progress
from api.problems import Problem
from api.session import Data, Json, KnownAt, KnownPosition, ledger, position_known
from ledger.money import format_fen
from ledger.rulebook.settings import Content, UnusableSetting, parameters, read_rulebook

_ROWS_MAX = 20


def command(
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="CLAUSE.PATH=VALUE",
            help="Set one parameter; may be repeated. 设定参数，可重复。",
        ),
    ] = None,
    rulebooks: Annotated[
        list[Path] | None,
        typer.Option("--rulebook", metavar="FILE", help="A rulebook in TOML instead. 以 TOML 规则文件代替。"),
    ] = None,
    listed: Annotated[
        bool,
        typer.Option("--list", help="List what can be set, with its present value. 列出可设参数及现值。"),
    ] = False,
    known_at: KnownAt = None,
    known_position: KnownPosition = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Decide the recorded claims again under other rules: who would have got more or less, and why. 规则推演，不写入。

    \b
    kejin what-if --list
    kejin what-if --set SX-1.caps.firm_cap.limit.amount_fen=30000000
    kejin what-if --set SX-1.legs.interest_share.rate=2/5 --set SX-1.reading.A25=pay
    kejin what-if --set shanxi-2023:SX-1.terms.securities=credit,guaranteed
    kejin what-if --rulebook other-measure.toml

    Money is whole fen, a rate a fraction. A setting changes the measure and every call that states the parameter;
    DOCUMENT: before it changes one of them. A foreign measure takes the place of every measure, and calls then narrow
    nothing; settings change what is in use then, which --rulebook with --list shows. Steps are people's acts and stay:
    those of a grant that would be refused are dropped, a grant that would be made anew stays decided, a whole recovery
    stays whole. A rulebook says only what Kejin carries out.
    """
    with ledger(data) as store:
        until = position_known(store, known_at, known_position)
        from projections import what_if
        from projections.adopted import adopted

        if not settings and not rulebooks and not listed:
            raise Problem(
                say(
                    "give --set, --rulebook or --list; see --help",
                    "请给出 --set、--rulebook 或 --list；见 --help",
                )
            )
        change = what_if.Change(
            adopted(store, until), settings or (), [_read(path) for path in rulebooks or ()]
        )
        if listed:
            _list(change.in_use, as_json)
            return
        document = what_if.document(store, until, change, progress=show_progress)
    shown = {
        "settings": [str(setting) for setting in change.settings],
        "rulebooks": [str(path) for path in rulebooks or ()],
    }
    if as_json:
        print_json({**shown, **document})
    else:
        _show(document)


def _read(path: Path) -> Content:
    try:
        return read_rulebook(path.read_text(encoding="utf-8"))
    except UnusableSetting as error:
        raise Problem(say(f"{path}: {error}", f"{path}：{error.zh}")) from None
    except UnicodeDecodeError as error:
        raise Problem(say(f"{path} is not UTF-8: {error}", f"{path} 不是 UTF-8：{error}")) from None


def _list(contents: list[Content], as_json: bool) -> None:
    found = {(p.document, p.name): p.value for p in parameters(contents)}
    if as_json:
        print_json([{"document": d, "set": name, "value": value} for (d, name), value in found.items()])
        return
    print_table(
        [say("rulebook", "规则"), say("--set", "--set"), say("present value", "现值")],
        [
            [document, name, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
            for (document, name), value in found.items()
        ],
    )


_CAUSES = {
    "rule": ("the rule itself", "规则本身"),
    "earlier": ("earlier differences", "此前差异的影响"),
    "budget": ("the round's money", "轮次资金"),
    "steps": ("voids and recoveries", "撤销与追回"),
}


def _show(document: dict[str, Any]) -> None:
    if not document["claims"]:
        print(say("nobody would have got more or less", "无人增减"))
    else:
        _show_causes(document)
        _show_payees(document["payees"])
        _show_claims(document["claims"])
    steps = document["other_steps"]
    if steps:
        shown = ", ".join(f"@{s['position']} {s['then']} → {s['now']}" for s in steps[:5])
        print(
            say(
                f"{len(steps)} other commands come out otherwise: {shown}",
                f"另有 {len(steps)} 条命令结果不同：{shown}",
            )
        )
    print(
        say(
            f"granted and not taken back {format_fen(document['then_fen'])} → {format_fen(document['now_fen'])},"
            f" difference {format_fen(document['difference_fen'])}",
            f"有效补助 {format_fen(document['then_fen'])} → {format_fen(document['now_fen'])}，"
            f"差额 {format_fen(document['difference_fen'])}",
        )
    )
    print(as_of_line(None, document["known_position"]))


def _show_causes(document: dict[str, Any]) -> None:
    chinese = language() == "zh"
    print_table(
        [
            say("cause", "原因"),
            say("clause", "条款"),
            say("bound by", "限制项"),
            say("claims", "笔数"),
            say("more", "增加"),
            say("less", "减少"),
            say("difference", "差额"),
        ],
        [
            [
                _CAUSES[row["cause"]][chinese],
                row["clause"] or "",
                row["part"] or "",
                str(row["claims"]),
                *(format_fen(row[name]) for name in ("more_fen", "less_fen", "difference_fen")),
            ]
            for row in document["causes"]
        ],
        right=(3, 4, 5, 6),
    )


def _show_payees(payees: list[dict[str, Any]]) -> None:
    print_table(
        [
            say("payee", "收款方"),
            say("claims", "笔数"),
            say("then", "当时"),
            say("would be", "假设"),
            say("difference", "差额"),
        ],
        [
            [
                row["payee"],
                str(row["claims"]),
                *(format_fen(row[n]) for n in ("then_fen", "now_fen", "difference_fen")),
            ]
            for row in payees[:_ROWS_MAX]
        ],
        right=(1, 2, 3, 4),
    )
    _rest(len(payees))


def _show_claims(claims: list[dict[str, Any]]) -> None:
    # A claim that would pay somebody else stands twice: then it matters whose row it is.
    with_payees = len({row["claim"] for row in claims}) < len(claims)
    print_table(
        [
            say("claim", "申请"),
            say("event", "事件"),
            *([say("payee", "收款方")] if with_payees else []),
            say("clause", "条款"),
            say("then", "当时"),
            say("would be", "假设"),
            say("difference", "差额"),
            say("parted at", "分岔处"),
        ],
        [
            [
                row["claim"],
                f"@{row['position']}",
                *([row["payee"]] if with_payees else []),
                row["clause"] or "",
                row["then"]["code"] or format_fen(row["then_fen"]),
                row["now"]["code"] or format_fen(row["now_fen"]),
                format_fen(row["difference_fen"]),
                f"@{row['parted_at']}",
            ]
            for row in claims[:_ROWS_MAX]
        ],
        right=(4, 5, 6) if with_payees else (3, 4, 5),
    )
    _rest(len(claims))


def _rest(count: int) -> None:
    if count > _ROWS_MAX:
        print(
            say(
                f"… {count - _ROWS_MAX} more: --json has all",
                f"… 另有 {count - _ROWS_MAX} 项：--json 给出全部",
            )
        )
