"""Deciding the log again: it comes out as it was recorded, and whoever changed a decision is found."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import psycopg
import pytest

from ledger import codec
from ledger.catalogue import catalogue
from ledger.key_events import adoption
from ledger.notes import SigningKey
from ledger.pending import PendingEvent
from ledger.redecide import COMMAND_OF_EVENT
from ledger.store import Store
from projections.verification import decisions, run
from projections.verification.report import Finding
from tests.cli.program import FIRM
from tests.histories import history
from tests.support import Ledger, fresh_database


def found(store: Store) -> list[Finding]:
    """The findings of `kejin verify decisions`."""
    return run(store, ["decisions"]).findings


def test_every_command_is_known_by_its_event() -> None:
    """Whatever command an event records can be decided again: none is missing from the list."""
    known = catalogue()
    grants = {instrument.spec.name for instrument in known.instruments.values()}
    assert {*COMMAND_OF_EVENT.values(), *grants} == known.specs.keys()


@pytest.mark.parametrize("seed", range(30))
def test_a_random_history_decides_again_to_what_is_recorded(seed: int, embedded_server: str) -> None:
    """All commands, back-dated, reversed, merged, refused: the same events, tags, bytes and postings come out."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        ledger.submit(*history(seed, length=200))
        assert found(ledger.store) == []
        ledger.store.close()


