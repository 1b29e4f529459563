"""kill -9 of servers and of PostgreSQL, many clients at one cap edge, a graceful stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.cli.program import (
    OPENING,
    PATIENCE_SECONDS,
    Line,
    Program,
    claim,
    data_folder,
    draw,
    repay,
)
from tests.faults.test_kills import until
from tests.http.service import Answer, Service, serving, start
from tests.http.test_commands import problem

#: Days of one loan's period: each claim takes its own.
DAYS = [f"2023-{month:02d}-{day:02d}" for month in range(3, 13) for day in range(1, 29)]


def at_once(count: int, work: Callable[[int], None]) -> None:
    """Run `work(number)` in so many threads that begin together."""
    gate = threading.Barrier(count)
    failures: list[BaseException] = []

    def run(number: int) -> None:
        gate.wait()
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert not failures, failures


def test_many_clients_at_one_cap_edge_grant_exactly_the_cap(database: str, tmp_path: Path) -> None:
    """64 clients through two servers claim more than a firm's cap: exactly the cap is granted, one claim is cut to
    what is left, the others are refused, and the proof holds."""
    kejin = Program(database)
    with serving(kejin, tmp_path / "one") as one, serving(kejin, tmp_path / "two") as two:
        one.record(*OPENING, draw("L2", 10_000_000_000))
        answers: list[Answer] = []

        def work(number: int) -> None:
            client = (one, two)[number % 2].client()
            for step in range(3):
                day = DAYS[number * 3 + step]
                line = claim(f"C{number}-{step}", 600_006, day, loan="L2")
                answers.append(client.post(line))
            client.close()

        at_once(64, work)
    granted = [answer.document["amount_fen"] for answer in answers if answer.status == 201]
    assert sum(granted) == 20_000_000
    assert sorted(granted)[1:] == [300_003] * 66
    refused = [answer.document["code"] for answer in answers if answer.status != 201]
    assert set(refused) == {"firm_cap_reached"}
    assert len(granted) + len(refused) == 192
    assert kejin.ask("verify", "all")["ok"]


class Recorder:
    """Clients that record repayments until they are told to end; what was acknowledged, by key."""

    def __init__(self, services: Callable[[], Service], clients: int) -> None:
        self.acknowledged: dict[str, list[int]] = {}
        self._services = services
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop recording."""
        self._ended.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _work(self, number: int) -> None:
        step = 0
        while not self._ended.is_set():
            step += 1
            self._record(f"{number}-{step}", repay(step))

    def _record(self, key: str, line: Line) -> None:
        """Send until it is answered by an outcome, as a careful client does: always under the same key."""
        while not self._ended.is_set():
            client = self._services().client()
            try:
                answer = client.post(line, {"Idempotency-Key": key})
            except Exception:  # killed under us
                continue
            finally:
                client.close()
            if answer.status in (200, 201):
                self.acknowledged[key] = answer.document["positions"]
                return
            assert answer.status == 503, answer


def recorded(kejin: Program) -> dict[str, list[int]]:
    """Positions by key, as the log has them."""
    found: dict[str, list[int]] = {}
    for event in kejin.events("--type", "LoanRepaid"):
        found.setdefault(event["key"], []).append(event["position"])
    return found


def test_what_was_acknowledged_is_there_once_after_a_server_was_killed(database: str, tmp_path: Path) -> None:
    """Two servers, eight clients that go on with the other or the next server: nothing is lost or doubled."""
    kejin = Program(database)
    servers = [start(kejin, tmp_path / "0"), start(kejin, tmp_path / "1")]
    servers[0].record(*OPENING[:3], draw("L1", 10**15))
    turn = [0]

    def some() -> Service:
        turn[0] += 1
        return servers[-1 - turn[0] % 2]

    recorder = Recorder(some, clients=8)
    for number in range(2, 5):
        wanted = len(recorder.acknowledged) + 40
        until(lambda wanted=wanted: len(recorder.acknowledged) >= wanted)  # type: ignore[misc]
        servers.append(start(kejin, tmp_path / str(number)))
        servers[-3].kill()
    recorder.end()
    log = recorded(kejin)
    assert all(len(positions) == 1 for positions in log.values())
    assert recorder.acknowledged.items() <= log.items()
    assert kejin.ask("verify", "log")["ok"]
    for server in servers[-2:]:
        server.close()
        assert server.stop() == 0


