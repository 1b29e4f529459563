"""Health, readiness, figures, logs, limits, and what every answer carries."""

from __future__ import annotations

import contextlib
import json
import socket
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.cli.program import OPENING, Program, claim, data_folder, pay
from tests.faults.test_kills import until
from tests.http.service import Service, serving
from tests.http.test_commands import problem


def figures(service: Service) -> dict[str, float]:
    """The figures of /metrics by name and labels."""
    text = service.get("/metrics").body.decode()
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_readiness_names_database_schema_and_lag(service: Service) -> None:
    """/health says the process lives; /ready how far the log and each projection are."""
    assert service.read("/health")["status"] == "ok"
    service.record(*OPENING)
    service.read("/v1/balances/public/treasury")
    ready = service.read("/ready")
    assert (ready["status"], ready["database"], ready["position"]) == ("ready", "ok", 5)
    assert ready["projections"]
    assert all(projection["lag"] == 0 for projection in ready["projections"])


def test_figures_count_commits_sizes_and_refusals(service: Service) -> None:
    """Commits, commands per turn, outcomes, refusals by code, requests by operation and status."""
    service.record(*OPENING)
    service.post(pay("C9"))
    service.post(claim())
    found = figures(service)
    assert found["kejin_turn_commands_sum"] == 6
    assert found["kejin_commits_total"] == found["kejin_turn_seconds_count"] <= 6
    assert found['kejin_outcomes_total{outcome="accepted"}'] == 5
    assert found['kejin_refusals_total{code="unknown_claim"}'] == 1
    assert found['kejin_request_seconds_count{operation="pay",status="409"}'] == 1


def test_logs_are_lines_of_json_with_request_id_and_position(database: str, tmp_path: Path) -> None:
    """Each request is one line; the id is that of the answer's header, the positions those recorded."""
    log = tmp_path / "log"
    with serving(Program(database, from_nothing=True), log) as service:
        answer = service.post(OPENING[0])
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == answer.headers["x-request-id"]]
    assert (line["operation"], line["status"], line["positions"]) == ("open-round", 201, [1, 2])
    assert [line["event"] for line in lines if line["event"] != "request"] == [
        "serving",
        "stopping",
        "stopped",
    ]


@pytest.mark.parametrize("path", ["/health", "/v1/caps", "/v1/nowhere", "/openapi.json"])
def test_every_answer_has_the_headers_that_protect_it(service: Service, path: str) -> None:
    """Never sniffed, never a page, never kept by somebody else; no name of the server's software."""
    headers = service.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] in ("no-store", "private, no-cache")
    assert "server" not in headers


