"""Processes killed, servers killed, disks full: what was acknowledged is there, and running again completes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import psutil
import psycopg
import pytest

from ledger.commands import KEY_LENGTH_MAX
from ledger.tails import TAIL_EVENTS_MAX
from tests.cli.program import (
    FIRM,
    OPENING,
    PATIENCE_SECONDS,
    Answer,
    Line,
    Program,
    claim,
    data_folder,
    draw,
    ndjson,
    next_line,
    publicise,
    repay,
)
from tests.histories import Mix, history
from tests.support import Ledger, fresh_database

#: A program that has not ended by then hangs.
HANGS_SECONDS = 30


@pytest.fixture
def kejin(empty_database: str) -> Program:
    """The program on a new empty database."""
    return Program(empty_database)


def until(true: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something that happens by itself."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


def essence(kejin: Program) -> list[Any]:
    """The log without what a clock decided."""
    clocked = ("recorded_at", "leaf")
    return [{name: event[name] for name in event if name not in clocked} for event in kejin.events()]


#: Outcomes, log and caps that a run leaves.
Whole = tuple[list[Any], list[Any], list[Any]]


def undisturbed(server: str, lines: Sequence[Line]) -> Whole:
    """What a run that nobody disturbs leaves: outcomes, log, caps."""
    with fresh_database(server) as address:
        program = Program(address)
        answer = program.run(*lines)
        return answer.lines, essence(program), program.ask("caps")


def same_ledger(kejin: Program, lines: Sequence[Line], wanted: Whole) -> None:
    """Run to the end: the same log, the same outcomes (now or as the first ones of repeated lines), all verified."""
    outcomes, log, caps = wanted
    answer = kejin.run(*lines)
    assert answer.code in (0, 1, 2)
    for now, first in zip(answer.lines, outcomes, strict=True):
        assert as_first(now) == as_first(first)
    assert essence(kejin) == log
    assert kejin.ask("caps") == caps
    assert kejin.ask("verify", "all")["ok"]


def as_first(outcome: dict[str, Any]) -> dict[str, Any]:
    """An outcome, a repeated one as its first."""
    if outcome["outcome"] != "repeated":
        return outcome
    return {name: value for name, value in outcome.items() if name != "first"} | {"outcome": outcome["first"]}


def told(process: subprocess.Popen[bytes]) -> list[Any]:
    """The whole outcomes that a dead process had handed over."""
    assert process.stdout
    return [json.loads(line) for line in process.stdout if line.endswith(b"\n")]


def kill_in_the_middle(kejin: Program, lines: Sequence[Line], random: Random, before: int) -> list[Any]:
    """Feed a run in pieces; kill -9 it while a piece is at work, `before` lines or more into it. What it told."""
    process = kejin.start("run", "-", "--json")
    assert process.stdin and process.stdout and process.stderr
    outcomes: list[Any] = []
    rest = list(lines)
    while len(outcomes) < before and rest:
        size = min(random.randint(1, 30), len(rest))
        process.stdin.write(ndjson(*rest[:size]))
        process.stdin.flush()
        outcomes += [next_line(process) for _ in range(size)]
        rest = rest[size:]
    size = random.randint(0, 80)
    process.stdin.write(ndjson(*rest[:size]))
    process.stdin.flush()
    outcomes += [next_line(process) for _ in range(min(random.randint(0, 1), size, len(rest)))]
    process.kill()
    process.wait()
    outcomes += told(process)
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()
    return outcomes


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_ledger(
    kejin: Program, embedded_server: str, seed: int
) -> None:
    """kill -9 in the middle of batches, several times: nothing acknowledged is lost, nothing is recorded twice,
    and the last run leaves what an undisturbed one leaves."""
    lines, random = history(seed, 260, Mix(undated=0)), Random(seed)
    wanted = undisturbed(embedded_server, lines)
    for before in sorted(random.sample(range(len(lines) - 20), 3)):
        outcomes = kill_in_the_middle(kejin, lines, random, before)
        for outcome in outcomes:
            assert as_first(outcome) == as_first(wanted[0][outcome["line"] - 1])
        recorded = kejin.ask("balance", "public/treasury")["known_position"]
        assert recorded >= max((p for outcome in outcomes for p in outcome["positions"]), default=0)
    same_ledger(kejin, lines, wanted)


@pytest.mark.parametrize(("after", "count"), [(0, 4_000), (4_001, 7_000), (14_001, 16_500)])
def test_a_run_that_is_killed_in_a_large_batch_ends_in_the_same_ledger(
    kejin: Program, embedded_server: str, tmp_path: Path, after: int, count: int
) -> None:
    """kill -9 while thousands of lines are written at once: all of a batch is there or nothing of it. A long
    input is by then written by a process of its own, which ends with the run."""
    lines = (*OPENING, *(repay(n, key=f"K{n}") for n in range(1, count + 1)))
    file = tmp_path / "commands"
    file.write_bytes(ndjson(*lines))
    kejin.record(OPENING[0])
    process = kejin.start("run", file, "--json")
    assert process.stdout
    outcomes = [next_line(process) for _ in range(after)]
    children = psutil.Process(process.pid).children()
    assert len(children) == (after > 4_000)
    if not after:
        with psycopg.connect(kejin.address or "", autocommit=True) as connection:
            writing = (
                "select count(*) from pg_stat_activity where datname = current_database() and query like %s"
            )
            until(
                lambda: (
                    process.poll() is not None or connection.execute(writing, ("copy %",)).fetchone() != (0,)
                )
            )
    process.kill()
    process.wait()
    psutil.wait_procs(children, timeout=HANGS_SECONDS)
    assert not any(child.is_running() for child in children)
    outcomes += told(process)
    recorded = len(kejin.events())
    assert recorded >= max((p for outcome in outcomes for p in outcome["positions"]), default=2)
    same_ledger(kejin, lines, undisturbed(embedded_server, lines))


# --- the server dies ----------------------------------------------------------------------------------

LINES = (
    *OPENING,
    claim(),
    publicise(),
    *(repay(n) for n in range(1, 60)),
    draw("L2"),
    claim("C2", loan="L2"),
)


@pytest.fixture(scope="module")
def whole(embedded_server: str) -> Whole:
    """What an undisturbed run of LINES leaves."""
    return undisturbed(embedded_server, LINES)


def postmaster(data: Path) -> int:
    """The process number that the server's own file names."""
    return int((data / "postgres" / "postmaster.pid").read_text().split()[0])


