"""Row: the whole log decided again, `kejin verify decisions`, the whole process.

    python -m scripts.bench.redeciding [--events N] [--runs N]

A programme of N events, recorded by `kejin run`. Beside the time by the wall that of the processor: of the command and
its second process, without the database's.
"""

from __future__ import annotations

from collections.abc import Sequence

from scripts.bench.measuring import Figures, arguments, file_of, place
from scripts.bench.workload import commands


def main() -> None:
    """Measure and print."""
    measure("redeciding", __doc__ or "", ["verify", "decisions"])


def measure(row: str, about: str, words: Sequence[str]) -> None:
    """Record a programme, run a command on it several times, print the figures."""
    options = arguments(about)
    figures = Figures(row, options)
    named = f"kejin {' '.join(words[:2] if words[0] == 'verify' else words[:1])}"
    with place() as ours, file_of(commands(options.events - 1)) as file:
        ours.kejin("run", "-", given=file, refusals=True)
        ours.settle()
        for _ in range(options.runs):
            done = ours.kejin(*words)
            figures.add(f"events a second, {named}", options.events / done.seconds, "1/s")
            figures.add(f"seconds, {named}", done.seconds, "s")
            figures.add(f"processor seconds, {named}", done.own_seconds, "s")
    figures.tell()


if __name__ == "__main__":
    main()
