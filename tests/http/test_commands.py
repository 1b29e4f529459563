"""Commands over HTTP: statuses, keys, dry runs, batches."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.http.batches import Cutter
from tests.cli.program import FIRM, OPENING, Program, claim, draw, ndjson, open_round, pay, register, repay
from tests.histories import Mix, history
from tests.http.service import Answer, Service
from tests.support import fresh_database


def problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.document
    assert {"type", "title", "status", "detail", "code", "clause"} <= document.keys()
    assert (document["status"], document["code"]) == (status, code)
    return document


def test_an_accepted_command_is_201_and_there_for_the_command_line(service: Service, database: str) -> None:
    """Accepted is 201 with the outcome object; `kejin events` shows the event, by the server's principal."""
    answer = service.post(open_round())
    assert (answer.status, answer.document) == (201, {"outcome": "accepted", "positions": [1, 2]})
    events = Program(database).events()
    assert [event["type"] for event in events] == ["RulebookAdopted", "RoundOpened"]


def test_a_byte_order_mark_is_no_part_of_a_command(service: Service) -> None:
    """As at the beginning of a batch; anywhere else it is no JSON."""
    fields = {name: value for name, value in open_round().items() if name != "command"}
    body = json.dumps(fields).encode()
    assert service.ask("POST", "/v1/commands/open-round", b"\xef\xbb\xbf" + body).status == 201
    problem(service.ask("POST", "/v1/commands/open-round", body + b"\xef\xbb\xbf"), 422, "invalid")


def test_refused_is_409_also_when_it_is_repeated(service: Service) -> None:
    """A refusal by a rule is a problem with code, clause and positions, the first time and every time."""
    service.record(*OPENING, claim("C1", 40_000_000))
    line = claim("C2", 40_000_000, "2023-04-01")
    first = problem(service.post(line), 409, "principal_cap_reached")
    assert (first["outcome"], first["clause"]) == ("refused", "SX-1")
    again = problem(service.post(line), 409, "principal_cap_reached")
    assert (again["outcome"], again["first"], again["positions"]) == (
        "repeated",
        "refused",
        first["positions"],
    )


def test_a_repeated_acceptance_is_200_with_the_first_outcome(service: Service) -> None:
    """The same key and fields change nothing; other fields under the key are key_reused."""
    headers = {"Idempotency-Key": "k-1"}
    service.record(*OPENING)
    first = service.post(repay(), headers)
    assert first.status == 201
    again = service.post(repay(), headers)
    assert (again.status, again.document) == (
        200,
        {**first.document, "outcome": "repeated", "first": "accepted"},
    )
    problem(service.post(repay(7), headers), 409, "key_reused")
    # Without a key a command that makes nothing is new each time.
    assert [service.post(repay()).status for _ in range(2)] == [201, 201]


def test_a_dry_run_writes_nothing(service: Service) -> None:
    """dry_run answers 200 or 409 as the command would be decided, and the log stays as it is."""
    service.record(*OPENING)
    would = service.post(claim(), dry_run="true")
    assert (would.status, would.document) == (
        200,
        {"outcome": "accepted", "positions": [], "amount_fen": 6_000_000},
    )
    problem(service.post(pay("C9"), dry_run="true"), 409, "unknown_claim")
    assert service.read("/v1/events")["known_position"] == 5


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"round": "R1", "round": "R2"}', b"\xff", b'{"round": 1}', b"null", b"[" * 3_000],
)
def test_malformed_input_is_422_and_writes_nothing(service: Service, body: bytes) -> None:
    """What is no command of its fields is a problem `invalid`."""
    problem(service.ask("POST", "/v1/commands/close-round", body), 422, "invalid")
    assert service.read("/v1/events")["known_position"] == 0


def test_an_unknown_command_is_an_unknown_address(service: Service) -> None:
    """404 is for addresses; what a command names and is not there is a refusal."""
    problem(service.post({"command": "fly-to-the-moon"}), 404, "unknown_command")
    problem(service.post(pay("C9")), 409, "unknown_claim")


