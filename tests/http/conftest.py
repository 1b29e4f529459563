"""One server for a module of tests that only ask, one for each test that records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.service.examples import LINES
from tests.cli.program import Program
from tests.http.service import Service, serving
from tests.support import fresh_database


@pytest.fixture
def service(database: str, tmp_path: Path) -> Iterator[Service]:
    """A server on an empty ledger, without tokens."""
    with serving(Program(database), tmp_path / "server.log") as running:
        yield running


@pytest.fixture(scope="module")
def example_address(embedded_server: str) -> Iterator[str]:
    """The database of the examples' ledger."""
    with fresh_database(embedded_server) as address:
        answer = Program(address).run(*map(dict, LINES))
        assert [o["outcome"] for o in answer.lines].count("refused") == 1, answer
        yield address


@pytest.fixture(scope="module")
def example(example_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server on the examples' ledger."""
    log = tmp_path_factory.mktemp("example") / "server.log"
    with serving(Program(example_address), log) as running:
        yield running
