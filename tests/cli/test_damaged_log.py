"""A log that someone with the owner's rights has damaged: `kejin verify` tells, and never stumbles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.program import Program
from tests.cli.test_contract import HISTORY, tamper
from tests.support import fresh_database

#: What is set in event 6, a grant with limits of days of their own.
IN_THE_GRANT = {
    "the last amounts are missing": "posting_amounts = posting_amounts[1:1]",
    "an account too many": "posting_accounts = posting_accounts || 1",
    "no account at all": "posting_accounts = '{}'",
    "too few days": "posting_days = posting_days[1:1]",
    "an amount is null": "posting_amounts[1] = null",
    "an account is null": "posting_accounts[1] = null",
    "a day is null": "posting_days[1] = null",
    "accounts in two dimensions": "posting_accounts = array[posting_accounts]",
    "accounts and amounts in two dimensions": (
        "posting_accounts = array[posting_accounts], posting_amounts = array[posting_amounts]"
    ),
    "a business date without end": "effective_on = 'infinity'",
    "a business date before all": "effective_on = '-infinity'",
    "a line's day without end": "posting_days[1] = 'infinity'",
    "an amount that has no opposite": (
        "posting_amounts = array_fill((-9223372036854775808)::bigint, array[cardinality(posting_amounts)])"
    ),
    "no amounts": "posting_amounts = null",
    "no accounts": "posting_accounts = null",
    "no business date": "effective_on = null",
}
LOOSER = "alter table events " + ", ".join(
    f"alter {column} drop not null" for column in ("posting_amounts", "posting_accounts", "effective_on")
)

#: By what is damaged the statement that does it, and the table that a finding must name.
DAMAGES = {
    **{
        name: (f"update events set {what} where position = 6", "events")
        for name, what in IN_THE_GRANT.items()
    },
    "an event is missing": ("delete from events where position = 7", "events"),
    "an amount too few here and one too many there": (
        (
            "update events set posting_amounts = case position when 6 then posting_amounts[2:] "
            "else posting_amounts || 1::bigint end where position in (6, 9)"
        ),
        "events",
    ),
    "accounts without a row": ("delete from accounts where path like 'quota/%'", "accounts"),
    "no accounts have a row": ("delete from accounts", "accounts"),
    "an account of another number": ("update accounts set id = 2147483647 where id = 1", "accounts"),
    "a line on a number below 0": (
        "update events set posting_accounts[1] = -5 where position = 6",
        "accounts",
    ),
    "a line on a number beyond all": (
        "update events set posting_accounts[1] = 2147483647 where position = 6",
        "accounts",
    ),
}


@pytest.fixture
def damaged(embedded_server: str, request: pytest.FixtureRequest) -> Iterator[Program]:
    """A small ledger after a statement."""
    with fresh_database(embedded_server) as address:
        kejin = Program(address)
        kejin.run(*HISTORY)
        tamper(address, "alter table accounts disable trigger all", LOOSER, request.param)
        yield kejin


@pytest.mark.parametrize(("damaged", "table"), DAMAGES.values(), ids=DAMAGES, indirect=["damaged"])
def test_verify_names_the_table_of_what_is_damaged(damaged: Program, table: str) -> None:
    """`verify caps` and `verify all` answer with a finding of caps that names the table: exit 1, no traceback."""
    for check in ("caps", "all"):
        answer = damaged("verify", check, "--json")
        assert (answer.code, answer.err) == (1, ""), answer
        findings = answer.document["findings"]
        assert ("caps", table) in {(one["check"], one.get("table")) for one in findings}, findings
        assert answer.document["ok"] is False
        if check == "all":
            assert len({one["check"] for one in findings}) > 1


@pytest.mark.parametrize(
    "damaged", ["update events set leaf = substr(leaf, 2) where position = 6"], indirect=True
)
def test_verify_names_a_leaf_that_is_no_hash(damaged: Program) -> None:
    """Without 32 bytes for each event there is no root: a finding of the log, whatever is checked."""
    for check in ("caps", "books", "all"):
        answer = damaged("verify", check, "--json")
        assert (answer.code, answer.err) == (1, "")
        assert answer.document["root"] == ""
        assert ("log", "events") in {(one["check"], one.get("table")) for one in answer.document["findings"]}
