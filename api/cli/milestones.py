"""kejin milestones: each bank's climb on the ladder of the exclusive-credit award."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from api.language import say
from api.printing import as_of_line, print_json, print_table
from api.session import Data, Json, KnownAt, KnownPosition, On, as_of, ledger, read_uscc
from ledger.money import format_fen
from projections.milestones import milestones


def command(
    bank: Annotated[
        str | None, typer.Option("--bank", metavar="USCC", help="Only this bank's products. 仅该银行。")
    ] = None,
    on: On = None,
    known_at: KnownAt = None,
    known_position: KnownPosition = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Milestones per bank and product: the mark in whole 亿, what was awarded, the next step. 银行里程碑。"""
    read_uscc("--bank", bank)
    with ledger(data) as store:
        clocks = as_of(store, on, known_at, known_position)
        rows = milestones(store, clocks, bank)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        [
            say("bank", "银行"),
            say("product", "产品"),
            say("mark (亿)", "已达（亿）"),
            say("awarded", "已奖励"),
            say("next at", "下一台阶"),
        ],
        [
            [row.bank, row.product, str(row.mark), format_fen(row.awarded_fen), format_fen(row.next_at_fen)]
            for row in rows
        ],
        right=(2, 3, 4),
    )
    print(as_of_line(clocks.on, clocks.known_position))