def backends(data: Path) -> list[int]:
    """The server's processes that serve clients."""
    children = psutil.Process(postmaster(data)).children()
    return [child.pid for child in children if " kejin [local]" in " ".join(child.cmdline())]


@contextmanager
def halfway(
    kejin: Program, lines: Sequence[Line] = LINES, done: int = 20
) -> Iterator[subprocess.Popen[bytes]]:
    """A run that told the outcomes of `done` lines and waits for more."""
    process = kejin.start("run", "-", "--json")
    assert process.stdin and process.stdout
    process.stdin.write(ndjson(*lines[:done]))
    process.stdin.flush()
    for _ in range(done):
        assert next_line(process)["outcome"] in ("accepted", "repeated")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def rest_of(process: subprocess.Popen[bytes], given: bytes) -> Answer:
    """How a run ends that is sent the rest; one that hangs fails the test."""
    try:
        out, err = process.communicate(given, timeout=HANGS_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail("the program hangs")
    return Answer(process.returncode, out, err.decode())


def broke_off(process: subprocess.Popen[bytes], given: bytes = ndjson(*LINES[20:])) -> str:
    """A run whose database went away ends with exit 2 and one line; the line."""
    answer = rest_of(process, given)
    assert answer.code == 2, answer
    assert "run the same again" in answer.complaint
    return answer.complaint


@pytest.fixture
def staying(tmp_path: Path) -> Iterator[Program]:
    """The program on a data folder whose server stays."""
    with data_folder(tmp_path / "data") as program:
        program.ask("database")
        yield program


@pytest.mark.parametrize("stays", [True, False])
def test_a_killed_server_is_one_line_and_the_next_run_completes(
    tmp_path: Path, whole: Whole, stays: bool
) -> None:
    """kill -9 of the postmaster in the middle of a run: exit 2 and one clear line; the next run goes on."""
    data = tmp_path / "data"
    with data_folder(data) as kejin:
        if stays:
            kejin.ask("database")
        with halfway(kejin) as process:
            os.kill(postmaster(data), signal.SIGKILL)
            broke_off(process)
        same_ledger(kejin, LINES, whole)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_stopped_server_is_one_line_and_the_next_run_completes(
    staying: Program, whole: Whole, stop: signal.Signals
) -> None:
    """A server that is stopped in the middle of a run, as pg_ctl does: exit 2, one line, then a clean run."""
    assert staying.data
    with halfway(staying) as process:
        pid = postmaster(staying.data)
        os.kill(pid, stop)
        until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        broke_off(process)
    same_ledger(staying, LINES, whole)


def test_database_stop_in_the_middle_is_one_line_and_the_next_run_completes(
    staying: Program, whole: Whole
) -> None:
    """`kejin database --stop` stops the server whoever uses it: they are told in one line and can run again."""
    with halfway(staying) as process:
        assert staying.ask("database", "--stop") == {"stopped": True}
        broke_off(process)
    same_ledger(staying, LINES, whole)


@pytest.mark.parametrize("others", [1, 3])
def test_a_terminated_connection_is_one_line_and_the_next_run_completes(
    kejin: Program, whole: Whole, others: int
) -> None:
    """pg_terminate_backend of every connection in the middle of runs: each ends with one line; then all completes."""
    terminate = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    with psycopg.connect(kejin.address or "", autocommit=True) as connection:
        for _ in range(others):
            with halfway(kejin) as process:
                connection.execute(terminate)
                broke_off(process)
    same_ledger(kejin, LINES, whole)


def test_a_run_that_waits_for_the_append_lock_when_the_connection_goes_is_one_line(
    kejin: Program, whole: Whole
) -> None:
    """A run that is terminated while another holds the append lock wrote nothing of that batch."""
    with psycopg.connect(kejin.address or "", autocommit=True) as connection, halfway(kejin) as process:
        connection.execute("begin")
        connection.execute(b"select pg_advisory_xact_lock(%d)" % 0x6B656A696E01)
        assert process.stdin
        process.stdin.write(ndjson(*LINES[20:]))
        process.stdin.flush()
        waiting = "select pid from pg_locks where locktype = 'advisory' and not granted"
        until(lambda: connection.execute(waiting).fetchone() is not None)
        connection.execute(f"select pg_terminate_backend(pid) from ({waiting}) w".encode())
        connection.execute("commit")
        broke_off(process, b"")
    assert len(kejin.events()) == 21
    same_ledger(kejin, LINES, whole)


def recoveries(data: Path) -> int:
    """How often a server of the folder began to recover from a crash of one of its processes."""
    return (data / "server.log").read_text().count("reinitializing")


def recovers_again(data: Path, before: int, server: int) -> bool:
    """Whether the server began to once more, or is gone."""
    return recoveries(data) > before or not psutil.pid_exists(server)


@contextmanager
def cleared_away(data: Path) -> Iterator[None]:
    """Whatever a test that may find a hanging server leaves is gone afterwards."""
    try:
        yield
    finally:
        if (data / "postgres" / "postmaster.pid").exists():
            pid = postmaster(data)
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGQUIT)
                until(
                    lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
                )


