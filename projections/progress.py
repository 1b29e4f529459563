"""How far a long work is: told now and then to whoever started it."""

from __future__ import annotations

from collections.abc import Callable

#: What is worked on, how much of it is done, of how much.
Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, of: int) -> None:
    """Nobody looks."""
