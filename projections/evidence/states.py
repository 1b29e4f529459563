"""What stood on each cap and ladder before and after an event, on the event's date."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from ledger.accounts import owner_of
from ledger.day_sums import DaySums, room_fen
from ledger.events import StoredEvent
from ledger.store import Store
from projections.evidence.reading import rows
from projections.evidence.subjects import Subject

State = dict[str, Any]
Line = tuple[str, int, str]  # account, fen, day


def states(store: Store, subject: Subject) -> tuple[list[State], list[str]]:
    """The states around each of the subject's own events; and the owners (tags) of which the pack has every event, so
    that their states can be computed again from it."""
    wanted = {event.position: accounts for event in subject.events if (accounts := _moved(subject, event))}
    owners = {owner for accounts in wanted.values() for account in accounts if (owner := owner_of(account))}
    last = max(wanted, default=0)
    by_position, told = _postings(store, sorted(owners), last)
    days = {event.position: event.effective_on for event in subject.events}
    sums: defaultdict[str, DaySums] = defaultdict(DaySums)
    found = []
    for position, lines in by_position.items():
        accounts = wanted.get(position, ())
        before = [_figures(sums, account, days[position]) for account in accounts]
        for account, fen, day in lines:
            sums[account].add(day, fen)
        for account, then in zip(accounts, before, strict=True):
            after = _figures(sums, account, days[position])
            state = {"position": position, "account": account, "owner": owner_of(account)}
            found.append({**state, "before": then, "after": after})
    whole = [owner for owner in sorted(owners) if told[owner] <= days.keys()]
    return found, whole


def _moved(subject: Subject, event: StoredEvent) -> Sequence[str]:
    """The caps' and ladders' accounts that an event of the subject's own posts to."""
    if not subject.own(event):
        return ()
    books = ("quota/", "milestone/")
    return list(dict.fromkeys(line.account for line in event.postings if line.account.startswith(books)))


def _postings(
    store: Store, owners: Sequence[str], until: int
) -> tuple[dict[int, list[Line]], dict[str, set[int]]]:
    """The lines on the owners' accounts by position, in order; and each owner's positions."""
    found = rows(store, "postings_of_tags", tags=owners, until=until)
    ids = {account for row in found for account in row[3]}
    paths = dict(rows(store, "paths_of_accounts", ids=list(ids)))
    by_position: dict[int, list[Line]] = {}
    told: dict[str, set[int]] = {owner: set() for owner in owners}
    for tag, position, on, accounts, amounts, days in found:
        told[tag].add(position)
        if position not in by_position:
            by_position[position] = list(
                _lines([paths[i] for i in accounts], amounts, days or [on] * len(accounts))
            )
    return by_position, told


def _lines(accounts: Sequence[str], amounts: Sequence[int], days: Sequence[str]) -> Iterator[Line]:
    for account, fen, day in zip(accounts, amounts, days, strict=True):
        if account.partition("/")[0] in ("quota", "limit", "settled", "milestone"):
            yield account, fen, day


def _figures(sums: defaultdict[str, DaySums], account: str, on: str) -> dict[str, int]:
    book, _, key = account.partition("/")
    if book == "milestone":
        return {"mark_fen": sums[account].total_fen}
    limit, used, settled = sums[f"limit/{key}"], sums[account], sums[f"settled/{key}"]
    return {
        "limit_fen": limit.at(on),
        "used_fen": used.at(on),
        "settled_fen": settled.at(on),
        "room_fen": room_fen(limit, used, on),
    }
