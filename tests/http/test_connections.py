"""What is sent byte by byte: heads without end, wishes for other protocols, halves that are closed, what is no HTTP."""

from __future__ import annotations

import asyncio
import gc
import http.client
import io
import json
import socket
import threading

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from api.service.connection import Connection, _InOnePiece
from api.service.requests import END_IS_LEAVING
from tests.cli.program import OPENING, PATIENCE_SECONDS, repay
from tests.http.service import Service

BODY = json.dumps({"loan": "L1", "amount_fen": 1}).encode()
POST = b"POST /v1/commands/repay-loan HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % len(BODY)


def told(service: Service, *pieces: bytes, half: bool = False) -> bytes:
    """All that comes back for bytes that are sent in pieces, until the server closes; `half`: after ours is closed."""
    with socket.create_connection((service.host, service.port), PATIENCE_SECONDS) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if half:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def document(answer: bytes) -> dict[str, object]:
    """The JSON of an answer that is the only one."""
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    found: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


@pytest.fixture
def ready(service: Service) -> Service:
    """A server on a ledger with a loan."""
    service.record(*OPENING)
    return service


@pytest.mark.parametrize("cut", [None, 40, len(POST) + 60, -len(BODY), -3])
def test_a_wish_for_http_2_is_declined_and_the_body_stays_the_body(ready: Service, cut: int | None) -> None:
    """A client that offers HTTP/2 on the way gets its command recorded, wherever its bytes are cut."""
    wish = b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    sent = POST + wish + BODY
    answer = told(ready, *([sent] if cut is None else [sent[:cut], sent[cut:]]))
    assert answer.startswith(b"HTTP/1.1 201"), answer
    assert document(answer)["outcome"] == "accepted"


