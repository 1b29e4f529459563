"""Row: growth: what a command costs at the beginning of a long run of `kejin run`, and at its end.

    python -m scripts.bench.growth [--events N] [--runs N]

One new ledger and one process a run: N commands of a programme (Zipf over firms). Processor time, by how many commands
were recorded before, in the first 100,000 and in the last tenth or 100,000 of them, whichever is more.
"""

from __future__ import annotations

from typing import Final

from scripts.bench.measuring import Figures, Mark, arguments, file_of, place
from scripts.bench.workload import commands

FIRST: Final = 100_000


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", events=1_000_000, runs=1)
    half = options.events // 2
    first, last = min(FIRST, half), options.events - min(half, max(FIRST, options.events // 10))
    figures = Figures("growth", options)
    for _ in range(options.runs):
        with place() as ours, file_of(commands(options.events)) as file:
            done = ours.kejin("run", "-", given=file, refusals=True, marks=[first, last, options.events])
        begun, late, ended = done.marks
        _tell(figures, f"the first {first:,}", Mark(0, 0.0, 0.0, 0.0), begun)
        _tell(figures, f"the last {options.events - last:,}", late, ended, f"the first {first:,}")
        figures.add("commands a second, the whole run", options.events / done.seconds, "1/s")
        figures.add("peak memory of the process that decides", done.peak_mb, "MB")
    figures.tell()


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