def test_a_body_over_its_limit_is_413(service: Service) -> None:
    """One command of more than a mebibyte is refused, whether its length is declared or not."""
    body = b'{"round": "' + b"x" * 2**20 + b'"}'
    problem(service.ask("POST", "/v1/commands/close-round", body), 413, "body_too_large")
    service.close()
    connection = service.connect()
    connection.request("POST", "/v1/commands/close-round", iter([body]), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_batch_over_its_limits_is_413_or_says_where_it_stopped(service: Service) -> None:
    """A declared length over the limit is 413; too many lines end with a line that says so, and nothing after them
    is recorded."""
    connection = service.connect()
    connection.putrequest("POST", "/v1/commands")
    connection.putheader("Content-Length", str(2**40))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    answer = service.run(OPENING[0], b"\n".join([b"x"] * 199_999), OPENING[1])
    assert [line["outcome"] for line in answer.lines[:2]] == ["accepted", "invalid"]
    assert (answer.lines[-1]["line"], answer.lines[-1]["outcome"]) == (200_001, "unknown")
    assert "200000 lines" in answer.lines[-1]["detail"]
    assert service.read("/v1/events")["known_position"] <= 3


def test_a_blank_line_is_none_of_a_batch_s_lines(service: Service) -> None:
    """However many there are: the limit counts what is answered, and each answer names the line as it was sent."""
    answer = service.run(OPENING[0], b"\n" * 100_000, b" \r\n" * 100_000, OPENING[1])
    assert [(line["line"], line["outcome"]) for line in answer.lines] == [
        (1, "accepted"),
        (200_004, "accepted"),
    ]


def test_a_page_over_its_limit_is_422(service: Service) -> None:
    """No page is larger than a thousand rows."""
    problem(service.get("/v1/events", limit=1_001), 422, "invalid_parameter")
    problem(service.get("/v1/events", tag="x" * 9_000), 422, "invalid_parameter")


def test_too_many_streams_are_429(service: Service) -> None:
    """The stream after the last one that fits is told when to come back; the others stay."""
    service.record(*OPENING)
    streams = []
    for _ in range(512):
        stream = socket.create_connection((service.host, service.port))
        stream.sendall(b"GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        streams.append(stream)
    for stream in streams:
        assert stream.recv(12) == b"HTTP/1.1 200"
    refused = service.get("/v1/events/stream")
    problem(refused, 429, "too_many_streams")
    assert int(refused.headers["retry-after"]) > 0
    for stream in streams:
        stream.close()


def test_a_question_that_takes_too_long_is_503(service: Service, database: str) -> None:
    """A statement ends after its time; the request is told to come back, and others are answered meanwhile."""
    service.record(*OPENING)
    service.read("/v1/events/1")
    with psycopg.connect(database) as connection:
        connection.execute("lock table events in access exclusive mode")
        refused = service.get("/v1/events/1", known_position=1)
        problem(refused, 503, "too_slow")
        assert int(refused.headers["retry-after"]) > 0
        assert service.get("/health").status == 200
        connection.rollback()
    assert service.get("/v1/events/1").status == 200


@pytest.mark.parametrize(
    "arguments",
    [["--port", "70000"], ["--host", "no.such.host.invalid"], ["--as", "\t"], ["--host", "192.0.2.1"]],
)
def test_serve_refuses_what_it_cannot_use(database: str, arguments: list[str]) -> None:
    """Exit 2 and one clear line."""
    answer = Program(database)("serve", *arguments)
    assert answer.code == 2
    assert answer.complaint


def test_a_port_in_use_is_a_clear_line(service: Service, database: str) -> None:
    """Exit 2, naming the address."""
    answer = Program(database)("serve", "--port", service.port)
    assert answer.code == 2
    assert str(service.port) in answer.complaint


def test_verification_looks_at_what_was_signed(tmp_path: Path) -> None:
    """An event cut off after it was signed is found over HTTP too: by the key and the note in the data folder."""
    with data_folder(tmp_path / "data") as kejin:
        address = kejin.ask("database")["address"]
        kejin.record(*OPENING, claim())
        with serving(kejin, tmp_path / "log") as service:
            assert service.read("/v1/verification", check="log")["ok"]
            with psycopg.connect(address, autocommit=True) as owner:
                owner.execute("alter table events disable trigger all")
                owner.execute("delete from events where position > 5")
            found = service.read("/v1/verification", check="log")
            assert not found["ok"]
            assert 6 in [finding.get("position") for finding in found["findings"]]


def test_what_the_service_records_is_signed(tmp_path: Path) -> None:
    """With a data folder the service signs checkpoints by itself, as `kejin run` does."""
    with data_folder(tmp_path / "data") as kejin, serving(kejin, tmp_path / "log") as service:
        service.record(*OPENING)
        address = kejin("database").out.decode().strip()

        def signed() -> bool:
            with psycopg.connect(address) as connection:
                row = connection.execute("select max(size) from kejin_work.checkpoints").fetchone()
            return row == (5,)

        until(signed)
    assert kejin.ask("verify", "all")["ok"]


def test_the_figures_are_told_while_the_database_hangs(tmp_path: Path) -> None:
    """Whoever looks why nothing moves gets /metrics from a server whose PostgreSQL answers nothing."""
    with data_folder(tmp_path / "data") as kejin, serving(kejin, tmp_path / "log") as service:
        service.record(*OPENING)
        with psycopg.connect(kejin.ask("database")["address"]) as connection:
            postmaster = psutil.Process(connection.info.backend_pid).parent()
        assert postmaster is not None
        hanging = [postmaster, *postmaster.children()]
        gone = contextlib.suppress(psutil.NoSuchProcess)  # the one that answered above was about to end
        for process in hanging:
            with gone:
                process.suspend()
        try:
            assert "kejin_turn_seconds_count" in service.get("/metrics").body.decode()
        finally:
            for process in hanging:
                with gone:
                    process.resume()


@pytest.mark.parametrize("declared", [3 * 2**20, 99_999_999_999_999])
def test_a_body_has_one_limit(service: Service, declared: int) -> None:
    """However far it is over the limit, whether it was read and thrown away or not read at all: the limit that is told
    is that of a command."""
    with closing(service.connect()) as connection:
        connection.putrequest("POST", "/v1/commands/repay-loan")
        connection.putheader("Content-Length", str(declared))
        connection.endheaders(b"x" * declared if declared < 2**24 else b"")
        response = connection.getresponse()
        assert (response.status, response.headers["connection"]) == (413, "close")
        assert "1048576 bytes" in json.loads(response.read())["detail"]
