"""kejin explain: why this amount, or why it was refused."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.language import language, say
from api.printing import print_json, print_table
from api.problems import Problem
from api.session import Data, Json, ledger
from ledger.explain import NothingToExplain, explain
from ledger.money import format_fen
from ledger.refusals import detail
from projections.envelopes import envelope


def command(
    position: Annotated[int, typer.Argument(metavar="POSITION", help="A claim's event, granted or refused.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Why this amount: the stored legs, which one bound, the reading, the rules, the inputs. 解释一项决定。"""
    with ledger(data) as store:
        newest = store.head().position
        if not 1 <= position <= newest:
            raise Problem(
                "not_known: "
                + say(
                    f"position {position} is not between 1 and the newest, {newest}",
                    f"序号 {position} 不在 1 与最新序号 {newest} 之间",
                )
            )
        event = next(iter(store.stored_events(position - 1, position)))
    try:
        document = explain(position, event.type, envelope(event)["data"])
    except NothingToExplain as error:
        raise Problem(str(error) + say("; name a claim's event", "；请给出申请的事件序号")) from None
    if as_json:
        print_json(document)
        return
    _show(event.type, document)


def _show(event_type: str, document: dict[str, Any]) -> None:
    print(f"{document['position']}  {event_type}  {format_fen(document['amount_fen'])}")
    if "code" in document:
        print(f"[{document['code']}] {detail(document['code'], document['arithmetic'], language())}")
    if document["legs"]:
        print_table(
            [say("clause", "条款"), say("leg", "计算项"), say("value", "数额"), say("binding", "起决定作用")],
            [
                [
                    leg["clause"],
                    leg["part"],
                    format_fen(leg["value_fen"]) + (" +" if "exact_fen" in leg else ""),
                    "◀" if leg["binding"] else "",
                ]
                for leg in document["legs"]
            ],
            right=(2,),
        )
    for title, name in (
        (say("rules", "规则"), "rulebook"),
        (say("reading", "解读"), "reading"),
        (say("inputs", "依据"), "inputs"),
    ):
        values = {
            key: _value(key, value) for key, value in document[name].items() if not key.endswith("sha256")
        }
        if values:
            print(f"{title}: " + ", ".join(f"{key} {value}" for key, value in values.items()))


def _value(key: str, value: Any) -> str:
    return format_fen(value) if key.endswith("_fen") and isinstance(value, int) else str(value)
