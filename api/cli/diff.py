"""kejin diff: which events lie between two points of the ledger."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.language import say
from api.printing import print_json, print_table
from api.problems import Problem
from api.session import Data, Json, as_of, ledger, read_uscc, unknown_party, unknown_round
from ledger.money import format_fen
from ledger.store import Store
from projections.clocks import AsOf


def command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ACCOUNT|firm|bank|round", help="An account or subtree, or what the ID is. 账户或主体。"
        ),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The USCC or the round. 信用代码或轮次。")
    ] = None,
    from_position: Annotated[
        int | None,
        typer.Option("--from-position", metavar="N", help="Known at first; default: newest. 起点所知序号。"),
    ] = None,
    to_position: Annotated[
        int | None,
        typer.Option("--to-position", metavar="N", help="Known at last; default: newest. 终点所知序号。"),
    ] = None,
    from_on: Annotated[
        str | None,
        typer.Option("--from-on", metavar="DATE", help="Business date first; default: all. 起点业务日期。"),
    ] = None,
    to_on: Annotated[
        str | None,
        typer.Option("--to-on", metavar="DATE", help="Business date last; default: all. 终点业务日期。"),
    ] = None,
    from_known_at: Annotated[
        str | None,
        typer.Option(
            "--from-known-at", metavar="INSTANT", help="As known at an instant first. 起点所知时刻。"
        ),
    ] = None,
    to_known_at: Annotated[
        str | None,
        typer.Option("--to-known-at", metavar="INSTANT", help="As known at an instant last. 终点所知时刻。"),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """What changed between two points: the events that make up the difference, to the fen. 两个时点之间的变化。

    \b
    kejin diff public/round/R2024/available --from-position 100
    kejin diff firm 91350100M000100Y43 --from-position 100 --to-position 200
    kejin diff round R2024 --from-on 2024-06-30 --to-on 2024-12-31
    """
    subjects = ("firm", "bank", "round")
    if (what in subjects) != (name is not None):
        raise Problem(
            say(
                f"name an account alone, or one of {', '.join(subjects)} with its id",
                f"请只给出账户，或给出 {', '.join(subjects)} 之一及其编号",
            )
        )
    if what in ("firm", "bank"):
        read_uscc(what, name)
    with ledger(data) as store:
        later = _point(store, to_on, to_known_at, to_position, "--to-")
        if all(one is None for one in (from_known_at, from_position, to_known_at, to_position)):
            from_position = later.known_position or None  # one newest position for both
        earlier = _point(store, from_on, from_known_at, from_position, "--from-")
        from projections import differences
        from projections.balances import UnknownAccount
        from projections.existing import UnknownParty, UnknownRound

        try:
            document = differences.document(store, what, name, earlier, later)
        except UnknownAccount:
            raise Problem(
                say(
                    f"{what!r} is no account; see kejin balance --help for their shapes",
                    f"{what!r} 不是账户；账户形式见 kejin balance --help",
                )
            ) from None
        except UnknownRound as unknown:
            raise unknown_round(str(unknown)) from None
        except UnknownParty as unknown:
            raise unknown_party(str(unknown)) from None
    if as_json:
        print_json(document)
    else:
        _show(document)


def _point(store: Store, on: str | None, known_at: str | None, position: int | None, options: str) -> AsOf:
    names = (f"{options}known-at", f"{options}position")
    return as_of(store, on, known_at, position, on_option=f"{options}on", known_options=names)


_WHY = {
    "recorded since": ("recorded since", "此后登记"),
    "effective since": ("effective since", "此后生效"),
    "not yet recorded": ("not yet recorded at the second point", "终点时尚未登记"),
    "not yet effective": ("not yet effective at the second point", "终点时尚未生效"),
}


def _show(document: dict[str, Any]) -> None:
    print_table(
        [say("account", "账户"), say("first", "起点"), say("last", "终点"), say("difference", "差额")],
        [
            [row["account"], *(format_fen(row[name]) for name in ("from_fen", "to_fen", "difference_fen"))]
            for row in document["accounts"]
        ],
        right=(1, 2, 3),
    )
    print_table(
        [
            say("event", "事件"),
            say("type", "类型"),
            say("claim", "申请"),
            say("account", "账户"),
            say("date", "业务日期"),
            say("amount", "金额"),
            say("why", "缘由"),
        ],
        [
            [
                f"@{line['position']}",
                line["type"],
                line["claim"] or "",
                line["account"],
                line["effective_on"],
                format_fen(line["amount_fen"]),
                say(*_WHY[line["why"]]),
            ]
            for line in document["lines"]
        ],
        right=(5,),
    )
    points = [
        f"{document[name]['on'] or say('all dates', '全部日期')} @{document[name]['known_position']}"
        for name in ("from", "to")
    ]
    print(" → ".join(points))
