"""Bad input: one clear line (what, where, what to do), nothing written, nothing harmed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.cli.program import (
    BANK,
    FIRM,
    OPENING,
    PATIENCE_SECONDS,
    Answer,
    Line,
    Program,
    certify,
    claim,
    data_folder,
    draw,
    ndjson,
    next_line,
    open_round,
    register,
    repay,
)
from tests.support import fresh_database


@pytest.fixture
def kejin(database: str) -> Program:
    """The program on a new ledger."""
    return Program(database)


def without(line: Line, name: str) -> Line:
    """The line, one field left out."""
    return {field: value for field, value in line.items() if field != name}


def raw(line: Line, name: str, value: str) -> str:
    """The line as text, with a literal that no JSON writer would write as a field's value."""
    return json.dumps({**line, name: "@@"}).replace('"@@"', value)


#: Text that is no JSON object at all, and a word that its complaint must hold.
NO_OBJECT: dict[str, tuple[str | bytes, str]] = {
    "words": ("hello", "JSON"),
    "half": ('{"command": "open-round"', "JSON"),
    "two": ("{} {}", "JSON"),
    "single quotes": ("{'command': 'open-round'}", "JSON"),
    "a comment": ("{} // none", "JSON"),
    "a trailing comma": ('{"command": "repay-loan",}', "JSON"),
    "array": ("[1]", "object"),
    "array of commands": (json.dumps([open_round("X")]), "object"),
    "string": ('"open-round"', "object"),
    "number": ("1", "object"),
    "only null": ("null", "object"),
    "NaN": ('{"command": NaN}', "JSON"),
    "Infinity": (raw(repay(), "amount_fen", "Infinity"), "JSON"),
    "not UTF-8": (b'{"command": "open-round", "round": "\xff\xfe"}', "UTF-8"),
    "GB18030": (json.dumps(register(name="甲公司"), ensure_ascii=False).encode("gb18030"), "UTF-8"),
    "UTF-16": (json.dumps(open_round("X")).encode("utf-16-le"), "JSON"),
    "half a surrogate": ('{"command": "open-round", "round": "\\ud800"}', "JSON"),
    "overlong UTF-8": (b'{"command": "open-round", "round": "\xc0\xaf"}', "UTF-8"),
    "a key twice": ('{"command": "repay-loan", "loan": "L1", "loan": "L2", "amount_fen": 1}', "loan"),
    "a key twice with the same value": ('{"command": "open-round", "command": "open-round"}', "command"),
    "a key twice, escaped": (r'{"command": "repay-loan", "loan": "L1", "\u006coan": "L2"}', "loan"),
    "a key twice, nested": (
        json.dumps(claim(slips=["@"])).replace('"@"', '{"number": "1", "amount_fen": 1, "amount_fen": 2}'),
        "amount_fen",
    ),
    "a key twice, nested and escaped": (
        json.dumps(claim(slips=["@"])).replace(
            '"@"', r'{"number": "1", "amount_fen": 1, "amount\u005ffen": 2}'
        ),
        "amount_fen",
    ),
    "a key twice beside a quote in a text": (
        r'{"command": "register-party", "name": "a\"b", "name": "c"}',
        "name",
    ),
    "a bracket too many": ('{"command": "repay-loan"}}', "JSON"),
    "a zero byte": (b'{"command": "repay-loan"\x00}', "JSON"),
}

