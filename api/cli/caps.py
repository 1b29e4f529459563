"""kejin caps: how much of each cumulative cap is used, and the room that is left."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from api.language import say
from api.printing import as_of_line, print_json, print_table
from api.session import Data, Json, KnownAt, KnownPosition, On, as_of, ledger, read_uscc
from ledger.money import format_fen
from projections.caps import caps


def command(
    party: Annotated[
        str | None, typer.Option("--party", metavar="USCC", help="Only this party's caps. 仅该主体。")
    ] = None,
    on: On = None,
    known_at: KnownAt = None,
    known_position: KnownPosition = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Every cumulative cap that was used: limit, consumed, reserved, room. 累计上限使用情况。

    The room is what a claim effective on the given date could still add: the least of limit minus use over that
    date and all later ones. Reserved is the part of the use that is decided and not paid.
    """
    read_uscc("--party", party)
    with ledger(data) as store:
        clocks = as_of(store, on, known_at, known_position)
        rows = caps(store, clocks, party)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        [
            say("cap", "上限"),
            say("key", "对象"),
            say("party", "主体"),
            say("limit", "限额"),
            say("consumed", "已用"),
            say("reserved", "其中未付"),
            say("room", "剩余"),
            say("clause", "条款"),
        ],
        [
            [
                row.cap,
                row.key,
                row.party or "",
                *map(format_fen, (row.limit_fen, row.consumed_fen, row.reserved_fen, row.room_fen)),
                row.clause or "",
            ]
            for row in rows
        ],
        right=(3, 4, 5, 6),
    )
    print(as_of_line(clocks.on, clocks.known_position))
