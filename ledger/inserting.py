"""Few events at once: the rows of all tables in one statement, where a COPY for each table would be two round trips.

A round trip costs a small turn as much as its rows do, above all beside other threads: after each of them the writer
waits for the interpreter again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from ledger.copying import EVENT_COLUMNS, Rows
from ledger.sql import load

#: Of so many events the rows are inserted, and of so many accounts; more are copied, which takes less for each row.
FEW_EVENTS: Final = 64
FEW_ACCOUNTS: Final = 256

_QUERIES: Final = load("ledger", "queries.sql")


class Inserting:
    """Inserts events over one connection, in whatever transaction that has."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Raises psycopg.Error."""
        self._connection = connection
        connection.adapters.register_dumper(_Binary, _BinaryDumper)
        row = connection.execute(_QUERIES["events_row_type"]).fetchone()
        if row is None:
            raise psycopg.DataError("the table events is gone; run kejin verify")
        self._row_type, names, types = row
        places = {name: place for place, name in enumerate(EVENT_COLUMNS)}
        self._columns = [(kind, places.get(name, -1)) for name, kind in zip(names, types, strict=True)]

    def insert(self, rows: Rows) -> None:
        """Insert events and their tags. Raises psycopg.Error."""
        tags, positions = rows.tag_columns()
        events = rows.event_records(self._row_type, self._columns)
        self._connection.execute(
            _QUERIES["insert_events"],
            {"events": _Binary(events), "tags": _Binary(tags), "positions": _Binary(positions)},
        )


@dataclass(frozen=True, slots=True)
class _Binary:
    """A value as PostgreSQL sends and receives it, of the type to which the statement casts it."""

    content: bytes


class _BinaryDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: _Binary) -> bytes:
        """See psycopg."""
        return obj.content
