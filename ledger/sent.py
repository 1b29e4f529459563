"""Rows as PostgreSQL's COPY sends them: the leaves of events, computed from their stored fields. Pure.

A second road to what `codec.preimage` says, for whoever must read the whole log: from PostgreSQL's own bytes, many rows
in one piece, without an object for each field. What is not exactly of the form in which events are written has no leaf
here. Whether such a row is an event nevertheless, the store's own reading decides. The form of rows, arrays, dates and
instants: see `copying`.
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
    unsigned,
)

#: The fields of a row: position, recorded_at, effective_on, span, type, principal, key, fingerprint, tags,
#: posting_accounts, posting_amounts, posting_days, data, leaf.
_FIELDS: Final[i64] = 14
_MISSING: Final[i64] = 0xFFFFFFFF

#: Where the first four fields of a row, all of a fixed width, stand in it, and where they end.
_POSITION_AT: Final[i64] = 6
_INSTANT_AT: Final[i64] = 18
_DAY_AT: Final[i64] = 30
_SPAN_AT: Final[i64] = 38
_FIXED_BYTES: Final[i64] = 40

#: An array without elements; what stands before the elements of one that has some; a hash.
_EMPTY_BYTES: Final[i64] = 12
_HEADER_BYTES: Final[i64] = 20
_HASH_BYTES: Final[i64] = 32


class NotAsWritten(ValueError):
    """Bytes that are no rows, or a row that is not of the form in which events are written."""


class Leaves:
    """The events at adjacent positions, `count` after the position `after`: of each that stands once and is what its
    leaf says the leaf in `leaves` (else nothing is there) and the instant (microseconds since 2000) in `instants`."""

    __slots__ = ("_after", "_seen", "instants", "leaves")

    def __init__(self, after: int, count: int) -> None:
        self._after: i64 = after
        self._seen: list[bool] = [False] * count
        self.leaves: list[bytes] = [b""] * count
        self.instants: list[int] = [0] * count

    def take(self, sent: bytes, paths: list[bytes]) -> None:
        """Some of what COPY sends: whole rows, the header before the first one, the trailer after the last. `paths` are
        those of accounts, each at the place that is its id. Raises NotAsWritten for what is no rows."""
        at: i64 = len(HEADER) if sent.startswith(HEADER) else 0
        end: i64 = len(sent)
        while at < end and not (at + 2 == end and sent[at:] == TRAILER):
            at = self._take_row(sent, at, paths)

    def _take_row(self, sent: bytes, row: i64, paths: list[bytes]) -> i64:
        """Take the row that begins at a place; where it ends."""
        number: i64 = _position(sent, row) - self._after - 1
        if not 0 <= number < len(self._seen):
            return _end_of_row(sent, row)
        if self._seen[number]:
            self.leaves[number] = b""
            return _end_of_row(sent, row)
        self._seen[number] = True
        entry: list[bytes] = []
        try:
            at = _add_fields(sent, row, paths, entry)
        except (LookupError, ValueError, OverflowError):
            return _end_of_row(sent, row)
        leaf = sha256(b"\0".join(entry)).digest()
        if sent[at + 4 : at + 4 + _HASH_BYTES] != leaf:
            return _end_of_row(sent, row)
        self.leaves[number] = leaf
        self.instants[number] = _signed(sent, row + _INSTANT_AT, 8)
        return at + 4 + _HASH_BYTES

    def are_sound(self, last_us: int) -> bool:
        """Whether all have a leaf, and the time never goes back, nor before `last_us`."""
        for number, instant in enumerate(self.instants):
            if instant < last_us or not self.leaves[number]:
                return False
            last_us = instant
        return True


def _end_of_row(sent: bytes, start: i64) -> i64:
    """Where the row that begins at a place ends."""
    end: i64 = len(sent)
    if start + 2 > end or _span(sent, start) != _FIELDS:
        raise NotAsWritten("fields are missing")
    at: i64 = start + 2
    fields: i64 = _FIELDS
    while fields > 0:
        if at + 4 > end:
            raise NotAsWritten("a row that was cut off")
        at = _end_of_field(sent, at)
        fields -= 1
    if at > end:
        raise NotAsWritten("a row that was cut off")
    return at


def _position(sent: bytes, row: i64) -> i64:
    """What the row that begins at a place has as its position; -1 if it has none. Raises NotAsWritten."""
    if row + _FIXED_BYTES > len(sent) or _span(sent, row) != _FIELDS:
        raise NotAsWritten("fields are missing")
    return _signed(sent, row + _POSITION_AT, 8) if unsigned(sent, row + _POSITION_AT - 4) == 8 else -1


def _add_fields(sent: bytes, row: i64, paths: list[bytes], entry: list[bytes]) -> i64:
    """What the leaf of a row covers, in parts; where its last field, the leaf, begins. Raises NotAsWritten,
    IndexError for an unknown account."""
    if (
        unsigned(sent, row + _INSTANT_AT - 4) != 8
        or unsigned(sent, row + _DAY_AT - 4) != 4
        or unsigned(sent, row + _SPAN_AT - 4) != 2
    ):
        raise NotAsWritten("a number is missing")
    on = _day(_signed(sent, row + _DAY_AT, 4))
    entry.append(b"\0kejin-event-1")
    entry.append(str(_signed(sent, row + _POSITION_AT, 8)).encode())
    entry.append(str(_signed(sent, row + _INSTANT_AT, 8) + EPOCH_US).encode())
    entry.append(on)
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
    if unsigned(sent, at) != _HASH_BYTES:
        raise NotAsWritten("a leaf is not of 32 bytes")
    return at


def _field(sent: bytes, field: i64) -> bytes | None:
    """What a field holds."""
    if unsigned(sent, field) == _MISSING:
        return None
    return sent[field + 4 : _end_of_field(sent, field)]


def _end_of_field(sent: bytes, field: i64) -> i64:
    """Where the next one begins."""
    length: i64 = unsigned(sent, field)
    return field + 4 if length == _MISSING else field + 4 + length


def _add_text(sent: bytes, field: i64, entry: list[bytes]) -> i64:
    """A field as it is; where the next one begins."""
    end: i64 = field + 4 + _present(sent, field)
    entry.append(sent[field + 4 : end])
    return end


def _add_tags(sent: bytes, field: i64, entry: list[bytes]) -> i64:
    """How many texts an array has, and each of them."""
    end: i64 = field + 4 + _present(sent, field)
    count: i64 = _count(sent, field, TEXT_TYPE)
    entry.append(_number(count))
    if count == 0:
        return end
    at: i64 = field + 4 + _HEADER_BYTES
    while count > 0 and at < end:
        length: i64 = unsigned(sent, at)
        if length == _MISSING or at + 4 + length > end:
            raise NotAsWritten("an element is missing")
        entry.append(sent[at + 4 : at + 4 + length])
        at += 4 + length
        count -= 1
    if at != end or count != 0:
        raise NotAsWritten("an array is not of its length")
    return end


def _add_lines(sent: bytes, field: i64, on: bytes, paths: list[bytes], entry: list[bytes]) -> i64:
    """How many lines an event has, and of each its account, its fen and its day; where the field after them begins."""
    count: i64 = _count(sent, field, INT4_TYPE)
    amounts: i64 = _end_of_array(sent, field, count, INT4_TYPE, 4)
    days: i64 = _end_of_array(sent, amounts, count, INT8_TYPE, 8)
    end: i64 = days + 4
    own_days: bool = unsigned(sent, days) != _MISSING
    if own_days:
        end = _end_of_array(sent, days, count, DATE_TYPE, 4)
    entry.append(_number(count))
    account_at: i64 = field + 4 + _HEADER_BYTES + 4
    amount_at: i64 = amounts + 4 + _HEADER_BYTES + 4
    day_at: i64 = days + 4 + _HEADER_BYTES + 4
    others: i64 = 0
    while count > 0:
        day = on
        if own_days:
            day = _day(_signed(sent, day_at, 4))
            if day != on:
                others += 1
        entry.append(paths[unsigned(sent, account_at)])
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
    dimensions: i64 = unsigned(sent, field + 4)
    if length < _EMPTY_BYTES or unsigned(sent, field + 8) != 0 or unsigned(sent, field + 12) != kind:
        raise NotAsWritten("an array of another form")
    if dimensions == 0 and length == _EMPTY_BYTES:
        return 0
    count: i64 = unsigned(sent, field + 16)
    if dimensions != 1 or length < _HEADER_BYTES or unsigned(sent, field + 20) != 1 or count == 0:
        raise NotAsWritten("an array of another form")
    return count


def _end_of_array(sent: bytes, field: i64, count: i64, kind: i64, width: i64) -> i64:
    """Where the field after an array begins that has so many elements of a type, each of so many bytes."""
    end: i64 = field + 4 + _present(sent, field)
    if _count(sent, field, kind) != count:
        raise NotAsWritten("arrays of different lengths")
    if count == 0:
        return end
    at: i64 = field + 4 + _HEADER_BYTES
    if end != at + count * (4 + width):
        raise NotAsWritten("an array is not of its length")
    while at < end:
        if unsigned(sent, at) != width:
            raise NotAsWritten("an element is missing")
        at += 4 + width
    return end


def _present(sent: bytes, field: i64) -> i64:
    """The length of a field that may not be missing."""
    length: i64 = unsigned(sent, field)
    if length == _MISSING:
        raise NotAsWritten("a field is missing")
    return length


def _signed(sent: bytes, at: i64, width: i64) -> i64:
    """The 4 or 8 bytes at a place as a number with a sign."""
    high: i64 = unsigned(sent, at)
    if high >= 0x80000000:
        high -= 0x100000000
    if width == 4:
        return high
    low: i64 = unsigned(sent, at + 4)
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
