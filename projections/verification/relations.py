"""What stands under the names that everything is read by: tables, with nothing between their rows and a reader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.sql import load
from ledger.store import Store
from projections.verification.report import Finding, Report

_QUERIES: Final = load("projections", "verification/queries.sql")

#: The tables of the store, which `verify` compares with the log.
TABLES: Final = ("events", "accounts", "event_tags", "day_sums", "day_sum_stamps")
#: Those that refuse every change of a row.
_GUARDED: Final = ("events", "accounts", "event_tags")


def replaced(store: Store, check: str, tables: Sequence[str]) -> list[Finding]:
    """Tables of the store, or with none named of the projections, that are gone, or that a view, a rule, a policy or
    another table stands before: it could show a check other rows than a reader."""
    findings, there = [], set()
    for schema, name, kind, is_changed in store.connection.execute(
        _QUERIES["relations"], {"tables": list(tables)}
    ):
        there.add(name)
        if (schema == "public") != bool(tables):
            continue
        table = name if schema == "public" else f"{schema}.{name}"
        if kind != "r":
            findings.append(Finding(check, "what stands under this name is no ordinary table", table))
        elif is_changed:
            what = "a rule, a policy or another table stands between its rows and who reads them"
            findings.append(Finding(check, what, table))
    findings += [Finding(check, "the table is gone", name) for name in tables if name not in there]
    return findings


def unguarded(store: Store, check: str) -> Report:
    """As notices, tables whose rows nothing refuses to change any more: what was changed is another question."""
    guarded = {name for (name,) in store.connection.execute(_QUERIES["guards"])}
    what = "nothing refuses a change of its rows: the trigger `immutable` is gone, off, or another one"
    return Report(notices=[Finding(check, what, name) for name in _GUARDED if name not in guarded])
