"""Lines of input as they come: read ahead by a thread, handed out in batches of what is waiting.

A slow sender gets its outcomes line by line, a fast one is decided in large groups. Memory stays bounded.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Generator, Iterator
from typing import Final

from ledger import codec
from ledger.commands import InvalidCommand

CHUNK_BYTES: Final = 1 << 20
CHUNKS_WAITING_MAX: Final = 4
LINE_BYTES_MAX: Final = 1 << 20
BATCH_LINES_MAX: Final = 2_000
#: So many lines at once, blank ones too.
_ALL_LINES_MAX: Final = 2 * BATCH_LINES_MAX
_HASHED_AT_ONCE: Final = 64

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Lines:
    """Some lines of input, blank ones left out: the number of each, from 1, and its bytes without the line end. One
    that is longer than `LINE_BYTES_MAX` was cut because no command is that long."""

    def __init__(self, hasher: hashlib._Hash) -> None:
        """`hasher` has hashed the input before them."""
        self.numbers: list[int] = []
        self.texts: list[bytes] = []
        self._hasher = hasher
        self._all: list[bytes] = []  # blank ones too
        self._ends: list[int] = []  # how many of all there were with each line
        self._hashed = 0

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def is_full(self) -> bool:
        """Whether these are to be handed out before more are read."""
        return len(self.texts) >= BATCH_LINES_MAX or len(self._all) >= _ALL_LINES_MAX

    def add(self, number: int, text: bytes) -> None:
        """One more line."""
        self._all.append(text)
        if text and not text.isspace():
            self.numbers.append(number)
            self.texts.append(text)
            self._ends.append(len(self._all))
        elif not self.texts:  # blank lines may go on for ever, and nobody asks for their keys
            self.hashed()
            self._all, self._hashed = [], 0

    def key_of(self, index: int) -> str:
        """The default idempotency key of a line that makes nothing: a hash of the input up to and including it. Of
        several lines, to be asked for in order."""
        return "line:" + self._hash(self._ends[index]).hexdigest()

    def hashed(self) -> hashlib._Hash:
        """What has hashed the input up to the last line; no key is asked for after that."""
        return self._hash(len(self._all))

    def _hash(self, until: int) -> hashlib._Hash:
        """Most lines make something, and their keys need no hash: so many at once."""
        assert until >= self._hashed
        for first in range(self._hashed, until, _HASHED_AT_ONCE):
            self._hasher.update(b"\n".join(self._all[first : min(first + _HASHED_AT_ONCE, until)]) + b"\n")
        self._hashed = until
        return self._hasher


def not_json(error: codec.NotStrictJson) -> InvalidCommand:
    """What is told of a line that is no JSON object."""
    return InvalidCommand(
        f"not a JSON object: {error}; write one object with double quotes on one line",
        f"不是 JSON 对象：{error.zh}；每行须为一个对象，使用双引号",
    )


def line_too_long() -> InvalidCommand:
    """What is told of a line that is longer than any command."""
    return InvalidCommand(
        f"the line is longer than {LINE_BYTES_MAX} bytes; a command is a short JSON object",
        f"该行超过 {LINE_BYTES_MAX} 字节；命令应为简短的 JSON 对象",
    )


def batches(descriptor: int, seed: bytes = b"") -> Iterator[tuple[Lines, int]]:
    """Batches of lines, blank ones left out, and how many bytes were read in all; an empty batch whenever no more
    lines wait now. `seed` goes before the input into the hash of each line's default key."""
    waiting: queue.Queue[list[bytes] | BaseException | None] = queue.Queue(CHUNKS_WAITING_MAX)
    stopped = threading.Event()
    reader = threading.Thread(target=_read, args=(descriptor, waiting, stopped), daemon=True)
    reader.start()
    try:
        yield from _batches(waiting, seed)
    finally:
        stopped.set()


def _read(
    descriptor: int,
    waiting: queue.Queue[list[bytes] | BaseException | None],
    stopped: threading.Event,
) -> None:
    """Split the input into lines, whole ones as soon as they are there."""
    begun = _Begun()
    try:
        while not stopped.is_set():
            chunk = os.read(descriptor, CHUNK_BYTES)
            if not chunk:
                break
            first, *rest = chunk.split(b"\n")
            begun.add(first)
            if rest:
                waiting.put([begun.take(), *rest[:-1]])
                begun.add(rest[-1])
        if begun:
            waiting.put([begun.take()])
        waiting.put(None)
    except OSError as error:
        waiting.put(error)


class _Begun:
    """The beginning of a line whose end is not read yet. Of a line that is too long only the first bytes are
    kept, and its hash: it stands for the whole, however the input was cut into chunks."""

    def __init__(self) -> None:
        self._kept = b""
        self._hasher: hashlib._Hash | None = None

    def __bool__(self) -> bool:
        return bool(self._kept)

    def add(self, piece: bytes) -> None:
        """More of the line."""
        if self._hasher is None and len(self._kept) + len(piece) > LINE_BYTES_MAX:
            self._hasher = hashlib.sha256(self._kept)
        if self._hasher is None:
            self._kept += piece
        else:
            self._hasher.update(piece)
            self._kept = (self._kept + piece)[: LINE_BYTES_MAX + 1]

    def take(self) -> bytes:
        """The line as far as it goes; then begin anew."""
        line = self._kept if self._hasher is None else self._kept + self._hasher.digest()
        self._kept, self._hasher = b"", None
        return line


def _batches(
    waiting: queue.Queue[list[bytes] | BaseException | None], seed: bytes
) -> Iterator[tuple[Lines, int]]:
    number, read_bytes = 0, 0
    batch = Lines(hashlib.sha256(seed))
    while (chunk := (yield from _next(waiting, read_bytes))) is not None:
        if isinstance(chunk, BaseException):
            raise chunk
        for raw in chunk:
            number += 1
            read_bytes += len(raw) + 1
            text = raw.removesuffix(b"\r")
            if number == 1:
                text = text.removeprefix(BYTE_ORDER_MARK)
            batch.add(number, text)
            if batch.is_full:
                yield batch, read_bytes
                batch = Lines(batch.hashed())
        if len(batch) and waiting.empty():
            yield batch, read_bytes
            batch = Lines(batch.hashed())
    if len(batch):
        yield batch, read_bytes


def _next(
    waiting: queue.Queue[list[bytes] | BaseException | None], read_bytes: int
) -> Generator[tuple[Lines, int], None, list[bytes] | BaseException | None]:
    """The next chunk; an empty batch before it if there is none yet."""
    try:
        return waiting.get_nowait()
    except queue.Empty:
        yield Lines(hashlib.sha256()), read_bytes
        return waiting.get()
