"""Run a named fold over a store's connection."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from psycopg.rows import tuple_row

from ledger.sql import load
from ledger.store import Store

_QUERIES: Final = load("projections", "queries.sql")
#: Rows that a walk takes at once.
_ROWS_AT_ONCE: Final = 4_000


def query(name: str) -> bytes:
    """A named query's text."""
    return _QUERIES[name]


def fold(store: Store, name: str, **parameters: Any) -> list[Any]:
    """All rows of a named query."""
    with store.connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(_QUERIES[name], parameters or None).fetchall()


def fold_binary(store: Store, name: str, **parameters: Any) -> list[Any]:
    """As `fold`, the values sent in PostgreSQL's binary form: many bytes in one value are not spelled out."""
    with store.connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        return cursor.execute(_QUERIES[name], parameters or None).fetchall()


def walk(store: Store, name: str, **parameters: Any) -> Generator[list[Any], None, None]:
    """As `fold_binary`, some thousand rows at a time, streamed in constant memory. Who ends early closes it at once:
    the connection is somebody else's next."""
    with (
        store.connection.transaction(),
        store.connection.cursor(name=name, row_factory=tuple_row, binary=True) as cursor,
    ):
        cursor.execute(_QUERIES[name], parameters or None)
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            yield rows