def test_problems_speak_the_readers_language(service: Service) -> None:
    """Accept-Language chooses Chinese or English, for refusals and for the service's own problems."""
    chinese = {"Accept-Language": "fr;q=0.9, zh-CN;q=0.8, en;q=0.1"}
    answer = service.post(pay("C9"), chinese)
    assert (answer.document["detail"], answer.headers["content-language"]) == ("申请 C9 不存在", "zh")
    assert service.get("/v1/nowhere", chinese).document["title"] == "没有此地址"
    assert service.get("/v1/nowhere").document["title"] == "No such address"


def test_a_batch_answers_the_lines_that_kejin_run_answers(
    service: Service, embedded_server: str, database: str
) -> None:
    """The same commands as NDJSON over HTTP and through `kejin run` leave the same outcome lines and the same log."""
    lines = history(5, 150, Mix(undated=0))
    lines = [{**line, "key": line.get("key", f"k{n}")} for n, line in enumerate(lines)]
    texts: list[Any] = [*lines, "", "not json", '{"command": "fly"}']
    with fresh_database(embedded_server) as other:
        expected = Program(other).run(*texts).lines
        log = [(e["type"], e["data"]) for e in Program(other).events()]
    answer = service.run(*texts)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.lines == expected
    assert [(e["type"], e["data"]) for e in Program(database).events()] == log


@settings(max_examples=300)
@given(
    st.lists(st.binary(max_size=7).map(lambda raw: raw.replace(b"\n", b"")), max_size=8),
    st.booleans(),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_a_body_is_cut_into_the_same_lines_however_it_comes(
    lines: list[bytes], ended: bool, cuts: list[int]
) -> None:
    """The lines are those of the whole body, too long ones None; never more of one is kept than a line may have."""
    body = b"\n".join(lines) + (b"\n" if ended else b"")
    at = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:end] for start, end in pairwise(at)] or [b""]
    cutter, found = Cutter(4), list[bytes | None]()
    for number, piece in enumerate(pieces, 1):
        found += cutter.cut(piece, last=number == len(pieces))
        assert cutter.kept_bytes <= 4
    expected = body.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert found == [line if len(line) <= 4 else None for line in expected]


def test_a_line_that_is_too_long_harms_no_other(service: Service, embedded_server: str) -> None:
    """It gets its own invalid outcome in its place and the batch goes on, as in `kejin run`; so does each of several,
    at either end too."""
    long = b'{"command": "close-round", "round": "%s"}' % (b"R" * 2**20)
    just = b'{"command": "close-round", "round": "R9", "document": "D"}'.ljust(2**20)
    texts: list[Any] = [long, OPENING[0], long * 3, *OPENING[1:3], b"x" * (2**20 + 1), just, OPENING[3], long]
    answer = service.run(*texts)
    with fresh_database(embedded_server) as other:
        assert answer.lines == Program(other).run(*texts).lines
    outcomes = "invalid accepted invalid accepted accepted invalid refused accepted invalid"
    assert [line["outcome"] for line in answer.lines] == outcomes.split()
    told = service.ask("POST", "/v1/commands", long, {"Accept-Language": "zh"}).lines
    assert [(line["line"], line["outcome"]) for line in told] == [(1, "invalid")]
    assert "超过 1048576 字节" in told[0]["detail"]


def test_a_batch_is_answered_while_it_is_sent(service: Service) -> None:
    """The outcome of a line comes before the next line is sent: streamed both ways."""
    connection = service.connect()
    connection.putrequest("POST", "/v1/commands")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    file = connection.sock.makefile("rb")
    for number, line in enumerate(OPENING[:3], 1):
        data = ndjson(line)
        connection.sock.sendall(b"%x\r\n%s\r\n" % (len(data), data))
        if number == 1:
            while file.readline() != b"\r\n":
                pass
        size = int(file.readline(), 16)
        outcome = json.loads(file.read(size))
        file.readline()
        assert (outcome["line"], outcome["outcome"]) == (number, "accepted")
    connection.sock.sendall(b"0\r\n\r\n")
    assert file.readline() == b"0\r\n"
    file.close()
    connection.close()


def test_a_client_that_reads_only_after_it_has_sent_everything_gets_everything(service: Service) -> None:
    """Outcomes that nobody reads yet do not stop the reading of a long batch."""
    service.record(*OPENING)
    lines = [draw(f"L{n}", 1_000_000) for n in range(2, 20_000)]
    answer = service.run(*lines)
    assert [line["line"] for line in answer.lines] == list(range(1, len(lines) + 1))
    assert {line["outcome"] for line in answer.lines} == {"accepted"}


