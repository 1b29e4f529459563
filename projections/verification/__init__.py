"""Checks that recompute from the log. One file, one check; `run` does those that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import psycopg

from ledger.store import Store
from projections.verification import books, caps, log, projections, tables
from projections.verification.checkpoints import Outside
from projections.verification.report import Finding, Report

#: The checks by name, in the order in which `all` runs them.
CHECKS: Final[Mapping[str, Callable[[Store, int], Report]]] = {
    "log": log.check,
    "tables": tables.check,
    "books": books.check,
    "caps": caps.check,
    "projections": projections.check,
}


#: Those that also look at signed checkpoints.
_SIGNED: Final = {"log": log.check, "tables": tables.check}


def _checked(name: str, store: Store, until: int, outside: Outside) -> Report:
    """One check; what it cannot read is a finding as well: nobody writes such rows but an intruder."""
    try:
        return _SIGNED[name](store, until, outside) if name in _SIGNED else CHECKS[name](store, until)
    except psycopg.OperationalError:
        raise
    except (psycopg.Error, LookupError, ValueError, TypeError, AttributeError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        return Report(findings=[Finding(name, f"the log cannot be read: {first}", "events")])


def run(
    store: Store,
    names: list[str],
    started: Callable[[str], None] = lambda name: None,
    outside: Outside = Outside(),  # noqa: B008 - frozen and empty
) -> Report:
    """Run checks over the log up to its newest position, against the checkpoints from outside. Repairs nothing."""
    store.forget_accounts()
    until = log.newest(store)
    report = Report(events=until)
    for name in names:
        started(name)
        found = _checked(name, store, until, outside)
        report.root = found.root or report.root
        report.findings += found.findings
        report.notices += found.notices
    if "log" not in names:
        report.root = log.stored_root(store, until)
    return report
