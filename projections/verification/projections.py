"""Projections: what their tables hold is what the log says, by three routes: as they were filled bit by bit, filled
anew in one go, and folded independently."""

from __future__ import annotations

import psycopg

from ledger.store import Store
from projections import shelves
from projections.base import Content, Damaged, Log, Projection, discover
from projections.runner import begun
from projections.shelves import Shelf
from projections.verification.reading import Reading
from projections.verification.relations import replaced_in_projections
from projections.verification.report import Finding, Report


def check(reading: Reading) -> Report:
    """Every generation that is read, at the position that it reaches. Nothing is repaired or left behind."""
    store, until = reading.store, reading.until
    report = Report(findings=replaced_in_projections(store, "projections"))
    known = discover()
    log = Log([store, reading.other])
    for name, generation, version, live, stopped_at, problem in shelves.generations(store):
        if live and stopped_at is not None:
            what = f"{name} stopped before this event: {problem}; what is asked beyond it is refused"
            report.notices.append(Finding("projections", what, "events", stopped_at))
        if live and name in known and known[name].version == version:
            report.findings += _check(Shelf(store, name, generation), known[name], log, until)
    return report


def _check(shelf: Shelf, projection: Projection, log: Log, until: int) -> list[Finding]:
    try:
        rows = shelf.rows("projected_position")
        if len(rows) != 1 or rows[0][0] is None:
            return [
                Finding("projections", f"it has {len(rows)} rows instead of one", f"{shelf.schema}.progress")
            ]
        position = shelf.position()
        if position > until:
            return [Finding("projections", "it is beyond the log", f"{shelf.schema}.progress", position)]
        stored = projection.stored(shelf, position)
        return _differences(shelf, stored, projection.expected(log, position), "the log") or _differences(
            shelf, stored, _rebuilt(shelf.store, projection, log, position), "a fold of the whole log at once"
        )
    except Damaged as error:
        return [Finding("projections", str(error).removeprefix(f"{error.table}: "), error.table)]
    except psycopg.OperationalError:
        raise
    except (psycopg.Error, LookupError, ValueError, TypeError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        return [Finding("projections", f"it cannot be read: {first}", shelf.schema)]


def _differences(shelf: Shelf, stored: Content, right: Content, what: str) -> list[Finding]:
    """A part's name begins with that of its table."""
    return [
        Finding("projections", f"{part} is not what {what} says", f"{shelf.schema}.{part.partition(' ')[0]}")
        for part in stored.differing(right)
    ]


def _rebuilt(store: Store, projection: Projection, log: Log, position: int) -> Content:
    """What the tables would hold if they were filled anew now, in a transaction that is rolled back."""
    with store.connection.transaction(force_rollback=True):
        store.connection.execute("set local role none")  # the owner's: it makes tables
        shelf = begun(store, projection)
        projection.fold(shelf, log, 0, position)
        return projection.stored(shelf, position)
