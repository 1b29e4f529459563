"""The processes of a server: found, waited for, ended."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from psycopg.pq import PGconn, Ping

from ledger.patience import telling
from ledger.server.errors import ServerError
from ledger.server.folder import Folder, name_of
from ledger.server.locks import is_locked
from ledger.server.sockets import SOCKET, answers, remove_sockets

POLL_SECONDS = 0.005
PATIENCE_SECONDS = 600.0  # recovery and shutdown write what is needed; only a hang takes longer
# For a fast shutdown; then an immediate one, which costs a recovery at the next start and nothing else. Short, since
# PostgreSQL 18 hangs when a fast shutdown reaches it between a crash and its recovery, which no ping can tell.
FAST_SECONDS = 10.0
RECOVERY_SECONDS = 120.0  # for a crash recovery that a shutdown has to wait out
# An ended server's processes are left alone so long; then killed; after the second number we give up.
ORPHAN_SECONDS = (1.0, 30.0)


@dataclass(frozen=True)
class Postmaster:
    """What a server's own postmaster.pid says."""

    pid: int
    started: int  # seconds since 1970
    sockets: str  # "" while starting
    status: str

    @property
    def socket(self) -> Path:
        return Path(self.sockets, SOCKET)

    @property
    def mark(self) -> str:
        """Names this one run: another start, or a copy of the folder, has another mark."""
        return f"{self.pid} {self.started} {self.sockets}"


