"""kejin explain: why this amount, or why it was refused."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.language import language, say
from api.printing import print_json, print_table
from api.problems import Problem
from api.session import Data, Json, KnownAt, KnownPosition, as_of, ledger, position_known
from ledger.explain import NothingToExplain
from ledger.money import format_fen
from ledger.refusals import detail


def command(
    position: Annotated[int, typer.Argument(metavar="POSITION", help="A claim's event, granted or refused.")],
    known_at: KnownAt = None,
    known_position: KnownPosition = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Why this amount, or why not: legs, clauses, rooms, inputs and the events they came from. 解释一项决定。

    As known at that time. Beside it what the same claim would come to today, or as known at an instant or position,
    without itself and in a round that still takes claims. Other commands that were refused are explained by their
    stored arithmetic.
    """
    with ledger(data) as store:
        newest = position_known(store, known_at, known_position)
        if not 1 <= position <= newest:
            raise Problem(
                "not_known: "
                + say(
                    f"position {position} is not between 1 and the newest known, {newest}",
                    f"序号 {position} 不在 1 与所知最新序号 {newest} 之间",
                )
            )
        event = store.events_at([position], newest)[0].event
        if event.type != "CommandRefused":
            as_of(store, None, None, newest)
        from projections.reports import explanation

        try:
            document = explanation.document(store, event, newest)
        except NothingToExplain as error:
            told = say(f"{error}; name a claim's event", f"{error.zh}；请给出申请的事件序号")
            raise Problem(told) from None
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
    if "tree" in document:
        _show_tree(document["tree"])
        _show_today(document["today"])


def _show_tree(tree: dict[str, Any]) -> None:
    """The branches below the legs: what the clause says, the room of each cap, where the inputs came from."""
    print(say("why", "缘由"))
    for said in tree["clause"]["texts"]:
        title, text, source = (said[name] or {} for name in ("title", "text", "source"))
        print(
            f"├─ {tree['clause']['id']} {title.get(language(), '')} · {said['rulebook']} @{said['position']}"
        )
        if text:
            print(f"│    {text.get(language(), '')}")
        print(f"│    {say('source', '来源')}: {source.get(language(), '')}")
    for cap in tree["caps"]:
        users = ", ".join(f"@{use['position']} {format_fen(use['amount_fen'])}" for use in cap["events"][-3:])
        print(
            f"├─ {cap['part']} {cap['key']}: "
            + say(
                f"limit {format_fen(cap['limit_fen'])}, used {format_fen(cap['used_fen'])} on the day and at most"
                f" {format_fen(cap['highest_use_fen'])} from it on,"
                f" room {format_fen(cap['room_fen'])}",
                f"限额 {format_fen(cap['limit_fen'])}，当日已用 {format_fen(cap['used_fen'])}，其后最高"
                f" {format_fen(cap['highest_use_fen'])}，"
                f"余量 {format_fen(cap['room_fen'])}",
            )
        )
        if users:
            print("│    " + _uses(cap) + say(f", the last {users}", f"，最近 {users}"))
    for given in tree["inputs"]:
        came_from = ", ".join(f"@{position}" for position in given["positions"])
        # No arrow where nothing is counted: a mark of 0, no recovery so far.
        arrow = f" ← {came_from}" if came_from else ""
        print(f"├─ {given['name']} {_value(given['name'], given['value'])}{arrow}")
    print("└─ " + say("the round had", "当时轮次可用") + f" {format_fen(tree['available_fen'])}")


def _uses(cap: dict[str, Any]) -> str:
    """How often a cap was used, and how often room was given back."""
    uses = "1 use" if cap["uses"] == 1 else f"{cap['uses']} uses"
    freed = "freed once" if cap["freed"] == 1 else f"freed {cap['freed']} times"
    en, zh = (f", {freed}", f"，释放 {cap['freed']} 次") if cap["freed"] else ("", "")
    return say(uses + en, f"共使用 {cap['uses']} 次" + zh)


def _show_today(today: dict[str, Any]) -> None:
    shown = format_fen(today["amount_fen"])
    if "code" in today:
        shown += f" [{today['code']}] {detail(today['code'], today['arithmetic'], language())}"
    print(
        say(f"today, as known at {today['known_position']}: ", f"今日（所知至 {today['known_position']}）：")
        + shown
    )


def _value(key: str, value: Any) -> str:
    """An input for people: money as money, yes and no, what was reviewed line by line."""
    if key.endswith("_fen") and isinstance(value, int):
        return format_fen(value)
    if isinstance(value, bool):
        return say("yes", "是") if value else say("no", "否")
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(name, one)}" for name, one in value.items())
    if isinstance(value, list):
        return "; ".join(_value(key, one) for one in value) or say("none", "无")
    return str(value)
