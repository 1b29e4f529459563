"""Rows as COPY's binary format reads them out: the leaf of an event, computed from its stored fields. Pure.

A second road to what `codec.preimage` says, for whoever must read the whole log: from PostgreSQL's own bytes, without
an object for each field. What is not exactly of the form in which events are written has no leaf here. Whether such a
row is an event nevertheless, the store's own reading decides.
"""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from typing import Final

from mypy_extensions import i64

from ledger.copying import (
    DATE_TYPE,
    EPOCH_ORDINAL,
    EPOCH_US,
    HEADER,
    INT4_TYPE,
    INT8_TYPE,
    TEXT_TYPE,
    TRAILER,
)

_FIELDS: Final = 14
_MISSING: Final[i64] = 0xFFFFFFFF

# An array without elements; what stands before the elements of one that has some.
_EMPTY_BYTES: Final[i64] = 12
_HEADER_BYTES: Final[i64] = 20


class NotAsWritten(ValueError):
    """A row that is not of the form in which events are written."""


def leaf_of_row(row: bytes, paths: dict[int, bytes]) -> tuple[int, int, bytes, bytes] | None:
    """The position of an event, its instant in microseconds since 2000, its leaf computed from the fields of `row`,
    and the leaf that is stored. `paths` are those of accounts, by id. None for what COPY sends besides rows.

    The fields are position, recorded_at, effective_on, span, type, principal, key, fingerprint, tags,
    posting_accounts, posting_amounts, posting_days, data, leaf. Raises NotAsWritten.
    """
    start: i64 = 0
    if row.startswith(HEADER):
        start = len(HEADER)
    if len(row) == start or row[start:] == TRAILER:
        return None
    try:
        return _leaf(_parts(row, start + 2), paths)
    except (LookupError, ValueError, OverflowError) as error:
        raise NotAsWritten(str(error)) from None


def _leaf(fields: list[bytes | None], paths: dict[int, bytes]) -> tuple[int, int, bytes, bytes]:
    if len(fields) != _FIELDS:
        raise NotAsWritten("fields are missing")
    key, fingerprint, days = fields[6], fields[7], fields[11]
    position, instant_us = _whole(fields[0], 8), _whole(fields[1], 8)
    on = _day(_whole(fields[2], 4))
    entry: list[bytes] = [
        b"\0kejin-event-1",
        str(position).encode(),
        str(instant_us + EPOCH_US).encode(),
        on,
        _present(fields[4]),
        _present(fields[5]),
        b"-" if key is None else b"=" + key,
        b"-" if fingerprint is None else _hash(fingerprint).hex().encode(),
        str(_whole(fields[3], 2)).encode(),
    ]
    _add_texts(entry, _present(fields[8]))
    _add_lines(entry, _present(fields[9]), _present(fields[10]), days, on, paths)
    entry.append(_present(fields[12]))
    return position, instant_us, sha256(b"\0".join(entry)).digest(), _hash(_present(fields[13]))


def _parts(row: bytes, start: i64) -> list[bytes | None]:
    """What stands from a place on to the end, each behind its length."""
    at: i64 = start
    end: i64 = len(row)
    found: list[bytes | None] = []
    while at < end:
        length: i64 = _unsigned(row, at)
        at += 4
        if length == _MISSING:
            found.append(None)
        else:
            found.append(row[at : at + length])
            at += length
    if at != end:
        raise NotAsWritten("a row that was cut off")
    return found


def _unsigned(field: bytes, at: i64) -> i64:
    """The 4 bytes at a place as a number."""
    first: i64 = field[at]
    second: i64 = field[at + 1]
    third: i64 = field[at + 2]
    fourth: i64 = field[at + 3]
    return (first << 24) | (second << 16) | (third << 8) | fourth


def _signed(field: bytes, at: i64, width: i64) -> i64:
    """The 4 or 8 bytes at a place as a number with a sign."""
    high: i64 = _unsigned(field, at)
    if high >= 0x80000000:
        high -= 0x100000000
    if width == 4:
        return high
    low: i64 = _unsigned(field, at + 4)
    return high * 0x100000000 + low


def _whole(field: bytes | None, width: i64) -> int:
    """The number that a field of 2, 4 or 8 bytes is."""
    if field is None or len(field) != width:
        raise NotAsWritten("a number is missing")
    if width == 2:
        high: i64 = field[0]
        low: i64 = field[1]
        return high * 256 + low - (0x10000 if high >= 0x80 else 0)
    return _signed(field, 0, width)


def _present(field: bytes | None) -> bytes:
    if field is None:
        raise NotAsWritten("a field is missing")
    return field


def _hash(field: bytes) -> bytes:
    if len(field) != 32:
        raise NotAsWritten("a hash is not of 32 bytes")
    return field


def _count(array: bytes, kind: i64) -> i64:
    """How many elements an array of one dimension and a type has; 0 if it has none."""
    dimensions: i64 = _unsigned(array, 0)
    with_missing: i64 = _unsigned(array, 4)
    if with_missing != 0 or _unsigned(array, 8) != kind:
        raise NotAsWritten("an array of another form")
    if dimensions == 0 and len(array) == _EMPTY_BYTES:
        return 0
    count: i64 = _unsigned(array, 12)
    first: i64 = _unsigned(array, 16)
    if dimensions != 1 or first != 1 or count == 0:
        raise NotAsWritten("an array of another form")
    return count


def _add_texts(entry: list[bytes], array: bytes) -> None:
    """How many texts an array has, and each of them."""
    count: i64 = _count(array, TEXT_TYPE)
    entry.append(str(count).encode())
    if count:
        texts = _parts(array, _HEADER_BYTES)
        if len(texts) != count:
            raise NotAsWritten("an array is not of its length")
        entry.extend([_present(text) for text in texts])


def _add_lines(
    entry: list[bytes],
    accounts: bytes,
    amounts: bytes,
    days: bytes | None,
    on: bytes,
    paths: dict[int, bytes],
) -> None:
    """How many lines an event has, and of each its account, its fen and its day."""
    count: i64 = _count(accounts, INT4_TYPE)
    _check_array(accounts, count, INT4_TYPE, 4)
    _check_array(amounts, count, INT8_TYPE, 8)
    if days is not None:
        _check_array(days, count, DATE_TYPE, 4)
    entry.append(str(count).encode())
    others: i64 = 0
    line: i64 = 0
    while line < count:
        own = on if days is None else _day(_signed(days, 24 + line * 8, 4))
        if own != on:
            others += 1
        entry.append(paths[_unsigned(accounts, 24 + line * 8)])
        entry.append(str(_signed(amounts, 24 + line * 12, 8)).encode())
        entry.append(own)
        line += 1
    if days is not None and others == 0:
        raise NotAsWritten("days that are all the event's own are not written")


def _check_array(array: bytes, count: i64, kind: i64, width: i64) -> None:
    """That an array has so many elements of a type, each of so many bytes."""
    if _count(array, kind) != count or (count and len(array) != _HEADER_BYTES + count * (4 + width)):
        raise NotAsWritten("arrays of different lengths")
    at: i64 = _HEADER_BYTES
    end: i64 = len(array)
    while at < end:
        if _unsigned(array, at) != width:
            raise NotAsWritten("an element is missing")
        at += 4 + width


_DAYS: Final[dict[int, bytes]] = {}


def _day(number: int) -> bytes:
    """An ISO date from the number of days since 2000-01-01. Raises ValueError, OverflowError: beyond the calendar."""
    day = _DAYS.get(number)
    if day is None:
        day = _DAYS[number] = date.fromordinal(EPOCH_ORDINAL + number).isoformat().encode()
    return day
