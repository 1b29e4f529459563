"""What the command line prints: JSON for programs, tables for people."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

#: Wider than any table.
_WIDTH_MAX: Final = 100_000


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
    """A table for people; `right` are the columns aligned to the right. No figure is folded: where a terminal is too
    narrow for all of them it is the line that goes on below."""
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown, numbers = [[visible(cell) for cell in row] for row in rows], set(right)
    for column, heading in enumerate(headings):
        if column in numbers:
            wide = max([cell_len(row[column]) for row in shown], default=0)
            table.add_column(heading, justify="right", overflow="fold", min_width=wide)
        else:
            table.add_column(heading, overflow="fold")
    for row in shown:
        table.add_row(*row)
    console = Console(markup=False, highlight=False)
    wanted = Measurement.get(console, console.options.update(max_width=_WIDTH_MAX), table)
    # A pipe has no width: no line is folded there.
    console.width = max(console.width, wanted.minimum) if sys.stdout.isatty() else wanted.maximum
    console.print(table, crop=False)


def visible(text: str) -> str:
    """A text without what moves the cursor or turns the direction of its neighbours: a name may hold anything."""
    if text.isprintable():
        return text
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return "".join(f"\\u{ord(c):04x}" if unicodedata.category(c) in hidden else c for c in text)


def as_of_line(on: str | None, known_position: int) -> str:
    """One line that says which question was answered, on both clocks."""
    from api.language import say

    day_en, day_zh = (on, on) if on else ("all effective dates", "全部业务日期")
    return say(
        f"on {day_en}, as known at position {known_position}",
        f"业务日期：{day_zh}；所知截至第 {known_position} 条",
    )
