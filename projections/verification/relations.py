"""What stands under the names that everything is read by: tables, with nothing between their rows and a reader."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ledger.sql import load
from ledger.store import Store
from projections.verification.report import Finding, Report

_QUERIES: Final = load("projections", "verification/queries.sql")

#: The tables of the store, which `verify` compares with the log.
TABLES: Final = ("events", "accounts", "event_tags", "day_sums")
#: Those that refuse every change of a row.
_GUARDED: Final = ("events", "accounts", "event_tags")
#: How PostgreSQL names a table in an error, and a file of one.
_NAMED: Final = re.compile(r'\b(?:table|relation) (?:"([\w.]+)"|([\w.]+)$)', re.M)
_FILE: Final = re.compile(r'\brelation "(base/\d+/\d+)')
_IS_NO_TABLE: Final = "what stands under this name is no ordinary table"
_STANDS_BETWEEN: Final = "a rule, a policy or another table stands between its rows and who reads them"


def replaced(store: Store, check: str, tables: Sequence[str]) -> list[Finding]:
    """Tables of the store that are gone, or that a view, a rule, a policy or another table stands before: it could
    show a check other rows than a reader."""
    in_front = [
        Finding(check, "what PostgreSQL looks for first under this name is not this table", name)
        for _, name, _ in _relations(store, "^pg_catalog$", list(tables))
    ]
    rows = _relations(store, "^public$", list(tables))
    gone = set(tables) - {name for _, name, *_ in rows}
    findings = [Finding(check, what, name) for _, name, what in rows if what]
    return in_front + findings + [Finding(check, "the table is gone", name) for name in sorted(gone)]


def in_front(store: Store, check: str) -> Report:
    """Functions and operators in `public`, or added to `pg_catalog`, that would be called instead of PostgreSQL's own;
    as notices those in `public` that came with an extension, which somebody wanted there."""
    report = Report()
    what = "stands before PostgreSQL's own: it may hide what it is called for"
    for name, extension in store.connection.execute(_QUERIES["in_front"]):
        if extension is None:
            report.findings.append(Finding(check, f"the {name} {what}"))
        else:
            report.notices.append(Finding(check, f"the {name} of the extension {extension} {what}"))
    return report


def replaced_beside(store: Store, check: str) -> list[Finding]:
    """What is no ordinary table in the schema that no figure rests on: a check reads there what it is to look at."""
    return _replaced_in(store, check, "^kejin_work$")


def replaced_in_projections(store: Store, check: str) -> list[Finding]:
    """The same of the tables of every generation of a projection, but for those that are gone."""
    return _replaced_in(store, check, "^kejin_[a-z_]+_[0-9]+$")


def _replaced_in(store: Store, check: str, schemas: str) -> list[Finding]:
    rows = _relations(store, schemas, None)
    return [Finding(check, what, f"{schema}.{name}") for schema, name, what in rows if what]


def _relations(store: Store, schemas: str, tables: list[str] | None) -> list[tuple[str, str, str]]:
    """Schema and name of what stands under some names, and what is wrong with it, if anything."""
    asked = {"schemas": schemas, "tables": tables}
    return [
        (schema, name, _IS_NO_TABLE if kind != "r" else _STANDS_BETWEEN if is_changed else "")
        for schema, name, kind, is_changed in store.connection.execute(_QUERIES["relations"], asked)
    ]


def table_of(store: Store, error: Exception, otherwise: str) -> str:
    """The table that an error of PostgreSQL's names, by its own name, by its file or by that of an index; another one
    where it names none."""
    said = str(error)
    file = _FILE.search(said)
    if file is not None:
        row = store.connection.execute(_QUERIES["table_of_file"], {"file": file[1]}).fetchone()
        return otherwise if row is None else str(row[0])
    named = _NAMED.search(said)
    return otherwise if named is None else named[1] or named[2]


def unguarded(store: Store, check: str) -> Report:
    """As notices, tables whose rows nothing refuses to change any more: what was changed is another question."""
    guarded = {name for (name,) in store.connection.execute(_QUERIES["guards"])}
    what = "nothing refuses a change of its rows: the trigger `immutable` is gone, off, or another one"
    return Report(notices=[Finding(check, what, name) for name in _GUARDED if name not in guarded])
