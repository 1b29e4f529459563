"""Log: positions without gaps, times that never go back, every leaf recomputed from the stored bytes, and the root of
them all against every checkpoint at hand."""

from __future__ import annotations

from typing import Final

from ledger.sql import load
from ledger.store import Store
from projections.verification.checkpoints import compare, signed
from projections.verification.kept_accounts import changed_accounts
from projections.verification.leaves import FINDINGS_MAX, Recomputed, recompute
from projections.verification.reading import Reading
from projections.verification.relations import replaced
from projections.verification.report import Finding, Report
from projections.verification.structure import structure

#: So many positions before the newest are looked at to see whether the log ends there.
_NEAR: Final = 1_000

_QUERIES: Final = load("projections", "verification/queries.sql")


def check(reading: Reading) -> Report:
    """Everything that the log's own bytes decide; what was recomputed gives the report's root."""
    store, until = reading.store, reading.until
    unordered = replaced(store, "log", ("events", "accounts")) or _structure(store)
    if unordered:
        # Without its index the log cannot be read in order at speed, nor can a position be believed.
        return Report(findings=unordered)
    found = signed(store, reading.outside, until)
    leaves = recompute(store, until, found.wanted(until), reading.progress)
    report = Report(findings=[Finding("log", what, "events", position) for position, what in leaves.wrong])
    if leaves.wrong:
        report.findings += changed_accounts(store, "log", _suspects(store, until, leaves))
    if len(leaves.wrong) >= FINDINGS_MAX:
        report.findings.append(Finding("log", f"more than {FINDINGS_MAX} findings; stopped here"))
    else:
        report.add(compare(store, until, found, leaves))
        if not leaves.wrong:  # what was recomputed is what is stored
            reading.keep_subtrees(leaves.roots)
    return report


def end(store: Store) -> tuple[int, list[Finding]]:
    """Where the log ends, read without anything else of its rows. A position far beyond as many events as there are
    is a finding, not the end: what lies between would never be looked through."""
    row = store.connection.execute(_QUERIES["newest_position"]).fetchone()
    newest = 0 if row is None else int(row[0])
    near = store.connection.execute(_QUERIES["rows_after"], {"after": newest - _NEAR}).fetchone()
    if near is not None and near[0] >= min(newest, _NEAR) // 2:
        return newest, []
    every = store.connection.execute(_QUERIES["rows_after"], {"after": 0}).fetchone()
    rows = 0 if every is None else int(every[0])
    if newest <= 2 * rows + _NEAR:
        return newest, []
    return rows, [Finding("log", f"of {rows} events one has the position {newest}", "events", newest)]


def _suspects(store: Store, until: int, leaves: Recomputed) -> dict[int, str]:
    """Accounts of unsound events whose path no sound event confirms: a path is part of every leaf of the events that
    post to it, so if it was changed they all differ."""
    wrong = sorted(position for position, _ in leaves.wrong)[:FINDINGS_MAX]
    looked_at = until if len(wrong) < FINDINGS_MAX else wrong[-1]
    return dict(
        store.connection.execute(_QUERIES["accounts_unconfirmed"], {"wrong": wrong, "until": looked_at})
    )


def _structure(store: Store) -> list[Finding]:
    """The two indexes that keep positions and keys unique, and rows that no position names."""
    findings = []
    facts = structure(store, "public")["events"]
    if "unique position" not in facts:
        findings.append(Finding("log", "the index that keeps positions unique is gone", "events"))
    if facts.isdisjoint({"unique key", "unique key where (key IS NOT NULL)"}):
        for position, key in store.connection.execute(_QUERIES["repeated_keys"]).fetchall():
            findings.append(Finding("log", f"the idempotency key {key!r} stands twice", "events", position))
        findings.append(Finding("log", "the index that keeps idempotency keys unique is gone", "events"))
    row = store.connection.execute(_QUERIES["outside_positions"]).fetchone()
    if row is not None and row[0]:
        findings.append(Finding("log", f"{row[0]} rows have no position of the log", "events"))
    return findings
