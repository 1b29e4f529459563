"""A second process: what it returns or raises arrives as what it is, and it never outlives the first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ledger.bilingual import Bilingual
from ledger.connection import StoreError
from ledger.keyring import KeyringError
from ledger.rulebook.settings import UnusableSetting
from ledger.server import ServerError
from ledger.signer import Contradiction
from ledger.store import NotKnown
from projections.evidence.subjects import NoSubject
from projections.forking import Fork
from projections.rebuilding import Differs
from projections.shelves import NotProjected
from projections.what_if import NotDecidable
from tests.cli.program import data_folder

ERRORS: tuple[type[Bilingual], ...] = (
    StoreError,
    KeyringError,
    UnusableSetting,
    ServerError,
    Contradiction,
    NotKnown,
    NoSubject,
    Differs,
    NotDecidable,
    NotProjected,
)


class Unsendable(Exception):
    """One that cannot be made again from what it says."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def raised(error: Exception) -> None:
    """Raise it."""
    raise error


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_arrives_as_what_it_is(kind: type[Bilingual]) -> None:
    """Its kind and both languages."""
    with Fork(lambda: raised(kind("what", "何事"))) as fork, pytest.raises(kind) as told:
        fork.result()
    assert (str(told.value), told.value.zh) == ("what", "何事")


def test_an_error_that_cannot_be_sent_is_told() -> None:
    """By its kind and message, not by what went wrong with sending it."""
    with Fork(lambda: raised(Unsendable(1, 2))) as fork, pytest.raises(Exception, match="1 and 2"):
        fork.result()


def test_it_ends_with_its_block() -> None:
    """Whatever ends the block, the process is gone."""
    with pytest.raises(KeyError), Fork(signal.pause) as fork:
        child = psutil.Process(fork._child)
        raise KeyError
    assert not child.is_running()


def test_it_ends_with_its_parent() -> None:
    """Also where the parent is killed and can end nobody."""
    program = (
        "import signal\n"
        "from projections.forking import Fork\n"
        "fork = Fork(signal.pause)\n"
        "print(fork._child, flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
        psutil.wait_procs([child], timeout=60)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_who_uses_a_data_folder_can_fork(tmp_path: Path) -> None:
    """Whoever waits for a server or a lock is looked after by a thread; it does not stay when the wait is over."""
    code = """
import sys
from pathlib import Path
from api.session import ledger
from datetime import UTC, datetime
from ledger.store import NotKnown
from projections.forking import is_possible
with ledger(Path(sys.argv[1])) as store:
    print(is_possible())
    with store.turn():
        pass
    try:
        store.known_position(instant=datetime(2020, 1, 1, tzinfo=UTC))
    except NotKnown:
        print(is_possible())
"""
    with data_folder(tmp_path / "data"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "data")], capture_output=True, text=True, check=True
        )
    assert done.stdout.split() == ["True", "True"]
