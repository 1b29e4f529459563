"""Accounts against the digests that were kept when they were made: an event whose leaf differs does not say whether it
was changed, or the path of an account that it posts to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.sql import load
from ledger.store import Store
from projections.verification.report import Finding

_QUERIES: Final = load("projections", "verification/queries.sql")


def changed_accounts(store: Store, check: str, suspects: Mapping[int, str | None]) -> list[Finding]:
    """Each account that was changed, as far as the suspects (id and path) tell which, else the range it is in."""
    findings = []
    for first, last in store.connection.execute(_QUERIES["changed_accounts"]).fetchall():
        named = {number: path for number, path in suspects.items() if first <= number <= last}
        for number, path in sorted(named.items()):
            findings.append(
                Finding(check, f"account {number} ({path}) is not the one that was made", "accounts")
            )
        if not named:
            what = f"accounts {first} to {last} are not those that were made"
            findings.append(Finding(check, what, "accounts"))
    return findings
