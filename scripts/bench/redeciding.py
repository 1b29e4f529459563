"""Row: the whole log decided again, `kejin verify decisions`, the whole process.

    python -m scripts.bench.redeciding [--events N] [--runs N]

A programme of N events, recorded by `kejin run`. Processor time is that of the command and its second process, without
the database's.
"""

from __future__ import annotations

from scripts.bench.cap_proof import record_programme
from scripts.bench.measuring import Figures, arguments, place


def main() -> None:
    """Measure and print."""
    measure("redeciding", "verify decisions", ["verify", "decisions"], __doc__)


def measure(row: str, name: str, words: list[str], about: str | None) -> None:
    """Record a programme and run a command on it several times."""
    options = arguments(about or "")
    figures = Figures(row, options)
    with place() as ours:
        record_programme(ours, options.events)
        ours.settle()
        for _ in range(options.runs):
            done = ours.kejin(*words)
            figures.add(f"events a second, kejin {name}", options.events / done.seconds, "1/s")
            figures.add(
                f"processor time of kejin {name}", done.own_seconds / options.events * 1e6, "µs an event"
            )
    figures.tell()


if __name__ == "__main__":
    main()
