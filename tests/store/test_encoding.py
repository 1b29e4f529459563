"""Text goes to the database as it is, whatever the surroundings say of encodings."""

from __future__ import annotations

from random import Random

import pytest

from projections.verification import run
from tests.histories import random_uscc
from tests.support import Ledger

NAMES = (
    "晋科贷（太原）有限公司",
    "naïve ☃ 𠮷",
    "line\u2028end\u0085\u007f",
    'a "quoted" \\ back',
    "\\.",
    "\\N",
)


@pytest.mark.parametrize("encoding", ["LATIN1", "GBK", "SQL_ASCII", "UTF8"])
def test_what_is_recorded_is_what_was_said(
    database: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names in any script, separators, backslashes: recorded, read again and verified, also where the environment of
    libpq asks for another encoding."""
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    ledger, random = Ledger(database), Random(1)
    said = [
        {"command": "register-party", "uscc": random_uscc(random), "kind": "firm", "name": name}
        for name in NAMES
    ]
    outcomes = ledger.submit(*said)
    accepted = [line["name"] for line, o in zip(said, outcomes, strict=True) if o["outcome"] == "accepted"]
    assert len(accepted) >= 4  # some of these characters no name may have
    last = ledger.store.head().position
    recorded = [keyed.event.data["name"] for keyed in ledger.store.events_between(0, last)]
    assert recorded == accepted
    assert run(ledger.store, ["log", "tables"]).findings == []