@pytest.mark.parametrize("seed", range(6))
def test_two_processes_find_what_one_finds(
    seed: int, embedded_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that is decided in two parts gives the findings that it gives in one."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        ledger.submit(*history(seed, length=160))
        assert _in_two_parts(ledger.store, monkeypatch) == []
        ledger.store.close()
        for position in _some_positions(address, Random(seed)):
            forge(address, position, _other_amount)
        with Store.open(address) as store:
            monkeypatch.setattr(decisions, "_DIVIDED_FROM", 10**9)
            whole = found(store)
            assert whole
            assert _in_two_parts(store, monkeypatch) == whole


def _in_two_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    monkeypatch.setattr(decisions, "_DIVIDED_FROM", 1)
    return found(store)


def _some_positions(address: str, random: Random) -> list[int]:
    with psycopg.connect(address) as connection:
        rows = connection.execute("select position from events where type like '%Grant%ed'").fetchall()
    return random.sample([row[0] for row in rows], min(3, len(rows)))


def forge(address: str, position: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change what an event says, as an owner of the database could."""
    with psycopg.connect(address) as connection:
        connection.execute("alter table events disable trigger immutable")
        row = connection.execute("select data from events where position = %s", (position,)).fetchone()
        assert row is not None
        data = codec.canonical(change(codec.parse_object(bytes(row[0]))))
        connection.execute("update events set data = %s where position = %s", (data, position))
        connection.execute("alter table events enable always trigger immutable")


def _other_amount(data: dict[str, Any]) -> dict[str, Any]:
    name = next((n for n in ("amount_fen", "granted_fen") if n in data), None)
    return {**data, name: data[name] + 1} if name else {**data, "planted": True}


def opened(ledger: Ledger) -> None:
    """A round, a firm, a bank, a loan of 500 万元, and a grant of 6 万元 at position 7."""
    from tests.cli.program import BANK, claim, draw, open_round, register

    ledger.submit(open_round(), register(), register(BANK, "bank"), draw(), claim())


PLANTED: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "an amount": (lambda data: {**data, "amount_fen": 7_000_000}, "amount_fen"),
    "a leg": (lambda data: {**data, "legs": data["legs"][:-1]}, "legs"),
    "a reading": (lambda data: {**data, "reading": {**data["reading"], "A1": "round"}}, "reading"),
    "an input": (lambda data: {**data, "inputs": {**data["inputs"], "principal_fen": 1}}, "inputs"),
    "the payee": (lambda data: {**data, "payee": "91110000101623741K"}, "payee"),
    "the claim's interest": (lambda data: {**data, "interest_paid_fen": 2}, "amount_fen"),
    "the claim's loan": (lambda data: {**data, "loan": "L9"}, "ClaimRefused (unknown_loan)"),
    "a field of no command": (lambda data: {**data, "note": "ok"}, "note"),
    "a missing field": (lambda data: {n: v for n, v in data.items() if n != "claim"}, "no command gives"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_change_is_found_where_it_stands(what: str, ledger: Ledger, database: str) -> None:
    """Given a grant, when somebody changes it in the database, then the finding names its position and the change."""
    opened(ledger)
    change, told = PLANTED[what]
    position = ledger.store.head().position
    forge(database, position, change)
    (finding,) = found(ledger.store)
    assert (finding.table, finding.position) == ("events", position)
    assert told in finding.detail


COLUMNS = {
    "type": ("'ServiceGrantAwarded'", "recorded as ServiceGrantAwarded"),
    "effective_on": ("date '2024-07-02'", "postings"),
    "tags": ("tags || '{x:1}'", "tags"),
    "posting_amounts": ("array[-1, 1] || posting_amounts[3:]", "postings"),
    "posting_days": ("null", "postings"),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_every_decided_column_is_compared(column: str, ledger: Ledger, database: str) -> None:
    """Type, date, tags and postings of an event are those that its command gives."""
    opened(ledger)
    value, told = COLUMNS[column]
    position = ledger.store.head().position
    with psycopg.connect(database) as connection:
        connection.execute("alter table events disable trigger immutable")
        connection.execute(f"update events set {column} = {value} where position = %s", (position,))
    (finding,) = found(ledger.store)
    assert finding.position == position
    assert told in finding.detail


def test_a_refusal_that_was_made_a_grant_is_found(ledger: Ledger, database: str) -> None:
    """Given a claim that was refused, when its refusal is forged into another reason, then it is found."""
    from tests.cli.program import claim

    opened(ledger)
    ledger.submit(claim("C2", effective_on="2023-01-01"))
    position = ledger.store.head().position
    forge(database, position, lambda data: {**data, "code": "nothing_due"})
    (finding,) = found(ledger.store)
    assert "code" in finding.detail
    assert finding.position == position


def test_an_adopted_rulebook_that_was_changed_is_found(ledger: Ledger, database: str) -> None:
    """The content of a rulebook is held against the hash that its round froze."""
    opened(ledger)

    def doubled(data: dict[str, Any]) -> dict[str, Any]:
        data["content"]["clauses"][0]["legs"][0]["rate"] = "1/1"
        return data

    forge(database, 1, doubled)
    positions = [finding.position for finding in found(ledger.store)]
    assert positions[0] == 1
    assert ledger.store.head().position in positions


def test_events_of_other_recorders_are_passed_over_unless_they_move_money(
    ledger: Ledger, database: str
) -> None:
    """Bytes that another recorder appended decide nothing; with postings they are a finding."""
    opened(ledger)
    head = ledger.store.head().position
    with psycopg.connect(database) as connection:
        connection.execute("alter table events disable trigger immutable")
        copied = (
            "insert into events select position + %s, recorded_at, effective_on, 'Foreign', '{}', '\\x00', %s::int[],"
            " %s::bigint[], null, principal, null, null, 0, leaf from events where position = 1"
        )
        connection.execute(copied, (head, [], []))
    assert found(ledger.store) == []
    with psycopg.connect(database) as connection:
        connection.execute("alter table events disable trigger immutable")
        connection.execute(copied, (head + 1, [1], [5]))
    assert [finding.position for finding in found(ledger.store)] == [head + 2]


#: How an event could be hidden from deciding again, its leaf computed anew.
HIDDEN = {
    "a type that nobody knows": "type = 'Unknown'",
    "a recorder's span": "span = 0",
    "a recorder's span and no key": "span = 0, key = null",
    "the type of a key's event": "type = 'SigningKeyAdopted'",
    "the span of another command": "span = 2",
    "no fingerprint": "fingerprint = null",
}


@pytest.mark.parametrize("how", HIDDEN)
@pytest.mark.parametrize("kind", ["PartyRegistered", "FirmCertified", "RoundClosed", "CommandRefused"])
def test_what_moves_nothing_cannot_be_hidden(how: str, kind: str, ledger: Ledger, database: str) -> None:
    """An event without postings that is given another type or span is none that a command gives."""
    opened(ledger)
    quality = {"command": "certify-firm", "uscc": FIRM, "quality": "q", "valid_from": "2024-01-01"}
    close = {"command": "close-round", "round": "R1", "document": "d"}
    ledger.submit(quality | {"valid_to": "2024-12-31", "document": "d"}, close, close | {"key": "again"})
    with psycopg.connect(database) as connection:
        connection.execute("alter table events disable trigger immutable")
        changed = connection.execute(
            f"update events set {HIDDEN[how]} where position = (select max(position) from events where type = %s)"
            " returning position",
            (kind,),
        ).fetchone()
    assert changed is not None
    assert changed[0] in [finding.position for finding in found(ledger.store)]


def test_what_recorders_and_keys_record_is_no_finding(ledger: Ledger) -> None:
    """Bytes of a recorder, under whatever type, and the adoption of keys are there without a command."""
    opened(ledger)
    first, second = (SigningKey("kejin.example/test", bytes([n]) * 32) for n in (1, 2))
    with ledger.store.turn() as turn:
        recorded = [PendingEvent(kind, "2026-01-01", (), b"\xff", span=0) for kind in ("Any", "RoundClosed")]
        keys = [adoption(first.verifier, "2026-01-01"), adoption(second.verifier, "2026-01-01", first)]
        turn.append([*recorded, *keys], "tester")
    assert found(ledger.store) == []
