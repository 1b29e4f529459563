"""Who has to wait for others for long is told for whom, and goes on once they are done."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
from pathlib import Path

import psycopg
import pytest

from ledger.store import APPEND_LOCK
from tests.cli.program import OPENING, PATIENCE_SECONDS, Program, data_folder, ndjson, next_line, repay
from tests.faults.test_kills import until


def said(process: subprocess.Popen[bytes]) -> str:
    """The next line on a process's standard error; one that never comes fails the test."""
    assert process.stderr
    hangs = threading.Timer(PATIENCE_SECONDS, process.kill)
    hangs.start()
    try:
        return process.stderr.readline().decode()
    finally:
        hangs.cancel()


@pytest.mark.parametrize(
    "words", [("run", "-", "--json"), ("balance", "public/treasury", "--known-at", "2030-01-01")]
)
def test_who_holds_the_append_lock_is_named(database: str, words: tuple[str, ...]) -> None:
    """A program that keeps the append lock, stopped perhaps, is named by whoever waits for it, and is waited for."""
    kejin = Program(database)
    kejin.record(OPENING[0])
    with psycopg.connect(database, autocommit=True, application_name="kejin 4711") as holder:
        holder.execute("select pg_advisory_lock(%s)", (APPEND_LOCK,))
        process = kejin.start(*words)
        assert process.stdin
        process.stdin.write(ndjson(OPENING[1]))
        process.stdin.flush()
        named = f"kejin 4711 (database process {holder.info.backend_pid})"
        assert said(process) == f"kejin: waiting for {named}, which appends to this ledger\n"
    answer = kejin.finish(process)
    if words[0] == "run":
        assert (answer.code, answer.err, len(answer.lines)) == (0, "", 1)
    else:
        assert (answer.code, "future" in answer.complaint) == (2, True)


def test_who_holds_a_folders_lock_is_named(tmp_path: Path) -> None:
    """A process that keeps the lock of a data folder, here this one, is named, and is waited for."""
    with data_folder(tmp_path / "data") as kejin:
        kejin.record(*OPENING)
        lock = tmp_path / "data" / "kejin.lock"
        with lock.open("r+b") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            process = kejin.start("events", "--json")
            assert said(process) == f"kejin: waiting for process {os.getpid()}, which holds {lock}\n"
        answer = kejin.finish(process)
        assert (answer.code, answer.err, len(answer.lines)) == (0, "", 5)


def test_a_server_that_waits_for_its_users_is_named_and_can_be_ended(tmp_path: Path) -> None:
    """Asked to stop once everybody has left, as a system does that goes down: who comes is told what they wait for, and
    the command that ends it now does so, whoever waits; who waited goes on with a server of their own."""
    with data_folder(tmp_path / "data") as kejin:
        kejin.record(*OPENING)
        first = kejin.start("run", "-", "--json")
        assert first.stdin
        first.stdin.write(ndjson(repay(1)))
        first.stdin.flush()
        assert next_line(first)["outcome"] == "accepted"
        pid = int((tmp_path / "data" / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGTERM)
        until(lambda: "stopping" in (tmp_path / "data" / "postgres" / "postmaster.pid").read_text())
        second = kejin.start("balance", "public/treasury", "--json")
        waits = "which stops when its last user leaves; kejin database --stop ends it now"
        assert said(second) == f"kejin: waiting for the server of {tmp_path / 'data'} ({pid}), {waits}\n"
        assert kejin("database", "--stop").code == 0
        assert kejin.finish(second).code == 0
        assert kejin.finish(first, ndjson(repay(2))).code == 2
        assert kejin.run(repay(3)).code == 0
