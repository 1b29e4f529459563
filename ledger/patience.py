"""Waiting for others: once it takes long, a person is told who is waited for. Nobody gives up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

#: So long somebody may wait without a word.
PATIENCE_SECONDS: Final = 10.0

#: Takes the line, English and Chinese; set by who has somebody to tell: the command line.
tell: Callable[[str, str], None] | None = None


@contextmanager
def telling(who: Callable[[], tuple[str, str] | None]) -> Iterator[None]:
    """The block waits for others. If that takes long, `who` says for whom (English and Chinese; None: not to be known);
    it is asked in a thread of its own, while the block still waits."""
    if tell is None:
        yield
        return
    timer = threading.Timer(PATIENCE_SECONDS, _tell, (tell, who))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tell(told: Callable[[str, str], None], who: Callable[[], tuple[str, str] | None]) -> None:
    line = who()
    if line is not None:
        told(*line)
