"""The zip of a pack: exactly one file for given entries, so that every byte of it counts. Pure."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

_UTF8_NAMES = 0x800
_FIRST_DAY = 0x21  # 1980-01-01, the zero of the format's dates
_PLAIN_FILE = 0o100644 << 16


def archive(entries: Mapping[str, bytes]) -> bytes:
    """A zip file (APPNOTE 4.3) of entries in order: stored, no dates, no extra fields, no comments.

    Raises struct.error beyond 4 GiB or 65,535 entries.
    """
    body, directory, offset = [], [], 0
    for name, data in entries.items():
        title, length = name.encode(), len(data)
        shared = struct.pack(
            "<HHHHHIIIHH", 20, _UTF8_NAMES, 0, 0, _FIRST_DAY, zlib.crc32(data), length, length, len(title), 0
        )
        body.append(b"PK\x03\x04" + shared + title + data)
        attributes = struct.pack("<HHHII", 0, 0, 0, _PLAIN_FILE, offset)
        directory.append(b"PK\x01\x02\x14\x03" + shared + attributes + title)
        offset += len(body[-1])
    central, count = b"".join(directory), len(directory)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(central), offset, 0)
    return b"".join(body) + central + end
