"""Signals while a server is stopped: they wait, so that it is stopped whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that would end this process, or interrupt it, come after the block. It must be short or bounded."""
    if threading.current_thread() is not threading.main_thread():  # no handler of Python's runs here
        yield
        return
    waiting: list[int] = []
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    # What is ignored stays so; a handler that Python did not set is not ours to replace.
    handled = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in handled:
        signal.signal(number, lambda came, _: waiting.append(came))
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])
        for came in dict.fromkeys(waiting):
            signal.raise_signal(came)
