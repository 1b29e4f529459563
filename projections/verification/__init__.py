"""Checks that recompute from the log. One file, one check; `run` does those that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import psycopg

from ledger.store import Store
from projections.columns import BrokenLog
from projections.cycles import without_search
from projections.progress import Progress, silent
from projections.verification import books, caps, decisions, log, projections, tables
from projections.verification.checkpoints import Outside
from projections.verification.reading import Reading
from projections.verification.relations import table_of
from projections.verification.report import Finding, Report

#: The checks by name, in the order in which `all` runs them.
CHECKS: Final[Mapping[str, Callable[[Reading], Report]]] = {
    "log": log.check,
    "tables": tables.check,
    "books": books.check,
    "caps": caps.check,
    "decisions": decisions.check,
    "projections": projections.check,
}


@without_search()
def run(
    store: Store,
    names: list[str],
    started: Callable[[str], None] = lambda name: None,
    outside: Outside = Outside(),  # noqa: B008 - frozen and empty
    progress: Progress = silent,
) -> Report:
    """Run checks over the log up to its newest position, against the checkpoints from outside. Repairs nothing; what
    is too damaged to be checked is a finding. `progress` is told how far a long check is. Raises
    psycopg.OperationalError where the database is lost."""
    store.forget_accounts()
    until, beyond = log.end(store)
    report = Report(events=until, findings=beyond)
    with store.beside() as other:
        reading = Reading(store, other, until, outside, progress)
        for name in names:
            started(name)
            report.add(_checked(name, reading))
        try:
            report.root = reading.root()
        except BrokenLog as error:
            report.add(_broken("log", error))
    return report


def _checked(name: str, reading: Reading) -> Report:
    try:
        return CHECKS[name](reading)
    except BrokenLog as error:
        return _broken(name, error)
    except psycopg.OperationalError:
        raise
    except (psycopg.Error, LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        # Damage of a kind that nobody thought of: whatever it trips is told, and the other checks still run.
        what = " ".join(str(error).split()) or type(error).__name__
        place = table_of(reading.store, error, "events")
        return Report(findings=[Finding(name, f"the log cannot be read: {what}", place)])


def _broken(name: str, error: BrokenLog) -> Report:
    return Report(findings=[Finding(name, str(error), error.table, error.position)])
