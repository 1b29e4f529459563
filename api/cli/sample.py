"""kejin sample: claims for an auditor to look at."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.language import say
from api.printing import as_of_line, print_json, print_table
from api.problems import Problem
from api.session import (
    Data,
    Json,
    KnownAt,
    KnownPosition,
    On,
    ledger,
    position_known,
    read_day,
    unknown_round,
)
from ledger.money import format_fen

_SIZE_MAX = 100_000


def command(
    method: Annotated[
        str, typer.Option("--by", metavar="random|amount|risk", help="How to draw. 抽样方法。")
    ] = "random",
    size: Annotated[int, typer.Option("--size", metavar="N", help="How many claims at most. 样本量。")] = 25,
    seed: Annotated[
        str | None,
        typer.Option(
            "--seed", metavar="TEXT", help="The same seed draws the same; default: a new one. 种子。"
        ),
    ] = None,
    round_id: Annotated[
        str | None, typer.Option("--round", metavar="ID", help="Of one round only. 仅某轮次。")
    ] = None,
    on: On = None,
    known_at: KnownAt = None,
    known_position: KnownPosition = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Draw granted claims to be audited, with the positions to prove. 审计抽样：列出申请及应取证的序号。

    random: each claim alike. amount: each fen alike (monetary unit sampling). risk: those with most risks, which are
    near_cap (90 % of a cap's room taken), back_dated (30 days before what its round had decided), corrected, and
    paid_quickly (within 3 days). The seed is kept in the answer: with it, --on and --known-position anybody draws the
    same.
    """
    from projections import sampling
    from projections.existing import UnknownRound

    if method not in sampling.METHODS:
        listed = ", ".join(sampling.METHODS)
        raise Problem(say(f"--by {method!r}: it is one of {listed}", f"--by {method!r}：须为 {listed} 之一"))
    if not 1 <= size <= _SIZE_MAX:
        raise Problem(say(f"--size {size}: it is 1 to {_SIZE_MAX}", f"--size {size}：须为 1 至 {_SIZE_MAX}"))
    seed = sampling.new_seed() if seed is None else seed
    if not sampling.is_seed(seed):
        most = sampling.SEED_LENGTH_MAX
        raise Problem(
            say(f"--seed: it is 1 to {most} printable characters", f"--seed：须为 1 至 {most} 个可打印字符")
        )
    day = None if on is None else read_day(on)
    with ledger(data) as store:
        until = position_known(store, known_at, known_position)
        try:
            document = sampling.document(store, until, method, size, seed, round_id, day)
        except UnknownRound as unknown:
            raise unknown_round(str(unknown)) from None
    if as_json:
        print_json(document)
    else:
        _show(document)


_RISKS = {
    "near_cap": ("near a cap", "接近上限"),
    "back_dated": ("back-dated", "倒签"),
    "corrected": ("corrected", "有更正"),
    "paid_quickly": ("paid quickly", "快速支付"),
}


def _show(document: dict[str, Any]) -> None:
    print_table(
        [
            say("claim", "申请"),
            say("instrument", "工具"),
            say("round", "轮次"),
            say("payee", "收款方"),
            say("date", "业务日期"),
            say("amount", "金额"),
            say("risks", "风险"),
            say("to prove", "应取证序号"),
        ],
        [
            [
                row["claim"],
                row["instrument"],
                row["round"],
                row["payee"],
                row["effective_on"],
                format_fen(row["amount_fen"]),
                ", ".join(say(*_RISKS[risk]) for risk in row["risks"]),
                " ".join(f"@{position}" for position in row["positions"]),
            ]
            for row in document["claims"]
        ],
        right=(5,),
    )
    population, drawn = document["population"], len(document["claims"])
    print(
        say(
            f"{drawn} of {population['claims']} claims, {format_fen(population['total_fen'])} in all;"
            f" by {document['method']}, seed {document['seed']}",
            f"自 {population['claims']} 笔（共 {format_fen(population['total_fen'])}）中抽取 {drawn} 笔；"
            f"方法 {document['method']}，种子 {document['seed']}",
        )
    )
    print(as_of_line(document["on"], document["known_position"]))
