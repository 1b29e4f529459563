"""What a database is set to for its own purposes changes nothing here."""

from __future__ import annotations

import psycopg
import pytest

from ledger.store import Store
from projections.verification import CHECKS, run
from tests.cli.program import OPENING
from tests.support import Ledger

#: Settings that a database may have, and what holds for us nevertheless.
THEIRS_AND_OURS = {
    "synchronous_commit": ("off", "on"),
    "default_transaction_isolation": ("serializable", "read committed"),
    "default_transaction_read_only": ("on", "off"),
    "idle_session_timeout": ("1", "0"),
    "idle_in_transaction_session_timeout": ("1", "0"),
    "statement_timeout": ("1", "0"),
    "lock_timeout": ("1", "0"),
    "transaction_timeout": ("10s", "0"),  # set once there is a connection: that much must be possible
    "quote_all_identifiers": ("on", "off"),
    "standard_conforming_strings": ("off", "on"),
    "datestyle": ("SQL, MDY", "ISO, MDY"),
    "timezone": ("Asia/Shanghai", "UTC"),
}


@pytest.fixture
def odd(database: str) -> str:
    """A database with all these settings."""
    with psycopg.connect(database, autocommit=True) as owner:
        for name, (theirs, _) in THEIRS_AND_OURS.items():
            said = f"alter database {owner.info.dbname} set {name} = '{theirs}'"
            if name == "transaction_timeout" and owner.info.server_version < 170000:
                continue
            owner.execute(said.encode())
    return database


def test_every_connection_has_our_settings(odd: str) -> None:
    """What is acknowledged is on the disk, whoever waited for the lock sees what was written meanwhile, nothing ends
    for having taken long, and dates, strings and names are read as they were written."""
    ours = {name: value for name, (_, value) in THEIRS_AND_OURS.items()}
    readers = {**ours, "default_transaction_read_only": "on", "statement_timeout": "10s"}
    with Store.open(odd) as writer, Store.open_for_reading(odd, 10.0) as reader:
        for store, expected in ((writer, ours), (reader, readers)):
            query = "select lower(name), current_setting(name) from pg_settings where lower(name) = any(%s)"
            found = dict(store.connection.execute(query, [list(expected)]).fetchall())
            assert found == {name: expected[name] for name in found}
            assert found.keys() >= expected.keys() - {"transaction_timeout"}


def test_a_ledger_with_other_settings_is_sound(odd: str) -> None:
    """Commands are recorded, and nothing is found."""
    ledger = Ledger(odd)
    for line in OPENING:
        assert ledger.submit(line)[0]["outcome"] == "accepted"
    report = run(ledger.store, list(CHECKS))
    assert (report.findings, report.notices) == ([], [])
    ledger.store.close()
