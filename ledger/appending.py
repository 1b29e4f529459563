"""Who appends what a pipeline decided: a thread of its own, or for long inputs a process of its own.

A thread shares its interpreter with what decides; a process does not. A batch goes to it as plain values, some
microseconds an event, and making rows, hashing, writing and signing are off the deciding core. It is a child that ends
with its parent: at the end of its input it stops, and the append lock goes with its connection.
"""

from __future__ import annotations

import contextlib
import marshal
import pickle
import select
import struct
import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Final, Protocol

import psycopg

from ledger.pending import pending_of_plain, plain
from ledger.store import Store
from ledger.writing import Writing, append

Sign = Callable[[bool], None]


class Appender(Protocol):
    """Appends batches, one at a time, over a connection that can keep the append lock between them."""

    def hold(self) -> None:
        """Wait for the append lock and keep it."""

    def release(self) -> None:
        """Let the append lock go."""

    def begin(self, writing: Writing) -> None:
        """Begin to write a batch; the one before it is finished."""

    def finish(self) -> None:
        """Wait until it is committed. Raises psycopg.Error: a connection that is lost, a full disk."""

    def committed(self, at_rest: bool) -> None:
        """The outcomes of what is committed are out: sign, if it is time or nothing more waits."""

    def close(self) -> None:
        """End, after what was begun."""


class ThreadAppender:
    """Appends in a thread, over a store that nobody else uses meanwhile."""

    def __init__(self, store: Store, principal: str) -> None:
        self._store = store
        self._principal = principal
        self._thread = ThreadPoolExecutor(1, "kejin-write")
        self._writing: Future[None] | None = None
        self.sign: Sign | None = None  # called in the thread of whoever decides

    def hold(self) -> None:
        """See Appender."""
        self._store.hold_append_lock()

    def release(self) -> None:
        """See Appender."""
        self._store.release_append_lock()

    def begin(self, writing: Writing) -> None:
        """See Appender."""
        self._writing = self._thread.submit(self._write, writing)

    def _write(self, writing: Writing) -> None:
        with self._store.turn() as turn:
            writing.write(turn, self._principal)

    def finish(self) -> None:
        """See Appender."""
        if self._writing is not None:
            self._writing.result()

    def committed(self, at_rest: bool) -> None:
        """See Appender."""
        if self.sign is not None:
            self.sign(at_rest)

    def close(self) -> None:
        """See Appender."""
        self._thread.shutdown()


# --- a process of its own: messages of a letter, a length and that many bytes ------------------------------------

_HOLD, _RELEASE, _WRITE, _SIGN, _SIGN_AT_REST = b"h", b"r", b"w", b"s", b"S"
_DONE, _FAILED = b"d", b"f"
_HEAD: Final = struct.Struct("!cI")
_ENDING_SECONDS_MAX: Final = 10.0
#: So many events are packed at once. Marshal looks each value up among all before it: a table that must stay small.
_SLICE: Final = 64


class ProcessAppender:
    """Appends in a child process, which runs `serve`."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self._child = child
        self._to: IO[bytes] = child.stdin
        self._from: IO[bytes] = child.stdout
        self._answers = 0  # that are to come

    def is_ready(self) -> bool:
        """Whether it is connected: it says so once. Raises psycopg.OperationalError if it ended instead."""
        if not select.select([self._from], [], [], 0)[0]:
            return False
        self._answers = 1
        self.finish()
        return True

    def hold(self) -> None:
        """See Appender."""
        self._ask(_HOLD)
        self.finish()

    def release(self) -> None:
        """See Appender."""
        self._ask(_RELEASE)
        self.finish()

    def begin(self, writing: Writing) -> None:
        """See Appender."""
        self._ask(_WRITE, _packed(writing))

    def committed(self, at_rest: bool) -> None:
        """See Appender. Under load not waited for: what is written next is written after it."""
        self._ask(_SIGN_AT_REST if at_rest else _SIGN)
        if at_rest:
            self.finish()

    def _ask(self, letter: bytes, content: bytes = b"") -> None:
        try:
            _send(self._to, letter, content)
        except BrokenPipeError:
            raise psycopg.OperationalError("the process that writes has ended") from None
        self._answers += 1

    def finish(self) -> None:
        """See Appender."""
        while self._answers:
            message = _message(self._from)
            if message is None:
                raise psycopg.OperationalError("the process that writes has ended")
            self._answers -= 1
            if message[0] == _FAILED:
                raise pickle.loads(message[1])

    def close(self, *, at_once: bool = False) -> None:
        """See Appender. It ends at the end of its input, after what it was asked to do; `at_once`, or where it does not
        come to that, it is killed: what was not acknowledged was not told to anybody."""
        if at_once:
            self._child.kill()
        with contextlib.suppress(BrokenPipeError):  # it ended before: whoever waited for it knows
            self._to.close()
        try:
            self._child.wait(_ENDING_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._from.close()


def serve(store: Store, principal: str, sign: Sign | None, given: IO[bytes], answers: IO[bytes]) -> None:
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
                _append(store, principal, content)
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
    stream.write(_HEAD.pack(letter, len(content)) + content)
    stream.flush()


def _packed(writing: Writing) -> bytes:
    """What is written, as plain values: both processes are the same Python."""
    events = [plain(event) for event in writing.pending()]
    slices = [marshal.dumps(events[at : at + _SLICE]) for at in range(0, len(events), _SLICE)]
    return marshal.dumps((writing.first, slices, list(writing.day_sums)))


def _append(store: Store, principal: str, content: bytes) -> None:
    first, slices, day_sums = marshal.loads(content)  # from our parent, by a pipe that only we two have
    pending = [pending_of_plain(event) for packed in slices for event in marshal.loads(packed)]
    with store.turn() as turn:
        append(turn, principal, first, pending, day_sums)
