"""Python's search for cycles, put off while a whole log is gone through."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_search() -> Iterator[None]:
    """What is made of a log, arrays and memories, holds no cycles. Among a million memories the search for some took a
    third of the time, in a rebuild a twelfth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
