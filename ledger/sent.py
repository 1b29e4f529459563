"""Rows as PostgreSQL sends them: the leaf of an event, computed from its stored fields. Pure.

A second road to what `codec.preimage` says, for whoever must read the whole log: from PostgreSQL's own bytes, many rows
in one value, without an object for each field. What is not exactly of the form in which events are written has no leaf
here. Whether such a row is an event nevertheless, the store's own reading decides.

A row (src/backend/utils/adt/rowtypes.c, record_send) is the number of its fields in 4 bytes, then before each field its
type and its length in 4 bytes each, the length -1 for a missing value. Arrays, dates and instants: see `copying`.
"""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from typing import Final

from mypy_extensions import i64

from ledger.copying import DATE_TYPE, EPOCH_ORDINAL, EPOCH_US, INT4_TYPE, INT8_TYPE, TEXT_TYPE

#: The types of a row's fields (src/include/catalog/pg_type.dat): besides those of elements timestamptz, smallint, bytea
#: and arrays of text, integer, bigint and date.
_TYPES: Final = (
    *(INT8_TYPE, 1184, DATE_TYPE, 21, TEXT_TYPE, TEXT_TYPE, TEXT_TYPE, 17),
    *(1009, 1007, 1016, 1182, 17, 17),
)
_MISSING: Final[i64] = 0xFFFFFFFF

#: Where the first four fields of a row, all of a fixed width, stand in it, and where they end.
_POSITION_AT: Final[i64] = 12
_INSTANT_AT: Final[i64] = 28
_DAY_AT: Final[i64] = 44
_SPAN_AT: Final[i64] = 56
_FIXED_BYTES: Final[i64] = 58

#: An array without elements; what stands before the elements of one that has some; a hash.
_EMPTY_BYTES: Final[i64] = 12
_HEADER_BYTES: Final[i64] = 20
_HASH_BYTES: Final[i64] = 32


class NotAsWritten(ValueError):
    """Bytes that are no rows, or a row that is not of the form in which events are written."""


def leaves_of(sent: bytes, paths: dict[int, bytes], events: dict[int, tuple[int, bytes]]) -> int:
    """How many rows there are. Of each that is what its leaf says, the instant (microseconds since 2000) and the leaf
    go into `events`, by position. `paths` are those of accounts, by id.

    The fields of a row are position, recorded_at, effective_on, span, type, principal, key, fingerprint, tags,
    posting_accounts, posting_amounts, posting_days, data, leaf. Raises NotAsWritten where `sent` is no rows.
    """
    rows: i64 = 0
    at: i64 = 0
    end: i64 = len(sent)
    while at < end:
        next_at: i64 = _end_of_row(sent, at)
        rows += 1
        try:
            leaf = _leaf(sent, at, paths)
        except (LookupError, ValueError, OverflowError):
            leaf = b""
        if sent[next_at - _HASH_BYTES : next_at] == leaf:
            events[_signed(sent, at + _POSITION_AT, 8)] = _signed(sent, at + _INSTANT_AT, 8), leaf
        at = next_at
    return rows


def _end_of_row(sent: bytes, start: i64) -> i64:
    """Where the row that begins at a place ends."""
    end: i64 = len(sent)
    if start + 4 > end or _unsigned(sent, start) != len(_TYPES):
        raise NotAsWritten("fields are missing")
    at: i64 = start + 4
    for kind in _TYPES:
        if at + 8 > end or _unsigned(sent, at) != kind:
            raise NotAsWritten("a row that was cut off, or a field of another type")
        at = _end_of_field(sent, at)
    if at > end:
        raise NotAsWritten("a row that was cut off")
    return at


def _leaf(sent: bytes, row: i64, paths: dict[int, bytes]) -> bytes:
    """The leaf of the fields of a row. Raises NotAsWritten, KeyError for an unknown account."""
    if (
        _unsigned(sent, row + _POSITION_AT - 4) != 8
        or _unsigned(sent, row + _INSTANT_AT - 4) != 8
        or _unsigned(sent, row + _DAY_AT - 4) != 4
        or _unsigned(sent, row + _SPAN_AT - 4) != 2
    ):
        raise NotAsWritten("a number is missing")
    on = _day(_signed(sent, row + _DAY_AT, 4))
    entry: list[bytes] = [
        b"\0kejin-event-1",
        str(_signed(sent, row + _POSITION_AT, 8)).encode(),
        str(_signed(sent, row + _INSTANT_AT, 8) + EPOCH_US).encode(),
        on,
    ]
    at: i64 = row + _FIXED_BYTES
    at = _add_text(sent, at, entry)  # type
    at = _add_text(sent, at, entry)  # principal
    key = _field(sent, at)
    entry.append(b"-" if key is None else b"=" + key)
    at = _end_of_field(sent, at)
    fingerprint = _field(sent, at)
    if fingerprint is not None and len(fingerprint) != _HASH_BYTES:
        raise NotAsWritten("a fingerprint is not of 32 bytes")
    entry.append(b"-" if fingerprint is None else fingerprint.hex().encode())
    at = _end_of_field(sent, at)
    entry.append(str(_span(sent, row + _SPAN_AT)).encode())
    at = _add_tags(sent, at, entry)
    at = _add_lines(sent, at, on, paths, entry)
    at = _add_text(sent, at, entry)  # data
    if _unsigned(sent, at + 4) != _HASH_BYTES:
        raise NotAsWritten("a leaf is not of 32 bytes")
    return sha256(b"\0".join(entry)).digest()


def _field(sent: bytes, field: i64) -> bytes | None:
    """What a field holds."""
    if _unsigned(sent, field + 4) == _MISSING:
        return None
    return sent[field + 8 : _end_of_field(sent, field)]


