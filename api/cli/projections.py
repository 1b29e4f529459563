"""kejin projections: how far each projection is, and a runner that keeps them at the end of the log."""

from __future__ import annotations

import sys
import threading
from dataclasses import asdict
from typing import Annotated

import typer

from api import interrupts
from api.language import say
from api.printing import print_json, print_table
from api.session import Data, Json, ledger
from projections.runner import Runner, Status, statuses


def command(
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Keep them at the end of the log until interrupted. 持续跟随。"),
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> int:
    """How far the projections are: position, lag, state. 投影的位置、滞后与状态。

    A projection that meets an event it cannot digest stops before it and says so; the ledger goes on. With --follow
    this process is a runner: any number may run, one works, another takes over when it ends.
    """
    with ledger(data) as store:
        if follow:
            _follow(store.address)
        found = statuses(store)
    if as_json:
        print_json([asdict(status) for status in found])
    else:
        print_table(
            [
                say("projection", "投影"),
                say("position", "序号"),
                say("lag", "滞后"),
                say("version", "版本"),
                say("state", "状态"),
            ],
            [
                [
                    status.name,
                    f"{status.position:,}",
                    f"{status.lag:,}",
                    str(status.version),
                    _state(status),
                ]
                for status in found
            ],
            right=(1, 2, 3),
        )
    return 1 if any(status.problem for status in found) else 0


def _state(status: Status) -> str:
    if status.problem is None:
        return say("ok", "正常")
    return say(
        f"stopped before {status.stopped_at}: {status.problem}",
        f"停于第 {status.stopped_at} 条之前：{status.problem}",
    )


def _follow(address: str) -> None:
    stop = threading.Event()
    interrupts.handle(lambda *_: stop.set())
    with Runner(address) as runner:
        runner.run(stop)
    if sys.stderr.isatty():
        print(say("stopped", "已停止"), file=sys.stderr)
