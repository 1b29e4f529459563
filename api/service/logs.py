"""Logs: one JSON object a line on standard error. A thread writes them, so that a full pipe stops nobody.

Neither tokens nor bodies nor queries are logged: only what was asked of which address, and what became of it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from datetime import UTC, datetime
from typing import Any, Final

import orjson

_LINES_WAITING_MAX: Final = 20_000
#: So long lines wait for more of them: waking the thread for each costs more than the line.
_GATHER_SECONDS: Final = 0.02


class LogLines:
    """Lines on their way to standard error. When it does not take them, the newest are dropped and counted."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stderr.fileno() if descriptor is None else descriptor
        self._waiting: deque[dict[str, Any]] = deque()
        self._dropped = 0
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kejin-log", daemon=True)
        self._thread.start()

    def add(self, level: str, event: str, **members: Any) -> None:
        """One line. Costs the caller next to nothing."""
        if len(self._waiting) >= _LINES_WAITING_MAX:
            self._dropped += 1
            return
        self._waiting.append({"time": datetime.now(UTC), "level": level, "event": event, **members})
        if not self._changed.is_set():
            self._changed.set()

    def close(self) -> None:
        """Write what waits, for a second at most."""
        self._stopping.set()
        self._changed.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while True:
            self._changed.wait()
            self._stopping.wait(_GATHER_SECONDS)
            self._changed.clear()
            lines = []
            while self._waiting:
                lines.append(_line(self._waiting.popleft()))
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                lines.append(orjson.dumps({"level": "warning", "event": "lines_dropped", "count": dropped}))
            if lines and not self._written(b"\n".join(lines) + b"\n"):
                return
            if self._stopping.is_set() and not self._waiting:
                return

    def _written(self, data: bytes) -> bool:
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:  # nobody reads any more
            return False
        return True


def _line(members: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(members, option=orjson.OPT_UTC_Z, default=str)
    except TypeError:  # text that is no UTF-8, keys that are no text: shown as Python shows them
        return orjson.dumps({"level": members["level"], "event": ascii(members)})


class LogHandler(logging.Handler):
    """Python's own logging as lines of the same form."""

    def __init__(self, lines: LogLines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """One record as a line."""
        more: dict[str, Any] = {}
        if record.exc_info:
            more["error"] = logging.Formatter().formatException(record.exc_info)
        self._lines.add(record.levelname.lower(), record.getMessage(), logger=record.name, **more)


def take_over(lines: LogLines) -> None:
    """Send what libraries log to the same place."""
    root = logging.getLogger()
    root.handlers = [LogHandler(lines)]
    root.setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
