"""kejin statement: the lines of an account between two dates, as known at any time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from api.language import say
from api.printing import as_of_line, print_json, print_table
from api.problems import Problem
from api.session import Data, Json, KnownAt, KnownPosition, as_of, ledger, read_day
from ledger.money import format_fen
from projections.balances import EndsBeforeItBegins, UnknownAccount, statement


def command(
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="As of kejin balance. 同 kejin balance。")
    ],
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="First business date. 起始业务日期。")],
    last: Annotated[
        str | None,
        typer.Option("--to", metavar="DATE", help="Last one, included; default: all. 截止（含）。"),
    ] = None,
    known_at: KnownAt = None,
    known_position: KnownPosition = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """An account or subtree between two dates: opening balance, lines, closing balance. 对账单。

    Lines stand in the order of their business dates; each names the event that made it (kejin events --after N-1).
    """
    first_day = read_day(first, "--from")
    with ledger(data) as store:
        clocks = as_of(store, last, known_at, known_position, on_option="--to")
        try:
            found = statement(store, account, first_day, clocks)
        except UnknownAccount:
            raise Problem(
                say(
                    f"{account!r} is no account; see kejin balance --help for their shapes",
                    f"{account!r} 不是账户；账户形式见 kejin balance --help",
                )
            ) from None
        except EndsBeforeItBegins:
            raise Problem(
                say(
                    f"--to {last} is before --from {first_day}; exchange them",
                    f"--to {last} 早于 --from {first_day}；请对调",
                )
            ) from None
    if as_json:
        clocked = {"from": first_day, "to": clocks.on, "known_position": clocks.known_position}
        print_json({"account": account, **clocked, **asdict(found)})
        return
    print(f"{account}  {say('opening', '期初')} {format_fen(found.opening_fen)}")
    print_table(
        [say("date", "业务日期"), say("event", "事件"), say("amount", "金额"), say("balance", "余额")],
        [
            [
                line.effective_on,
                f"@{line.position}",
                format_fen(line.amount_fen),
                format_fen(line.balance_fen),
            ]
            for line in found.lines
        ],
        right=(2, 3),
    )
    print(f"{say('closing', '期末')} {format_fen(found.closing_fen)}")
    print(as_of_line(clocks.on, clocks.known_position))
