"""The server's Unix socket, in a private folder whose path is short enough for the kernel."""

from __future__ import annotations

import os
import socket
import stat as modes
import struct
import tempfile
from contextlib import suppress
from pathlib import Path

from ledger.server.as_root import SYSTEM_HOME, Account
from ledger.server.errors import ServerError
from ledger.server.folder import name_of

PORT = 5432  # only part of the socket's name; fixed, so that PGPORT in someone's environment does not matter
SOCKET = f".s.PGSQL.{PORT}"
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's limit is 107 on Linux and 103 on macOS


def make_sockets(cluster: Path, account: Account | None) -> Path:
    """A private folder for the socket, named after the cluster folder itself: a copy has its own name."""
    owner = account.pw_uid if account else os.getuid()
    name = name_of(cluster, owner)
    if account:
        places = [Path("/run"), SYSTEM_HOME]
    else:
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        places = [Path(place) for place in (runtime, tempfile.gettempdir(), "/tmp") if place]
    for path in (place / f"{name}{suffix}" for place in places for suffix in ("", "-1", "-2", "-3")):
        if len(os.fsencode(path / SOCKET)) <= SOCKET_PATH_LIMIT and _made_private(path, owner):
            _clear(path)  # their process ended; the number in the lock may by now be any other's
            return path
    raise ServerError(
        f"no place for the socket of {cluster.parent} in {', '.join(map(str, places))}: set TMPDIR",
        f"{'、'.join(map(str, places))} 中没有放置 {cluster.parent} 套接字的位置：请设置 TMPDIR",
    )


def forget_environment() -> None:
    """Take libpq's variables out of this process's environment, and so out of its children's: PGHOSTADDR, say, would
    lead to another server whatever our address says, and no address can state all that they may change."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        os.environ.pop(name, None)  # another thread may have been faster


def remove_sockets(path: Path) -> None:
    """Remove the socket and its folder, as far as they are there and ours alone."""
    with suppress(OSError):  # no harm if a folder in a temporary place stays
        _clear(path)
        path.rmdir()


def answers(path: Path) -> bool:
    """Whether a new connection gets an answer: a server just killed still looks alive for a moment."""
    ssl_request = struct.pack("!ii", 8, 80877103)  # the shortest message that PostgreSQL answers
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(path))
            connection.sendall(ssl_request)
            return bool(connection.recv(1))
    except OSError:
        return False  # whoever asks will look again


def _clear(path: Path) -> None:
    for name in (SOCKET, f"{SOCKET}.lock"):
        (path / name).unlink(missing_ok=True)


def _made_private(path: Path, owner: int) -> bool:
    """Make a folder, or find it, that only `owner` can enter; False if that cannot be had under this name."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError:
        return False  # no such place, or not writable: the next one will do
    status = path.lstat()
    if not modes.S_ISDIR(status.st_mode) or status.st_uid not in (owner, os.getuid()):
        return False
    if status.st_uid != owner:
        os.lchown(path, owner, -1)
    path.chmod(0o700)
    return True
