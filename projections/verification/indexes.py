"""Indexes: what they lead to is what the tables hold. Readers, and whoever decides, follow an index; checks go through
the table: a row that only one of the two finds would count and never be found. That an index has every row is not
enough: in another order than the one that a search goes by, a search passes rows by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg import sql

from ledger.sql import load
from ledger.store import Store
from projections.verification.report import Finding

_QUERIES: Final = load("projections", "verification/queries.sql")


def _settings(**settings: str) -> bytes:
    """Statements that hold for the rest of a transaction, in one round trip."""
    always = {"enable_bitmapscan": "off", "max_parallel_workers_per_gather": "0"}
    return "; ".join(f"set local {name} = {value}" for name, value in {**always, **settings}.items()).encode()


#: How PostgreSQL comes to rows: through the table; by an index, where it would use any.
_THROUGH: Final = _settings(enable_seqscan="on", enable_indexscan="off", enable_indexonlyscan="off")
_BY_INDEX: Final = _settings(enable_seqscan="off", enable_indexscan="on", enable_indexonlyscan="on")


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
        Finding(check, f"its index {index.name} {what}", f"{shown}{index.table}")
        for index in indexes
        if tables is None or index.table in tables
        if (what := _is_wrong(store, schema, index))
    ]


def _is_wrong(store: Store, schema: str, index: _Index) -> str | None:
    """What is wrong with an index, if anything."""
    if _digest(store, schema, index, _THROUGH) != _digest(store, schema, index, _BY_INDEX):
        return "leads to other rows than there are"
    return _passes_by(store, schema, index)


def _passes_by(store: Store, schema: str, index: _Index) -> str | None:
    """Look for every row that the index has, by the index: what is wrong if one is not found."""
    table = sql.Identifier(schema, index.table)
    found = [sql.SQL("found.{0} = one.{0}").format(sql.Identifier(column)) for column in index.columns]
    condition = sql.SQL(index.condition or "true")
    asked = sql.SQL(
        "select count(*) from {table} as one where {condition} and not exists"
        " (select from {table} as found where {found} and {condition} offset 0)"  # one by one, no join
    ).format(table=table, condition=condition, found=sql.SQL(" and ").join(found))
    connection = store.connection
    with connection.transaction(force_rollback=True):
        connection.execute(_BY_INDEX)
        plan = connection.execute(sql.SQL("explain (format json) ") + asked).fetchone()
        assert plan is not None  # an explanation is one row
        if not any(_searches(node, index.name) for node in _nodes(plan[0][0]["Plan"])):
            return "is not used to look for a row"
        (lost,) = connection.execute(asked).fetchone() or (0,)
        return f"has {lost} rows that a search by it does not find" if lost else None


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A plan of PostgreSQL's, and what it is made of."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _searches(node: Mapping[str, Any], name: str) -> bool:
    """Whether a node of a plan looks for rows of `found` by an index."""
    return node.get("Alias") == "found" and node.get("Index Name") == name and "Index Cond" in node


def _digest(store: Store, schema: str, index: _Index, settings: bytes) -> object:
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
        connection.execute(settings)
        return connection.execute(asked).fetchone()
