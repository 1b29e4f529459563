"""Row: other rules over a whole log, `kejin what-if`, the whole process, with a cap halved and a rate changed.

    python -m scripts.bench.what_if [--events N] [--runs N]

A programme of N events, recorded by `kejin run`; every claim is decided twice more. Figures as those of redeciding.py.
"""

from __future__ import annotations

from typing import Final

from scripts.bench.redeciding import measure

SETTINGS: Final = ("SX-1.caps.firm_cap.limit.amount_fen=10000000", "SX-1.legs.interest_share.rate=2/5")


def main() -> None:
    """Measure and print."""
    words = ["what-if", *(word for setting in SETTINGS for word in ("--set", setting))]
    measure("what_if", "what-if", words, __doc__)


if __name__ == "__main__":
    main()
