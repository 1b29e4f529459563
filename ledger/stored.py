"""Rows of the log and of what follows from it, as state takes them: events, lines, day sums. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ledger.codec import read_canonical
from ledger.dates import Day
from ledger.events import Event, Posting
from ledger.plain import Plain

#: The span of an event that no command recorded: the recorder's. Whatever its type, tags and bytes, it is not
#: remembered, so that nobody's bytes can stop or mislead a decision.
NO_COMMAND: Final = 0

#: The accounts of an owner: the path of each, its days in order and the sum of each day.
AccountSums = Sequence[tuple[str, Sequence[Day], Sequence[int]]]
#: An owner's tag and the day sums of its accounts.
OwnerSums = tuple[str, AccountSums]


@mypyc_attr(acyclic=True)
class KeyedEvent(Plain):
    """An event with the idempotency key that it was recorded under."""

    __slots__ = ("event", "fingerprint", "key", "span")

    def __init__(self, event: Event, key: str | None, fingerprint: bytes | None, span: int) -> None:
        self.event: Final = event
        self.key: Final = key
        self.fingerprint: Final = fingerprint
        self.span: Final = span


def keyed_events(rows: Iterable[Sequence[Any]], paths: Mapping[int, str]) -> list[KeyedEvent]:
    """Rows of position, type, effective_on, tags, data, accounts, amounts, days, key, fingerprint, span. `paths` are
    those of accounts, by id. Raises ValueError, TypeError, KeyError for what no event is."""
    found = []
    for position, kind, on, tags, data, accounts, amounts, days, key, fingerprint, span in rows:
        lines = postings(paths, on, accounts, amounts, days)
        if span == NO_COMMAND:
            event = Event(position, kind, on, (), {}, lines)
        else:
            event = Event(position, kind, on, tuple(tags), read_canonical(data), lines)
        found.append(KeyedEvent(event, key, fingerprint, span))
    return found


def postings(
    paths: Mapping[int, str],
    on: Day,
    accounts: Sequence[int],
    amounts: Sequence[int],
    days: Sequence[Day] | None,
) -> tuple[Posting, ...]:
    """The lines of an event: the ids of their accounts, their fen and their days (None: all on its own)."""
    count = len(accounts)
    if len(amounts) != count or (days is not None and len(days) != count):
        raise ValueError("an event's lines lack a part")
    if days is None:
        return tuple([Posting(paths[accounts[i]], amounts[i], on) for i in range(count)])
    return tuple([Posting(paths[accounts[i]], amounts[i], days[i]) for i in range(count)])


def account_sums(
    paths: Mapping[int, str], accounts: Sequence[int], days: Sequence[Day], amounts: Sequence[int]
) -> AccountSums:
    """The three arrays of an owner's day sums, account by account."""
    found = list[tuple[str, Sequence[Day], Sequence[int]]]()
    first = 0
    for end in range(1, len(accounts) + 1):
        if end == len(accounts) or accounts[end] != accounts[first]:
            found.append((paths[accounts[first]], days[first:end], amounts[first:end]))
            first = end
    return found


def columns_of(sums: AccountSums, ids: Mapping[str, int]) -> dict[str, str]:
    """The reverse, as the literals of arrays, in the order of account and day. `ids` are those of accounts, by path."""
    accounts, all_days, fen = list[str](), list[Day](), list[str]()
    for path, days, amounts in sorted(sums, key=lambda one: ids[one[0]]):
        accounts += [str(ids[path])] * len(days)
        all_days += days
        fen += [str(amount) for amount in amounts]
    columns = {"accounts": accounts, "days": all_days, "amounts_fen": fen}
    return {name: "{" + ",".join(values) + "}" for name, values in columns.items()}
