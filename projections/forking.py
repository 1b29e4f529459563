"""Work in a second process, on what this one has in memory: Python's threads share one core, folds want two."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
from collections.abc import Callable
from typing import Generic, Self, TypeVar

from ledger import patience

T = TypeVar("T")


def is_possible() -> bool:
    """Whether a call can be made in a child: other threads would be left behind in the middle of their work."""
    patience.rest()  # whoever looks after waits that are over has no work
    return hasattr(os, "fork") and threading.active_count() == 1


class Fork(Generic[T]):
    """A call in a child process that shares this one's memory as it is now. Where a fork would be unsafe (other
    threads run) or there is none, the call is made here, when its result is asked for.

    The child must open connections of its own; it ends without closing or taking apart what it inherited, at the latest
    with its parent. At the end of a `with` block it has ended, whether or not its answer was wanted.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._child = 0
        self._ended = False  # and waited for
        if is_possible():
            self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.abandon()

    def _start(self) -> None:
        self._reader, writer = os.pipe()
        alive, self._lifeline = os.pipe()
        self._child = os.fork()
        if self._child:
            os.close(writer)
            os.close(alive)
            return
        os.close(self._lifeline)
        threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
        try:
            answer = pickle.dumps((True, self._call()))
        except BaseException as error:
            answer = _packed(error)
        try:
            with os.fdopen(writer, "wb") as stream:
                stream.write(answer)
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
            os.close(self._lifeline)

    def result(self) -> T:
        """What the call returned; raises what it raised."""
        if not self._child:
            return self._call()
        with os.fdopen(self._reader, "rb") as stream:
            sent = stream.read()
        self._ended = True
        os.waitpid(self._child, 0)
        os.close(self._lifeline)
        if not sent:
            raise ChildProcessError("the second process of a fold was killed")
        returned, answer = pickle.loads(sent)
        if not returned:
            raise answer
        return answer  # type: ignore[no-any-return]


def _end_with(alive: int) -> None:
    """End this process when the other end of a pipe is closed, which only its parent holds."""
    os.read(alive, 1)
    os._exit(1)


def _packed(error: BaseException) -> bytes:
    """An error as it is sent; one that would not arrive as what it is, by its kind and message."""
    try:
        packed = pickle.dumps((False, error))
        pickle.loads(packed)
    except Exception:
        return pickle.dumps((False, ChildProcessError(f"{type(error).__name__}: {error}")))
    return packed
