"""Signals that end a command: Ctrl-C, SIGTERM, and the SIGHUP of a terminal that closes. Each is one interrupt: what is
under way is given up, then the share in the embedded server, and the exit code is 128 + the signal's number."""

from __future__ import annotations

import atexit
import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: So long leaving may take before a further signal ends the process without it.
_LEAVING_SECONDS_MAX: Final = 15.0

_received: int | None = None
_impatient_at = 0.0


def listen() -> None:
    """From now on the first such signal raises KeyboardInterrupt; further ones do not disturb the leaving."""
    handle(_interrupt)
    # What was registered first runs last: Python itself, on its last steps, would die of one more signal.
    atexit.register(ignore)


def handle(handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    """Have all of these signals handled, but for those that are ignored: nohup ignores SIGHUP, a shell the SIGINT of a
    job in the background, and so it stays."""
    for number in _NUMBERS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def ignore() -> None:
    """The command is over: what comes now changes nothing any more."""
    handle(signal.SIG_IGN)


def received() -> int | None:
    """The number of the signal that interrupted the command, if one did."""
    return _received


def _interrupt(number: int, _: FrameType | None) -> None:
    global _received, _impatient_at
    if _received is None:
        _received, _impatient_at = number, time.monotonic() + _LEAVING_SECONDS_MAX
        raise KeyboardInterrupt
    if time.monotonic() > _impatient_at:
        os._exit(128 + number)
