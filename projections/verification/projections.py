"""Projections: what their tables hold is what the log says, by three routes: as they were filled bit by bit, filled
anew in one go, and folded independently."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from ledger.store import Store
from projections import shelves
from projections.base import Content, Damaged, Log, Projection, discover
from projections.runner import begun
from projections.shelves import Shelf
from projections.verification.indexes import disagreeing
from projections.verification.reading import Reading, one_moment
from projections.verification.relations import TABLES, replaced_in_projections, table_of
from projections.verification.report import Finding, Report
from projections.verification.structure import differing, structure

#: So many times at most the generations are looked up again.
_SWAPS_MAX: Final = 3


def check(reading: Reading) -> Report:
    """Every generation, also one that is still being filled, at the position that it reaches. Nothing is repaired or
    left behind."""
    store = reading.store
    report = Report(findings=replaced_in_projections(store, "projections"))
    known = discover()
    log = Log([store, reading.other])
    checked = set[tuple[str, int]]()
    for _ in range(_SWAPS_MAX):  # while this goes on, a rebuild may put others in their place
        for name, generation, version, live, stopped_at, problem in shelves.generations(store):
            if (name, generation) in checked:
                continue
            checked.add((name, generation))
            if live and stopped_at is not None:
                what = f"{name} stopped before this event: {problem}; what is asked beyond it is refused"
                report.notices.append(Finding("projections", what, "events", stopped_at))
            shelf = Shelf(store, name, generation)
            if name in known and known[name].version == version:
                report.findings += _check(shelf, known[name], log)
            elif name in known and live:
                what = f"{shelf.schema} is of version {version}, not {known[name].version}: not looked at"
                report.notices.append(Finding("projections", f"{what}; it is filled anew at the next start"))
    report.findings += _unknown(store)
    return report


def _unknown(store: Store) -> list[Finding]:
    """Schemas of generations that nobody knows of: where such a one was read, it is read no more. What is dropped
    meanwhile, or made, is none."""
    there = shelves.schemas(store)
    known = {Shelf(store, name, generation).schema for name, generation, *_ in shelves.generations(store)}
    lost = sorted(there - known)
    return [
        Finding("projections", "no generation of this name is known: its rows are not looked at", schema)
        for schema in lost
        if schema in shelves.schemas(store)
    ]


def _check(shelf: Shelf, projection: Projection, log: Log) -> list[Finding]:
    """A generation. Its rows and their position are read as of one moment, with the end of the log, which may have
    grown since the checks began."""
    try:
        changed = _changed_structure(shelf, projection)
        if changed:
            return changed
        findings, position, stored = _looked_at(shelf, projection)
        if stored is None:
            return findings
        return (
            findings
            or _differences(shelf, stored, projection.expected(log, position), "the log")
            or _differences(
                shelf,
                stored,
                _rebuilt(shelf.store, projection, log, position),
                "a fold of the whole log at once",
            )
        )
    except shelves.GONE as error:
        return _unreadable(shelf, error) if _is_there(shelf) else []
    except Damaged as error:
        return [Finding("projections", str(error).removeprefix(f"{error.table}: "), error.table)]
    except psycopg.OperationalError:
        raise
    except (psycopg.Error, LookupError, ValueError, TypeError, AttributeError) as error:
        return _unreadable(shelf, error)


def _is_there(shelf: Shelf) -> bool:
    """Whether no rebuild has put another generation in its place and dropped it."""
    return (shelf.name, shelf.generation) in {row[:2] for row in shelves.generations(shelf.store)}


def _changed_structure(shelf: Shelf, projection: Projection) -> list[Finding]:
    """Tables that are not as the projection makes them, by those of a new generation."""
    store = shelf.store
    with _made_anew(store, projection) as fresh:
        right, found = structure(store, fresh.schema), structure(store, shelf.schema)
    if not found and not _is_there(shelf):
        return []
    return [
        Finding("projections", what, f"{shelf.schema}.{table}") for table, what in differing(found, right)
    ]


def _looked_at(shelf: Shelf, projection: Projection) -> tuple[list[Finding], int, Content | None]:
    """What is wrong with a generation as such; else its position, and what it holds."""
    progress = f"{shelf.schema}.progress"
    with one_moment(shelf.store) as newest:
        rows = shelf.rows("progress_as_written")
        if len(rows) != 1 or rows[0][0] is None:
            return [Finding("projections", f"it has {len(rows)} rows instead of one", progress)], 0, None
        position = int(rows[0][0])
        if not 0 <= position <= newest:
            return [Finding("projections", "it is beyond the log", progress, position)], 0, None
        if not rows[0][1]:
            what = "its position and its leaf are not of one event"
            return [Finding("projections", what, progress, position)], 0, None
        return (
            disagreeing(shelf.store, "projections", shelf.schema),
            position,
            projection.stored(shelf, position),
        )


def _unreadable(shelf: Shelf, error: Exception) -> list[Finding]:
    first = next(iter(str(error).splitlines()), type(error).__name__)
    table = table_of(shelf.store, error, "")
    place = table if "." in table or table in TABLES else f"{shelf.schema}.{table}".rstrip(".")
    return [Finding("projections", f"it cannot be read: {first}", place)]


def _differences(shelf: Shelf, stored: Content, right: Content, what: str) -> list[Finding]:
    """A part's name begins with that of its table."""
    return [
        Finding("projections", f"{part} is not what {what} says", f"{shelf.schema}.{part.partition(' ')[0]}")
        for part in stored.differing(right)
    ]


@contextmanager
def _made_anew(store: Store, projection: Projection) -> Iterator[Shelf]:
    """A new generation, empty, in a transaction that is rolled back."""
    with store.connection.transaction(force_rollback=True):
        store.connection.execute("set local role none")  # the owner's: it makes tables
        yield begun(store, projection)


def _rebuilt(store: Store, projection: Projection, log: Log, position: int) -> Content:
    """What the tables would hold if they were filled anew now."""
    with _made_anew(store, projection) as shelf:
        projection.fold(shelf, log, 0, position)
        return projection.stored(shelf, position)
