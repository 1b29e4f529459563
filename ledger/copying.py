"""Rows as COPY's binary format takes them: what appending writes. Pure.

The binary format of COPY (PostgreSQL manual, COPY, "Binary Format"): a header before the first row; a row is the number
of its fields in 2 bytes, then before each field its length in 4, -1 for a missing value; a row of -1 fields at the end.
An array (src/backend/utils/adt/arrayfuncs.c, array_send): its dimensions, whether any element is missing, their type;
the length and the lower bound of its dimension; before each element its length. A date is in days, an instant in
microseconds, both since 2000. `sent` reads what this writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from struct import Struct
from typing import Final

from mypy_extensions import i64, mypyc_attr

from ledger import codec

HEADER: Final = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"
TRAILER: Final = b"\xff\xff"

#: The types of an array's elements (src/include/catalog/pg_type.dat).
INT8_TYPE: Final = 20
INT4_TYPE: Final = 23
TEXT_TYPE: Final = 25
DATE_TYPE: Final = 1082

#: From PostgreSQL's epoch (2000) to Unix's, in microseconds, and to the first day of the calendar.
EPOCH_US: Final = 946_684_800_000_000
EPOCH_ORDINAL: Final = date(2000, 1, 1).toordinal()

#: How many fields a body has before it says how many tags there are.
_FIRST_FIELDS: Final = 6

_MISSING: Final = b"\xff\xff\xff\xff"
_MISSING_LENGTH: Final[i64] = 0xFFFFFFFF
_LENGTH: Final = Struct("!i")
_TYPE: Final = Struct("!I")
_BIGINT: Final = Struct("!q")
_LENGTHS: Final = [_LENGTH.pack(length) for length in range(4_096)]  # most fields are short
#: The columns of events in the order in which their rows have them.
EVENT_COLUMNS: Final = (
    *("position", "recorded_at", "effective_on", "span", "type", "principal", "key", "fingerprint", "tags"),
    *("posting_accounts", "posting_amounts", "posting_days", "data", "leaf"),
)
#: How many fields there are; position, recorded_at, effective_on, span.
_WHOLE_FIELDS: Final = Struct("!hiqiqi4sih")
_EVENT_FIELDS: Final = 14
_TWO_FIELDS: Final = b"\0\2"
_POSITION: Final = Struct("!iq")
_ACCOUNT: Final = Struct("!hii")
_ARRAY_HEAD: Final = Struct("!iiIii")
_NO_ELEMENTS: Final = Struct("!iiI")


@mypyc_attr(acyclic=True)
class Fields:
    """The fields of an event that is appended, as its body (`codec.body`) has them."""

    __slots__ = ("accounts", "body", "data", "first", "lines", "tags")

    def __init__(self, body: bytes) -> None:
        """Raises ValueError, IndexError for what is no body."""
        # No further than the fields go: whoever records bytes of their own may record any number of zeros.
        first = body.split(b"\0", _FIRST_FIELDS + 1)
        tags = first.pop().split(b"\0", int(first.pop()) + 1)
        lines = tags.pop().split(b"\0", 3 * int(tags.pop()))
        self.body: Final = body
        self.data: Final = lines.pop()
        self.first: Final = first
        self.tags: Final = tags
        #: Account, fen and day of each line.
        self.lines: Final = lines
        self.accounts: Final = lines[::3]


class Rows:
    """What appending writes, row by row, and the leaf of each event."""

    __slots__ = ("_positions", "events", "leaves")

    def __init__(self) -> None:
        self.events: Final[list[bytes]] = []
        self.leaves: Final[list[bytes]] = []
        self._positions: Final[dict[bytes, list[int]]] = {}  # by tag

    def add(self, position: int, recorded_at_us: int, event: Fields, ids: dict[bytes, int]) -> None:
        """Add an event, recorded at that instant (in microseconds since 1970). `ids` are those of accounts. Raises
        struct.error, OverflowError for what its column cannot hold."""
        leaf = codec.leaf_hash(codec.preimage(position, recorded_at_us, event.body))
        self.leaves.append(leaf)
        self.events.append(_event_row(position, recorded_at_us, event, ids, leaf))
        for tag in event.tags:
            positions = self._positions.get(tag)
            if positions is None:
                self._positions[tag] = [position]
            elif positions[-1] != position:
                positions.append(position)

    def tags(self) -> list[bytes]:
        """The rows of event_tags in the order of their index, in which PostgreSQL takes them a third faster."""
        rows: list[bytes] = []
        for tag in sorted(self._positions):
            head = _TWO_FIELDS + _field(tag)
            rows.extend([head + _POSITION.pack(8, position) for position in self._positions[tag]])
        return rows

    def tag_columns(self) -> tuple[bytes, bytes]:
        """The same as an array for each column."""
        tags: list[bytes] = []
        positions: list[bytes] = []
        for tag in sorted(self._positions):
            of_tag = self._positions[tag]
            tags.extend([tag] * len(of_tag))
            positions.extend([_BIGINT.pack(position) for position in of_tag])
        return _array(TEXT_TYPE, tags), _array(INT8_TYPE, positions)

    def event_records(self, row_type: int, columns: Sequence[tuple[int, int]]) -> bytes:
        """The rows of events as an array of their table's row type (src/backend/utils/adt/rowtypes.c, record_recv): a
        row is the number of its fields in 4 bytes, and before each field's length its type. Of each column of the
        table, in its order, the type and the place in EVENT_COLUMNS; -1: a column of somebody else's, left empty."""
        head = _LENGTH.pack(len(columns))
        types = [_TYPE.pack(kind) for kind, _ in columns]
        elements: list[bytes] = []
        for row in self.events:
            fields = _fields(row)
            parts = [head]
            for number, (_, place) in enumerate(columns):
                parts.append(types[number])
                parts.append(fields[place] if place >= 0 else _MISSING)
            elements.append(b"".join(parts))
        return _array(row_type, elements)


