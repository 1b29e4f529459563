"""Run a named query of evidence packs over a store's connection."""

from __future__ import annotations

from typing import Any, Final

from psycopg.rows import tuple_row

from ledger.sql import load
from ledger.store import Store

_QUERIES: Final = load("projections", "evidence/queries.sql")


def rows(store: Store, name: str, **parameters: Any) -> list[Any]:
    """All rows of a named query."""
    with store.connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(_QUERIES[name], parameters).fetchall()
