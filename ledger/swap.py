"""Swap: what deciding remembers of tags that are not needed now, on disk in a temporary file.

Read again from the log, a loan of thirty grants costs PostgreSQL and this process as much as deciding two claims;
from here it costs some microseconds, however long its history and however large the ledger. The file has no name, is
this process's alone and is gone with it. A tag that an event concerns while it lies here is dropped: what is
taken back is always as if it had been remembered all the time.

Values are appended to the file; where each lies, a table in memory knows, by a hash of the tag. What was replaced
stays in the file until most of it is such.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ledger.packing import Kept, packed, unpacked
from ledger.places import LENGTH_BITS, LENGTH_MAX, Places

#: A smaller file is not looked through for what was replaced.
RECLAIM_BYTES_MIN: Final = 1 << 28
_COPIED_BYTES: Final = 1 << 22


class Swap:
    """Tags set aside, each with all that is remembered of it. Not for several threads at once."""

    def __init__(self, reclaim_bytes_min: int = RECLAIM_BYTES_MIN) -> None:
        self._reclaim_bytes_min = self._look_at_bytes = reclaim_bytes_min
        self._file, self._size = _new_file(), 0
        self._places = Places()

    def close(self) -> None:
        """Let the file go."""
        os.close(self._file)

    @property
    def size_bytes(self) -> int:
        """How long the file is."""
        return self._size

    def put(self, values: Mapping[str, Kept]) -> None:
        """Set tags aside. Raises OSError."""
        places, parts, at = [], [], self._size
        for tag, value in values.items():
            part = packed(tag, value)
            if len(part) > LENGTH_MAX:
                continue  # it is read from the log again
            parts.append(part)
            places.append((hash(tag), at, len(part)))
            at += len(part)
        _append(self._file, b"".join(parts))
        self._size = at
        for number, place, length in places:
            self._places.put(number, place, length)
        if self._size > self._look_at_bytes:
            self._reclaim()

    def take(self, tags: Sequence[str]) -> dict[str, Kept]:
        """Those of the tags that lie here, with their values. They stay, until they are put again or concerned."""
        found: dict[str, Kept] = {}
        for tag in tags:
            place = self._places.of(hash(tag))
            if place >= 0:
                name, value = unpacked(os.pread(self._file, place & LENGTH_MAX, place >> LENGTH_BITS))
                if name == tag:  # else another tag of the same hash was put after it
                    found[tag] = value
        return found

    def concern(self, tag: str) -> None:
        """An event concerns a tag that is not remembered: what lies here of it is not all any more."""
        self._places.drop(hash(tag))

    def _reclaim(self) -> None:
        """Where most of the file was replaced, copy what was not into a new one."""
        if 2 * self._places.live_bytes < self._size:
            old, self._file, self._size = self._file, _new_file(), 0
            try:
                self._copy_from(old)
            finally:
                os.close(old)
        self._look_at_bytes = max(self._reclaim_bytes_min, 2 * self._size)

    def _copy_from(self, old: int) -> None:
        parts, waiting_bytes = list[bytes](), 0
        for slot, at, length in self._places:
            parts.append(os.pread(old, length, at))
            self._places.move(slot, self._size + waiting_bytes, length)
            waiting_bytes += length
            if waiting_bytes > _COPIED_BYTES:
                self._append(parts, waiting_bytes)
                parts, waiting_bytes = [], 0
        self._append(parts, waiting_bytes)

    def _append(self, parts: Sequence[bytes], length: int) -> None:
        _append(self._file, b"".join(parts))
        self._size += length


def _new_file() -> int:
    """A file that is gone with its descriptor; not in /tmp, which may be memory, where there is another place."""
    place = "/var/tmp" if Path("/var/tmp").is_dir() else None
    with tempfile.TemporaryFile(buffering=0, dir=place) as file:
        return os.dup(file.fileno())


def _append(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
