"""The command line as a program: real processes, in a plain environment, on a database or a data folder."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli import forked
from tests.support import copy_made_folder

ROOT = forked.ROOT
PATIENCE_SECONDS = 240  # for what only a hang exceeds

FIRM = "91350100M000100Y43"
OTHER_FIRM = "91110000101623741K"
BANK = "91110108551385082Q"
OTHER_BANK = "911101066976941872"
GUARANTOR = "91110000600037341L"

Line = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a finished program left: its exit code and both outputs."""

    code: int
    out: bytes
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        assert self.out.count(b"\n") == 1, self
        assert self.out.endswith(b"\n"), self
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The NDJSON on standard output."""
        assert not self.out or self.out.endswith(b"\n"), self
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaint(self) -> str:
        """The one clear line on standard error."""
        assert self.err.startswith("kejin: "), self
        assert self.err.endswith("\n"), self
        assert self.err.count("\n") == 1, self
        return self.err.removeprefix("kejin: ").rstrip("\n")


def next_line(process: subprocess.Popen[bytes]) -> Any:
    """The next line of NDJSON that a running command prints; one that never comes fails the test."""
    assert process.stdout
    hangs = threading.Timer(PATIENCE_SECONDS, process.kill)
    hangs.start()
    try:
        return json.loads(process.stdout.readline())
    finally:
        hangs.cancel()


@dataclass(frozen=True)
class Program:
    """`kejin` on one ledger: the database of an address, or a data folder."""

    address: str | None = None
    data: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)
    from_nothing: bool = False  # every process makes its imports anew, as a user's does

    def __call__(self, *arguments: object, given: bytes | None = None, **environment: str) -> Answer:
        """Run one command to its end; `given` is its standard input."""
        process = self.start(*arguments, **environment)
        return self.finish(process, given or b"")

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen[bytes]:
        """A command that is running, with pipes at all three ends."""
        pipe = subprocess.PIPE
        return self.launch(arguments, environment, stdin=pipe, stdout=pipe, stderr=pipe)

    def launch(
        self, arguments: Iterable[object], environment: dict[str, str], **streams: Any
    ) -> subprocess.Popen[bytes]:
        """A command that is running with streams of one's own."""
        words, variables = self.arguments(*arguments), self.variables(**environment)
        if self.from_nothing:
            return subprocess.Popen([sys.executable, "-m", "api", *words], cwd=ROOT, env=variables, **streams)
        return forked.start(words, variables, **streams)

    @staticmethod
    def finish(process: subprocess.Popen[bytes], given: bytes = b"") -> Answer:
        """The answer of a running command once its standard input has ended."""
        try:
            out, err = process.communicate(given, timeout=PATIENCE_SECONDS)
        except BaseException:
            process.kill()
            raise
        return Answer(process.returncode, out, err.decode())

    def arguments(self, *arguments: object) -> list[str]:
        """The command line behind the name of the program."""
        folder = [] if self.data is None else ["--data", str(self.data)]
        return [*map(str, arguments), *folder]

    def words(self, *arguments: object) -> list[str]:
        """The command line, for those who start it themselves."""
        return [sys.executable, "-m", "api", *self.arguments(*arguments)]

    def variables(self, **environment: str) -> dict[str, str]:
        """The environment: nothing of the tester's own languages and ledgers."""
        named = {} if self.address is None else {"KEJIN_DATABASE_URL": self.address}
        return {**forked.plain_environment(), "KEJIN_LANG": "en", **named, **self.environment, **environment}

    def run(self, *lines: Line | str | bytes, options: Iterable[object] = ()) -> Answer:
        """`kejin run - --json` of lines."""
        return self("run", "-", "--json", *options, given=ndjson(*lines))

    def record(self, *lines: Line) -> list[Any]:
        """Run lines that must all be accepted; their outcomes."""
        answer = self.run(*lines)
        assert (answer.code, answer.err) == (0, ""), answer
        return answer.lines

    def ask(self, *arguments: object) -> Any:
        """The one JSON document of a command that must succeed."""
        answer = self(*arguments, "--json")
        assert (answer.code, answer.err) == (0, ""), answer
        return answer.document

    def events(self, *options: object) -> list[Any]:
        """The envelopes of `kejin events`."""
        answer = self("events", "--json", *options)
        assert (answer.code, answer.err) == (0, ""), answer
        return answer.lines


