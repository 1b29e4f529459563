"""One long history, and all that is measured of a recorded one: for sizes at which a ledger for each row takes hours.

    python -m scripts.bench.long_history [--events N] [--runs N] [--skip PART ...]

Recorded once by one process of `kejin run` (the row "growth"), beside a small ledger for the growth of the busiest
balance. Then the cap proof, the rebuild, the verification of the log, deciding again and what-if, each as in the row
of its name. Each part prints its table when it is done: who ends a long run early keeps what was measured by then.
No row of `make bench`: ten million events took some 22 GB, and 45 minutes up to the end of the cap proof.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from scripts.bench import busiest_balance, cap_proof, growth, rebuild, redeciding
from scripts.bench.__main__ import table
from scripts.bench.measuring import Figures, Place, file_of, machine, place
from scripts.bench.workload import commands

Part = Callable[[Figures, Place, int, int], None]


def main() -> None:
    """Measure part after part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument(
        "--runs", type=int, default=3, help="of what takes seconds; what takes minutes runs once"
    )
    parser.add_argument("--skip", nargs="+", choices=PARTS, default=[], metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    # The first round adopts its rulebook, which is an event of its own.
    with place() as ours, file_of(commands(options.events - 1)) as file:
        about = machine(ours.address)
        figures = Figures("growth", options)
        growth.measure(figures, ours, file, options.events - 1)
        tell(about, figures)
        for name, measure in PARTS.items():
            if name not in options.skip:
                figures = Figures(name, options)
                measure(figures, ours, options.events, options.runs)
                tell({}, figures)


def tell(about: dict[str, object], figures: Figures) -> None:
    """Print a part's table, the first with what it was measured on."""
    lines = list(table({"machine": about, "rows": [figures.document()]}))
    print("\n".join(lines if about else lines[1:]), flush=True)
    print(f"… {figures.row} done", file=sys.stderr, flush=True)


def _balance(figures: Figures, ours: Place, events: int, runs: int) -> None:
    small = busiest_balance.SMALL_EVENTS
    with place() as little, file_of(commands(small - 1)) as file:
        little.kejin("run", "-", given=file, refusals=True)
        busiest_balance.measure(figures, little, small, runs)
    busiest_balance.measure(figures, ours, events, runs)


def _caps(figures: Figures, ours: Place, events: int, runs: int) -> None:
    cap_proof.prove(figures, ours, "many firms", events, runs)


PARTS: dict[str, Part] = {
    "busiest_balance": _balance,
    "cap_proof": _caps,
    "rebuild": lambda figures, ours, events, runs: rebuild.measure_rebuild(figures, ours),
    "verify_log": lambda figures, ours, events, runs: rebuild.measure_verification(figures, ours),
    "redeciding": lambda figures, ours, events, runs: redeciding.measure(figures, ours, events),
}


if __name__ == "__main__":
    main()
