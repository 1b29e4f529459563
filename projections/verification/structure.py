"""The structure of tables: their columns and what keeps rows apart, since a row without a key, or twice under one, is
one that no reader and no digest sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ledger.sql import load
from ledger.store import Store

_QUERIES: Final = load("projections", "verification/queries.sql")

#: By table what is to be known of it, each in one line.
Structure = Mapping[str, frozenset[str]]

_TEXT: Final = "text C"

#: The store's tables as the migrations leave them.
STORE: Final[Structure] = {
    "events": frozenset(
        [
            "column position bigint not null",
            "column recorded_at timestamp with time zone not null",
            "column effective_on date not null",
            f"column type {_TEXT} not null",
            "column tags text[] C not null",
            "column data bytea not null",
            "column posting_accounts integer[] not null",
            "column posting_amounts bigint[] not null",
            "column posting_days date[]",
            f"column principal {_TEXT} not null",
            f"column key {_TEXT}",
            "column fingerprint bytea",
            "column span smallint not null",
            "column leaf bytea not null",
            "unique position",
            "unique key where (key IS NOT NULL)",
        ]
    ),
    "accounts": frozenset(
        ["column id integer not null", f"column path {_TEXT} not null", "unique id", "unique path"]
    ),
    "event_tags": frozenset(
        [f"column tag {_TEXT} not null", "column position bigint not null", "unique tag, position"]
    ),
    "day_sums": frozenset(
        [
            f"column tag {_TEXT} not null",
            "column position bigint not null",
            "column accounts integer[] not null",
            "column days date[] not null",
            "column amounts_fen bigint[] not null",
            "unique tag",
        ]
    ),
}


def structure(store: Store, schema: str) -> Structure:
    """That of every table of a schema."""
    rows = store.connection.execute(_QUERIES["structure"], {"schema": schema}).fetchall()
    return {table: frozenset(facts) for table, facts in rows}


def differing(found: Structure, right: Structure) -> Iterator[tuple[str, str]]:
    """Tables that are not as they should be, and what about them. More may be unique in them: a projection makes its
    index with the first rows."""
    for table, facts in sorted(right.items()):
        if table not in found:
            yield table, "the table is gone"
            continue
        lacking = sorted(facts - found[table])
        added = sorted(fact for fact in found[table] - facts if fact.startswith("column "))
        parts = [f"{word} {'; '.join(some)}" for word, some in (("lacks", lacking), ("has", added)) if some]
        if parts:
            yield table, f"it is not as it was made: it {' and '.join(parts)}"