@contextmanager
def data_folder(path: Path, *, absent: bool = False, **environment: str) -> Iterator[Program]:
    """A program on a data folder with an empty database, or without one yet; its server is stopped at the end."""
    if not absent:
        copy_made_folder(path)
    program = Program(data=path, environment=environment)
    try:
        yield program
    finally:
        if (path / "kejin.lock").exists():
            program("database", "--stop")


def ndjson(*lines: Line | str | bytes) -> bytes:
    """Lines as a file has them; bytes and texts as they are."""
    return b"".join(_bytes(line) + b"\n" for line in lines)


def _bytes(line: Line | str | bytes) -> bytes:
    if isinstance(line, bytes):
        return line
    return line.encode() if isinstance(line, str) else json.dumps(line, ensure_ascii=False).encode()


# --- commands ---------------------------------------------------------------------------------------


def open_round(round_id: str = "R1", budget_fen: int = 100_000_000, **more: Any) -> Line:
    """A round of 2024, open from its first day."""
    command = {"command": "open-round", "round": round_id, "year": 2024, "budget_fen": budget_fen}
    return {**command, "rulebook": "shanxi-2022", "effective_on": "2024-01-01", **more}


def register(uscc: str = FIRM, kind: str = "firm", **more: Any) -> Line:
    """A party."""
    command = {"command": "register-party", "uscc": uscc, "kind": kind, "name": "名称"}
    return {**command, "effective_on": "2022-01-01", **more}


def draw(loan: str = "L1", principal_fen: int = 200_000_000, firm: str = FIRM, **more: Any) -> Line:
    """A credit loan of 1 March 2023."""
    command = {"command": "draw-loan", "loan": loan, "firm": firm, "bank": BANK}
    facts = {"principal_fen": principal_fen, "drawn_on": "2023-03-01", "security": "credit"}
    return {**command, **facts, **more}


def claim(claim_id: str = "C1", interest_fen: int = 12_000_000, day: str = "2023-03-01", **more: Any) -> Line:
    """A claim for the interest of one day of the loan L1."""
    command = {"command": "claim-loan-interest", "claim": claim_id, "round": "R1", "loan": "L1"}
    facts = {"interest_paid_fen": interest_fen, "period_from": day, "period_to": day}
    return {**command, **facts, "effective_on": "2024-07-01", **more}


def publicise(claim_id: str = "C1", **more: Any) -> Line:
    """The notice of a claim."""
    command = {"command": "publicise", "claim": claim_id, "notice": "N-1"}
    return {**command, "effective_on": "2024-08-01", **more}


def pay(claim_id: str = "C1", **more: Any) -> Line:
    """The payment of a claim."""
    return {"command": "pay", "claim": claim_id, "voucher": "V-1", "paid_on": "2024-09-01", **more}


def repay(amount_fen: int = 100, **more: Any) -> Line:
    """A repayment: a command that makes no thing, so that its key is its place in the input."""
    command = {"command": "repay-loan", "loan": "L1", "amount_fen": amount_fen}
    return {**command, "effective_on": "2023-06-01", **more}


def certify(total_fen: int = 18_000_000_000, year: int = 2023, **more: Any) -> Line:
    """A certificate of the bank's product."""
    command = {"command": "certify-credit", "bank": BANK, "product": "科创贷", "year": year}
    return {**command, "total_fen": total_fen, "certificate": "证-1", "effective_on": "2024-01-31", **more}


#: A round, a firm, a bank and a loan: five events.
OPENING = (open_round(), register(), register(BANK, "bank"), draw())
