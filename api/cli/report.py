"""kejin report: what people ask of a ledger, as tables or JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from api.language import language, say
from api.printing import as_of_line, print_json, print_table
from api.problems import Problem
from api.service.words import word
from api.session import Data, Json, KnownAt, KnownPosition, On, as_of, ledger, unknown_round
from ledger.money import format_fen
from ledger.store import Store
from projections.clocks import AsOf
from projections.existing import UnknownParty, UnknownRound
from projections.reports.duplicates import duplicates
from projections.reports.duties import duties
from projections.reports.ladders import ladders_report
from projections.reports.near_caps import near_caps
from projections.reports.party import party_report
from projections.reports.portfolio import portfolio_report
from projections.reports.round import round_report

_NAMED = ("round", "firm", "bank", "guarantor", "milestones")
_WHOLE = ("portfolio", "near-caps", "duties", "duplicates")


def command(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=", ".join((*_NAMED, *_WHOLE)))],
    name: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="The round's id, or the party's USCC. 轮次编号或信用代码。"),
    ] = None,
    on: On = None,
    known_at: KnownAt = None,
    known_position: KnownPosition = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Reports for people: round ID, firm | bank | guarantor | milestones USCC, portfolio, near-caps … 报表。

    round: appropriated, committed, paid, recovered by instrument; control totals and whether they tie.
    firm, bank, guarantor: names over time, loans, grants, caps or milestones, what was refused.
    milestones: a bank's marks, what each award rests on, certified totals, what is missing to the next award.
    portfolio: loans by bank, repaid, defaulted, lost, recovered; bank credit per yuan of public money.
    near-caps: firms at 80, 90 and 100 % of a cap. duties: who entered, decided, publicised and paid each claim.
    duplicates: the same payee, loan, slip or voucher paid twice.
    """
    if kind not in (*_NAMED, *_WHOLE):
        raise Problem(
            say(
                f"no report {kind!r}; there are {', '.join((*_NAMED, *_WHOLE))}",
                f"没有报表 {kind!r}；可用 {', '.join((*_NAMED, *_WHOLE))}",
            )
        )
    if (kind in _NAMED) != (name is not None):
        wanted_en, wanted_zh = (
            ("wants an id", "须给出编号") if kind in _NAMED else ("takes no id", "不需要编号")
        )
        raise Problem(say(f"report {kind} {wanted_en}", f"report {kind} {wanted_zh}"))
    with ledger(data) as store:
        clocks = as_of(store, on, known_at, known_position)
        document = _document(store, clocks, kind, name or "")
    if as_json:
        print_json(document)
    else:
        _SHOW[kind](document)
        print(as_of_line(clocks.on, clocks.known_position))


def _document(store: Store, clocks: AsOf, kind: str, name: str) -> Any:
    try:
        if kind == "round":
            return round_report(store, clocks, name)
        if kind == "milestones":
            return ladders_report(store, clocks, name)
        if kind in _NAMED:
            return party_report(store, clocks, name, kind)
    except UnknownRound:
        raise unknown_round(name) from None
    except UnknownParty:
        role = "bank" if kind == "milestones" else kind
        raise Problem(say(f"{name!r} is not registered as {role}", f"{name!r} 未登记为 {role}")) from None
    whole: dict[str, Callable[[Store, AsOf], Any]] = {
        "portfolio": portfolio_report,
        "near-caps": near_caps,
        "duties": duties,
        "duplicates": duplicates,
    }
    return whole[kind](store, clocks)


def _show_round(report: dict[str, Any]) -> None:
    state = say("closed", "已关闭") if report["closed"] else say("open", "开放")
    call = f" / {report['call']}" if report["call"] else ""
    print(f"{report['round']} · {report['year']} · {report['rulebook']}{call} · {state}")
    labels = (
        ("appropriated_fen", say("appropriated", "拨入")),
        ("available_fen", say("available", "可用")),
        ("committed_fen", say("committed", "已决定未付")),
        ("paid_net_fen", say("paid, net of recoveries", "已付净额")),
        ("recovered_fen", say("recovered, held", "追回未缴")),
        ("returned_fen", say("returned to the treasury", "已缴回财政")),
    )
    print_table(
        [label for _, label in labels],
        [[format_fen(report[name]) for name, _ in labels]],
        right=range(len(labels)),
    )
    print_table(
        [
            say("instrument", "工具"),
            say("grants", "笔数"),
            say("payees", "收款方"),
            say("granted", "决定"),
            say("committed", "未付"),
            say("paid", "已付"),
            say("recovered", "追回"),
        ],
        [
            [
                row["instrument"],
                str(row["grants"]),
                str(row["payees"]),
                *(format_fen(row[n]) for n in ("granted_fen", "committed_fen", "paid_fen", "recovered_fen")),
            ]
            for row in report["instruments"]
        ],
        right=range(1, 7),
    )
    if report["control_totals"]:
        _show_control_totals(report["control_totals"])


def _show_control_totals(rows: list[dict[str, Any]]) -> None:
    print_table(
        [
            say("control total", "控制总数"),
            say("asserted", "报告"),
            say("ledger", "账本"),
            say("difference", "差异"),
            "",
            say("source", "来源"),
        ],
        [
            [
                f"{row['instrument'] or say('all', '全部')} · {label}",
                shown(row[f"asserted_{name}"]),
                shown(row[f"ledger_{name}"]),
                ("+" if row[f"difference_{name}"] > 0 else "") + shown(row[f"difference_{name}"]),
                say("ties", "相符") if row[f"difference_{name}"] == 0 else say("UNRECONCILED", "未相符"),
                row["source"],
            ]
            for row in rows
            for name, label, shown in (
                ("count", say("count", "笔数"), str),
                ("total_fen", say("total", "总额"), format_fen),
            )
            if f"asserted_{name}" in row
        ],
        right=(1, 2, 3),
    )


