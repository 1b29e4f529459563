"""kejin rebuild: fill the projections anew from the log, and swap them in."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from api.language import say
from api.printing import print_json, print_table
from api.problems import Problem
from api.session import Data, Json, ledger
from projections.base import Damaged, discover
from projections.measures import SumsTooLarge
from projections.rebuilding import Differs, RebuildUnderWay, rebuild
from projections.runner import Runner


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One projection; default: all. 某一投影。")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> int:
    """Rebuild projections from the log while reads and appends go on. 由日志重建投影，不影响读写。

    Fills new tables beside those that are read, holds them against an independent fold of the log, and swaps them in
    only if both agree. Killed, it goes on where it was when it is run again. Exit 1 if they do not agree.
    """
    known = discover()
    if name is not None and name not in known:
        raise Problem(
            say(
                f"no projection {name!r}; there are {', '.join(known)}",
                f"没有投影 {name!r}；可用 {', '.join(known)}",
            )
        )
    names = list(known) if name is None else [name]
    with ledger(data) as store, Runner(store.address, known) as runner:
        try:
            rebuilt = rebuild(runner, names, _show_progress)
        except RebuildUnderWay:
            raise Problem(
                say("another rebuild is under way; wait for it", "另一重建正在进行；请等待")
            ) from None
        except Differs as error:
            return _not_swapped_in(say(str(error), error.zh))
        except (Damaged, SumsTooLarge) as error:
            return _not_swapped_in(str(error))
    document = {
        "events": rebuilt.events,
        "seconds": round(rebuilt.seconds, 3),
        "projections": {
            each: {"digest": content.digest, "rows": content.rows}
            for each, content in rebuilt.contents.items()
        },
    }
    if as_json:
        print_json(document)
        return 0
    print_table(
        [say("projection", "投影"), say("rows", "行数"), say("digest", "摘要")],
        [[each, f"{content.rows:,}", content.digest] for each, content in rebuilt.contents.items()],
        right=(1,),
    )
    print(
        say(
            f"{rebuilt.events:,} events in {rebuilt.seconds:.1f} s, equal to the independent fold",
            f"{rebuilt.events:,} 条事件，用时 {rebuilt.seconds:.1f} 秒，与独立汇算一致",
        )
    )
    return 0


def _not_swapped_in(why: str) -> int:
    print(f"kejin: {say('not swapped in', '未换入')}: {why}", file=sys.stderr)
    return 1


def _show_progress(name: str, reached: int, until: int) -> None:
    if sys.stderr.isatty():
        print(say(f"{reached:,} of {until:,} events", f"{reached:,} / {until:,} 条"), file=sys.stderr)