def read_pid_file(cluster: Path) -> Postmaster | None:
    """What postmaster.pid says, true or not; None if it is absent, says nothing yet, or is damaged."""
    try:
        lines = (cluster / "postmaster.pid").read_text("ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    pid, _, started, _, sockets, _, _, status = [line.strip() for line in [*lines, *[""] * 8][:8]]
    # Still empty, or negative: PostgreSQL's single-user mode. Or numbers that no process and no second has.
    if not re.fullmatch("[0-9]{1,10}", pid) or not re.fullmatch("[0-9]{0,12}", started) or "\0" in sockets:
        return None
    return Postmaster(int(pid), int(started or 0), sockets, status)


def find(cluster: Path) -> Postmaster | None:
    """The postmaster that runs on this very folder, in whatever state; None if there is none."""
    if not cluster.exists():
        return None
    server = read_pid_file(cluster)
    if server is None or not _is_postgres(server.pid):
        return None
    here = sits_in(server.pid, cluster.stat())
    if here is None:  # root in a container may not look: the lock or the start time must do
        here = is_locked(cluster) or _began(server.pid, server.started)
    return server if here else None


def named(cluster: Path) -> Postmaster | None:
    """As `find`, but a server that was started in this very moment gets the time to say who it is."""
    deadline = time.monotonic() + ORPHAN_SECONDS[0]
    server = find(cluster)
    while server is None and cluster.exists() and is_locked(cluster) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        server = find(cluster)
    return server


def sits_in(pid: int, folder: os.stat_result) -> bool | None:
    """Whether a process works in a folder, as PostgreSQL does in its cluster; None: we may not look."""
    try:
        proc = Path(f"/proc/{pid}/cwd")  # also right when its path has since been renamed or hidden
        there = (proc if Path("/proc/self/cwd").exists() else Path(psutil.Process(pid).cwd())).stat()
    except (PermissionError, psutil.AccessDenied):
        return None
    except (OSError, psutil.NoSuchProcess):  # it ended meanwhile
        return False
    return os.path.samestat(there, folder)


def settled(folder: Folder) -> Postmaster | None:
    """Wait out a start or a stop that is under way: the server that is ready, or None when none is alive."""
    with telling(lambda: _waited_for(folder)):
        return _settled(folder)


def _waited_for(folder: Folder) -> tuple[str, str] | None:
    server = find(folder.cluster)
    if server is None:
        return None
    doing, path = server.status or "starting", folder.path
    if doing == "stopping":  # it was asked to wait for all who use it
        en = f"waiting for the server of {path} ({server.pid}), which stops when its last user leaves; "
        zh = f"正在等待 {path} 的服务器（{server.pid}）停止：须待其最后一个使用者离开；"
        return en + "kejin database --stop ends it now", zh + "kejin database --stop 可立即停止"
    return (
        f"waiting for the server of {path} ({server.pid}), which is {doing}",
        f"正在等待 {path} 的服务器（{server.pid}）：{doing}",
    )


def _settled(folder: Folder) -> Postmaster | None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    alone_since: float | None = None
    while folder.cluster.exists():
        server = find(folder.cluster)
        if server and server.status == "ready" and (answers(server.socket) or not server.socket.exists()):
            return server
        if server is None:
            if not is_locked(folder.cluster) and not _leftovers(folder.cluster):
                return None
            alone_since = alone_since or time.monotonic()
            _end_orphans(folder, time.monotonic() - alone_since)
        elif time.monotonic() > deadline:
            doing = server.status or "starting"
            raise ServerError(
                f"the server of {folder.path} ({server.pid}) is {doing} for too long: see {folder.log}",
                f"{folder.path} 的服务器（{server.pid}）长时间处于 {doing}：见 {folder.log}",
            )
        time.sleep(POLL_SECONDS)
    return None


def hasten(server: Postmaster) -> None:
    """One that waits for its last user to leave stops now, and they are cut off. Without the gate: whoever waits for it
    to end holds that."""
    if server.status == "stopping":
        _signal(server.pid, signal.SIGINT)


def end(folder: Folder, server: Postmaster) -> None:
    """Under the gate: shut the server down and forget that it was asked to stay."""
    _shut_down(folder, server, lambda: bool(find(folder.cluster)) or is_locked(folder.cluster))
    folder.stay.unlink(missing_ok=True)


def end_deleted(folder: Folder, server: Postmaster, cluster: os.stat_result) -> None:
    """Shut the server down whose cluster, which was `cluster`, was deleted under it."""
    if sits_in(server.pid, cluster):
        _shut_down(folder, server, lambda: bool(sits_in(server.pid, cluster)))


def _shut_down(folder: Folder, server: Postmaster, alive: Callable[[], bool]) -> None:
    """Fast shutdown: open transactions roll back, what is committed is written, then all processes end.

    A fast shutdown that reaches PostgreSQL 18 in its crash recovery can hang: recovery is waited out first. What
    still hangs is shut down immediately, which loses nothing: the next start recovers.
    """
    _wait_out_recovery(server, alive)
    _signal(server.pid, signal.SIGINT)
    impatient = time.monotonic() + FAST_SECONDS
    deadline = time.monotonic() + PATIENCE_SECONDS
    while alive():
        if time.monotonic() > deadline:
            raise ServerError(
                f"the server of {folder.path} ({server.pid}) does not stop: see {folder.log}",
                f"{folder.path} 的服务器（{server.pid}）无法停止：见 {folder.log}",
            )
        if time.monotonic() > impatient:
            _signal(server.pid, signal.SIGQUIT)
            impatient = deadline
        time.sleep(POLL_SECONDS)
    if server.sockets:
        remove_sockets(Path(server.sockets))


def _wait_out_recovery(server: Postmaster, alive: Callable[[], bool]) -> None:
    """Until the server takes connections, or is gone, or has had its time."""
    if server.status == "stopping":
        return
    deadline = time.monotonic() + RECOVERY_SECONDS
    address = f"host='{server.sockets}' connect_timeout=2".encode()
    while server.sockets and PGconn.ping(address) == Ping.REJECT and alive() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _leftovers(cluster: Path) -> bool:
    """Whether a server that ended without clearing up, and that we did not start, left processes behind."""
    return (cluster / "postmaster.pid").exists() and bool(_orphans(cluster))


def _end_orphans(folder: Folder, seconds: float) -> None:
    """Processes that outlive their postmaster hold its shared memory: let them end, then make them end."""
    patience, limit = ORPHAN_SECONDS
    if seconds > limit:
        raise ServerError(
            f"processes of an earlier server of {folder.path} are still alive and cannot be ended from here "
            "(of another container or user?): end them, then try again",
            f"{folder.path} 的前一服务器仍有进程存活且无法从此处结束（属于其他容器或用户？）：请结束后重试",
        )
    if seconds > patience:
        for pid in _orphans(folder.cluster):
            _signal(pid, signal.SIGKILL)  # SIGQUIT would have them talk first, and may hang


def _orphans(cluster: Path) -> list[int]:
    """The children of a postmaster of this folder. Where we may not look, their title tells them."""
    folder = cluster.stat()
    title = f"postgres: {name_of(cluster, folder.st_uid)}: "
    return [
        pid
        for pid in psutil.pids()
        if _is_postgres(pid, "postgres:")
        and (_is_postgres(pid, title) if (here := sits_in(pid, folder)) is None else here)
    ]


def _is_postgres(pid: int, title: str = "") -> bool:
    """Whether a process is PostgreSQL's and alive; its children call themselves `postgres: ...`."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
            return False
        return process.cmdline()[0].startswith(title) if title else True
    except (psutil.NoSuchProcess, IndexError):  # it ended meanwhile
        return False


def _began(pid: int, seconds: int) -> bool:
    """Whether a process is alive that began at about this time."""
    try:
        return abs(psutil.Process(pid).create_time() - seconds) < 5
    except psutil.NoSuchProcess:
        return False


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it ended meanwhile
        os.kill(pid, number)
