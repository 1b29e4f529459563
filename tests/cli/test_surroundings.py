"""What surrounds a command: environment variables, folders, the terminal's encoding. None of it may lead to
another ledger, run foreign code or garble an answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.cli.program import OPENING, PATIENCE_SECONDS, Program, data_folder, ndjson, repay

EVENTS = 5  # of OPENING
MANY = (*OPENING, *(repay(n, key=f"K{n}") for n in range(1, 8_001)))

#: Values that would keep a connection from its server, or change what it says.
HOSTILE = {
    "PGHOST": "127.0.0.1",
    "PGHOSTADDR": "127.0.0.1",
    "PGPORT": "1",
    "PGSERVICE": "none",
    "PGSERVICEFILE": "/nowhere",
    "PGSYSCONFDIR": "/nowhere",
    "PGUSER": "nobody",
    "PGDATABASE": "nothing",
    "PGPASSWORD": "wrong",
    "PGPASSFILE": "/nowhere",
    "PGOPTIONS": "-c nonsense=1",
    "PGCLIENTENCODING": "LATIN1",
    "PGTARGETSESSIONATTRS": "standby",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGREQUIREPEER": "nobody",
    "PGCHANNELBINDING": "require",
    "PGGSSENCMODE": "require",
    "PGSSLMODE": "verify-full",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLROOTCERT": "/nowhere",
    "PGMAXPROTOCOLVERSION": "none",
    "PGCONNECT_TIMEOUT": "none",
    "PGLOADBALANCEHOSTS": "none",
    "PGDATESTYLE": "nonsense",
    "PGTZ": "nonsense",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, str]]:
    """The program on a data folder whose server stays, and the address of it."""
    with data_folder(tmp_path_factory.mktemp("surroundings") / "data") as kejin:
        address = kejin("database").out.decode().strip()
        kejin.record(*OPENING)
        yield kejin, address


@pytest.mark.parametrize("name", HOSTILE)
def test_no_variable_of_libpq_reaches_the_embedded_server(folder: tuple[Program, str], name: str) -> None:
    """Whatever a PG… variable says, --data is the ledger of that folder, at the same address."""
    kejin = Program(data=folder[0].data, environment={name: HOSTILE[name]})
    answer = kejin("events", "--json")
    assert (answer.code, answer.err, len(answer.lines)) == (0, "", EVENTS)
    assert kejin("database").out.decode().strip() == folder[1]


def test_every_variable_that_libpq_knows_is_tried(folder: tuple[Program, str]) -> None:
    """All of them at once, also those of a newer libpq: a long run, whose writing is a process of its own, is recorded
    in its folder."""
    known = {option.envvar.decode() for option in psycopg.pq.Conninfo.get_defaults() if option.envvar}
    kejin = Program(data=folder[0].data, environment={**dict.fromkeys(known, "none"), **HOSTILE})
    answer = kejin("run", "-", "--json", given=ndjson(*MANY))
    assert (answer.code, answer.err) == (0, "")
    assert kejin.ask("balance", "private/loan/L1/repaid")["known_position"] == EVENTS + 8_000


def test_a_server_is_started_and_stopped_whatever_libpqs_variables_say(tmp_path: Path) -> None:
    """A folder's server is made, used and stopped at the end under hostile variables."""
    kejin = Program(data=tmp_path / "data", environment=dict(HOSTILE))
    kejin.record(*OPENING)
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists()


def test_variables_of_libpq_count_for_a_named_database(database: str) -> None:
    """KEJIN_DATABASE_URL is libpq's address: what it leaves open, libpq's variables say."""
    kejin = Program(database)
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    kejin.record(*OPENING)
    shorter = psycopg.conninfo.make_conninfo(database).replace(f"dbname={name}", "")
    answer = Program(shorter)("events", "--json", PGDATABASE=str(name))
    assert len(answer.lines) == EVENTS


def ended_in(
    folder: Path, kejin: Program, words: list[str], given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """A command that was started in a folder, by words of its own, at its end."""
    return subprocess.run(
        words,
        input=given,
        capture_output=True,
        cwd=folder,
        env=kejin.variables(),
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_a_run_executes_nothing_of_the_current_folder(database: str, tmp_path: Path) -> None:
    """Files that are called like modules of Python lie in the current folder: neither a command nor the process that
    writes beside it takes them for such."""
    for name in ("json", "api", "signal", "psycopg", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'w')\n")
    kejin = Program(database)
    words = [str(Path(sys.executable).with_name("kejin")), "run", "-", "--json"]
    done = ended_in(tmp_path, kejin, words, ndjson(*MANY))
    assert (done.returncode, done.stderr) == (0, b"")
    assert not (tmp_path / "executed").exists()


def test_answers_are_utf8_whatever_the_surroundings_say(folder: tuple[Program, str]) -> None:
    """An encoding that knows no Chinese changes no byte of an answer or of a complaint."""
    kejin, _ = folder
    for words in (("events",), ("caps",), ("report", "round", "R1"), ("balance", "无")):
        plain = kejin(*words, KEJIN_LANG="zh")
        assert not (plain.out + plain.err.encode()).isascii()
        assert kejin(*words, KEJIN_LANG="zh", PYTHONIOENCODING="ascii") == plain


def test_an_empty_name_is_no_folder(tmp_path: Path, database: str) -> None:
    """`--data ""`, which an unset variable of a script leaves, is refused and nothing is made in the current folder; an
    empty KEJIN_DATABASE_URL counts as unset."""
    kejin = Program(database)
    done = ended_in(tmp_path, kejin, [*kejin.words("caps"), "--data", ""])
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"kejin: --data is empty; name a folder, or leave it out\n"
    assert not list(tmp_path.iterdir())
    with data_folder(tmp_path / "data", KEJIN_DATABASE_URL="") as empty:
        assert empty.events() == []


def test_links_that_lead_to_each_other_are_one_line(tmp_path: Path) -> None:
    """A data folder that is a loop of links is refused in one line."""
    (tmp_path / "one").symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(tmp_path / "one")
    kejin = Program(data=tmp_path / "one")
    for words in (("caps",), ("verify",), ("database",), ("database", "--stop")):
        answer = kejin(*words, "--json")
        assert (answer.code, answer.out) == (2, b"")
        assert "symbolic links" in answer.complaint
