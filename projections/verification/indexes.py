"""Indexes: what they lead to is what the tables hold. Readers, and whoever decides, follow an index; checks go through
the table: a row that only one of the two finds would count and never be found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from psycopg import sql

from ledger.sql import load
from ledger.store import Store
from projections.verification.report import Finding

_QUERIES: Final = load("projections", "verification/queries.sql")
#: How PostgreSQL comes to rows: through the table; by an index, where it would use any.
_THROUGH: Final = {"enable_seqscan": "on", "enable_indexscan": "off", "enable_indexonlyscan": "off"}
_BY_INDEX: Final = {"enable_seqscan": "off", "enable_indexscan": "on", "enable_indexonlyscan": "on"}
_BOTH: Final = {"enable_bitmapscan": "off", "max_parallel_workers_per_gather": "0"}


class _Index(NamedTuple):
    """A B-tree over columns of a table, of all rows or of some (`condition`, as PostgreSQL spells it)."""

    table: str
    name: str
    columns: Sequence[str]
    condition: str | None


def disagreeing(store: Store, check: str, schema: str, tables: frozenset[str] | None = None) -> list[Finding]:
    """In a transaction that sees one moment: the indexes of a schema's tables (None: all of them) that do not lead to
    the rows that are there."""
    shown = "" if schema == "public" else f"{schema}."
    rows = store.connection.execute(_QUERIES["indexes"], {"schema": schema}).fetchall()
    indexes = [_Index(*row) for row in rows]
    return [
        Finding(check, f"its index {index.name} leads to other rows than there are", f"{shown}{index.table}")
        for index in indexes
        if tables is None or index.table in tables
        if _digest(store, schema, index, _THROUGH) != _digest(store, schema, index, _BY_INDEX)
    ]


def _digest(store: Store, schema: str, index: _Index, settings: Mapping[str, str]) -> object:
    """How many rows there are, and a sum of hashes of what the index holds of each."""
    connection = store.connection
    asked = sql.SQL(
        "select count(*), sum(hashtextextended(concat_ws(e'\\x01', {columns}), 0)) from {table} where {condition}"
    ).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, index.columns)),
        table=sql.Identifier(schema, index.table),
        condition=sql.SQL(index.condition or "true"),
    )
    with connection.transaction(force_rollback=True):  # and with it the settings
        for name, value in {**_BOTH, **settings}.items():
            connection.execute(sql.SQL("set local {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        return connection.execute(asked).fetchone()
