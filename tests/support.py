"""What the tests share: a ledger on a real server, driven as `kejin run` drives it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg

from ledger import codec, commands
from ledger.catalogue import Catalogue, catalogue
from ledger.commands import Command, InvalidCommand
from ledger.pipeline import Pipeline
from ledger.rehearsal import Rehearsal
from ledger.server import share
from ledger.store import Store
from projections.balances import balance_fen
from projections.caps import caps
from projections.clocks import AsOf
from projections.milestones import milestones
from projections.runner import ensure

TODAY = "2026-06-30"


_templates: dict[str, str] = {}


@contextmanager
def fresh_database(server_address: str, *, empty: bool = False) -> Iterator[str]:
    """A new database on a running server, with an empty ledger or with nothing in it; the address of it."""
    template = "template0" if empty else _template(server_address)
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_address, autocommit=True) as connection:
        connection.execute(f'create database "{name}" encoding \'UTF8\' template "{template}"')
        address = psycopg.conninfo.make_conninfo(server_address, dbname=name)
        try:
            yield address
        finally:
            connection.execute(f'drop database "{name}" with (force)')


def _template(server_address: str) -> str:
    """The database of a server that ledgers are copied from: made once, as any first use of an empty database does."""
    if server_address not in _templates:
        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(server_address, autocommit=True) as connection:
            connection.execute(f"create database \"{name}\" encoding 'UTF8' template template0")
        Store.open(psycopg.conninfo.make_conninfo(server_address, dbname=name)).close()
        _templates[server_address] = name
    return _templates[server_address]


_made: list[Path] = []


def copy_made_folder(path: Path) -> None:
    """A data folder whose database is made and empty: making one takes a second, copying one a tenth of it."""
    if not _made:
        made = Path(tempfile.mkdtemp()) / "data"
        with share(made):
            pass
        _made.append(made)
    shutil.copytree(_made[0], path)


def remove_made_folder() -> None:
    """The folder that others were copied from goes with the tests."""
    while _made:
        shutil.rmtree(_made.pop().parent)


class Ledger:
    """A real store and writer, with the reads of the command line."""

    def __init__(self, address: str, today: str = TODAY, known: Catalogue | None = None) -> None:
        self.store = Store.open(address, by_index=True)
        self.known = known or catalogue()
        self.writer = Pipeline(self.store, self.known, "tester")
        self.today = today
        self._hasher = hashlib.sha256()

    def submit(self, *lines: dict[str, Any], dry_run: bool = False) -> list[dict[str, Any]]:
        """The outcome documents of lines, decided as one batch."""
        read = [self._read(line) for line in lines]
        well_formed = [item for item in read if isinstance(item, Command)]
        writer = Rehearsal(self.store, self.known) if dry_run else self.writer
        outcomes = iter(writer.submit(well_formed))
        return [
            next(outcomes).document()
            if isinstance(item, Command)
            else {"outcome": "invalid", "positions": [], "detail": item.problem_en}
            for item in read
        ]

    def _read(self, line: dict[str, Any]) -> Command | InvalidCommand:
        text = codec.canonical(line)
        self._hasher.update(text + b"\n")
        key = "line:" + self._hasher.hexdigest()
        try:
            return commands.read(codec.parse_object(text), self.known.specs, self.today, lambda: key)
        except (InvalidCommand, codec.NotStrictJson) as error:
            return error if isinstance(error, InvalidCommand) else InvalidCommand(str(error), str(error))

    def as_of(self, on: str | None = None, known_position: int | None = None) -> AsOf:
        """The two clocks of a read, once the projections reach its position."""
        position = self.store.known_position(known_position)
        ensure(self.store, position)
        return AsOf(on, position)

    def balance(self, account: str, on: str | None = None, known_position: int | None = None) -> int:
        """As `kejin balance`."""
        return balance_fen(self.store, account, self.as_of(on, known_position))

    def caps(
        self, party: str | None = None, on: str | None = None, known_position: int | None = None
    ) -> list[dict[str, Any]]:
        """As `kejin caps --json`."""
        return [asdict(row) for row in caps(self.store, self.as_of(on, known_position), party)]

    def milestones(self, bank: str | None = None, known_position: int | None = None) -> list[dict[str, Any]]:
        """As `kejin milestones --json`."""
        return [asdict(row) for row in milestones(self.store, self.as_of(None, known_position), bank)]
