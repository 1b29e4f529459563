"""What a projection is: tables, a set-based fold over a range of positions, an independent fold beside it."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import projections
from ledger.store import Store
from projections import columns as log_columns
from projections.columns import Columns
from projections.fold import fold
from projections.shelves import Shelf


@dataclass(slots=True)
class Log:
    """The log for folds: connections to read it by, and what several folds of one range share."""

    stores: Sequence[Store]
    _columns: Columns | None = field(default=None, init=False)
    _codes: dict[str, int] = field(default_factory=dict, init=False)

    @property
    def store(self) -> Store:
        """One of the connections."""
        return self.stores[0]

    def with_stores(self, stores: Sequence[Store]) -> Log:
        """The same columns over other connections."""
        log = Log(stores)
        log._columns, log._codes = self._columns, self._codes
        return log

    def columns(self, after: int, until: int) -> Columns:
        """The columns of a range; those of the last one asked for are kept."""
        kept = self._columns
        if kept is None or (kept.after, kept.until) != (after, until):
            self._columns = kept = None  # not both at once in memory
            self._columns = kept = log_columns.read(self.stores, after, until)
        return kept

    def is_type(self, columns: Columns, *names: str) -> NDArray[np.bool_]:
        """Per event whether it is of one of the types."""
        missing = [name for name in names if name not in self._codes]
        if missing:
            self._codes.update(log_columns.type_codes(self.store, missing))
        found = np.zeros(len(columns.types), np.bool_)
        for name in names:  # several times faster than numpy's isin
            found |= columns.types == self._codes[name]
        return found

    def paths(self, ids: NDArray[np.int32]) -> list[str]:
        """The paths of accounts, given in ascending order of their ids."""
        if not len(ids):
            return []
        first, last = int(ids[0]), int(ids[-1])
        if last - first + 1 == len(ids):
            found = fold(self.store, "paths_of_all_accounts", first=first, last=last)[0][0]
        else:
            found = fold(self.store, "paths_of_accounts", ids=ids.tolist())[0][0]
        paths: list[str] = (found or "").split("\n")
        if len(paths) != len(ids):
            raise LookupError(f"of {len(ids)} accounts only {len(paths)} have a path")
        return paths


@dataclass(frozen=True, slots=True)
class Content:
    """What a projection's tables hold, or should hold: a SHA-256 (hex) for each part, whose name begins with that of
    its table, and the number of rows where they were counted."""

    parts: Mapping[str, str]
    rows: int | None = None

    @property
    def digest(self) -> str:
        """One SHA-256 (hex) over all parts."""
        listed = "".join(f"{name}\n{part}\n" for name, part in sorted(self.parts.items()))
        return hashlib.sha256(listed.encode()).hexdigest()

    def differing(self, other: Content) -> list[str]:
        """The parts that are not the same in both."""
        names = self.parts.keys() | other.parts.keys()
        return sorted(name for name in names if self.parts.get(name) != other.parts.get(name))


class Projection(Protocol):
    """One projection. A module of projections/ with a `PROJECTION` is found by itself.

    `version` changes whenever the same log gives other rows.
    """

    name: str
    version: int

    def create(self, shelf: Shelf) -> None:
        """Make its tables."""

    def fold(self, shelf: Shelf, log: Log, after: int, until: int) -> None:
        """Take the events with after < position <= until into the tables, in the caller's transaction."""

    def stored(self, shelf: Shelf, until: int) -> Content:
        """What the tables hold. Raises Damaged where they contradict themselves."""

    def expected(self, log: Log, until: int) -> Content:
        """What they should hold, folded from the log by other means than `fold`."""


class Damaged(ValueError):
    """A row that contradicts the rows beside it: the table, and what is wrong."""

    def __init__(self, table: str, what: str) -> None:
        super().__init__(f"{table}: {what}")
        self.table = table


def discover() -> Mapping[str, Projection]:
    """Every `PROJECTION` of the modules in projections/, by name, in order of the names."""
    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(projections.__path__):
        if not module.ispkg:
            projection = getattr(importlib.import_module(f"projections.{module.name}"), "PROJECTION", None)
            if projection is not None:
                found[projection.name] = projection
    return dict(sorted(found.items()))


def distinct(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """The distinct values, ascending; small positive numbers such as the ids of accounts."""
    if len(values) < 100_000:
        return np.unique(values)
    return np.flatnonzero(np.bincount(values)).astype(np.int32)


def places(values: NDArray[np.int32], among: NDArray[np.int32]) -> NDArray[np.int64]:
    """The place of each value among distinct ascending ones."""
    if len(values) < 100_000:
        return np.searchsorted(among, values)
    table = np.zeros(int(among[-1]) + 1, np.int64)
    table[among] = np.arange(len(among))
    return table[values]
