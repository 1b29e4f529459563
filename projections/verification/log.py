"""Log: positions without gaps, times that never go back, every leaf recomputed from the stored bytes, and the root of
them all against every checkpoint at hand."""

from __future__ import annotations

from typing import Final

from ledger.sql import load
from ledger.store import Store
from projections.verification.checkpoints import compare, signed
from projections.verification.leaves import FINDINGS_MAX, Recomputed, recompute
from projections.verification.reading import Reading
from projections.verification.report import Finding, Report

_QUERIES: Final = load("projections", "verification/queries.sql")


def check(reading: Reading) -> Report:
    """Everything that the log's own bytes decide; what was recomputed gives the report's root."""
    store, until = reading.store, reading.until
    unordered = _structure(store)
    if unordered:
        # Without its index the log cannot be read in order at speed, nor can a position be believed.
        return Report(findings=unordered)
    found = signed(store, reading.outside)
    leaves = recompute(store, until, found.wanted(until))
    report = Report(findings=[Finding("log", what, "events", position) for position, what in leaves.wrong])
    report.findings += _unconfirmed(store, until, leaves)
    if len(leaves.wrong) >= FINDINGS_MAX:
        report.findings.append(Finding("log", f"more than {FINDINGS_MAX} findings; stopped here"))
    else:
        report.add(compare(store, until, found, leaves))
        reading.keep_subtrees(leaves.roots)
    return report


def newest(store: Store) -> int:
    """The newest position, read without anything else of its row."""
    row = store.connection.execute(_QUERIES["newest_position"]).fetchone()
    return 0 if row is None else int(row[0])


def _unconfirmed(store: Store, until: int, leaves: Recomputed) -> list[Finding]:
    """Accounts whose path no sound event confirms, where events are not sound: a path is part of every leaf of the
    events that post to it, so if it was changed they all differ."""
    wrong = sorted(position for position, _ in leaves.wrong)[:FINDINGS_MAX]
    if not wrong:
        return []
    looked_at = until if len(wrong) < FINDINGS_MAX else wrong[-1]
    rows = store.connection.execute(
        _QUERIES["accounts_unconfirmed"], {"wrong": wrong, "until": looked_at}
    ).fetchall()
    what = "is confirmed by no event: it was changed, or every event that posts to it was"
    return [Finding("log", f"account {number} ({path}) {what}", "accounts") for number, path in rows]


def _structure(store: Store) -> list[Finding]:
    """The two indexes that keep positions and keys unique, and rows that no position names."""
    findings = []
    unique = {(table, *columns) for table, columns in store.connection.execute(_QUERIES["unique_indexes"])}
    if ("events", "position") not in unique:
        findings.append(Finding("log", "the index that keeps positions unique is gone", "events"))
    if ("events", "key") not in unique:
        for position, key in store.connection.execute(_QUERIES["repeated_keys"]).fetchall():
            findings.append(Finding("log", f"the idempotency key {key!r} stands twice", "events", position))
        findings.append(Finding("log", "the index that keeps idempotency keys unique is gone", "events"))
    row = store.connection.execute(_QUERIES["outside_positions"]).fetchone()
    if row is not None and row[0]:
        findings.append(Finding("log", f"{row[0]} rows have no position of the log", "events"))
    return findings
