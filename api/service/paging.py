"""Pages of lists: an opaque cursor that pins the filters, the position that was known, and how far the reader is."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from api.service.operations import Parameter
from api.service.problems import HttpProblem
from ledger.accounts import ID_CHARACTERS

#: The names of rows are ids, joined.
_NAME: Final = re.compile(f"[{ID_CHARACTERS}+/]{{0,1000}}")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page of the list at an address begins: after `after` (a position, or how many rows were given) or,
    in a list too long to be read whole, after the row of a name; as known at `known_position`, for the same filters.
    `known_at` is what the first page was asked for, as it is echoed."""

    of: str
    filters: Mapping[str, Any]
    known_position: int
    after: int
    known_at: str | None = None
    after_name: str = ""

    def text(self) -> str:
        """The cursor as a client gets it."""
        pins = [self.of, self.filters, self.known_position, self.after, self.known_at, self.after_name]
        raw = orjson.dumps(pins, option=orjson.OPT_SORT_KEYS)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_cursor(text: str, of: str, filters: Sequence[Parameter], parameters: Mapping[str, Any]) -> Cursor:
    """The cursor of a request to the list at an address. Its filters hold; those that the request repeats must be the
    same.

    `filters` are the parameters that the list pins, `parameters` what the request gave. Raises HttpProblem.
    """
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if text.isascii() else b""
        made_by, pinned, known_position, after, known_at, after_name = orjson.loads(raw)
        right = (
            made_by == of
            and type(pinned) is dict
            and pinned.keys() == {filter_.name for filter_ in filters}
            and all(_could_be(filter_, pinned[filter_.name]) for filter_ in filters)
            and type(known_position) is int
            and 0 <= known_position < 2**53
            and type(after) is int
            and 0 <= after < 2**53
            and type(after_name) is str
            and _NAME.fullmatch(after_name) is not None
            and _could_be_echoed(known_at)
        )
    except (ValueError, TypeError, binascii.Error):
        right = False
    if not right:
        raise _unusable("the cursor was not made by this list", "该游标不是此列表生成的")
    for name in pinned:
        if parameters[name] is not None and parameters[name] != pinned[name]:
            raise _unusable(
                f"the cursor pins {name}; leave it out or give the same",
                f"游标已固定 {name}；请省略或保持一致",
            )
    if parameters.get("known_position") not in (None, known_position):
        raise _unusable("the cursor pins known_position", "游标已固定 known_position")
    if parameters.get("known_at") is not None and shown_instant(parameters["known_at"]) != known_at:
        raise _unusable(
            "the cursor pins known_at; leave it out or give the same",
            "游标已固定 known_at；请省略或保持一致",
        )
    return Cursor(of, pinned, known_position, after, known_at, after_name)


def _could_be_echoed(known_at: Any) -> bool:
    """Whether an instant is one as it is echoed. Raises ValueError."""
    return known_at is None or (
        type(known_at) is str and shown_instant(datetime.fromisoformat(known_at)) == known_at
    )


def _could_be(filter_: Parameter, pinned: Any) -> bool:
    """Whether a pinned value is one that the parameter takes: anybody can write a cursor. Raises ValueError."""
    return pinned is None or (type(pinned) in (str, int) and filter_.read(str(pinned)) == pinned)


def _unusable(en: str, zh: str) -> HttpProblem:
    return HttpProblem("invalid_cursor", en, zh)


def shown_instant(instant: datetime | None) -> str | None:
    """An instant as it is echoed."""
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def cut(rows: Sequence[Any], after: int, limit: int) -> tuple[Sequence[Any], int | None]:
    """The rows of a page of a whole list, and how many were given after it; None at the end."""
    page = rows[after : after + limit]
    given = after + len(page)
    return page, (given if given < len(rows) else None)