def _show_party(report: dict[str, Any]) -> None:
    print(f"{report['uscc']} · {', '.join(report['kinds'])}")
    for name in report["names"]:
        print(f"  {name['since']}  {name['name']}  @{name['position']}")
    sections = (
        ("certificates", say("certificates", "资质")),
        ("mergers", say("mergers and splits", "合并与分立")),
        ("loans", say("loans", "贷款")),
        ("payouts", say("payouts", "代偿")),
        ("grants", say("grants", "补助")),
        ("refused", say("refused", "被拒")),
        ("caps", say("caps", "上限")),
        ("milestones", say("milestones", "里程碑")),
    )
    for section, title in sections:
        if report.get(section):
            print(f"\n{title}")
            _show_rows(report[section])


def _show_rows(rows: list[dict[str, Any]]) -> None:
    """Rows as they are in JSON, amounts readable."""
    if not rows:
        print(say("none", "无"))
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    right = [i for i, name in enumerate(columns) if name.endswith("_fen")]
    print_table(
        [word(name, language()) for name in columns],
        [[_cell(name, row.get(name)) for name in columns] for row in rows],
        right,
    )


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and name.endswith("_fen"):
        return format_fen(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(key, part)}" for key, part in value.items())
    return str(value)


def _show_near_caps(rows: list[dict[str, Any]]) -> None:
    if not rows:
        print(say("no firm is at 80 % of a cap", "没有企业达到上限的 80%"))
        return
    print_table(
        [
            say("party", "主体"),
            say("name", "名称"),
            say("limit", "限额"),
            say("consumed", "已用"),
            say("highest ever", "历史最高"),
            say("room", "剩余"),
            say("level", "档位"),
        ],
        [
            [
                row["key"],
                row["name"] or "",
                *(format_fen(row[name]) for name in ("limit_fen", "consumed_fen", "highest_fen", "room_fen")),
                f"≥ {row['level_percent']} %",
            ]
            for row in rows
        ],
        right=(2, 3, 4, 5, 6),
    )


def _show_portfolio(report: dict[str, Any]) -> None:
    labels = (
        ("loans", say("loans", "笔数")),
        ("lent_fen", say("lent", "发放")),
        ("repaid_fen", say("repaid", "偿还")),
        ("outstanding_fen", say("outstanding", "余额")),
        ("defaults", say("defaults", "违约笔数")),
        ("defaulted_fen", say("defaulted", "违约金额")),
        ("lost_fen", say("lost", "损失")),
        ("recovered_fen", say("recovered", "收回")),
        ("payouts", say("payouts", "代偿笔数")),
        ("payout_principal_fen", say("principal", "代偿本金")),
        ("payout_interest_fen", say("interest", "代偿利息")),
        ("payout_recovered_fen", say("regained", "代偿追回")),
        ("loss_rate", say("loss rate", "损失率")),
    )
    rows = [*report["banks"], {**report["total"], "bank": say("all", "合计"), "name": None}]
    print_table(
        [say("bank", "银行"), *(label for _, label in labels)],
        [
            [
                row["name"] or row["bank"] or say("unknown", "不详"),
                *(_cell(name, row[name]) for name, _ in labels),
            ]
            for row in rows
        ],
        right=range(1, len(labels) + 1),
    )
    public = report["public"]
    print_table(
        [
            say("public money granted", "财政资金决定"),
            say("lent per yuan", "每元带动贷款"),
            say("paid, net", "已付净额"),
            say("lent per yuan", "每元带动贷款"),
        ],
        [
            [
                format_fen(public["granted_fen"]),
                public["lent_per_granted"] or "",
                format_fen(public["paid_fen"]),
                public["lent_per_paid"] or "",
            ]
        ],
        right=range(4),
    )


def _show_ladders(report: dict[str, Any]) -> None:
    print(f"{report['bank']} · {report['name']}")
    for product in report["products"]:
        mark = say(f"mark {product['mark']} 亿", f"已达 {product['mark']} 亿")
        awarded = say(
            f"awarded {format_fen(product['awarded_fen'])}", f"已奖励 {format_fen(product['awarded_fen'])}"
        )
        missing = say(
            f"next at {format_fen(product['next_at_fen'])}, {format_fen(product['missing_fen'])} missing",
            f"下一台阶 {format_fen(product['next_at_fen'])}，尚缺 {format_fen(product['missing_fen'])}",
        )
        print(f"\n{product['product']} · {mark} · {awarded} · {missing}")
        for part, title in (("awards", say("awards", "奖励")), ("certified", say("certified", "认定总额"))):
            if product[part]:
                print(title)
                _show_rows(product[part])


_SHOW: dict[str, Callable[[Any], None]] = {
    "round": _show_round,
    **dict.fromkeys(("firm", "bank", "guarantor"), _show_party),
    **dict.fromkeys(_WHOLE, _show_rows),
    "milestones": _show_ladders,
    "portfolio": _show_portfolio,
    "near-caps": _show_near_caps,
}
