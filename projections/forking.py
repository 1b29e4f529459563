"""Work in a second process, on what this one has in memory: Python's threads share one core, folds want two."""

from __future__ import annotations

import os
import pickle
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

    def result(self) -> T:
        """What the call returned; raises what it raised."""
        if not self._child:
            return self._call()
        with os.fdopen(self._reader, "rb") as stream:
            sent = stream.read()
        os.waitpid(self._child, 0)
        if not sent:
            raise ChildProcessError("the second process of a fold was killed")
        returned, answer = pickle.loads(sent)
        if not returned:
            raise answer
        return answer  # type: ignore[no-any-return]
