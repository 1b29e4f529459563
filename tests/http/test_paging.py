"""Lists that are read whole, page by page: read once while somebody goes through one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from api.service.paging import Cursor
from api.service.reads import whole
from ledger.store import Store
from projections.clocks import AsOf

NO_STORE = cast("Store", None)


class Reading:
    """A list of numbers that says how often it was read."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, store: Store, as_of: AsOf, given: Mapping[str, Any]) -> Sequence[Any]:
        self.times += 1
        return range(as_of.known_position, as_of.known_position + given.get("length", 5))


def test_a_list_is_read_once_for_all_its_pages() -> None:
    """Page after page at one position; once its end was given it is not kept."""
    reading = Reading()
    pages, as_of, rows = whole(reading), AsOf(None, 7), list[int]()
    after: int | str | None = 0
    while isinstance(after, int):
        cursor = Cursor("", {}, 7, after) if after else None
        page, after = pages(NO_STORE, as_of, {}, cursor, 2)
        rows += page
    assert (rows, reading.times) == ([7, 8, 9, 10, 11], 1)
    assert pages(NO_STORE, as_of, {}, None, 9)[0] == range(7, 12)
    assert reading.times == 2


def test_a_list_that_was_kept_answers_no_other_question() -> None:
    """Of another position, day or filter than the list that was begun."""
    pages = whole(Reading())
    begun, on = AsOf(None, 7), AsOf("2024-01-01", 7)
    assert pages(NO_STORE, begun, {}, None, 2)[0] == range(7, 9)
    assert pages(NO_STORE, AsOf(None, 8), {}, None, 2)[0] == range(8, 10)
    assert pages(NO_STORE, begun, {"length": 1}, None, 2) == (range(7, 8), None)
    assert pages(NO_STORE, begun, {}, Cursor("", {}, 7, 2), 2)[0] == range(9, 11)
    assert pages(NO_STORE, on, {"length": 3}, Cursor("", {}, 7, 2), 2)[0] == range(9, 10)