def _end_of_field(sent: bytes, field: i64) -> i64:
    """Where the next one begins."""
    length: i64 = _unsigned(sent, field + 4)
    return field + 8 if length == _MISSING else field + 8 + length


def _add_text(sent: bytes, field: i64, entry: list[bytes]) -> i64:
    """A field as it is; where the next one begins."""
    end: i64 = field + 8 + _present(sent, field)
    entry.append(sent[field + 8 : end])
    return end


def _add_tags(sent: bytes, field: i64, entry: list[bytes]) -> i64:
    """How many texts an array has, and each of them."""
    end: i64 = field + 8 + _present(sent, field)
    count: i64 = _count(sent, field, TEXT_TYPE)
    entry.append(_number(count))
    if count == 0:
        return end
    at: i64 = field + 8 + _HEADER_BYTES
    while count > 0 and at < end:
        length: i64 = _unsigned(sent, at)
        if length == _MISSING or at + 4 + length > end:
            raise NotAsWritten("an element is missing")
        entry.append(sent[at + 4 : at + 4 + length])
        at += 4 + length
        count -= 1
    if at != end or count != 0:
        raise NotAsWritten("an array is not of its length")
    return end


def _add_lines(sent: bytes, field: i64, on: bytes, paths: dict[int, bytes], entry: list[bytes]) -> i64:
    """How many lines an event has, and of each its account, its fen and its day; where the field after them begins."""
    count: i64 = _count(sent, field, INT4_TYPE)
    amounts: i64 = _end_of_array(sent, field, count, INT4_TYPE, 4)
    days: i64 = _end_of_array(sent, amounts, count, INT8_TYPE, 8)
    end: i64 = days + 8
    own_days: bool = _unsigned(sent, days + 4) != _MISSING
    if own_days:
        end = _end_of_array(sent, days, count, DATE_TYPE, 4)
    entry.append(_number(count))
    account_at: i64 = field + 8 + _HEADER_BYTES + 4
    amount_at: i64 = amounts + 8 + _HEADER_BYTES + 4
    day_at: i64 = days + 8 + _HEADER_BYTES + 4
    others: i64 = 0
    while count > 0:
        day = on
        if own_days:
            day = _day(_signed(sent, day_at, 4))
            if day != on:
                others += 1
        entry.append(paths[_unsigned(sent, account_at)])
        entry.append(str(_signed(sent, amount_at, 8)).encode())
        entry.append(day)
        account_at += 8
        amount_at += 12
        day_at += 8
        count -= 1
    if own_days and others == 0:
        raise NotAsWritten("days that are all the event's own are not written")
    return end


def _count(sent: bytes, field: i64, kind: i64) -> i64:
    """How many elements an array of one dimension and a type has; 0 if it has none."""
    length: i64 = _present(sent, field)
    dimensions: i64 = _unsigned(sent, field + 8)
    if length < _EMPTY_BYTES or _unsigned(sent, field + 12) != 0 or _unsigned(sent, field + 16) != kind:
        raise NotAsWritten("an array of another form")
    if dimensions == 0 and length == _EMPTY_BYTES:
        return 0
    count: i64 = _unsigned(sent, field + 20)
    if dimensions != 1 or length < _HEADER_BYTES or _unsigned(sent, field + 24) != 1 or count == 0:
        raise NotAsWritten("an array of another form")
    return count


def _end_of_array(sent: bytes, field: i64, count: i64, kind: i64, width: i64) -> i64:
    """Where the field after an array begins that has so many elements of a type, each of so many bytes."""
    end: i64 = field + 8 + _present(sent, field)
    if _count(sent, field, kind) != count:
        raise NotAsWritten("arrays of different lengths")
    if count == 0:
        return end
    at: i64 = field + 8 + _HEADER_BYTES
    if end != at + count * (4 + width):
        raise NotAsWritten("an array is not of its length")
    while at < end:
        if _unsigned(sent, at) != width:
            raise NotAsWritten("an element is missing")
        at += 4 + width
    return end


def _present(sent: bytes, field: i64) -> i64:
    """The length of a field that may not be missing."""
    length: i64 = _unsigned(sent, field + 4)
    if length == _MISSING:
        raise NotAsWritten("a field is missing")
    return length


def _unsigned(sent: bytes, at: i64) -> i64:
    """The 4 bytes at a place as a number."""
    first: i64 = sent[at]
    second: i64 = sent[at + 1]
    third: i64 = sent[at + 2]
    fourth: i64 = sent[at + 3]
    return (first << 24) | (second << 16) | (third << 8) | fourth


def _signed(sent: bytes, at: i64, width: i64) -> i64:
    """The 4 or 8 bytes at a place as a number with a sign."""
    high: i64 = _unsigned(sent, at)
    if high >= 0x80000000:
        high -= 0x100000000
    if width == 4:
        return high
    low: i64 = _unsigned(sent, at + 4)
    return high * 0x100000000 + low


def _span(sent: bytes, at: i64) -> i64:
    """The 2 bytes at a place as a number with a sign."""
    high: i64 = sent[at]
    low: i64 = sent[at + 1]
    return high * 256 + low - (0x10000 if high >= 0x80 else 0)


_NUMBERS: Final = [str(number).encode() for number in range(64)]


def _number(count: i64) -> bytes:
    return _NUMBERS[count] if count < 64 else str(count).encode()


_DAYS: Final[dict[int, bytes]] = {}


def _day(number: int) -> bytes:
    """An ISO date from the number of days since 2000-01-01. Raises ValueError, OverflowError: beyond the calendar."""
    day = _DAYS.get(number)
    if day is None:
        day = _DAYS[number] = date.fromordinal(EPOCH_ORDINAL + number).isoformat().encode()
    return day
