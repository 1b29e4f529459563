"""Shelves: a generation of one projection's tables, in a schema of its own, and which generation is read.

A rebuild fills a new generation beside the one that is read; the swap is one row. What a schema holds and up to which
position are written in one transaction.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg.rows import tuple_row

from ledger.bilingual import Bilingual
from ledger.sql import load
from ledger.store import Store

_QUERIES: Final = load("projections", "queries.sql")
#: One read meets so many swaps at most; a table that is still not there is missing.
_SWAPS_MAX: Final = 3


class NotProjected(Bilingual, LookupError):
    """A projection does not reach the position that was asked for."""

    @classmethod
    def reaching(cls, name: str, reached: int, wanted: int, problem: str | None = None) -> Self:
        """Where it ends; `problem` says why it stopped there, if it did."""
        en, zh = (f"; it stopped there: {problem}", f"；已停止：{problem}") if problem else ("", "")
        return cls(
            f"the projection {name} reaches position {reached}, not yet {wanted}{en}",
            f"投影 {name} 到第 {reached} 条，尚未到第 {wanted} 条{zh}",
        )


@dataclass(frozen=True, slots=True)
class Shelf:
    """One generation of a projection: its schema, and the connection that it is reached by."""

    store: Store
    name: str
    generation: int

    @property
    def schema(self) -> str:
        """The schema of its tables."""
        return f"kejin_{self.name}_{self.generation}"

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        """All rows of a named query, in which {schema} stands for the schema. Binary: no text is parsed."""
        with self.store.connection.cursor(row_factory=tuple_row, binary=True) as cursor:
            return cursor.execute(self.text(query), parameters or None).fetchall()

    def stream(self, query: str, rows_at_once: int) -> Iterator[Any]:
        """The rows of a named query as they come, some at a time: not all are in memory at once."""
        with self.store.connection.cursor(row_factory=tuple_row, binary=True) as cursor:
            yield from cursor.stream(self.text(query), size=rows_at_once)

    def run(self, query: str, **parameters: Any) -> None:
        """Run a named query for its effect."""
        # Without parameters a query may be several statements.
        self.store.connection.execute(self.text(query), parameters or None)

    def text(self, query: str) -> bytes:
        """The text of a named query for this schema."""
        return _QUERIES[query].replace(b"{schema}", self.schema.encode())

    def copy_in(self, query: str, parts: Iterable[bytes]) -> None:
        """Copy rows, as COPY's binary format writes them, in."""
        with self.store.connection.cursor() as cursor, cursor.copy(self.text(query)) as copy:
            for part in parts:
                copy.write(part)

    def position(self) -> int:
        """Up to where its rows hold the log. Raises psycopg.errors.UndefinedTable for one that was dropped."""
        return int(self.rows("projected_position")[0][0])

    def locked_position(self) -> int:
        """The same, and until the end of the transaction nobody else writes the rows."""
        return int(self.rows("lock_progress")[0][0])


def live(store: Store, name: str) -> Shelf | None:
    """The generation that is read; None before the first was made."""
    found = [row for row in generations(store) if row[0] == name and row[3]]
    return Shelf(store, name, found[0][1]) if found else None


def generations(store: Store) -> list[tuple[str, int, int, bool, int | None, str | None]]:
    """(name, generation, version, live, stopped_at, problem) of every generation."""
    with store.connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(_QUERIES["generations"]).fetchall()


def schemas(store: Store) -> set[str]:
    """The schemas of generations, known or not."""
    with store.connection.cursor(row_factory=tuple_row) as cursor:
        return {name for (name,) in cursor.execute(_QUERIES["schemas_of_generations"])}


def reaching(store: Store, name: str, position: int) -> Shelf:
    """The generation that is read, once it reaches a position. Raises NotProjected.

    What a generation holds of a position never changes, so the answer stays good while its tables exist.
    """
    known = _REACHED.setdefault(store, {})
    if name in known and known[name][1] >= position:
        return known[name][0]
    shelf = live(store, name)
    if shelf is None:
        raise NotProjected.reaching(name, 0, position)
    reached = shelf.position()
    if reached < position:
        problem = next((row[5] for row in generations(store) if row[0] == name and row[3]), None)
        raise NotProjected.reaching(name, reached, position, problem)
    known[name] = (shelf, reached)
    return shelf


def known_reach(shelf: Shelf) -> int:
    """A position that a generation, as `reaching` gave it, is known to reach."""
    return _REACHED[shelf.store][shelf.name][1]


def begin(store: Store, name: str, version: int) -> Shelf:
    """In a transaction of the owner: a new generation, empty, not read yet."""
    store.connection.execute(_QUERIES["lock_generations"])  # numbers are given one at a time
    with store.connection.cursor(row_factory=tuple_row) as cursor:
        (generation,) = cursor.execute(
            _QUERIES["begin_generation"], {"name": name, "version": version}
        ).fetchone() or (0,)
    shelf = Shelf(store, name, generation)
    shelf.run("create_shelf")
    return shelf


def finish(shelf: Shelf) -> None:
    """In a transaction of the owner, after the tables were made: let the roles of normal work read them."""
    shelf.run("grant_shelf")


def advance(shelf: Shelf, position: int) -> None:
    """In the transaction that writes the rows: the rows hold the log up to here."""
    shelf.run("advance_shelf", position=position)


def make_live(shelf: Shelf) -> None:
    """In a transaction of the owner: from now on this generation is the one that is read."""
    shelf.run("retire", name=shelf.name)
    shelf.run("make_live", name=shelf.name, generation=shelf.generation)


def drop(shelf: Shelf) -> None:
    """Drop a generation that is not read. A reader in the middle of it begins again."""
    shelf.run("drop_shelf")
    shelf.run("forget_generation", name=shelf.name, generation=shelf.generation)


def note_problem(shelf: Shelf, position: int | None, problem: str | None) -> None:
    """Note that a generation stopped before a position, or that it goes on again."""
    shelf.run(
        "note_problem", name=shelf.name, generation=shelf.generation, position=position, problem=problem
    )


#: What a statement gets whose generation was dropped before it.
GONE: Final = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)

#: By connection and name the generation that was read last, and a position that it reaches: it never goes back.
_REACHED: Final[WeakKeyDictionary[Store, dict[str, tuple[Shelf, int]]]] = WeakKeyDictionary()

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def begins_again(
    read: Callable[Concatenate[Store, Arguments], Answer],
) -> Callable[Concatenate[Store, Arguments], Answer]:
    """A read that begins again where the generation that it read was swapped for another and dropped meanwhile."""

    @functools.wraps(read)
    def reading(store: Store, /, *arguments: Arguments.args, **named: Arguments.kwargs) -> Answer:
        for _ in range(_SWAPS_MAX):
            with contextlib.suppress(*GONE):
                return read(store, *arguments, **named)
            _REACHED.pop(store, None)
        return read(store, *arguments, **named)

    return reading
