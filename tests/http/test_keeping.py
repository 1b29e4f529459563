"""The process beside a server that signs the log and keeps the projections near its end."""

from __future__ import annotations

from pathlib import Path

import psutil
import psycopg
import pytest

from api.service.database import Database
from api.service.keeping import KEEPER_LOCK
from ledger.connection import StoreError
from tests.cli.program import OPENING, Program, data_folder, repay
from tests.faults.test_kills import until
from tests.http.service import Service, serving

#: Who keeps holds this lock.
LEADERS = (
    "select count(*) from pg_locks where locktype = 'advisory' and granted"
    f" and classid::bigint = {KEEPER_LOCK >> 32} and objid::bigint = {KEEPER_LOCK & 0xFFFFFFFF}"
)


def children(service: Service) -> list[psutil.Process]:
    """The processes that a server started."""
    found: list[psutil.Process] = psutil.Process(service.process.pid).children()
    return found


def number(address: str, question: str) -> int:
    """The one number that a question to the database comes to."""
    with psycopg.connect(address) as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return int(row[0] or 0)


def signed(address: str) -> int:
    """How much of the log is signed."""
    return number(address, "select max(size) from kejin_work.checkpoints")


def address_of(kejin: Program) -> str:
    """Where its database answers."""
    return kejin("database").out.decode().strip()


def test_the_process_that_keeps_is_started_again(tmp_path: Path) -> None:
    """Killed, it is told of in the log and replaced: what is recorded then is signed and projected."""
    with data_folder(tmp_path / "data") as kejin, serving(kejin, tmp_path / "log") as service:
        address = address_of(kejin)
        until(lambda: len(children(service)) == 1)
        (before,) = children(service)
        before.kill()
        service.record(*OPENING)
        until(lambda: signed(address) == 5)
        until(lambda: all(p["lag"] == 0 for p in service.read("/ready")["projections"]))
        assert before not in children(service)
        assert "the process that signs and projects ended" in (tmp_path / "log").read_text()


def test_of_two_servers_one_keeps_and_the_other_takes_over(tmp_path: Path) -> None:
    """One of them has the lead; when it is killed with its process, what the other one records is signed."""
    with data_folder(tmp_path / "data") as kejin, serving(kejin, tmp_path / "b") as stays:
        address = address_of(kejin)
        with serving(kejin, tmp_path / "a") as goes:
            goes.record(*OPENING)
            until(lambda: signed(address) == 5)
            assert number(address, LEADERS) == 1
            goes.kill()
        stays.record(repay(1))
        until(lambda: signed(address) == 6)
        until(lambda: number(address, LEADERS) == 1)


def test_what_was_recorded_last_is_signed_when_the_server_stops(tmp_path: Path) -> None:
    """A server that is told to stop leaves no event unsigned, whoever else has the lead, and no process behind."""
    with data_folder(tmp_path / "data") as kejin:
        address = address_of(kejin)
        with psycopg.connect(address, autocommit=True) as leader:
            leader.execute("select pg_advisory_lock(%s)", (KEEPER_LOCK,))
            with serving(kejin, tmp_path / "log") as service:
                until(lambda: bool(children(service)))
                mine = children(service)
                service.record(*OPENING)
                assert service.stop() == 0
        assert signed(address) == 5
        assert not any(process.is_running() for process in mine)


def test_a_server_whose_keeper_is_gone_signs_all_the_same_when_it_stops(tmp_path: Path) -> None:
    """Killed a moment before the stop, the process that signs is started once more."""
    with data_folder(tmp_path / "data") as kejin:
        address = address_of(kejin)
        with serving(kejin, tmp_path / "log") as service:
            until(lambda: bool(children(service)))
            for process in children(service):
                process.kill()
            service.record(*OPENING)
            assert service.stop() == 0
        assert signed(address) == 5


def test_what_keeps_restarts_no_database(tmp_path: Path) -> None:
    """It runs at a lower priority, and so would PostgreSQL: found dead by it, the server is left to others."""
    with data_folder(tmp_path / "data") as kejin:
        with serving(kejin, tmp_path / "log") as service:
            service.record(*OPENING)
            until(lambda: [process.nice() for process in children(service)] == [psutil.Process().nice() + 5])
        database = Database(None, tmp_path / "data", restarts=False)
        with psycopg.connect(address_of(kejin)) as connection:
            postmaster = psutil.Process(connection.info.backend_pid).parent()
        assert postmaster is not None
        postmaster.kill()
        postmaster.wait()
        with pytest.raises(StoreError):
            database.listener()
        assert kejin.ask("verify", "all")["ok"]
        with database.listener() as store:
            assert store.head().position == 5
        database.close()
