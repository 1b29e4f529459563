"""Swap: what deciding remembers of tags that are not needed now, on disk in a temporary file.

Read again from the log, a loan of thirty grants costs PostgreSQL and this process as much as deciding two claims;
from here it costs a few microseconds, however long its history and however large the ledger. The file has no name, is
this process's alone and is gone with it. A tag that an event concerns while it lies here is dropped: what is
taken back is always as if it had been remembered all the time.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

#: SQLite keeps so much in memory (KiB, as a negative number) before it writes to its file.
_CACHE: Final = -16_384
#: So many tags that were concerned are dropped at once.
_OUTDATED_MAX: Final = 500
#: One byte for each value that the lower bits of a tag's hash can have: whether such a tag may lie here.
_MARKS: Final = 1 << 22


class Swap:
    """Tags set aside, each with a value of its own. Not for several threads at once."""

    def __init__(self) -> None:
        self._marks = bytearray(_MARKS)
        self._outdated: set[str] = set()
        # Of no name: SQLite makes a file that only this connection has, once it wants one.
        self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode = off", "synchronous = off", f"cache_size = {_CACHE}"):
            self._file.execute(f"pragma {setting}")
        self._file.execute("create table aside (tag text primary key, value blob not null) without rowid")

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def put(self, values: Mapping[str, Any]) -> None:
        """Set tags aside."""
        self._drop_outdated()
        for tag in values:
            self._marks[hash(tag) % _MARKS] = 1
        rows = ((tag, pickle.dumps(value, pickle.HIGHEST_PROTOCOL)) for tag, value in values.items())
        self._file.execute("begin")
        self._file.executemany("insert or replace into aside values (?, ?)", rows)
        self._file.execute("commit")

    def take(self, tags: Sequence[str]) -> dict[str, Any]:
        """Those of the tags that lie here, with their values. They stay, until they are put again or concerned."""
        marks = self._marks
        wanted = [tag for tag in tags if marks[hash(tag) % _MARKS]]
        if not wanted:
            return {}
        self._drop_outdated()
        found: dict[str, Any] = {}
        for tag in wanted:
            for (value,) in self._file.execute("select value from aside where tag = ?", (tag,)):
                found[tag] = pickle.loads(value)
        return found

    def concern(self, tag: str) -> None:
        """An event concerns a tag that is not remembered: what lies here of it is not all any more."""
        if self._marks[hash(tag) % _MARKS]:
            self._outdated.add(tag)
            if len(self._outdated) >= _OUTDATED_MAX:
                self._drop_outdated()

    def _drop_outdated(self) -> None:
        if self._outdated:
            self._file.executemany("delete from aside where tag = ?", [(tag,) for tag in self._outdated])
            self._outdated.clear()