#: Objects that are no command, and words that their complaint must hold.
NO_COMMAND: dict[str, tuple[Line | str, tuple[str, ...]]] = {
    "empty": ({}, ("command", "kejin commands")),
    "no command": (without(open_round(), "command"), ("command",)),
    "unknown command": ({"command": "print-money"}, ("print-money", "kejin commands")),
    "command in capitals": ({**open_round("X"), "command": "Open-Round"}, ("Open-Round",)),
    "command is null": ({**open_round("X"), "command": None}, ("command",)),
    "command is a list": ({**open_round("X"), "command": ["open-round"]}, ("command",)),
    "unknown field": (open_round("X", surprise=1), ("open-round", "surprise")),
    "field in capitals": (open_round("X", Budget_fen=1), ("Budget_fen",)),
    "missing field": (without(open_round("X"), "budget_fen"), ("open-round", "budget_fen", "missing")),
    "missing date": (without(draw("X"), "drawn_on"), ("drawn_on", "missing")),
    "null": (open_round("X", call=None), ("call", "null")),
    "null date": (open_round("X", effective_on=None), ("effective_on", "null")),
    "null key": (open_round("X", key=None), ("key", "null")),
    "null amount": ({**open_round("X"), "budget_fen": None}, ("budget_fen", "null")),
    "empty key": (open_round("X", key=""), ("key",)),
    "blank key": (open_round("X", key="  "), ("key",)),
    "long key": (open_round("X", key="k" * 201), ("key",)),
    "empty id": (open_round(""), ("round",)),
    "long id": (open_round("R" * 65), ("round",)),
    "id with a slash": (open_round("R/1"), ("round",)),
    "id with a blank": (open_round("R 1"), ("round",)),
    "id with a line end": (open_round("R1\n"), ("round",)),
    "id with a zero": (open_round("R\x00"), ("round",)),
    "id is a number": (open_round(1), ("round",)),  # type: ignore[arg-type]
    "unknown rulebook": (open_round("X", rulebook="shanxi-1999"), ("rulebook", "shanxi-2022")),
    "a call as rulebook": (open_round("X", rulebook="shanxi-2023"), ("rulebook",)),
    "unknown call": (open_round("X", call="shanxi-1999"), ("call", "shanxi-2023")),
    "year as text": (open_round("X", year="2024"), ("year",)),
    "year as float": (open_round("X", year=2024.0), ("year",)),
    "year 0": (open_round("X", year=0), ("year",)),
    "unknown kind": (register(kind="person"), ("kind", "firm")),
    "name of blanks": (register(name=" "), ("name",)),
    "name with a control character": (register(name="a\u0085b"), ("name",)),
    "name with a zero": (register(name="a\x00b"), ("name",)),
    "long name": (register(name="名" * 501), ("name",)),
    "confirmed by text": (register(confirm_uscc="true"), ("confirm_uscc",)),
    "confirmed by one": (register(confirm_uscc=1), ("confirm_uscc",)),
    "USCC too short": (register(FIRM[:17]), ("uscc", "18")),
    "USCC too long": (register(FIRM + "3"), ("uscc", "18")),
    "USCC in small letters": (register(FIRM.lower()), ("uscc",)),
    "USCC with I": (register("I" + FIRM[1:]), ("uscc",)),
    "USCC with O": (register(FIRM[:4] + "O" + FIRM[5:]), ("uscc",)),
    "USCC in full width": (register("９" + FIRM[1:]), ("uscc",)),
    "USCC with Arabic digits": (register("٩" + FIRM[1:]), ("uscc",)),
    "USCC is a number": (register(9 * 10**17), ("uscc",)),  # type: ignore[arg-type]
    "USCC with a line end": (register(FIRM[:17] + "\n"), ("uscc",)),
    "unknown security": (draw("X", security="gold"), ("security", "credit")),
    "guaranteed by nobody": (draw("X", security="guaranteed"), ("guarantor",)),
    "credit with a guarantor": (draw("X", guarantor=BANK), ("guarantor",)),
    "period backwards": (claim(period_from="2023-03-02"), ("period_from", "2023-03-02", "2023-03-01")),
    "slips are no list": (claim(slips={}), ("slips",)),
    "a slip without its number": (claim(slips=[{"amount_fen": 1}]), ("slips",)),
    "a slip with more": (claim(slips=[{"number": "1", "amount_fen": 1, "bank": "x"}]), ("slips",)),
    "a slip of nothing": (claim(slips=[{"number": "1", "amount_fen": 0}]), ("slips",)),
    "unknown cause": (
        {"command": "recover", "claim": "C", "amount_fen": 1, "cause": "fun", "document": "d"},
        ("cause", "error", "misconduct"),
    ),
    **{
        f"amount {value}": (raw(repay(), "amount_fen", value), ("repay-loan", "amount_fen"))
        for value in (
            *("0", "-1", "-0", "1.0", "1.5", "1e3", "1E3", "true", "false", '"1"', '""', "[]", "{}", "null"),
            *("9007199254740992", "-9007199254740993", "18446744073709551616", "1" + "0" * 30, "1e40"),
        )
    },
    "budget of -1": (raw(open_round("X"), "budget_fen", "-1"), ("budget_fen",)),
    "budget of 2^53": (open_round("X", 2**53), ("budget_fen", str(2**53 - 1))),
    **{
        f"date {day!r}": (open_round("X", effective_on=day), ("effective_on",))
        for day in (
            *(
                "2023-02-29",
                "2024-02-30",
                "2023-13-01",
                "2023-00-01",
                "2023-01-00",
                "0000-01-01",
                "10000-01-01",
            ),
            *("2023-1-1", "20230101", "2023-W01-1", "2023/01/01", "01-01-2023", "2023-01-01T00:00:00", ""),
            *(" 2023-01-01", "2023-01-01\n", "２０２３-01-01", "2023-01-0\u0661", "today", 20230101, True),
        )
    },
}


