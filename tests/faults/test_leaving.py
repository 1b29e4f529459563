"""Signals that end a command: one line, the exit code that says which, and no server left behind without a user."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.program import (
    OPENING,
    PATIENCE_SECONDS,
    Answer,
    Program,
    data_folder,
    ndjson,
    next_line,
    repay,
)
from tests.http.service import start as start_service

LINE = "interrupted; run the same again to go on"


def begun(kejin: Program) -> subprocess.Popen[bytes]:
    """A run that recorded its first line and waits for more."""
    process = kejin.start("run", "-", "--json")
    assert process.stdin
    process.stdin.write(ndjson(OPENING[0]))
    process.stdin.flush()
    assert next_line(process)["outcome"] in ("accepted", "repeated")
    return process


def ended(process: subprocess.Popen[bytes]) -> Answer:
    """How a process ends whose input stays open."""
    process.wait(PATIENCE_SECONDS)
    assert process.stdout and process.stderr
    return Answer(process.returncode, process.stdout.read(), process.stderr.read().decode())


def is_stopped(data: Path) -> bool:
    """Whether the server of a folder was stopped, not merely left."""
    return not (data / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
@pytest.mark.parametrize("times", [1, 4], ids=["once", "again and again"])
def test_a_signal_is_one_line_and_leaves_no_server(
    tmp_path: Path, number: signal.Signals, times: int
) -> None:
    """Exit 128 + n and one line, however often the signal comes; the server of the folder is stopped, and the same run
    goes on."""
    data = tmp_path / "data"
    with data_folder(data) as kejin:
        process = begun(kejin)
        for _ in range(times):
            process.send_signal(number)
        answer = ended(process)
        assert (answer.code, answer.complaint) == (128 + number, LINE)
        assert is_stopped(data)
        kejin.record(*OPENING)


def test_an_interrupt_of_a_long_run_is_one_line(tmp_path: Path) -> None:
    """No line of a library comes among ours while a process of its own writes."""
    data, file = tmp_path / "data", tmp_path / "commands"
    file.write_bytes(ndjson(*OPENING, *(repay(n, key=f"K{n}") for n in range(1, 16_001))))
    with data_folder(data) as kejin:
        process = kejin.start("run", file, "--json")
        assert process.stdout
        for _ in range(9_000):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert Answer(process.returncode, b"", err.decode()).complaint == LINE
        assert process.returncode == 130
        assert is_stopped(data)


def test_an_interrupt_while_the_database_is_made_is_one_line(tmp_path: Path) -> None:
    """Ctrl-C in the first second of a new folder: one line, no server, and the next command makes it."""
    data = tmp_path / "data"
    with data_folder(data, absent=True) as kejin:
        process = kejin.start("events", "--json")
        while not (data / "postgres.new").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        answer = ended(process)
        assert (answer.code, answer.complaint) == (130, LINE)
        assert is_stopped(data)
        assert kejin.events() == []


def test_what_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    """Under nohup the terminal's end does not end a run."""
    data = tmp_path / "data"
    with data_folder(data) as kejin:
        process = subprocess.Popen(
            ["nohup", *kejin.words("run", "-", "--json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=kejin.variables(),
        )
        assert process.stdin
        process.stdin.write(ndjson(OPENING[0]))
        process.stdin.flush()
        next_line(process)
        process.send_signal(signal.SIGHUP)
        answer = kejin.finish(process, ndjson(*OPENING[1:]))
        assert (answer.code, answer.err, len(answer.lines)) == (0, "", len(OPENING) - 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_a_service_ends_its_own_way(tmp_path: Path, number: signal.Signals) -> None:
    """`kejin serve` drains and exits 0 on each of them, and stops its server."""
    data = tmp_path / "data"
    with data_folder(data) as kejin:
        service = start_service(kejin, tmp_path / "log")
        service.close()
        service.process.send_signal(number)
        assert service.process.wait(PATIENCE_SECONDS) == 0
        assert '"event":"stopped"' in (tmp_path / "log").read_text()
        assert is_stopped(data)


def test_a_server_that_cannot_be_left_is_one_line(tmp_path: Path) -> None:
    """A command that has done its work and cannot give up its share says so in one line."""
    data = tmp_path / "data"
    with data_folder(data) as kejin:
        process = begun(kejin)
        lock = data / "kejin.lock"
        lock.rename(data / "aside")
        lock.mkdir()
        answer = kejin.finish(process)
        lock.rmdir()
        (data / "aside").rename(lock)
        assert answer.code == 2
        assert "cannot use the data folder" in answer.complaint
        assert len(kejin.events()) == 2
