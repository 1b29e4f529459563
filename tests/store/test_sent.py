"""Rows as PostgreSQL sends them give the leaves that the store's own reading gives, and nothing else gives any."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from ledger import codec, sent
from ledger.copying import HEADER, TRAILER, Fields
from ledger.events import Posting
from ledger.pending import PendingEvent
from ledger.store import Store
from projections.verification import leaves
from tests.support import fresh_database

Rows = tuple[Store, list[bytes], list[bytes]]

#: Texts that a form with separators or quotes would trip over.
TEXTS = (
    "a",
    "中文",
    "{,}",
    '"',
    "\\",
    "NULL",
    "-",
    "=",
    " ",
    "\x01\x02\x7f",
    "tab\t",
    "line\n",
    "x" * 300,
    "😀",
)
DAYS = ("0001-01-01", "1999-12-31", "2000-01-01", "2024-02-29", "9999-12-31")
FENS = (1, -1, 255, 2**31, -(2**31) - 1, 2**53 - 1, 2**63 - 1, -(2**63))


def some_event(random: Random, number: int) -> PendingEvent:
    """An event of the recorder's or of a command's form, with anything in it that the columns hold."""

    def some(choices: tuple[str, ...], least: int = 0) -> tuple[str, ...]:
        return tuple(random.choice(choices) for _ in range(random.randint(least, 5)))

    on = random.choice(DAYS)
    own_days = random.random() < 0.5
    postings = tuple(
        Posting(f"quota/{text}", random.choice(FENS), on if own_days else random.choice(DAYS))
        for text in some(TEXTS)
    )
    with_key = random.random() < 0.7
    return PendingEvent(
        "".join(some(TEXTS, 1)),
        on,
        some(TEXTS),
        random.choice((b"{}", b"", b'{"a":"\\n"}', bytes(range(256)))),
        postings,
        f"{number} {random.choice(TEXTS)}" if with_key else None,
        random.randbytes(32) if with_key else None,
        random.choice((0, 0, 1, 2, 32_767)) if with_key else 0,
        random.choice(TEXTS),
    )


@pytest.fixture
def rows(any_server: str) -> Iterator[Rows]:
    """A log of such events, each of its rows as PostgreSQL sends it, the paths of its accounts."""
    random = Random(7)
    with fresh_database(any_server, empty=True) as address, Store.open(address) as store:
        with store.turn() as turn:
            turn.append([some_event(random, number) for number in range(300)], "tester")
        with store.connection.cursor() as cursor, cursor.copy(leaves._QUERIES["copy_rows"], (0, 300)) as copy:
            *found, trailer = map(bytes, copy)
        assert found[0].startswith(HEADER)
        assert trailer == TRAILER
        yield store, [found[0].removeprefix(HEADER), *found[1:]], leaves._paths(store)


def test_they_give_the_leaves_of_the_stores_own_reading(rows: Rows) -> None:
    """Whatever text, number, day or byte an event holds: two roads, one leaf, which is the stored one."""
    store, each, paths = rows
    found = sent.Leaves(0, 300)
    found.take(HEADER + b"".join(each) + TRAILER, paths)
    events = list(store.stored_events(0, 300))
    assert [event.position for event in events] == list(range(1, 301))
    for leaf, of_store in zip(found.leaves, events, strict=True):
        assert leaf == of_store.leaf == codec.leaf_hash(codec.entry_of(of_store))
    assert found.are_sound(found.instants[0])
    assert not found.are_sound(found.instants[0] + 1)


def test_a_position_that_stands_twice_has_no_leaf(rows: Rows) -> None:
    """Nor has one that is not there; the others of the range have theirs, and rows of others say nothing."""
    _, each, paths = rows
    found = sent.Leaves(10, 5)
    found.take(b"".join([each[9], *each[10:13], each[11], each[14], each[15]]), paths)
    assert [bool(leaf) for leaf in found.leaves] == [True, False, True, False, True]
    assert not found.are_sound(0)


@pytest.mark.parametrize("field", ["type", "tags", "key", "principal", "postings"])
def test_no_field_can_hold_what_parts_the_fields(field: str, rows: Rows) -> None:
    """An event with U+0000 in a text is refused before anything is written: it would stand for other fields."""
    store, _, _ = rows
    changed: dict[str, Any] = {
        "type": "a\0b",
        "tags": ("a\0b",),
        "key": "a\0b",
        "principal": "a\0b",
        "postings": (Posting("quota/a\0b", 1, "2024-01-01"),),
    }
    event = PendingEvent("a", "2024-01-01", (), b"{}").replaced(**{field: changed[field]})
    with pytest.raises(ValueError, match=r"U\+0000"), store.turn() as turn:
        turn.append([event], "tester")
    assert store.head().position == 300


def test_zeros_take_no_more_room_than_other_bytes() -> None:
    """Whoever records bytes of their own may record any number of zeros, though zeros part the fields of an event."""
    zeros = bytes(2**22)
    tracemalloc.start()
    fields = Fields(PendingEvent("a", "2024-01-01", ("t",), zeros, span=0).body("tester"))
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fields.data == zeros
    assert most_bytes < 10 * len(zeros)


def test_a_row_with_another_byte_is_no_event(rows: Rows) -> None:
    """Of a row that is changed, cut or lengthened anywhere no leaf is the stored one, the rows beside it keep theirs,
    and nothing but NotAsWritten is raised."""
    _, each, paths = rows
    random = Random(8)
    accepted, hidden = [], []
    for number, row in enumerate(each[1:-1], start=2):
        for _ in range(40):
            at, kind = random.randrange(len(row)), random.randrange(3)
            inside = row[:at] + bytes([row[at] ^ 1 << random.randrange(8)]) + row[at + 1 :]
            changed = (inside, row[:at], row[:at] + random.randbytes(4) + row[at:])[kind]
            found = sent.Leaves(0, 300)
            try:
                found.take(each[0] + changed + each[-1], paths)
            except sent.NotAsWritten:
                continue
            if found.leaves[number - 1]:
                accepted.append((at, kind, row, changed))
            if not found.leaves[0]:
                hidden.append((at, kind, row, changed))
    assert not accepted
    assert not hidden
