"""Swap: what deciding remembers of tags that are not needed now, on disk in a temporary file.

Read again from the log, a loan of thirty grants costs PostgreSQL and this process as much as deciding two claims;
from here it costs some microseconds, however long its history and however large the ledger. The file has no name, is
this process's alone and is gone with it. A tag that an event concerns while it lies here is dropped: what is
taken back is always as if it had been remembered all the time.

Values are appended to the file; where each lies, SQLite knows, by a hash of the tag. What was replaced stays there
until most of the file is such.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ledger.packing import Kept, packed, unpacked

#: SQLite keeps so much in memory (KiB, as a negative number) before it writes to a file of its own.
_CACHE: Final = -16_384
#: One byte for each value that the lower bits of a tag's hash can have: whether such a tag may lie here.
_MARKS: Final = 1 << 22
#: So many tags that were concerned are dropped at once.
_OUTDATED_MAX: Final = 500
#: A smaller file is not looked through for what was replaced.
RECLAIM_BYTES_MIN: Final = 1 << 28
_COPIED_AT_ONCE: Final = 4_096


class Swap:
    """Tags set aside, each with all that is remembered of it. Not for several threads at once."""

    def __init__(self, reclaim_bytes_min: int = RECLAIM_BYTES_MIN) -> None:
        self._marks = bytearray(_MARKS)
        self._outdated: set[str] = set()
        self._reclaim_bytes_min = self._look_at_bytes = reclaim_bytes_min
        self._file, self._size = _new_file(), 0
        # Of no name: SQLite makes a file that only this connection has, once it wants one.
        self._places = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode = off", "synchronous = off", f"cache_size = {_CACHE}"):
            self._places.execute(f"pragma {setting}")
        self._places.execute("create table places (hash integer primary key, at integer, length integer)")

    def close(self) -> None:
        """Let the files go."""
        self._places.close()
        os.close(self._file)

    @property
    def size_bytes(self) -> int:
        """How long the file is."""
        return self._size

    def put(self, values: Mapping[str, Kept]) -> None:
        """Set tags aside."""
        self._drop_outdated()
        places, parts, at = [], [], self._size
        for tag, value in values.items():
            part, number = packed(tag, value), hash(tag)
            self._marks[number % _MARKS] = 1
            parts.append(part)
            places.append((number, at, len(part)))
            at += len(part)
        _append(self._file, b"".join(parts))
        self._size = at
        self._save_places(places)
        if self._size > self._look_at_bytes:
            self._reclaim()

    def _save_places(self, places: Sequence[tuple[int, int, int]]) -> None:
        self._places.execute("begin")
        self._places.executemany("insert or replace into places values (?, ?, ?)", places)
        self._places.execute("commit")

    def take(self, tags: Sequence[str]) -> dict[str, Kept]:
        """Those of the tags that lie here, with their values. They stay, until they are put again or concerned."""
        marks = self._marks
        wanted = [tag for tag in tags if marks[hash(tag) % _MARKS]]
        if wanted:
            self._drop_outdated()
        found: dict[str, Kept] = {}
        for tag in wanted:
            place = self._places.execute(
                "select at, length from places where hash = ?", (hash(tag),)
            ).fetchone()
            if place is not None:
                at, length = place
                name, value = unpacked(os.pread(self._file, length, at))
                if name == tag:  # else another tag of the same hash was put after it
                    found[tag] = value
        return found

    def concern(self, tag: str) -> None:
        """An event concerns a tag that is not remembered: what lies here of it is not all any more."""
        if self._marks[hash(tag) % _MARKS]:
            self._outdated.add(tag)
            if len(self._outdated) >= _OUTDATED_MAX:
                self._drop_outdated()

    def _drop_outdated(self) -> None:
        if self._outdated:
            gone = [(hash(tag),) for tag in self._outdated]
            self._places.executemany("delete from places where hash = ?", gone)
            self._outdated.clear()

    def _reclaim(self) -> None:
        """Where most of the file was replaced, copy what was not into a new one."""
        ((live,),) = self._places.execute("select coalesce(sum(length), 0) from places")
        if 2 * live < self._size:
            old, self._file, self._size = self._file, _new_file(), 0
            self._places.execute(
                "create temp table moved (hash integer primary key, at integer, length integer)"
            )
            rows = self._places.execute("select hash, at, length from places order by at")
            while some := rows.fetchmany(_COPIED_AT_ONCE):
                self._copy_from(old, some)
            os.close(old)
            self._places.execute("delete from places")
            self._places.execute("insert into places select * from moved")
            self._places.execute("drop table moved")
        self._look_at_bytes = max(self._reclaim_bytes_min, 2 * self._size)

    def _copy_from(self, old: int, places: Sequence[tuple[int, int, int]]) -> None:
        parts, moved = [], []
        for number, at, length in places:
            parts.append(os.pread(old, length, at))
            moved.append((number, self._size, length))
            self._size += length
        _append(self._file, b"".join(parts))
        self._places.executemany("insert into moved values (?, ?, ?)", moved)


def _new_file() -> int:
    """A file that is gone with its descriptor; not in /tmp, which may be memory, where there is another place."""
    place = "/var/tmp" if Path("/var/tmp").is_dir() else None
    with tempfile.TemporaryFile(buffering=0, dir=place) as file:
        return os.dup(file.fileno())


def _append(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
