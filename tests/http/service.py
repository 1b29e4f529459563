"""`kejin serve` as a real process on a real socket, and a client that speaks to it."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tests.cli.program import PATIENCE_SECONDS, Line, Program, ndjson


@dataclass(frozen=True)
class Answer:
    """One answer: its status, headers (lower case) and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The JSON document."""
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        """The NDJSON."""
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class Service:
    """A running server and one connection to it. Not for several threads: each makes its own `client()`."""

    host: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    token: str | None = None
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def client(self, token: str | None = None) -> Service:
        """Another client of the same server."""
        return Service(self.host, self.port, self.process, self.log, token or self.token)

    def connect(self) -> http.client.HTTPConnection:
        """A connection of its own."""
        return http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_SECONDS)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        """One request on the kept connection; of a stream that never ends the first line, and the connection closed."""
        connection = self._connection = self._connection or self.connect()
        address = quote(path, safe="/:") + ("?" + urlencode(query) if query else "")
        sent = {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **(headers or {})}
        try:
            connection.request(method, address, body, sent)
            response = connection.getresponse()
            headers = {k.lower(): v for k, v in response.getheaders()}
            endless = headers.get("content-type", "").startswith("text/event-stream")
            answer = Answer(response.status, headers, response.readline() if endless else response.read())
        except BaseException:
            self.close()
            raise
        if endless:
            self.close()
        return answer

    def close(self) -> None:
        """Close the kept connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path: str, headers: Mapping[str, str] | None = None, **query: Any) -> Answer:
        """GET."""
        return self.ask("GET", path, headers=headers, **query)

    def read(self, path: str, **query: Any) -> Any:
        """The document of a GET that must succeed."""
        answer = self.get(path, **query)
        assert answer.status == 200, answer
        return answer.document

    def post(self, line: Line, headers: Mapping[str, str] | None = None, **query: Any) -> Answer:
        """One command, as a line of `kejin run` would be."""
        fields = {name: value for name, value in line.items() if name != "command"}
        body = json.dumps(fields, ensure_ascii=False).encode()
        return self.ask("POST", f"/v1/commands/{line['command']}", body, headers, **query)

    def run(self, *lines: Line | str | bytes, **query: Any) -> Answer:
        """Lines as NDJSON."""
        return self.ask("POST", "/v1/commands", ndjson(*lines), **query)

    def record(self, *lines: Line) -> None:
        """Lines that must all be accepted."""
        answer = self.run(*lines)
        assert answer.status == 200, answer
        assert {line["outcome"] for line in answer.lines} == {"accepted"}, answer

    def stop(self) -> int:
        """Ask it to stop; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()


def start(program: Program, log: Path, *options: object, **environment: str) -> Service:
    """A server that is ready; one that never is fails the test."""
    with log.open("ab") as stream:
        process = program.launch(
            ("serve", "--port", "0", "--json", *options),
            environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stream,
        )
    assert process.stdout
    hangs = threading.Timer(PATIENCE_SECONDS, process.kill)
    hangs.start()
    try:
        line = process.stdout.readline()
        assert line, log.read_text()
        host, _, port = json.loads(line)["address"].removeprefix("http://").rpartition(":")
        service = Service(host, int(port), process, log)
        service.get("/health")  # the socket listens before the server takes from it
    finally:
        hangs.cancel()
    return service


@contextmanager
def serving(program: Program, log: Path, *options: object, **environment: str) -> Iterator[Service]:
    """A server for the time of a block."""
    service = start(program, log, *options, **environment)
    try:
        yield service
    finally:
        service.close()
        if service.process.poll() is None:
            service.process.terminate()
            try:
                service.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                service.kill()
                raise
        if service.process.stdout:
            service.process.stdout.close()
        faults = [line for line in log.read_text().splitlines() if _is_fault(line)]
        assert not faults, faults


def _is_fault(line: str) -> bool:
    """Whether a line of the log tells of a fault of ours. A stop leaves who does not read their answer: no fault."""
    if "Exception in ASGI application" in line:
        return "timeout graceful shutdown exceeded" not in line
    return '"event":"fault"' in line
