"""Forgetting: which of the remembered tags go when they are too many. Pure.

Tags differ by how often they are named. A claim, a slip or a position is named when it is made, and again days later
if at all. Of loans and payouts there are many, and few commands name each. Parties and rounds are few, and thousands
of commands name them. Counted together, those of the first kinds would push the others out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

#: Kinds of tags that are named once; what is forgotten of them is read from the log, should it be named again.
ONCE: Final = frozenset({"claim", "slip", "position"})
MANY: Final = frozenset({"loan", "payout"})
#: How many tags of the first, the second and the other kinds are remembered.
LIMITS: Final = (4_000, 16_000, 48_000)
#: A tag of the second kinds (some 2 kB) is reckoned as so many of the others.
_WEIGHT: Final = 2


def kind_of(tag: str) -> str:
    """What stands before the colon of a tag."""
    return tag.partition(":")[0]


class Clock:
    """The tags of some kinds in a circle, and a hand that goes round it: a tag that was named since the hand last came
    by stays, another is forgotten (a second chance, nearly as good as forgetting what was named longest ago)."""

    __slots__ = ("_most", "_new", "_tags")

    def __init__(self, most: int) -> None:
        self._most = most
        self._tags: deque[str] = deque()
        self._new = 0  # so many came since the hand last moved, and are the last ones

    def came(self, tag: str) -> None:
        """A tag is remembered from now on."""
        self._tags.append(tag)
        self._new += 1

    @property
    def spare(self) -> int:
        """How many more tags may stay."""
        return max(0, self._most - len(self._tags))

    def surplus(self, named: set[str], more: int = 0) -> list[str]:
        """Tags to forget, so that at most as many stay as may, and so many `more`: none that came since the last time,
        none in `named`, out of which a tag is taken where the hand comes by."""
        tags, gone = self._tags, list[str]()
        older, self._new = len(tags) - self._new, 0
        for _ in range(older):
            if len(tags) <= self._most + more:
                break
            tag = tags.popleft()
            if tag in named:
                named.discard(tag)
                tags.append(tag)
            else:
                gone.append(tag)
        return gone


class Forgetting:
    """Which tags are remembered, and which of them were named lately."""

    __slots__ = ("_clocks", "named")

    def __init__(self, limits: Sequence[int] = LIMITS) -> None:
        self._clocks = [Clock(most) for most in limits]
        #: Tags that a command named since the hand of their clock last came by.
        self.named: set[str] = set()

    def came(self, tags: Iterable[str]) -> None:
        """Tags are remembered from now on, since a command at hand names them."""
        once, many, few = self._clocks
        for tag in tags:
            kind = kind_of(tag)
            (once if kind in ONCE else many if kind in MANY else few).came(tag)

    def surplus(self) -> tuple[list[str], list[str]]:
        """What is to be forgotten now: tags that are named once, and others. Nothing that commands named since the last
        time is. Where parties and rounds are fewer than may be, more loans and payouts stay instead."""
        once, many, few = self._clocks
        gone = few.surplus(self.named)
        return once.surplus(self.named), many.surplus(self.named, few.spare // _WEIGHT) + gone