def _fields(row: bytes) -> list[bytes]:
    """The fields of a row, each with its length before it."""
    fields: list[bytes] = []
    at: i64 = len(_TWO_FIELDS)
    end: i64 = len(row)
    while at < end:
        start = at
        length: i64 = unsigned(row, at)
        at += 4 if length == _MISSING_LENGTH else 4 + length
        fields.append(row[start:at])
    return fields


def unsigned(sent: bytes, at: i64) -> i64:
    """The 4 bytes at a place as a number."""
    first: i64 = sent[at]
    second: i64 = sent[at + 1]
    third: i64 = sent[at + 2]
    fourth: i64 = sent[at + 3]
    return (first << 24) | (second << 16) | (third << 8) | fourth


def account_rows(ids: dict[bytes, int]) -> list[bytes]:
    """The rows of accounts: their paths, by id."""
    return [_ACCOUNT.pack(2, 4, number) + _field(path) for path, number in ids.items()]


def _event_row(
    position: int, recorded_at_us: int, event: Fields, ids: dict[bytes, int], leaf: bytes
) -> bytes:
    on, kind, principal, key, fingerprint, span = event.first
    lines = event.lines
    amounts = [int(fen).to_bytes(8, "big", signed=True) for fen in lines[1::3]]
    days = lines[2::3]
    own_days = days.count(on) != len(days)
    parts = [
        _WHOLE_FIELDS.pack(
            _EVENT_FIELDS, 8, position, 8, recorded_at_us - EPOCH_US, 4, _day(on), 2, int(span)
        ),
        _field(kind),
        _field(principal),
        _MISSING if key == b"-" else _field(key[1:]),
        _MISSING if fingerprint == b"-" else _field(bytes.fromhex(fingerprint.decode())),
        _field(_array(TEXT_TYPE, event.tags)),
        _field(_array(INT4_TYPE, [_LENGTH.pack(ids[path]) for path in event.accounts])),
        _field(_array(INT8_TYPE, amounts)),
        _field(_array(DATE_TYPE, [_day(day) for day in days])) if own_days else _MISSING,
        _field(event.data),
        _field(leaf),
    ]
    return b"".join(parts)


def _field(content: bytes) -> bytes:
    """A field, or an element of an array: its length and itself."""
    length = len(content)
    return (_LENGTHS[length] if length < len(_LENGTHS) else _LENGTH.pack(length)) + content


def _array(kind: int, elements: Sequence[bytes]) -> bytes:
    if not elements:
        return _NO_ELEMENTS.pack(0, 0, kind)
    return _ARRAY_HEAD.pack(1, 0, kind, len(elements), 1) + b"".join([_field(one) for one in elements])


@lru_cache(maxsize=65_536)
def _day(day: bytes) -> bytes:
    return _LENGTH.pack(date.fromisoformat(day.decode()).toordinal() - EPOCH_ORDINAL)
