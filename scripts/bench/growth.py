"""Row: growth: what a command costs at the beginning of a long run of `kejin run`, and at its end.

    python -m scripts.bench.growth [--events N] [--runs N]

One new ledger and one process a run: N commands of a programme (Zipf over firms). Processor time, by how many commands
were recorded before, in the first 100,000 and in the last tenth or 100,000 of them, whichever is more. A shared machine
is not the same after half an hour: right after the last ones, the first 100,000 are measured again on another ledger.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from scripts.bench.measuring import Figures, Mark, Place, arguments, file_of, place
from scripts.bench.workload import commands

FIRST: Final = 100_000


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", events=1_000_000, runs=1)
    figures = Figures("growth", options)
    for _ in range(options.runs):
        with place() as ours, file_of(commands(options.events)) as file:
            measure(figures, ours, file, options.events)
    figures.tell()


def measure(figures: Figures, ours: Place, file: Path, count: int) -> None:
    """Record a file of so many commands, and say what the first and the last of them cost."""
    half = count // 2
    first, last = min(FIRST, half), count - min(half, max(FIRST, count // 10))
    done = ours.kejin("run", "-", given=file, refusals=True, marks=[first, last, count])
    begun, late, ended = done.marks
    begin = Mark(0, 0.0, 0.0, 0.0)
    with place() as new, file_of(commands(2 * first)) as short:
        again = new.kejin("run", "-", given=short, refusals=True, marks=[first]).marks[0]
    now, then = f"the first {first:,}, after them", f"the first {first:,}, before them"
    _tell(figures, then, begin, begun)
    _tell(figures, now, begin, again)
    _tell(figures, f"the last {count - last:,}", late, ended, now)
    figures.add("commands a second, the whole run", count / done.seconds, "1/s")
    figures.add("peak memory of the process that decides", done.peak_mb, "MB")


def _tell(figures: Figures, when: str, before: Mark, after: Mark, beside: str | None = None) -> None:
    count = after.lines - before.lines
    for name, seconds in (
        ("Kejin", after.own_seconds - before.own_seconds),
        ("PostgreSQL", after.server_seconds - before.server_seconds),
    ):
        title = f"processor time of {name}"
        figures.add(
            f"{title}, {when}",
            seconds / count * 1e6,
            "µs a command",
            None if beside is None else f"{title}, {beside}",
        )


if __name__ == "__main__":
    main()
