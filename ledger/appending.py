"""Who appends what a pipeline decided: a thread of its own, or for long inputs a process of its own.

A thread shares its interpreter with what decides; a process does not. Of a batch it gets the bodies of the events
(`codec.body`), and making rows, hashing, writing and signing are off the deciding core. It is a child that ends
with its parent: at the end of its input it stops, and the append lock goes with its connection.
"""

from __future__ import annotations

import contextlib
import pickle
import select
import struct
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Final, Protocol

import psycopg

from ledger.store import Store
from ledger.writing import Writing, append

Sign = Callable[[bool], None]


class Begun(Protocol):
    """A batch that is being written, or waits to be."""

    def done(self) -> bool:
        """Whether it is known to be committed, or to have failed."""

    def result(self) -> None:
        """Wait until it is committed. Raises psycopg.Error: a connection that is lost, a full disk."""


class Appender(Protocol):
    """Appends batches, one after the other, over a connection that can keep the append lock between them."""

    def hold(self) -> None:
        """Wait for the append lock and keep it."""

    def release(self) -> None:
        """Let the append lock go."""

    def begin(self, writing: Writing) -> Begun:
        """Write a batch once those that were begun before it are written."""

    def committed(self, at_rest: bool) -> None:
        """The outcomes of what is committed are out: sign, if it is time or nothing more waits."""

    def close(self) -> None:
        """End, after what was begun."""


class ThreadAppender:
    """Appends in a thread, over a store that nobody else uses meanwhile."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "kejin-write")
        self.sign: Sign | None = None  # called in the thread of whoever decides

    def hold(self) -> None:
        """See Appender."""
        self._store.hold_append_lock()

    def release(self) -> None:
        """See Appender."""
        self._store.release_append_lock()

    def begin(self, writing: Writing) -> Begun:
        """See Appender."""
        return self._thread.submit(self._write, writing)

    def _write(self, writing: Writing) -> None:
        with self._store.turn() as turn:
            writing.write(turn)

    def committed(self, at_rest: bool) -> None:
        """See Appender."""
        if self.sign is not None:
            self.sign(at_rest)

    def close(self) -> None:
        """See Appender. After an error what has not begun never begins."""
        self._thread.shutdown(cancel_futures=True)


# --- a process of its own: messages of a letter, a length and that many bytes ------------------------------------

_HOLD, _RELEASE, _WRITE, _SIGN, _SIGN_AT_REST = b"h", b"r", b"w", b"s", b"S"
_DONE, _FAILED = b"d", b"f"
_HEAD: Final = struct.Struct("!cI")
_ENDING_SECONDS_MAX: Final = 10.0


class ProcessAppender:
    """Appends in a child process, which runs `serve`."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self._child = child
        self._to: IO[bytes] = child.stdin
        self._from: IO[bytes] = child.stdout
        # A pipe has room for a piece of a batch; what decides must not wait until the child comes to read the rest.
        self._sender = ThreadPoolExecutor(1, "kejin-send")
        self._asked = 1  # it says by itself that it is connected
        self._answered = 0

    def is_ready(self) -> bool:
        """Whether it is connected: it says so once. Raises psycopg.OperationalError if it ended instead."""
        if not select.select([self._from], [], [], 0)[0]:
            return False
        self.finish(1)
        return True

    def hold(self) -> None:
        """See Appender."""
        self.finish(self._ask(_HOLD))

    def release(self) -> None:
        """See Appender."""
        self.finish(self._ask(_RELEASE))

    def begin(self, writing: Writing) -> Begun:
        """See Appender."""
        return _Asked(self, self._ask(_WRITE, _packed(writing)))

    def committed(self, at_rest: bool) -> None:
        """See Appender. Under load not waited for: what is written next is written after it."""
        number = self._ask(_SIGN_AT_REST if at_rest else _SIGN)
        if at_rest:
            self.finish(number)

    def _ask(self, letter: bytes, content: bytes = b"") -> int:
        """Send a message after those before it; its number."""
        self._asked += 1
        self._sender.submit(self._deliver, letter, content)
        return self._asked

    def _deliver(self, letter: bytes, content: bytes) -> None:
        """In the sender's thread. Where it cannot be sent no answer will come: whoever waits finds the child gone."""
        try:
            _send(self._to, letter, content)
        except BrokenPipeError:
            pass
        except BaseException:
            self._child.kill()
            raise

    def is_answered(self, number: int) -> bool:
        """Whether the answer to a message has come. Raises what it says if that is an error."""
        while self._answered < number and select.select([self._from], [], [], 0)[0]:
            self._take_answer()
        return self._answered >= number

    def finish(self, number: int) -> None:
        """Wait for the answer to a message, and to those before it. Raises what it says if that is an error."""
        while self._answered < number:
            self._take_answer()

    def _take_answer(self) -> None:
        message = _message(self._from)
        if message is None:
            raise psycopg.OperationalError("the process that writes has ended")
        self._answered += 1
        if message[0] == _FAILED:
            raise pickle.loads(message[1])

    def close(self, *, at_once: bool = False) -> None:
        """See Appender. It ends at the end of its input, after what it was asked to do; `at_once`, or where it does not
        come to that, it is killed: what was not acknowledged was not told to anybody."""
        if at_once:
            self._child.kill()
        self._sender.shutdown()
        with contextlib.suppress(BrokenPipeError):  # it ended before: whoever waited for it knows
            self._to.close()
        try:
            self._child.wait(_ENDING_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._from.close()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A batch that the child was asked to write, by the number of the message."""

    _appender: ProcessAppender
    _number: int

    def done(self) -> bool:
        """See Begun."""
        return self._appender.is_answered(self._number)

    def result(self) -> None:
        """See Begun."""
        self._appender.finish(self._number)


def serve(store: Store, sign: Sign | None, given: IO[bytes], answers: IO[bytes]) -> None:
    """The child: append what comes in until the input ends. The first answer says that it is ready."""
    _send(answers, _DONE)
    while (message := _message(given)) is not None:
        letter, content = message
        try:
            if letter == _HOLD:
                store.hold_append_lock()
            elif letter == _RELEASE:
                store.release_append_lock()
            elif letter == _WRITE:
                _append(store, content)
            elif sign is not None:
                sign(letter == _SIGN_AT_REST)
        except Exception as error:
            _send(answers, _FAILED, pickle.dumps(error))
            return
        _send(answers, _DONE)


def _message(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    """The next message; None at the end, also at an end in the middle of one: its sender is gone."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    letter, length = _HEAD.unpack(head)
    content = stream.read(length)
    return (letter, content) if len(content) == length else None


def _send(stream: IO[bytes], letter: bytes, content: bytes = b"") -> None:
    stream.write(_HEAD.pack(letter, len(content)))
    stream.write(content)
    stream.flush()


def _packed(writing: Writing) -> bytes:
    """What is written, as bodies and plain values: both processes are the same Python."""
    return pickle.dumps((writing.first, writing.bodies, writing.day_sums))


def _append(store: Store, content: bytes) -> None:
    first, bodies, day_sums = pickle.loads(content)  # from our parent, by a pipe that only we two have
    with store.turn() as turn:
        append(turn, first, bodies, day_sums)