def test_the_same_key_from_many_clients_gives_one_outcome(service: Service, database: str) -> None:
    """32 clients send one command under one key at once: one 201, the others 200, one event."""
    service.record(*OPENING)
    answers: list[Answer] = []
    gate = threading.Barrier(32)

    def work() -> None:
        client = service.client()
        gate.wait()
        answers.append(client.post(repay(), {"Idempotency-Key": "once"}))
        client.close()

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200] * 31 + [201]
    assert {tuple(answer.document["positions"]) for answer in answers} == {(6,)}
    assert len(Program(database).events("--type", "LoanRepaid")) == 1


def test_the_key_may_stand_in_the_body_but_not_contradict_the_header(service: Service) -> None:
    """`key` is a field as in a file; two different keys are invalid."""
    service.record(*OPENING)
    assert service.post(repay(key="a"), {"Idempotency-Key": "a"}).status == 201
    problem(service.post(repay(key="a"), {"Idempotency-Key": "b"}), 422, "invalid")
    assert service.post(register(FIRM, "investor", command="register-party")).status == 201


@pytest.mark.parametrize(
    "body, said", [(b'{"a":1,"a":2}', "字段 'a' 重复"), (b"[]", "不是对象"), (b'{"a":' * 5_000, "")]
)
def test_what_is_no_object_is_told_in_chinese(example: Service, body: bytes, said: str) -> None:
    """What Kejin itself has against a body is in the reader's language."""
    answer = example.ask("POST", "/v1/commands/repay-loan", body, {"Accept-Language": "zh"})
    assert answer.status == 422
    assert said in answer.document["detail"]


@pytest.mark.parametrize(
    ("sent", "language"),
    [
        (["en;q=0.5", "zh"], "zh"),
        (["fr", "ZH-Hans-CN;q=0.2"], "zh"),
        (["zh;q=0.5, en;q=0.5"], "en"),
        (["*"], "en"),
        (["en;q=0.1, *;q=0.5"], "zh"),
        (["en;q=0, *"], "zh"),
        (["zh;q=0, *"], "en"),
        (["*;q=0.5", "zh;q=0.1"], "en"),
        (["*;q=0, zh;q=0.1"], "zh"),
        ([""], "en"),
        ([], "en"),
    ],
)
def test_the_language_is_the_one_that_is_wanted_more(
    example: Service, sent: list[str], language: str
) -> None:
    """Accept-Language may stand in several headers, and `*` is every language that is not named (RFC 9110 §12.5.4); in
    doubt English."""
    answer = asked(example, "/v1/nowhere", *(("Accept-Language", one) for one in sent))
    assert answer.headers["content-language"] == language


@pytest.mark.parametrize(
    ("sent", "media_type"),
    [
        (["application/json;q=0.5", "application/x-ndjson"], "application/x-ndjson"),
        (["APPLICATION/X-NDJSON"], "application/x-ndjson"),
        (["application/x-ndjson;q=0.1", "Application/JSON"], "application/json"),
    ],
)
def test_the_form_is_the_one_that_is_wanted_more(example: Service, sent: list[str], media_type: str) -> None:
    """Accept may stand in several headers, and in capitals; another form has another entity tag."""
    answer = asked(example, "/v1/events", *(("Accept", one) for one in sent))
    assert answer.headers["content-type"] == media_type
    tag = ("If-None-Match", answer.headers["etag"])
    again = [
        asked(example, "/v1/events", tag, ("Accept", one))
        for one in ("application/json", "application/x-ndjson")
    ]
    assert [one.status for one in again] == ([304, 200] if media_type == "application/json" else [200, 304])


def test_a_browser_is_shown_a_page_however_it_asks(example: Service) -> None:
    """Also where `text/html` stands in capitals or in a second Accept."""
    for sent in (["TEXT/HTML"], ["application/xml;q=0.5", "text/html"]):
        answer = asked(example, "/nowhere", *(("Accept", one) for one in sent))
        assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")


def asked(service: Service, path: str, *headers: tuple[str, str]) -> Answer:
    """A GET with headers that may stand several times."""
    with closing(service.connect()) as connection:
        connection.putrequest("GET", path)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
