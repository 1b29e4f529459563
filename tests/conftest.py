"""Real servers for the tests: the embedded PostgreSQL, and Debian's 15 where it is installed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.server import share
from tests.cli import forked
from tests.support import Ledger, fresh_database, remove_made_folder

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

# Under nohup, or where the terminal is gone, commands would inherit that SIGHUP is ignored, which some tests send.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _shared_by_all() -> Iterator[None]:
    """What tests of all modules share ends with them."""
    yield
    forked.close()
    remove_made_folder()


@pytest.fixture(scope="session")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running embedded server."""
    with share(tmp_path_factory.mktemp("embedded") / "data") as server:
        yield _hasty(server.address())


@pytest.fixture(scope="session")
def debian_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running PostgreSQL 15 of Debian."""
    if not (DEBIAN_15 / "postgres").exists():
        pytest.skip("Debian's postgresql-15 is not installed (make test installs it when run as root)")
    with share(tmp_path_factory.mktemp("debian15") / "data", binaries=DEBIAN_15) as server:
        yield _hasty(server.address())


def _hasty(address: str) -> str:
    """Let a server that is gone after the tests not wait for the disk, and keep little of its log; tests of durability
    start their own."""
    settings = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "256MB"}
    with psycopg.connect(address, autocommit=True) as connection:
        for setting, value in settings.items():
            connection.execute(f"alter system set {setting} = '{value}'")
        connection.execute("select pg_reload_conf()")
    return address


@pytest.fixture(params=["embedded_server", "debian_server"])
def any_server(request: pytest.FixtureRequest) -> str:
    """Each server in turn: what is promised on one is promised on all."""
    address: str = request.getfixturevalue(request.param)
    return address


@pytest.fixture
def database(embedded_server: str) -> Iterator[str]:
    """A new database with an empty ledger on the embedded server."""
    with fresh_database(embedded_server) as address:
        yield address


@pytest.fixture
def empty_database(embedded_server: str) -> Iterator[str]:
    """A new database with nothing in it on the embedded server."""
    with fresh_database(embedded_server, empty=True) as address:
        yield address


@pytest.fixture
def ledger(database: str) -> Iterator[Ledger]:
    """An empty ledger on the embedded server."""
    opened = Ledger(database)
    yield opened
    opened.store.close()
