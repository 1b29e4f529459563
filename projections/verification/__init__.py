"""Checks that recompute from the log. One file, one check; `run` does those that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ledger.store import Store
from projections.verification import books, caps, log, projections
from projections.verification.report import Report, root_of

#: The checks by name, in the order in which `all` runs them.
CHECKS: Final[Mapping[str, Callable[[Store, int], Report]]] = {
    "log": log.check,
    "books": books.check,
    "caps": caps.check,
    "projections": projections.check,
}


def run(store: Store, names: list[str], started: Callable[[str], None] = lambda name: None) -> Report:
    """Run checks over the log up to its newest position. Repairs nothing."""
    until = store.head().position
    report = Report(events=until, root=root_of(store, until))
    for name in names:
        started(name)
        found = CHECKS[name](store, until)
        report.findings += found.findings
        report.notices += found.notices
    return report
