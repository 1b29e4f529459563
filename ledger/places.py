"""Places: where in a file the value of each hash lies. Pure.

Open addressing with linear probing in two arrays, of which at most two thirds are used: 16 bytes a slot, where a
dictionary would take a hundred.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

#: A place is one number: where the value begins, and in the lower bits its length.
LENGTH_BITS: Final = 24
LENGTH_MAX: Final = (1 << LENGTH_BITS) - 1
_SLOTS_AT_FIRST: Final = 1 << 16
_NOWHERE: Final = -1


class Places:
    """The places of values by hash. Of two values of one hash the last that was put has the place."""

    def __init__(self, slots: int = _SLOTS_AT_FIRST) -> None:
        """`slots` are how many there are at first: a power of two."""
        self._make(slots)
        self.live_bytes = 0

    def _make(self, slots: int) -> None:
        self._hashes, self._at = array("q", bytes(8 * slots)), array("q", bytes(8 * slots))
        self._mask, self._used = slots - 1, 0

    def _slot(self, number: int) -> int:
        """The slot of a hash, or the empty one where it belongs."""
        hashes, mask = self._hashes, self._mask
        slot = number & mask
        while (there := hashes[slot]) and there != number:
            slot = (slot + 1) & mask
        return slot

    def of(self, number: int) -> int:
        """The place of a hash, negative if it has none."""
        number = number or 1  # 0 says that a slot is empty
        slot = self._slot(number)
        return self._at[slot] if self._hashes[slot] else _NOWHERE

    def put(self, number: int, at: int, length: int) -> None:
        """The value of a hash lies there."""
        number = number or 1
        self.drop(number)
        slot = self._slot(number)
        if not self._hashes[slot]:
            if 3 * self._used >= 2 * len(self._hashes):
                self._grow()
                slot = self._slot(number)
            self._used += 1
            self._hashes[slot] = number
        self.move(slot, at, length)
        self.live_bytes += length

    def drop(self, number: int) -> None:
        """The hash has no place any more. Its slot stays, or others would not be found behind it."""
        number = number or 1
        slot = self._slot(number)
        if self._hashes[slot] and self._at[slot] >= 0:
            self.live_bytes -= self._at[slot] & LENGTH_MAX
            self._at[slot] = _NOWHERE

    def move(self, slot: int, at: int, length: int) -> None:
        """What a slot is about lies elsewhere."""
        self._at[slot] = at << LENGTH_BITS | length

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Every slot that has a place, where that is and how long."""
        for slot, place in enumerate(self._at):
            if self._hashes[slot] and place >= 0:
                yield slot, place >> LENGTH_BITS, place & LENGTH_MAX

    def _grow(self) -> None:
        hashes, places = self._hashes, self._at
        live = sum(number != 0 and place >= 0 for number, place in zip(hashes, places, strict=True))
        # As many again fit before the next time, of which most slots may be of what was dropped.
        self._make(len(hashes) * (2 if 3 * live > len(hashes) else 1))
        for number, place in zip(hashes, places, strict=True):
            if number and place >= 0:
                slot = self._slot(number)
                self._used += 1
                self._hashes[slot], self._at[slot] = number, place