@pytest.fixture(scope="module")
def complaints(embedded_server: str) -> Iterator[tuple[dict[str, Any], Answer, int]]:
    """Every bad line in one input, between good ones: the outcome of each, the answer, events afterwards."""
    bad = {
        **{name: line for name, (line, _) in NO_OBJECT.items()},
        **{n: ln for n, (ln, _) in NO_COMMAND.items()},
    }
    with fresh_database(embedded_server) as address:
        program = Program(address)
        answer = program.run(OPENING[0], *bad.values(), *OPENING[1:])
        lines = answer.lines
        assert [line["line"] for line in lines] == list(range(1, len(bad) + 5))
        assert [lines[i]["outcome"] for i in (0, -3, -2, -1)] == ["accepted"] * 4
        yield dict(zip(bad, lines[1:-3], strict=True)), answer, len(program.events())


@pytest.mark.parametrize("name", [*NO_OBJECT, *NO_COMMAND])
def test_a_bad_line_is_invalid_and_told_what_is_wrong(
    complaints: tuple[dict[str, Any], Answer, int], name: str
) -> None:
    """An unusable line is invalid, has no positions, and its detail names what was wrong."""
    line = complaints[0][name]
    words = (NO_OBJECT[name][1],) if name in NO_OBJECT else NO_COMMAND[name][1]
    assert set(line) == {"line", "outcome", "positions", "detail"}
    assert (line["outcome"], line["positions"]) == ("invalid", [])
    for word in words:
        assert word in line["detail"], line


def test_bad_lines_write_nothing_and_harm_no_other(complaints: tuple[dict[str, Any], Answer, int]) -> None:
    """The good lines between them are recorded, nothing else; one line on stderr counts and names the first."""
    bad, answer, events = complaints
    assert events == 5
    assert answer.code == 2
    assert answer.complaint.startswith(f"{len(bad)} of {len(bad) + 4} lines invalid; line 2: ")


DEEP = "[" * 1000 + "]" * 1000


@pytest.mark.parametrize(
    "text",
    [
        f'{{"command": "x", "a": {DEEP}}}',
        f'{{"command": "\\u0078", "a": {DEEP}}}',
        '{"a":' * 1000 + "1" + "}" * 1000,
    ],
    ids=["arrays", "arrays and an escape", "objects"],
)
def test_deep_nesting_is_invalid(kejin: Program, text: str) -> None:
    """A line nested a thousand deep is one invalid line among others."""
    answer = kejin.run(open_round(), text, register())
    assert [line["outcome"] for line in answer.lines] == ["accepted", "invalid", "accepted"]
    assert answer.code == 2
    assert answer.complaint.startswith("1 of 3 lines invalid; line 2: ")


def test_a_huge_line_is_invalid(kejin: Program) -> None:
    """A line of 2 MB is cut off, called too long in a short sentence, and the next line is read as usual."""
    huge = json.dumps(register(name="x" * (2 << 20)))
    answer = kejin.run(open_round(), huge, register(), huge)
    assert [line["outcome"] for line in answer.lines] == ["accepted", "invalid", "accepted", "invalid"]
    assert "longer than" in answer.lines[1]["detail"]
    assert len(answer.complaint) < 300
    assert len(kejin.events()) == 3


