"""Row: the whole log decided again, `kejin verify decisions`, the whole process; and `kejin what-if` over it.

    python -m scripts.bench.redeciding [--events N] [--runs N]

A programme of N events, recorded by `kejin run`. What-if halves a cap and lowers a rate: every claim is decided twice
more. Beside both a bare COPY of the log to the client. Processor time is that of the command and its second process.
"""

from __future__ import annotations

from typing import Final

from scripts.bench.measuring import Figures, Place, arguments, recorded, timed
from scripts.bench.workload import commands

_DECIDED: Final = "events a second, kejin verify decisions"
_SUPPOSED: Final = "events a second, kejin what-if"
_SETTINGS: Final = ("SX-1.caps.firm_cap.limit.amount_fen=10000000", "SX-1.legs.interest_share.rate=2/5")


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    figures = Figures("redeciding", options)
    # The first round adopts its rulebook, which is an event of its own.
    with recorded(commands(options.events - 1)) as ours:
        for _ in range(options.runs):
            measure(figures, ours, options.events)
    figures.tell()


def measure(figures: Figures, ours: Place, events: int) -> None:
    """Decide a ledger again, suppose other rules, and copy it, once each."""
    _measure(figures, ours, _DECIDED, events, "verify", "decisions")
    settings = [word for setting in _SETTINGS for word in ("--set", setting)]
    _measure(figures, ours, _SUPPOSED, events, "what-if", *settings)
    seconds = timed(ours.copied_out)[1]
    figures.add("events a second, bare COPY of the log", events / seconds, "1/s", _DECIDED)


def _measure(figures: Figures, ours: Place, name: str, events: int, *words: str) -> None:
    done = ours.kejin(*words)
    figures.add(name, events / done.seconds, "1/s")
    figures.add(f"processor seconds, kejin {words[0]}", done.own_seconds, "s")


if __name__ == "__main__":
    main()