def test_a_crashed_backend_is_one_line_and_the_next_run_completes(tmp_path: Path, whole: Whole) -> None:
    """kill -9 of a server process of a run, which makes the server recover: exit 2 and one line, at any moment
    of that recovery; then a clean run."""
    data = tmp_path / "data"
    kejin = Program(data=data)
    with cleared_away(data):
        for turn in range(8):
            with halfway(kejin) as process:
                before, server = recoveries(data), postmaster(data)
                found = sorted(backends(data))  # of the connection that writes, and of the one that reads
                os.kill(found[turn % len(found)], signal.SIGKILL)
                # A server that hangs instead of recovering is ended by whoever waits for it.
                until(partial(recovers_again, data, before, server))
                broke_off(process)
        same_ledger(kejin, LINES, whole)


# --- the disk is full ---------------------------------------------------------------------------------

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 220 MB of its own."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    command = ["mount", "-t", "tmpfs", "-o", "size=220m", "none", str(mounted)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield mounted
    finally:
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def fill(disk: Path, left_bytes: int) -> Path:
    """A file that leaves so much room on a disk."""
    ballast = disk / "ballast"
    status = os.statvfs(disk)
    with ballast.open("wb") as file:
        for _ in range((status.f_bavail * status.f_frsize - left_bytes) // MIB):
            file.write(b"\0" * MIB)
    return ballast


def test_the_first_start_on_a_full_disk_is_one_line(small_disk: Path) -> None:
    """No room for a database: exit 2, one line that says so; with room the same command succeeds."""
    ballast = fill(small_disk, 10 * MIB)
    with data_folder(small_disk / "data", absent=True) as kejin:
        answer = kejin("run", "-", "--json", given=ndjson(*OPENING))
        assert (answer.code, answer.out) == (2, b"")
        assert "disk is full" in answer.complaint
        ballast.unlink()
        kejin.record(*OPENING)


def test_a_disk_without_names_for_files_is_full(small_disk: Path) -> None:
    """No inode is left: the line says that the disk is full."""
    data = small_disk / "data"
    subprocess.run(["mount", "-o", "remount,nr_inodes=300", str(small_disk)], check=True)
    answer = Program(data=data)("run", "-", "--json", given=ndjson(*OPENING))
    assert (answer.code, answer.out) == (2, b"")
    assert "disk is full" in answer.complaint


def many(count: int) -> tuple[Line, ...]:
    """Enough commands to fill what is left of the small disk, with keys as long as keys may be."""
    return (*OPENING, *(repay(n, key=f"{n:0{KEY_LENGTH_MAX}}") for n in range(1, count)))


def says_why(answer: Answer) -> bool:
    """Whether one line says why a run ended; before it perhaps another that no checkpoint could be signed either."""
    *before, last = answer.err.splitlines()
    ended = "disk is full" in last or "run the same again" in last
    return ended and len(before) <= 1 and all("no checkpoint was signed" in line for line in before)


def test_a_disk_that_runs_full_is_one_line_and_with_room_the_run_completes(small_disk: Path) -> None:
    """The disk runs full in the middle of a run: exit 2 and one clear line; with room the next run completes."""
    data = small_disk / "data"
    kejin, lines = Program(data=data), many(12_000)
    kejin.record(*OPENING)
    ballast = fill(small_disk, 12 * MIB)
    with cleared_away(data):
        answer = rest_of(kejin.start("run", "-", "--json"), ndjson(*lines))
        assert answer.code == 2, answer
        assert says_why(answer), answer.err
        ballast.unlink()
        resumed(kejin, lines, answer)


def test_a_disk_that_runs_full_under_a_server_that_stays(small_disk: Path) -> None:
    """The same with a server that stays: exit 2, one line, a sound ledger with all that was acknowledged."""
    data = small_disk / "data"
    kejin, lines = Program(data=data), many(12_000)
    with cleared_away(data):
        kejin.ask("database")
        kejin.record(*OPENING)
        ballast = fill(small_disk, 12 * MIB)
        answer = rest_of(kejin.start("run", "-", "--json"), ndjson(*lines))
        assert answer.code == 2, answer
        assert says_why(answer), answer.err
        ballast.unlink()
        until(lambda: is_back(kejin))
        resumed(kejin, lines, answer)
        kejin("database", "--stop")


def is_back(kejin: Program) -> bool:
    """Whether a server that a full disk made recover takes connections; until then commands say so in one line."""
    answer = kejin("caps", "--json")
    return answer.code == 0 or "cannot connect to the database" not in answer.complaint


def resumed(kejin: Program, lines: Sequence[Line], broken: Answer) -> None:
    """What was acknowledged is there, and running again records the rest, once."""
    recorded = len(kejin.events())
    assert recorded >= max((p for outcome in broken.lines for p in outcome["positions"]), default=5)
    assert recorded < len(lines) + 1, "the disk was large enough for all"
    answer = kejin.run(*lines)
    assert answer.code == 0
    for first, now in zip(broken.lines, answer.lines, strict=False):
        assert as_first(now) == as_first(first)
    assert [event["position"] for event in kejin.events()] == list(range(1, len(lines) + 2))
    assert kejin.ask("verify", "all")["ok"]


# --- a turn fails, the connection lives ---------------------------------------------------------------

FAILING_COMMITS = """
create function no_room() returns trigger language plpgsql as
$$ begin raise exception 'no space left' using errcode = 'disk_full'; end $$;
create constraint trigger no_room after insert or update on day_sums
deferrable initially deferred for each row execute function no_room()
"""


def test_a_turn_that_fails_at_its_commit_leaves_nothing_behind_in_memory(database: str) -> None:
    """A writer whose commit failed on a living connection decides and records afterwards as a new one would, also
    when another process has used the account numbers of the failed turn."""
    one, two = Ledger(database), Ledger(database)
    one.submit(*OPENING[:3], draw("L1", 10**12))
    claims = [
        claim(f"C{n}", 200, (date(2023, 3, 1) + timedelta(days=n)).isoformat())
        for n in range(TAIL_EVENTS_MAX + 2)
    ]
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(FAILING_COMMITS)
        with pytest.raises(psycopg.errors.DiskFull):
            one.submit(*claims)
        owner.execute("drop trigger no_room on day_sums")
    assert [answer["outcome"] for answer in two.submit(draw("L2"), draw("L3"))] == ["accepted"] * 2
    assert {answer["outcome"] for answer in one.submit(*claims)} == {"accepted"}
    one.store.close()
    two.store.close()
    kejin = Program(database)
    assert kejin.ask("verify", "all")["findings"] == []
    assert {row["key"] for row in kejin.ask("caps", "--party", FIRM)} == {FIRM, "L1"}