def test_what_follows_a_huge_line_is_repeated_however_it_is_read(kejin: Program, tmp_path: Path) -> None:
    """The same input again is repeated, from a file or through a pipe, also behind a line that is too long."""
    kejin.record(*OPENING)
    file = tmp_path / "commands"
    file.write_bytes(ndjson("x" * (3 << 20), repay()))
    first = kejin("run", file, "--json").lines[1]
    assert (first["outcome"], first["positions"]) == ("accepted", [6])
    again = kejin("run", "-", "--json", given=file.read_bytes()).lines[1]
    assert (again["outcome"], again["positions"]) == ("repeated", [6])


def test_line_ends_of_windows_and_a_byte_order_mark_do_not_matter(kejin: Program) -> None:
    """CRLF and a leading BOM change nothing, not even the keys; a BOM elsewhere is no JSON."""
    plain = ndjson(*OPENING, repay(), repay())
    first = kejin("run", "-", "--json", given=b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n"))
    assert [line["outcome"] for line in first.lines] == ["accepted"] * 6
    again = kejin("run", "-", "--json", given=plain)
    assert [line["outcome"] for line in again.lines] == ["repeated"] * 6
    answer = kejin("run", "-", "--json", given=ndjson(OPENING[0]) + b"\xef\xbb\xbf" + ndjson(OPENING[1]))
    assert [line["outcome"] for line in answer.lines] == ["repeated", "invalid"]


def test_a_slow_pipe_gets_each_outcome_before_the_next_line_is_sent(kejin: Program) -> None:
    """Who sends a line and waits gets its outcome at once, committed."""
    process = kejin.start("run", "-", "--json")
    assert process.stdin and process.stdout
    for number, line in enumerate(OPENING, 1):
        process.stdin.write(ndjson(line))
        process.stdin.flush()
        outcome = next_line(process)
        assert (outcome["line"], outcome["outcome"]) == (number, "accepted")
        assert kejin.events()[-1]["position"] == outcome["positions"][-1]
    answer = kejin.finish(process)
    assert (answer.code, answer.out, answer.err) == (0, b"", "")


def test_a_line_may_come_in_pieces(kejin: Program) -> None:
    """A line that comes byte by byte, cut inside a Chinese character, is one line."""
    process = kejin.start("run", "-", "--json")
    assert process.stdin and process.stdout
    text = ndjson(register(name="山西某科技公司"))
    for i in range(len(text)):
        process.stdin.write(text[i : i + 1])
        process.stdin.flush()
    assert next_line(process)["outcome"] == "accepted"
    assert kejin.finish(process).code == 0
    assert kejin.events()[0]["data"]["name"] == "山西某科技公司"


def test_a_reader_who_does_not_read_holds_up_nobody_else(kejin: Program, tmp_path: Path) -> None:
    """While nobody takes a run's outcomes, others record; what it was given is recorded once when it is read on."""
    kejin.record(*OPENING)
    file = tmp_path / "commands"
    file.write_bytes(ndjson(*(repay(n, key=f"K{n}") for n in range(1, 9_001))))
    process = kejin.start("run", file, "--json")  # its pipe is full long before its last outcome
    assert process.stdout
    assert next_line(process)["outcome"] == "accepted"
    for number in range(3):
        kejin.record(repay(20_000 + number, key=f"other {number}"))
    assert process.stderr
    assert len(process.stdout.read().splitlines()) == 8_999
    assert (process.wait(PATIENCE_SECONDS), process.stderr.read()) == (0, b"")
    assert len(kejin.events("--type", "LoanRepaid")) == 9_003
    assert kejin.ask("verify", "all")["ok"]


def test_an_interrupt_while_a_process_writes_ends_both(kejin: Program, tmp_path: Path) -> None:
    """Ctrl-C in the middle of a long input: the run ends, its process that writes too, and the lock is free."""
    kejin.record(*OPENING)
    file = tmp_path / "commands"
    file.write_bytes(ndjson(*(repay(n, key=f"K{n}") for n in range(1, 16_001))))
    process = kejin.start("run", file, "--json")
    assert process.stdout
    for _ in range(12_000):
        process.stdout.readline()
    (child,) = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_SECONDS)
    psutil.wait_procs([child], timeout=PATIENCE_SECONDS)
    assert not child.is_running()
    kejin.record(repay(40_000, key="another"))
    assert kejin.ask("verify", "all")["ok"]