def test_what_was_acknowledged_is_there_once_after_postgresql_was_killed(tmp_path: Path) -> None:
    """The embedded server is killed, whole, while commands come in: clients get 503 or wait, the server goes on by
    itself on the restarted database, and every acknowledged command is there once."""
    with data_folder(tmp_path / "data") as kejin, serving(kejin, tmp_path / "log") as service:
        service.record(*OPENING[:3], draw("L1", 10**15))
        recorder = Recorder(lambda: service, clients=6)
        for _ in range(2):
            wanted = len(recorder.acknowledged) + 40
            until(lambda wanted=wanted: len(recorder.acknowledged) >= wanted)  # type: ignore[misc]
            pid = int((tmp_path / "data" / "postgres" / "postmaster.pid").read_text().split()[0])
            postmaster = psutil.Process(pid)
            for process in [postmaster, *postmaster.children()]:
                process.kill()
        wanted = len(recorder.acknowledged) + 40
        until(lambda: len(recorder.acknowledged) >= wanted)
        recorder.end()
        until(lambda: service.get("/ready").status == 200)
        log = recorded(kejin)
        assert all(len(positions) == 1 for positions in log.values())
        assert recorder.acknowledged.items() <= log.items()
        balance = service.read("/v1/balances/private/loan/L1/repaid")["balance_fen"]
        assert balance == kejin.ask("balance", "private/loan/L1/repaid")["balance_fen"]
        assert kejin.ask("verify", "log")["ok"]


def test_a_graceful_stop_answers_what_was_taken_and_503_to_newcomers(database: str, tmp_path: Path) -> None:
    """While the database holds a turn up, SIGTERM comes: the waiting command is still recorded and answered 201, a
    new one gets 503 with Retry-After, and the server leaves with 0."""
    import psycopg

    from ledger.store import APPEND_LOCK

    kejin = Program(database)
    service = start(kejin, tmp_path / "log")
    service.record(*OPENING)
    kept = service.client()
    kept.get("/health")
    answers: list[Answer] = []
    with psycopg.connect(database) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (APPEND_LOCK,))
        waiting = threading.Thread(target=lambda: answers.append(service.client().post(repay())))
        waiting.start()
        until(lambda: in_flight(kept) >= 2)
        service.process.terminate()
        until(lambda: kept.get("/v1/caps").status == 503)
        refused = kept.post(repay(7))
        problem(refused, 503, "stopping")
        assert int(refused.headers["retry-after"]) > 0
        assert service.process.poll() is None
        connection.rollback()
    waiting.join(PATIENCE_SECONDS)
    assert [answer.status for answer in answers] == [201]
    kept.close()
    service.close()
    assert service.process.wait(PATIENCE_SECONDS) == 0
    assert len(kejin.events("--type", "LoanRepaid")) == 1


def in_flight(client: Service) -> float:
    """How many requests are at work, the one that asks included."""
    text = client.get("/metrics").body.decode()
    line = next(line for line in text.splitlines() if line.startswith("kejin_requests_in_flight "))
    return float(line.rpartition(" ")[2])


def test_256_requests_wait_rather_than_get_503(database: str, tmp_path: Path) -> None:
    """While nothing can be recorded, 256 commands wait; all are recorded once it goes on, in few commits."""
    import psycopg

    from ledger.store import APPEND_LOCK

    kejin = Program(database)
    with serving(kejin, tmp_path / "log") as service:
        service.record(*OPENING)
        answers: list[Any] = []
        with psycopg.connect(database) as connection:
            connection.execute("select pg_advisory_xact_lock(%s)", (APPEND_LOCK,))
            threads = [
                threading.Thread(
                    target=lambda n=n: answers.append(service.client().post(repay(n + 1)).status)
                )
                for n in range(256)
            ]
            for thread in threads:
                thread.start()
            until(lambda: in_flight(service) >= 257)
            connection.rollback()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        assert answers == [201] * 256


def test_the_database_being_away_is_503_and_passes(database: str, tmp_path: Path) -> None:
    """Connections that the database ends are opened anew: reads and commands answer again by themselves."""
    import psycopg

    with serving(Program(database), tmp_path / "log") as service:
        service.record(*OPENING)
        for _ in range(3):
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                )
            deadline = time.monotonic() + PATIENCE_SECONDS
            answer = service.post(repay(), {"Idempotency-Key": str(deadline)})
            assert answer.status in (201, 503)
            if answer.status == 503:
                problem(answer, 503, "database_unavailable")
                assert service.post(repay(), {"Idempotency-Key": str(deadline)}).status in (200, 201)
            assert service.read("/v1/balances/public/treasury")["balance_fen"] == -100_000_000
