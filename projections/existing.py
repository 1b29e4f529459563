"""Whether the log knows a round or a party at all, on whatever day: an empty answer must not stand for a wrong id."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any, cast

from ledger.store import Store


class UnknownRound(LookupError):
    """No such round as known at the position."""


class UnknownParty(LookupError):
    """Nobody is registered under the code, or not in the role that is asked for, as known at the position."""


def check_round(store: Store, until: int, round_id: str) -> None:
    """Raises UnknownRound where none of the id was opened up to a position."""
    if not _is_there(store, until, f"budget:{round_id}", "RoundOpened"):
        raise UnknownRound(round_id)


def check_party(store: Store, until: int, uscc: str) -> None:
    """Raises UnknownParty where nobody was registered under the code up to a position, as whatever."""
    if not _is_there(store, until, f"party:{uscc}", "PartyRegistered"):
        raise UnknownParty(uscc)


def check_subject(store: Store, until: int, kind: str, name: str) -> None:
    """As both: of a `round`, or of anybody else."""
    check = check_round if kind == "round" else check_party
    check(store, until, name)


def _is_there(store: Store, until: int, tag: str, event_type: str) -> bool:
    found = store.stored_events(0, until, tag=tag, event_type=event_type)
    # Closed at once: the connection is somebody else's next.
    with closing(cast("Generator[Any, None, None]", found)) as events:
        return next(events, None) is not None
