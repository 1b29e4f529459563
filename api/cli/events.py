"""kejin events: the log itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from api.session import Data, Json, ledger
from ledger import codec
from ledger.money import format_fen
from projections.envelopes import envelope


def command(
    after: Annotated[
        int, typer.Option("--after", metavar="N", min=0, help="Only later positions. 仅此序号之后。")
    ] = 0,
    until: Annotated[
        int | None,
        typer.Option("--until", metavar="N", min=0, help="Only up to this position. 至此序号为止。"),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(
            "--tag", metavar="T", help="e.g. firm:<uscc>, loan:<id>, claim:<id>, round:<id>. 标签。"
        ),
    ] = None,
    event_type: Annotated[
        str | None, typer.Option("--type", metavar="X", help="e.g. LoanInterestGranted, ClaimRefused. 类型。")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """The events in order: a line each; with --json NDJSON of whole envelopes. 事件日志。"""
    with ledger(data) as store:
        newest = store.head().position
        last = newest if until is None else min(until, newest)
        for event in store.stored_events(after, last, tag=tag, event_type=event_type):
            document = envelope(event)
            if as_json:
                sys.stdout.buffer.write(codec.line(document))
            else:
                print(_shown(document))
    sys.stdout.flush()


def _shown(event: Mapping[str, Any]) -> str:
    """An event for people: one line."""
    data = event["data"]
    words = [f"{event['position']:>7}", event["effective_on"], f"{event['type']:<24}"]
    named = ("claim", "loan", "round", "rulebook", "name", "code", "product")
    words += [str(data[name]) for name in named if name in data and isinstance(data[name], str)]
    words += [
        format_fen(data[name]) for name in data if name.endswith("_fen") and isinstance(data[name], int)
    ][:1]
    return "  ".join(words)