def test_a_body_is_no_request_whatever_the_head_wishes_for(ready: Service) -> None:
    """Nobody can hide a request in the body of another one."""
    hidden = b"GET /v1/caps HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = POST.replace(b"Content-Length: %d" % len(BODY), b"Content-Length: %d" % len(hidden))
    answer = told(ready, head + b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n", hidden)
    assert answer.startswith(b"HTTP/1.1 422")
    assert document(answer)["code"] == "invalid"


def test_who_has_closed_their_half_is_answered(ready: Service) -> None:
    """Everything that was sent whole is answered in order, then the connection is closed; half a request is not."""
    ask = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert told(ready, POST + b"\r\n" + BODY, half=True).startswith(b"HTTP/1.1 201")
    assert told(ready, ask * 3, half=True).count(b"HTTP/1.1 200") == 3
    assert told(ready, POST + b"\r\n" + BODY[:-1], half=True) == b""
    assert ready.read("/v1/events")["known_position"] == 6


def test_a_head_has_a_limit(ready: Service) -> None:
    """A head that goes on and on is 431, in one header or in many."""
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    for more in ([b"X: "] + [b"x" * 10_000] * 40, [b"X-%d: %b\r\n" % (n, b"x" * 1_000) for n in range(400)]):
        with socket.create_connection((ready.host, ready.port), PATIENCE_SECONDS) as connection:
            connection.sendall(head)
            try:
                for piece in more:
                    connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has said enough
            else:
                assert connection.recv(12) == b"HTTP/1.1 431"
    assert ready.get("/health").status == 200


@pytest.mark.parametrize("length, status", [(60_000, b"200"), (70_000, b"431"), (130_000, b"431")])
def test_a_head_that_comes_at_once_has_the_same_limit(ready: Service, length: int, status: bytes) -> None:
    """However a head is cut, and whatever comes behind it."""
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * length
    assert told(ready, head + b"\r\n\r\n", half=True)[9:12] == status
    post = POST + b"X: " + b"x" * length + b"\r\n\r\n" + BODY
    assert told(ready, post, half=True)[9:12] == (b"201" if status == b"200" else status)


@pytest.mark.parametrize(
    "sent",
    [
        b"this is no HTTP\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: elsewhere.example\r\n\r\n",
        b"CONNECT elsewhere.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_problem_too(example: Service, sent: bytes) -> None:
    """400 as a problem document, with the headers of every answer."""
    answer = told(example, sent, half=True)
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert b"application/problem+json" in answer
    assert b"nosniff" in answer
    assert document(answer)["code"] == "malformed_request"


def test_blanks_around_a_header_are_not_part_of_it(ready: Service) -> None:
    """The same key with a blank behind it is the same key (RFC 9112 §5.1)."""
    for blank in (b"", b" ", b"\t "):
        answer = told(ready, POST + b"Connection: close\r\nIdempotency-Key: one" + blank + b"\r\n\r\n" + BODY)
        assert document(answer)["positions"] == [6]


def test_a_key_stands_once(ready: Service) -> None:
    """Two keys for one command are 422; a batch takes none, since each line has its own."""
    twice = b"Connection: close\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n"
    assert document(told(ready, POST + twice + BODY))["code"] == "invalid_parameter"
    answer = ready.ask("POST", "/v1/commands", BODY, {"Idempotency-Key": "a"})
    assert (answer.status, answer.document["code"]) == (422, "invalid_parameter")


@pytest.mark.parametrize(
    "path", ["/health\n", "/v1/caps\n", "/v1/commands/repay-loan\n", "/v1/balances/a\x00"]
)
def test_an_address_has_no_line_ends(ready: Service, path: str) -> None:
    """What looks like an address but for a control character at its end is none."""
    method = "POST" if "commands" in path else "GET"
    assert ready.ask(method, path, BODY if method == "POST" else None).status == 404
    assert told(
        ready, b"GET /v1/balances/public/round/%FF/available HTTP/1.1\r\nHost: localhost\r\n\r\n", half=True
    )[:12] == (b"HTTP/1.1 404")


def test_bodies_are_taken_as_they_are(ready: Service) -> None:
    """A compressed body is 415; identity is none."""
    fields = repay(1)
    assert ready.post(fields, {"Content-Encoding": "gzip"}).status == 415
    assert ready.post(fields, {"Content-Encoding": "identity"}).status == 201


def test_head_of_a_stream_ends(example: Service) -> None:
    """HEAD of the endless stream is answered and the connection goes on."""
    head = b"HEAD /v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ask = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = told(example, head + ask, half=True)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert b"text/event-stream" in answer


@pytest.mark.parametrize("host", ["127.0.0.2", "[::1]:80", "localhost:1"])
def test_every_number_of_this_machine_is_its_name(example: Service, host: str) -> None:
    """Without tokens any loopback address may be asked by."""
    assert example.get("/v1/caps", {"Host": host}).status == 200


def test_an_answer_comes_in_one_piece(service: Service) -> None:
    """Head and body are sent together, so that a client wakes up once: also of several answers, one after the other."""
    with socket.create_connection((service.host, service.port)) as connection:
        for _ in range(20):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
            assert b"200" in head
            assert json.loads(body)


def test_who_writes_much_is_told_to_wait_and_who_left_gets_nothing() -> None:
    """An answer in one piece keeps only a little back: what is large is handed on at once; after the connection was
    lost nothing is written to it any more."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
            pieces = _InOnePiece(transport, loop)
            for _ in range(1_000):
                pieces.write(b"x" * 10_000)
            assert transport.get_write_buffer_size() > 1_000_000
            errors: list[object] = []
            loop.set_exception_handler(lambda loop, context: errors.append(context))
            pieces.write(b"the last")
            transport.abort()
            for _ in range(3):
                await asyncio.sleep(0)
            pieces.write(b"too late")
            await asyncio.sleep(0)
            assert not errors

    uvloop.run(run())


@pytest.mark.parametrize("behind", [b"", b"GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n"])
@pytest.mark.parametrize("how", ["closes", "closes its half", "resets", "had closed"])
def test_who_ends_what_they_send_leaves_long_work(how: str, behind: bytes) -> None:
    """An operation that said that it takes long hears of its client's leaving, however that happens, also where the
    client had asked for more."""

    async def run() -> None:
        began, heard = asyncio.Event(), asyncio.Event()

        async def work(scope: Scope, receive: Receive, send: Send) -> None:
            assert scope["path"] == "/long"
            assert (await receive())["type"] == "http.request"
            if how != "had closed":
                scope[END_IS_LEAVING]()
            began.set()
            if how == "had closed":
                await asyncio.to_thread(closed.wait)
                for _ in range(20):  # the end of what it sends is heard of
                    await asyncio.sleep(0)
                scope[END_IS_LEAVING]()
            assert (await receive())["type"] == "http.disconnect"
            heard.set()

        closed = threading.Event()
        config, state = Config(work, loop="uvloop", log_config=None), ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(config, state, {}), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n" + behind)
            await began.wait()
            if how == "closes its half":
                writer.write_eof()
            elif how == "resets":
                writer.transport.abort()
            else:
                writer.close()
            closed.set()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await heard.wait()
                if how == "closes its half":
                    assert await reader.read() == b""

    uvloop.run(run())


def test_a_request_is_forgotten_once_it_is_answered() -> None:
    """Without a search for cycles, which would stop everybody for as long as it takes: of many requests over one
    connection only the newest is remembered."""

    async def run() -> int:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            assert scope[END_IS_LEAVING]
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})

        config, state = Config(answer, loop="uvloop", log_config=None), ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(config, state, {}), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            gc.collect()
            gc.disable()
            for _ in range(20):
                writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert b"200" in await reader.readuntil(b"\r\n\r\n")
            return sum(isinstance(one, RequestResponseCycle) for one in gc.get_objects())

    try:
        assert uvloop.run(run()) <= 2
    finally:
        gc.enable()


def test_a_stream_ends_with_what_its_reader_sends(example: Service) -> None:
    """Nobody holds a place among the streams who has gone: half a close is as much as one."""
    ask = b"GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = told(example, ask, half=True)
    assert b"still here" not in answer


@pytest.mark.parametrize("late", [False, True])
def test_what_comes_after_a_body_is_no_header(ready: Service, late: bool) -> None:
    """A key in the trailer of a chunked body is nobody's key, whenever it comes."""
    head = POST.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked\r\nConnection: close")
    body = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    trailer = b"Idempotency-Key: late\r\nHost: elsewhere.example\r\n\r\n"
    pieces = (head + b"\r\n" + body, trailer) if late else (head + b"\r\n" + body + trailer,)
    assert told(ready, *pieces).startswith(b"HTTP/1.1 201")
    assert ready.read("/v1/events/6")["key"] is None


def test_a_sender_is_named_once(ready: Service) -> None:
    """Two Authorization headers are 400: whoever checked the one must not have let the other in."""
    twice = b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"
    answer = told(ready, POST + twice + BODY, half=True)
    assert (answer[:12], document(answer)["code"]) == (b"HTTP/1.1 400", "malformed_request")
    for path, status in ((b"/health", b"HTTP/1.1 400"), (b"/nothing", b"HTTP/1.1 404")):
        ask = b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + twice
        assert told(ready, ask, half=True)[:12] == status


def test_a_compressed_transfer_is_no_body(ready: Service) -> None:
    """What was compressed on its way is 415 too."""
    head = POST.replace(
        b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: gzip, chunked\r\nConnection: close"
    )
    answer = told(ready, head + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
    assert (answer[:12], document(answer)["code"]) == (b"HTTP/1.1 415", "unsupported_encoding")


CHUNKED = POST.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked")
BATCH = CHUNKED.replace(b"/repay-loan", b"")
BROKEN = b"this is no chunk\r\n"


def chunk(data: bytes) -> bytes:
    """A piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def answers(told: bytes) -> list[tuple[int, bytes]]:
    """The statuses and bodies of answers that came whole, one after the other, and nothing between them."""
    found, stream = [], io.BytesIO(told)
    while line := stream.readline():
        assert line.startswith(b"HTTP/1.1 "), told
        headers = http.client.parse_headers(stream)
        body = stream.read(int(headers["content-length"]))
        assert len(body) == int(headers["content-length"])
        found.append((int(line[9:12]), body))
    return found


@pytest.mark.parametrize("language, said", [(b"zh", "请求体中断"), (b"en", "the body breaks off")])
def test_a_body_that_breaks_off_is_answered_at_once(ready: Service, language: bytes, said: str) -> None:
    """400 in the reader's language, not 408 a minute later, whether what came before had been read or not; the
    connection ends, and nothing is recorded."""
    head = CHUNKED + b"Accept-Language: " + language + b"\r\n\r\n"
    for pieces in (
        [head, chunk(BODY[:9]), BROKEN],
        [head + chunk(BODY[:9]) + BROKEN],
        [head + chunk(BODY), BROKEN],
    ):
        ((status, body),) = answers(told(ready, *pieces))
        problem = json.loads(body)
        assert (status, problem["code"]) == (400, "malformed_request")
        assert said in problem["detail"]
    assert ready.read("/v1/events")["known_position"] == 5


def test_a_batch_that_breaks_off_says_where(ready: Service) -> None:
    """The lines before have their outcomes, the last line says what broke and from which line on nothing was read; the
    connection ends."""
    lines = [json.dumps(repay(number)).encode() + b"\n" for number in (1, 2)]
    with socket.create_connection((ready.host, ready.port), PATIENCE_SECONDS) as connection:
        connection.sendall(BATCH + b"Accept-Language: zh\r\n\r\n" + chunk(b"".join(lines)))
        with connection.makefile("rb") as answer:
            outcomes = [json.loads(next(line for line in answer if line.startswith(b"{"))) for _ in lines]
            connection.sendall(chunk(lines[0][:9]) + BROKEN + lines[0])
            rest = answer.read()
    assert [(one["line"], one["outcome"]) for one in outcomes] == [(1, "accepted"), (2, "accepted")]
    (last,) = [json.loads(line) for line in rest.splitlines() if line.startswith(b"{")]
    assert (last["line"], last["outcome"], last["code"]) == (3, "unknown", "malformed_request")
    assert "请求体中断" in last["detail"]
    assert rest.endswith(b"\r\n0\r\n\r\n")
    assert ready.read("/v1/events")["known_position"] == 7


@pytest.mark.parametrize("behind", [b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_a_body_that_breaks_off_harms_no_answer_before_it(ready: Service, behind: bytes) -> None:
    """Of several requests at once, while the first is still being answered: its answer comes whole, then that of the
    broken one, then the end, whatever follows."""
    whole = POST + b"\r\n" + BODY
    found = answers(told(ready, whole + CHUNKED + b"\r\n" + chunk(BODY) + BROKEN + behind))
    assert [status for status, _ in found] == [201, 400]
    assert json.loads(found[1][1])["code"] == "malformed_request"


@pytest.mark.parametrize(
    "head, status",
    [
        (CHUNKED.replace(b"repay-loan", b"fly-to-the-moon"), 404),
        (CHUNKED.replace(b"repay-loan", b"repay-loan?colour=red"), 422),
        (CHUNKED.replace(b"POST /v1/commands/repay-loan", b"GET /v1/caps"), 200),
    ],
)
def test_a_body_that_breaks_off_after_the_answer_gets_no_second_one(
    ready: Service, head: bytes, status: int
) -> None:
    """What nobody needed to read for the answer ends the connection, and is no other request."""
    with socket.create_connection((ready.host, ready.port), PATIENCE_SECONDS) as connection:
        connection.sendall(head + b"\r\n" + chunk(b"x"))
        with connection.makefile("rb") as answer:
            assert int(answer.readline()[9:12]) == status
            length = int(http.client.parse_headers(answer)["content-length"])
            assert len(answer.read(length)) == length
            connection.sendall(BROKEN)
            assert answer.read() == b""


def test_who_goes_on_sending_is_answered_too(ready: Service) -> None:
    """The answer to what was broken is not lost where more comes behind it, in a batch the last line neither."""
    for head, last in ((CHUNKED, b"}"), (BATCH, b"0\r\n\r\n"), (b"no HTTP\r\n", b"}")):
        answer = told(ready, head + b"\r\n" + BROKEN, *[b"x" * 60_000] * 50, half=True)
        assert b"malformed_request" in answer
        assert answer.endswith(last)


#: What may come in the place of a chunk, and behind it.
_CHUNKS = [
    *(b"\r\n", b"g\r\n", b"-1\r\nx\r\n", b"0x1\r\nx\r\n", b" 1\r\nx\r\n", b"1\nx\n", b"1\rx\r", b"1 x\r\n"),
    *(b"1\r\nxy\r\n", b"1\r\nx\n", b"2\r\nx\r\n", b"1;a=\x00\r\nx\r\n", b'1;a="b\r\nx\r\n', b"1;\r\nx\r\n"),
    *(b"f" * 17 + b"\r\n", b"1" * 5_000 + b"\r\n", b"0" * 5_000 + b"1\r\nx\r\n"),
    *(
        b"0\r\nno trailer\r\n",
        b"0\r\n: x\r\n",
        b"0\r\nHost: elsewhere.example\r\n",
        b"0\r\nX: \x00\r\n",
        b"0\r\n",
    ),
    *(chunk(BODY), chunk(b"\n"), chunk(json.dumps(repay()).encode() + b"\n"), BROKEN),
]
_HEADS = [
    CHUNKED,
    BATCH,
    CHUNKED.replace(b"repay-loan", b"fly"),
    CHUNKED.replace(b"commands/repay-loan", b"what-if"),
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(_HEADS), st.lists(st.sampled_from(_CHUNKS), max_size=4))
def test_whatever_stands_for_a_body_has_one_answer(ready: Service, head: bytes, chunks: list[bytes]) -> None:
    """However it is broken: never silence, never two answers, never a fault of ours; and what was recorded was told."""
    before = ready.read("/v1/events")["known_position"]
    answer = told(ready, head + b"Connection: close\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    assert int(answer[9:12]) in {200, 201, 400, 404, 422}, answer
    accepted = answer.count(b'"outcome":"accepted"')
    assert ready.read("/v1/events")["known_position"] == before + accepted
