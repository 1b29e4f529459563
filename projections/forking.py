"""Work in a second process, on what this one has in memory: Python's threads share one core, folds want two."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Fork(Generic[T]):
    """A call in a child process that shares this one's memory as it is now. Where a fork would be unsafe (other
    threads run) or there is none, the call is made here, when its result is asked for.

    The child must open connections of its own; it ends without closing what it inherited.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._child = 0
        self._ended = False  # and waited for
        if hasattr(os, "fork") and threading.active_count() == 1:
            self._start()

    def _start(self) -> None:
        self._reader, writer = os.pipe()
        self._child = os.fork()
        if self._child:
            os.close(writer)
            return
        try:
            answer: tuple[bool, object] = (True, self._call())
        except BaseException as error:
            answer = (False, error)
        try:
            with os.fdopen(writer, "wb") as stream:
                stream.write(pickle.dumps(answer))
        finally:
            os._exit(0)

    def abandon(self) -> None:
        """End the child, if it still works: its answer is not wanted any more."""
        if self._child and not self._ended:
            self._ended = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            os.close(self._reader)

    def result(self) -> T:
        """What the call returned; raises what it raised."""
        if not self._child:
            return self._call()
        with os.fdopen(self._reader, "rb") as stream:
            sent = stream.read()
        self._ended = True
        os.waitpid(self._child, 0)
        if not sent:
            raise ChildProcessError("the second process of a fold was killed")
        returned, answer = pickle.loads(sent)
        if not returned:
            raise answer
        return answer  # type: ignore[no-any-return]
