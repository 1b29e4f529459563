"""Four eyes: once tokens exist, nobody pays over HTTP a claim that they decided.

A claim is decided by the rules in the moment it is entered, so whoever entered it decided it. The check is made under
the append lock, so no two servers and no batch can slip between the look and the payment. The owner's command line is
not bound by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from api.service.problems import HttpProblem
from ledger.batch import DecidedEvent, Veto
from ledger.catalogue import discover_instruments
from ledger.commands import Command
from ledger.outcomes import Outcome
from ledger.sql import load
from ledger.store import Store

CODE: Final = "four_eyes"
_QUERIES: Final = load("api", "queries.sql")
_GRANTS: Final = [instrument.event for instrument in discover_instruments().values()]


class FourEyes:
    """The veto against paying what one decided; `active` says whether it holds now."""

    def __init__(self, active: Callable[[], bool]) -> None:
        self._active = active

    def veto(self, store: Store) -> Veto | None:
        """For one turn of a writer on a store; None while no tokens exist."""
        if not self._active():
            return None

        def veto(command: Command, decided: Iterable[DecidedEvent]) -> Outcome | None:
            if command.name != "pay" or command.principal not in _deciders(store, command, decided):
                return None
            # A code of the service, not of the rules: nothing is recorded.
            return Outcome("refused", code=CODE)

        return veto


def _deciders(store: Store, command: Command, decided: Iterable[DecidedEvent]) -> set[str | None]:
    """Who decided the claim that a command would pay: recorded, or decided and not committed yet."""
    tag = f"claim:{command.fields['claim']}"
    rows = store.connection.execute(_QUERIES["deciders"], {"tag": tag, "types": _GRANTS}).fetchall()
    now = {d.command.principal for d in decided if tag in d.event.tags and d.event.type in _GRANTS}
    return {row[0] for row in rows} | now


def problem() -> HttpProblem:
    """What the sender is told."""
    return HttpProblem(
        CODE,
        "whoever decided a claim may not pay it; somebody else must",
        "决定申请的人不得支付该申请；须由他人支付",
    )