def test_a_reader_that_leaves_early_is_no_accident(kejin: Program) -> None:
    """`kejin events | head -1` prints no traceback; a run whose reader left can be run again to its end."""
    lines = (*OPENING, *(repay(n) for n in range(1, 3001)))
    for words, given in (
        (("run", "-", "--json"), ndjson(*lines)),
        (("events", "--json"), b""),
        (("events",), b""),
    ):
        process = subprocess.Popen(
            kejin.words(*words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=kejin.variables(),
            cwd=Path(__file__).resolve().parents[2],
        )
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(given)
        process.stdin.close()
        assert process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        process.wait()
        assert errors == b"", words
        answer = kejin.run(*lines)
        assert len(answer.lines) == 3004
        assert answer.code == 0
    assert len(kejin.events()) == 3005


# --- files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["folder", "missing", "below/missing", "file/below"])
def test_a_file_that_cannot_be_read_is_named(kejin: Program, tmp_path: Path, name: str) -> None:
    """A folder, a missing file: one line that names it, exit 2, nothing on stdout."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    answer = kejin("run", tmp_path / name, "--json")
    assert (answer.code, answer.out) == (2, b"")
    assert str(tmp_path / name) in answer.complaint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named(kejin: Program, tmp_path: Path) -> None:
    """A file of someone else: one line that names it, exit 2."""
    file = tmp_path / "secret"
    file.write_bytes(ndjson(*OPENING))
    file.chmod(0)
    answer = kejin("run", file, "--json")
    assert (answer.code, answer.out) == (2, b"")
    assert str(file) in answer.complaint


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here that opens and cannot be read")
def test_a_file_that_fails_while_it_is_read_is_unusable(kejin: Program) -> None:
    """An input that opens and then gives an error: one line, exit 2, no traceback."""
    answer = kejin("run", "/proc/self/mem", "--json")
    assert (answer.code, answer.out) == (2, b"")
    assert "error" in answer.complaint.lower()


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here that opens and cannot be read")
def test_a_file_that_fails_while_it_is_read_is_named(kejin: Program) -> None:
    """The line names the file that could not be read."""
    assert "/proc/self/mem" in kejin("run", "/proc/self/mem", "--json").complaint


@pytest.mark.parametrize(
    ("words", "closed"), [("run -", "<&-"), ("balance public/treasury", ">&-"), ("events", ">&-")]
)
def test_a_closed_standard_stream_is_unusable(kejin: Program, words: str, closed: str) -> None:
    """A program started without standard input or output says so in one line, exit 2."""
    kejin.record(*OPENING)
    command = " ".join(f"'{word}'" for word in kejin.words(*words.split(), "--json"))
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} {closed}"],
        input=b"",
        capture_output=True,
        env=kejin.variables(),
        cwd=Path(__file__).resolve().parents[2],
        check=False,
    )
    answer = Answer(done.returncode, done.stdout, done.stderr.decode())
    assert answer.complaint
    assert answer.code == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", ["run -", "balance public/treasury", "events", "caps", "verify"])
def test_an_output_that_is_full_is_one_line(kejin: Program, words: str) -> None:
    """When standard output cannot take the answer: one line, exit 2, and what was recorded is recorded."""
    kejin.record(*OPENING)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            kejin.words(*words.split(), "--json"),
            input=ndjson(repay()),
            stdout=full,
            stderr=subprocess.PIPE,
            env=kejin.variables(),
            cwd=Path(__file__).resolve().parents[2],
            check=False,
        )
    complaint = Answer(done.returncode, b"", done.stderr.decode()).complaint
    assert complaint == "the output or a temporary file: No space left on device"
    assert done.returncode == 2


@pytest.mark.parametrize(
    "words",
    [
        ("balance", b"public/round/\xff/available"),
        ("events", "--tag", b"\xff"),
        ("run", "-", "--as", b"\xff"),
    ],
    ids=lambda words: str(words[0]),
)
def test_an_argument_that_is_no_text_is_unusable(kejin: Program, words: tuple[str | bytes, ...]) -> None:
    """Bytes of another encoding on the command line: one line, exit 2."""
    answer = kejin(*(os.fsdecode(word) for word in words), "--json", given=ndjson(*OPENING))
    assert answer.complaint
    assert (answer.code, answer.out) == (2, b"")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nope",),
        ("run",),
        ("run", "-", "--nope"),
        ("run", "-", "--as", ""),
        ("run", "-", "--as", "x" * 501),
        ("run", "-", "--as", "a\nb"),
        ("balance",),
        ("balance", "public/treasury", "more"),
        ("balance", "public/treasury", "--on", "2023-02-29"),
        ("balance", "public/treasury", "--on", "20230201"),
        ("caps", "--known-at", "yesterday"),
        ("caps", "--known-position", "one"),
        ("caps", "--known-position", "1", "--known-at", "2024-01-01"),
        ("caps", "--party", "x"),
        ("events", "--after", "-1"),
        ("events", "--after", "x"),
        ("explain",),
        ("explain", "one"),
        ("verify", "nope"),
    ],
    ids=" ".join,
)
def test_unusable_arguments_are_one_line(kejin: Program, words: tuple[str, ...]) -> None:
    """What the command line does not understand: exit 2 and nothing on stdout; one line (or the help)."""
    answer = kejin(*words)
    assert answer.code == 2
    if words:
        assert answer.out == b""
        assert answer.complaint


def test_a_bank_that_is_no_uscc_is_unusable(kejin: Program) -> None:
    """A malformed USCC is an error for every read, so that a slip of the pen is not taken for nothing found."""
    answer = kejin("milestones", "--bank", "x", "--json")
    assert (answer.code, answer.out) == (2, b"")


# --- databases and folders ----------------------------------------------------------------------------

COMMANDS = (
    ("run", "-"),
    ("balance", "public/treasury"),
    ("caps",),
    ("milestones",),
    ("events",),
    ("explain", "1"),
)


def refused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.mark.parametrize("command", [*COMMANDS, ("verify",), ("database",)], ids=" ".join)
def test_a_database_that_refuses_is_one_line(command: tuple[str, ...]) -> None:
    """Nobody listens at the address: exit 2, one line that says what to check."""
    kejin = Program(f"postgresql://somebody:secret@127.0.0.1:{refused_port()}/ledger")
    answer = kejin(*command, "--json", given=ndjson(*OPENING))
    assert (answer.code, answer.out) == (2, b"")
    assert "cannot connect" in answer.complaint
    assert "secret" not in answer.complaint


def test_a_database_that_refuses_is_named(tmp_path: Path) -> None:
    """The line says where the connection was tried and why it failed."""
    port = refused_port()
    answer = Program(f"postgresql://127.0.0.1:{port}/ledger")("caps")
    assert str(port) in answer.complaint
    assert "refused" in answer.complaint


@pytest.mark.parametrize("address", ["garbage", "postgresql://[", "dbname=x port=none", "http://127.0.0.1/x"])
def test_an_address_that_is_none_is_one_line(address: str) -> None:
    """What is no libpq address: exit 2, one line."""
    answer = Program(address)("caps", "--json")
    assert (answer.code, answer.out) == (2, b"")
    assert answer.complaint


def test_a_database_that_does_not_exist_is_named(database: str) -> None:
    """The server is there, the database is not: exit 2, one line that names it."""
    address = psycopg.conninfo.make_conninfo(database, dbname="never_made")
    answer = Program(address)("run", "-", "--json", given=ndjson(*OPENING))
    assert (answer.code, answer.out) == (2, b"")
    assert "never_made" in answer.complaint


@contextmanager
def role(database: str) -> Iterator[Program]:
    """The program as a role of its own; what it made stays when the role is dropped at the end."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(b"create role somebody login")
        try:
            yield Program(psycopg.conninfo.make_conninfo(database, user="somebody"))
        finally:
            connection.execute(b"reassign owned by somebody to current_user; drop owned by somebody")
            connection.execute(b"drop role somebody")


@pytest.mark.parametrize(
    "command", [("run", "-"), ("rebuild",), ("projections", "--follow"), ("verify",)], ids=" ".join
)
def test_a_second_connection_that_is_refused_is_one_line(
    empty_database: str, command: tuple[str, ...]
) -> None:
    """A role that may have one connection: what needs two ends with exit 2 and one line; verify too, which then knows
    nothing of the ledger and finds nothing."""
    name = psycopg.conninfo.conninfo_to_dict(empty_database)["dbname"]
    with role(empty_database) as kejin, psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(f'alter database "{name}" owner to somebody'.encode())
        kejin.record(*OPENING)
        connection.execute(b"alter role somebody connection limit 1")
        answer = kejin(*command, "--json", given=ndjson(repay()))
        assert (answer.code, answer.out) == (2, b""), answer
        assert "too many connections for role" in answer.complaint


def test_a_role_that_may_not_make_a_ledger_is_told_what_to_do(empty_database: str) -> None:
    """An empty database where the role may not create tables: exit 2, one line that says what to grant."""
    with role(empty_database) as kejin:
        answer = kejin("run", "-", "--json", given=ndjson(*OPENING))
        assert (answer.code, answer.out) == (2, b""), answer
        assert "role somebody may not make a ledger" in answer.complaint
        assert "grant it create on database" in answer.complaint


@pytest.mark.parametrize(
    "statement",
    [
        "create table invoices (id int)",
        "create table events (id int)",
        "create schema other; create view other.v as select 1",
        "create sequence numbers",
    ],
)
def test_a_database_of_someone_else_is_refused_and_untouched(empty_database: str, statement: str) -> None:
    """A database that holds anything else is named and left as it was, by every command."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(statement.encode())
        before = relations(connection)
        for command in (("run", "-"), ("caps",), ("database",)):
            answer = Program(empty_database)(*command, "--json", given=ndjson(*OPENING))
            assert (answer.code, answer.out) == (2, b""), answer
            assert "not a Kejin ledger" in answer.complaint
        answer = Program(empty_database)("verify", "--json")
        assert answer.code == 1
        assert answer.document["findings"]
        assert relations(connection) == before


def relations(connection: psycopg.Connection[Any]) -> list[Any]:
    """Everything that a schema of our own or of someone else holds."""
    query = "select oid, relname, relnamespace from pg_class where oid >= 16384 order by oid"
    return connection.execute(query).fetchall()


@pytest.mark.parametrize("version", [0, 99])
def test_a_database_of_another_version_is_refused_and_untouched(database: str, version: int) -> None:
    """Another schema version is named, with what to do, by every command; nothing is written."""
    kejin = Program(database)
    kejin.record(*OPENING)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("update kejin_work.schema_version set version = %s", (version,))
        for command in COMMANDS:
            answer = kejin(*command, "--json", given=ndjson(repay()))
            assert (answer.code, answer.out) == (2, b""), answer
            assert f"version {version}" in answer.complaint
        row = connection.execute("select count(*) from events").fetchone()
        assert row == (5,)


def test_a_foreign_folder_is_refused_and_untouched(tmp_path: Path) -> None:
    """A folder that holds other things, or is a file, is named; nothing in it changes."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("x")
    for name in ("photos", "photos/one.jpg", "photos/one.jpg/below"):
        for command in (("run", "-"), ("caps",), ("verify",), ("database",), ("database", "--stop")):
            if name.endswith("below") and command == ("database", "--stop"):
                continue  # an absent folder has no server
            answer = Program(data=tmp_path / name)(*command, "--json", given=ndjson(*OPENING))
            assert (answer.code, answer.out) == (2, b""), answer
            assert str(tmp_path / "photos") in answer.complaint
    assert [path.name for path in tmp_path.rglob("*")] == ["photos", "one.jpg"]


# --- languages ----------------------------------------------------------------------------------------


def is_chinese(text: str) -> bool:
    """Whether a text holds Chinese characters."""
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def test_chinese_speakers_are_answered_in_chinese(kejin: Program, tmp_path: Path) -> None:
    """With KEJIN_LANG=zh complaints, refusals and tables are in Chinese; so with a Chinese locale; not with en."""
    lines = ndjson(open_round(), "{}", claim(), '{"command": "repay-loan", "loan": "L1"}', "[]", repay(-1))
    for variables in ({"KEJIN_LANG": "zh"}, {"KEJIN_LANG": "", "LC_ALL": "zh_CN.UTF-8"}):
        answer = kejin("run", "-", "--json", given=lines, **variables)
        assert is_chinese(answer.complaint)
        assert all(is_chinese(line["detail"]) for line in answer.lines[1:])
    english = kejin("run", "-", "--json", given=lines)
    assert not is_chinese(english.complaint)
    assert not any(is_chinese(line["detail"]) for line in english.lines[1:])
    for words in (
        ("run", tmp_path),
        ("run", tmp_path / "missing"),
        ("run", "-", "--as", ""),
        ("balance", "nope"),
        ("balance", "public/treasury", "--on", "x"),
        ("caps", "--known-at", "x"),
        ("caps", "--party", "x"),
        ("verify", "nope"),
        ("explain", "99"),
        ("database", "--stop"),
    ):
        assert is_chinese(kejin(*words, KEJIN_LANG="zh").complaint), words
    for command in (("caps",), ("verify",), ("explain", "3")):
        assert is_chinese(kejin(*command, KEJIN_LANG="zh").out.decode()), command


@pytest.mark.parametrize(
    "words",
    [
        ("caps", "--known-position", "99"),
        ("caps", "--known-at", "2000-01-01"),
        ("caps", "--known-at", "2999-01-01"),
    ],
    ids=" ".join,
)
def test_what_is_not_known_is_told_in_chinese(kejin: Program, words: tuple[str, ...]) -> None:
    """With KEJIN_LANG=zh a read that cannot be answered says so in Chinese."""
    kejin.record(open_round())
    assert is_chinese(kejin(*words, KEJIN_LANG="zh").complaint)


def test_what_cannot_be_used_is_told_in_chinese(tmp_path: Path) -> None:
    """With KEJIN_LANG=zh a database or folder that cannot be used is told in Chinese."""
    (tmp_path / "x").write_text("")
    assert is_chinese(Program(data=tmp_path)("caps", KEJIN_LANG="zh").complaint)
    assert is_chinese(
        Program(f"postgresql://127.0.0.1:{refused_port()}/x")("caps", KEJIN_LANG="zh").complaint
    )


@pytest.mark.parametrize("words", [("nope",), ("run",), ("caps", "--nope"), ("explain", "x")], ids=" ".join)
def test_wrong_arguments_are_told_in_chinese_only(kejin: Program, words: tuple[str, ...]) -> None:
    """With KEJIN_LANG=zh the sentence about wrong arguments is Chinese, not only its end."""
    complaint = kejin(*words, KEJIN_LANG="zh").complaint
    assert is_chinese(complaint.partition("；")[0])


def test_a_data_folder_in_a_place_with_blanks_and_chinese_works(tmp_path: Path) -> None:
    """A folder's name may hold blanks, quotes and Chinese characters."""
    with data_folder(tmp_path / "账 本 'of' \"mine\"", absent=True) as kejin:
        kejin.record(*OPENING, certify())
        assert len(kejin.events()) == 6


def test_the_largest_amounts_are_added_up(kejin: Program) -> None:
    """More than any country has, on one day: the log takes it, and so do projections, a rebuild and `verify`."""
    kejin.record(*OPENING, *(repay(2**53 - 1, key=f"K{n}", effective_on="2024-01-01") for n in range(140)))
    assert kejin.ask("report", "portfolio")["banks"][0]["repaid_fen"] == 140 * (2**53 - 1)
    assert kejin("rebuild", "--json").code == 0
    assert kejin.ask("report", "portfolio")["banks"][0]["repaid_fen"] == 140 * (2**53 - 1)
    assert kejin.ask("balance", "private/loan/L1/repaid")["balance_fen"] == 140 * (2**53 - 1)
    verified = kejin.ask("verify")
    assert (verified["findings"], verified["notices"]) == ([], [])
