"""Waiting for others: once it takes long, a person is told who is waited for. Nobody gives up."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

#: So long somebody may wait without a word.
PATIENCE_SECONDS: Final = 10.0

#: Takes the line, English and Chinese; set by who has somebody to tell: the command line.
tell: Callable[[str, str], None] | None = None

#: For whom somebody waits (English and Chinese); None: not to be known.
Who = Callable[[], tuple[str, str] | None]


@contextmanager
def telling(who: Who) -> Iterator[None]:
    """The block waits for others. If that takes long, `who` says for whom; it is asked in a thread of its own, while
    the block still waits."""
    if tell is None:
        yield
        return
    wait = _watch.begin(who)
    try:
        yield
    finally:
        _watch.end(wait)


class _Watch:
    """All that wait, and the one thread that looks after them: most waits end at once, and a thread for each would
    take longer than they do."""

    def __init__(self) -> None:
        self._waits: dict[int, tuple[float, Who]] = {}  # since when, for whom
        self._begun = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def begin(self, who: Who) -> int:
        """Somebody waits from now on: a number to end it by."""
        with self._changed:
            self._begun += 1
            self._waits[self._begun] = time.monotonic(), who
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="kejin-patience", daemon=True)
                self._thread.start()
            return self._begun

    def end(self, wait: int) -> None:
        """It is over."""
        with self._changed:
            self._waits.pop(wait, None)

    def rest(self) -> None:
        """End the thread, unless somebody waits. The next wait begins another one."""
        with self._changed:
            thread = self._thread
            if thread is None or self._waits:
                return
            self._thread = None
            self._changed.notify()
        thread.join()

    def _look(self) -> None:
        own = threading.current_thread()
        while True:
            with self._changed:
                # Whoever begins meanwhile has not waited long before this ends.
                if self._thread is own:
                    self._changed.wait(self._seconds_left())
                if self._thread is not own:
                    return
                long = self._long()
            for who in long:
                _say(who)

    def _seconds_left(self) -> float:
        """Until somebody who waits now, or begins to, has waited long."""
        now = time.monotonic()
        since = min([since for since, _ in self._waits.values()], default=now)
        return max(0.0, since + PATIENCE_SECONDS - now)

    def _long(self) -> list[Who]:
        """Those who have waited long, each once."""
        until = time.monotonic() - PATIENCE_SECONDS
        long = [wait for wait, (since, _) in self._waits.items() if since <= until]
        return [self._waits.pop(wait)[1] for wait in long]


def _say(who: Who) -> None:
    """Tell for whom one waits. What goes wrong in that is shown, and keeps nobody else from being told."""
    try:
        line = who()
        if line is not None and tell is not None:
            tell(*line)
    except Exception:
        threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))


_watch: Final = _Watch()
rest = _watch.rest
