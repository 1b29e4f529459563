"""Locks on files and folders, which the kernel drops when their process ends, and which no fork keeps."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.patience import telling

# A forked child must not keep its parent's locks alive: it closes its copies of these.
_descriptors: set[int] = set()
_descriptors_lock = threading.Lock()


def _close_in_child() -> None:
    for descriptor in _descriptors:
        os.close(descriptor)
    _descriptors.clear()
    _descriptors_lock.release()


os.register_at_fork(
    before=_descriptors_lock.acquire,
    after_in_parent=_descriptors_lock.release,
    after_in_child=_close_in_child,
)


def guarded(opened: Callable[[], int]) -> int:
    """The descriptor that `opened` gives, which a forked child will not keep. Close it with `close`."""
    with _descriptors_lock:
        descriptor = opened()
        _descriptors.add(descriptor)
    return descriptor


def close(descriptor: int) -> None:
    """Close a guarded descriptor. A lock on it lives on in a program that inherited it."""
    with _descriptors_lock:
        _descriptors.discard(descriptor)
        os.close(descriptor)


def unlock(descriptor: int) -> None:
    """Closing alone is not enough while a child between fork and exec holds a copy."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    close(descriptor)


def try_lock(descriptor: int, kind: int) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def exclusive(descriptor: int, place: Path) -> Iterator[None]:
    """Wait for the only lock on a guarded descriptor of `place`; unlocked and closed at the end."""
    try:
        if not try_lock(descriptor, fcntl.LOCK_EX):
            with telling(lambda: _who_holds(descriptor, place)):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        unlock(descriptor)


def _who_holds(descriptor: int, place: Path) -> tuple[str, str]:
    """Who holds the lock on an open file, as far as the kernel tells: Linux does."""
    status = os.fstat(descriptor)
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    held = Path("/proc/locks").read_text().splitlines() if Path("/proc/locks").exists() else []
    # number: FLOCK ADVISORY WRITE process device:inode …; who waits has an arrow before FLOCK.
    words = [line.split() for line in held]
    pid = next((line[4] for line in words if line[1] == "FLOCK" and line[5] == file), None)
    who_en, who_zh = ("another process", "另一进程") if pid is None else (f"process {pid}", f"进程 {pid}")
    return f"waiting for {who_en}, which holds {place}", f"正在等待{who_zh}释放 {place}"


def open_folder(path: Path) -> int:
    """A guarded descriptor of a folder."""
    return guarded(lambda: os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW))


@contextmanager
def locked_folder(path: Path) -> Iterator[int]:
    """A folder, open and locked for the programs that inherit it: they keep the lock while they live."""
    descriptor = open_folder(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a program that inherited a folder's lock is alive: a server of this cluster, or an initdb."""
    descriptor = open_folder(path)
    try:
        return not try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        close(descriptor)
