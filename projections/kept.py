"""Extracts of pages that were read before, for who reads many balances: no page is fetched and taken apart twice.

A page says the same of a position for ever, once a projection reached it, and so does that of another generation: what
is kept is never wrong.
"""

from __future__ import annotations

import threading
from bisect import bisect_right, insort
from operator import itemgetter
from typing import Final

from projections.pages import LINES_MAX, Extract, Page

#: From which position up to which an extract is the one that answers.
_Kept = tuple[int, int, Extract]

#: What an extract takes besides its columns.
_OBJECT_BYTES: Final = 1_000
_FIRST: Final = itemgetter(0)


class KeptExtracts:
    """Extracts by the path of the account, or of the subtree with a folio of its own. When they are too many all are
    let go: simple, and seldom. For many threads."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._guard = threading.Lock()
        self._kept: dict[str, list[_Kept]] = {}
        self._size_bytes = 0

    def find(self, path: str, position: int) -> Extract | None:
        """The extract that answers at a position, if it is kept."""
        with self._guard:
            extracts = self._kept.get(path)
            if extracts is None:
                return None
            at = bisect_right(extracts, position, key=_FIRST)
            if at == 0 or extracts[at - 1][1] < position:
                return None
            return extracts[at - 1][2]

    def keep(self, path: str, page: Page, extract: Extract, reached: int) -> None:
        """Keep the extract of a page that was read when the projection reached a position (or later)."""
        positions = page.lines["position"]
        first, until = int(positions[0]), reached
        if len(page.lines) >= LINES_MAX:
            # The lines of an event may go on in the next page: what is known at it, that one says.
            until = int(positions[-1]) - 1
        if until < first:
            return
        with self._guard:
            if self._size_bytes + _size_bytes(extract) > self._bytes_max:
                self._kept.clear()
                self._size_bytes = 0
            extracts = self._kept.setdefault(path, [])
            at = bisect_right(extracts, first, key=_FIRST)
            if at and extracts[at - 1][0] == first:
                self._size_bytes -= _size_bytes(extracts.pop(at - 1)[2])
            insort(extracts, (first, until, extract), key=_FIRST)
            self._size_bytes += _size_bytes(extract)


def _size_bytes(extract: Extract) -> int:
    return extract.size_bytes + _OBJECT_BYTES
