"""Caps: for every business date D, at the end of every event P, used(D, P) <= limit(D, P).

From the postings alone, without the code that decided. A round's available money is bounded likewise: never
below 0 on any date. Per key the question is the largest prefix sum, over its days, of (use - limit).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final

from ledger.dates import Day
from ledger.money import format_fen
from ledger.store import Store
from projections.verification.report import Finding, Report

# Net use of each key: a quota line counts up, a limit line down; money that leaves `available` counts up.
_LINES: Final = """
select case split_part(a.path, '/', 1)
           when 'public' then a.path else substring(a.path from position('/' in a.path) + 1) end collate "C" as cap_key,
       e.position, e.type, coalesce(line.day, e.effective_on)::text as day,
       case split_part(a.path, '/', 1) when 'quota' then line.amount else -line.amount end as net,
       split_part(a.path, '/', 1) = 'limit' as is_limit
from events e,
     unnest(e.posting_accounts, e.posting_amounts, e.posting_days) with ordinality as line (account, amount, day, n)
join accounts a on a.id = line.account
where e.position <= %s
  and (split_part(a.path, '/', 1) in ('quota', 'limit') or a.path like 'public/round/%%/available')
order by cap_key, e.position, line.n
"""

# What moves use between keys, or changes limits after the fact: nobody granted beyond what was known.
_LATER_KNOWLEDGE: Final = frozenset({"PartiesMerged", "FactReversed"})

Line = tuple[str, int, str, Day, int, bool]  # key, position, event type, day, net fen, is a limit


def check(store: Store, until: int) -> Report:
    """The first breach of every cap and key: a finding if it was known then, else a notice."""
    report = Report()
    with store.connection.transaction(), store.connection.cursor(name="cap_lines") as cursor:
        cursor.itersize = 20_000
        cursor.execute(_LINES, (until,))
        for key, lines in groupby(cursor, key=itemgetter(0)):
            for breach in breaches(list(lines)):
                what = f"{key} is passed by {format_fen(breach.over_fen)}"
                found = report.findings if breach.known_then else report.notices
                found.append(Finding("caps", what, "events", breach.position))
    return report


@dataclass(frozen=True, slots=True)
class Breach:
    """An event after which some day's use is above its limit, or further above it than before."""

    position: int
    over_fen: int
    known_then: bool  # the event itself took more than was left; else later knowledge or a merger did


def breaches(lines: list[Line]) -> list[Breach]:
    """Of one key: the first breach by later knowledge, if any, and the first that was known then, if any."""
    peaks = _peaks(lines)
    found: dict[bool, Breach] = {}
    highest_fen = 0
    for (position, kind), group in groupby(lines, key=itemgetter(1, 2)):
        event_lines = list(group)
        peak_fen = peaks(event_lines)
        if peak_fen > highest_fen:
            raised_use = any(net > 0 and not is_limit for *_, net, is_limit in event_lines)
            known_then = raised_use and kind not in _LATER_KNOWLEDGE
            found.setdefault(known_then, Breach(position, peak_fen, known_then))
        highest_fen = max(0, peak_fen)
    return list(found.values())


class _InOrder:
    """Dates never go back from event to event: what changes is the newest days' values, each the total so far."""

    def __init__(self) -> None:
        self._total_fen = 0
        self._day = ""
        self._peak_before_fen = 0  # over the days before the newest

    def __call__(self, lines: Iterable[Line]) -> int:
        for day, of_day in groupby(sorted(lines, key=itemgetter(3)), key=itemgetter(3)):
            if day > self._day:
                self._peak_before_fen = max(self._peak_before_fen, self._total_fen)
                self._day = day
            self._total_fen += sum(line[4] for line in of_day)
        return max(self._peak_before_fen, self._total_fen)


class _AnyOrder:
    """A segment tree over the key's days: each node keeps its sum and its largest prefix sum."""

    def __init__(self, days: list[Day]) -> None:
        self._leaf_of = {day: i for i, day in enumerate(days)}
        self._size = 1 << max(0, (len(days) - 1).bit_length())
        self._sums = [0] * (2 * self._size)
        self._peaks = [0] * (2 * self._size)

    def __call__(self, lines: Iterable[Line]) -> int:
        for line in lines:
            self._add(self._size + self._leaf_of[line[3]], line[4])
        return self._peaks[1]

    def _add(self, node: int, net_fen: int) -> None:
        sums, peaks = self._sums, self._peaks
        sums[node] += net_fen
        peaks[node] = sums[node]
        node >>= 1
        while node:
            left, right = 2 * node, 2 * node + 1
            sums[node] = sums[left] + sums[right]
            peaks[node] = max(peaks[left], sums[left] + peaks[right])
            node >>= 1


def _peaks(lines: list[Line]) -> _InOrder | _AnyOrder:
    by_event = [sorted(line[3] for line in group) for _, group in _events(lines)]
    flat = [day for days in by_event for day in days]
    if all(a <= b for a, b in pairwise(flat)):
        return _InOrder()
    return _AnyOrder(sorted(set(flat)))


def _events(lines: list[Line]) -> Iterator[tuple[int, Iterator[Line]]]:
    return groupby(lines, key=itemgetter(1))
