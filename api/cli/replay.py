"""kejin replay: walk the log and see what each event changed."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Annotated, Any, Final

import typer

from api.language import language, say
from api.printing import as_of_line
from api.problems import Problem
from api.session import (
    Data,
    Json,
    KnownAt,
    KnownPosition,
    On,
    as_of,
    ledger,
    read_uscc,
    unknown_party,
    unknown_round,
)
from ledger import codec
from ledger.money import format_fen
from ledger.refusals import detail
from ledger.store import Store
from projections.existing import UnknownParty, UnknownRound, check_subject
from projections.replay import replay

#: So many events are asked about at once.
_PAGE: Final = 200


def command(
    firm: Annotated[
        str | None, typer.Option("--firm", metavar="USCC", help="Only this firm. 仅该企业。")
    ] = None,
    bank: Annotated[
        str | None, typer.Option("--bank", metavar="USCC", help="Only this bank. 仅该银行。")
    ] = None,
    round_id: Annotated[
        str | None, typer.Option("--round", metavar="ID", help="Only this round. 仅该轮次。")
    ] = None,
    after: Annotated[int, typer.Option("--after", metavar="N", min=0, help="Only later positions.")] = 0,
    until: Annotated[
        int | None, typer.Option("--until", metavar="N", min=0, help="Only up to this position.")
    ] = None,
    on: On = None,
    known_at: KnownAt = None,
    known_position: KnownPosition = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """What each event of a range changed: balances and caps before and after, refusals too. 逐条重放。

    With --json NDJSON: position, type, principal, balances, caps (before and after), refusal.
    """
    read_uscc("--firm", firm)
    read_uscc("--bank", bank)
    named = {"firm": firm, "bank": bank, "round": round_id}
    subjects = [(kind, name) for kind, name in named.items() if name is not None]
    if len(subjects) > 1:
        raise Problem(say("give one of --firm, --bank and --round", "--firm、--bank、--round 只能给出一个"))
    with ledger(data) as store:
        clocks = as_of(store, on, known_at, known_position)
        last = clocks.known_position if until is None else min(until, clocks.known_position)
        stream = store.stored_events(after, last, tag=":".join(subjects[0]) if subjects else None)
        effective = (event for event in stream if event.effective_on <= clocks.last_day)
        empty = True
        while events := list(islice(effective, _PAGE)):
            empty = False
            for step in replay(store, events, clocks.on):
                if as_json:
                    sys.stdout.buffer.write(codec.line(step))
                else:
                    _show(step)
        if empty and subjects:
            _check(store, clocks.known_position, *subjects[0])
    if not as_json:
        print(as_of_line(clocks.on, clocks.known_position))
    sys.stdout.flush()


def _check(store: Store, until: int, kind: str, name: str) -> None:
    """Nothing to show of somebody or a round that was never there is a mistake. Raises Problem."""
    try:
        check_subject(store, until, kind, name)
    except UnknownRound as unknown:
        raise unknown_round(str(unknown)) from None
    except UnknownParty as unknown:
        raise unknown_party(str(unknown)) from None


def _show(step: dict[str, Any]) -> None:
    print(f"{step['position']:>7}  {step['effective_on']}  {step['type']}  {step['principal']}")
    if "refusal" in step:
        refusal = step["refusal"]
        print(f"         [{refusal['code']}] {detail(refusal['code'], refusal['arithmetic'], language())}")
    for row in step["balances"]:
        change = ("+" if row["change_fen"] >= 0 else "") + format_fen(row["change_fen"])
        before, after = format_fen(row["before_fen"]), format_fen(row["after_fen"])
        print(f"         {row['account']}  {before} → {after}  ({change})")
    for cap in step["caps"]:
        was, now = cap["before"], cap["after"]
        consumed = f"{format_fen(was['consumed_fen'])} → {format_fen(now['consumed_fen'])}"
        room = f"{format_fen(was['room_fen'])} → {format_fen(now['room_fen'])}"
        print(
            f"         {cap['cap']} {cap['key']}  "
            + say(f"used {consumed}, room {room}", f"已用 {consumed}，剩余 {room}")
        )
