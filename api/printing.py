"""What the command line prints: JSON for programs, tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import orjson


def print_json(document: Any) -> None:
    """One JSON document on standard output. A sum may have more than the 64 bits that orjson writes; what a damaged
    database holds may be no type of JSON at all, and is shown as text."""
    try:
        text = orjson.dumps(document)
    except TypeError:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str).encode()
    sys.stdout.buffer.write(text + b"\n")
    sys.stdout.buffer.flush()


def show_progress(what: str, done: int, of: int) -> None:
    """How far a long work is, on standard error where that is a terminal: written over, and gone at the end."""
    if sys.stderr.isatty():
        shown = f"{done * 100 // of:3} %" if done < of else "     "
        print(f"\r{shown}\r", end="", file=sys.stderr, flush=True)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> None:
    """A table for people; `right` are the columns aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    numbers = set(right)
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    # A pipe has no width: let no line be folded there.
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 240)
    console.print(table)


def as_of_line(on: str | None, known_position: int) -> str:
    """One line that says which question was answered, on both clocks."""
    from api.language import say

    day_en, day_zh = (on, on) if on else ("all effective dates", "全部业务日期")
    return say(
        f"on {day_en}, as known at position {known_position}",
        f"业务日期：{day_zh}；所知截至第 {known_position} 条",
    )
