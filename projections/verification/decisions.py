"""Decisions: the whole log decided again, from what the commands said and the rulebooks that were adopted.

What was decided is never read on the way: each decision rests on the ones before it as they come out now. On two cores
a second process goes on from the middle, on the first half as it is recorded; where the first half comes out as
recorded, that is the same, and where it does not, the first process decides the rest itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from ledger import codec
from ledger.catalogue import catalogue
from ledger.key_events import EVENT_TYPE as KEY_EVENT
from ledger.key_events import is_adoption
from ledger.redecide import (
    ADOPTION,
    UNDECIDABLE,
    History,
    Recorded,
    Redecided,
    as_event,
    as_recorded,
    is_again,
    is_command,
)
from ledger.store import Store
from ledger.stored import NO_COMMAND
from projections.fold import fold
from projections.forking import Fork, is_possible
from projections.progress import Progress, silent
from projections.recorded import account_ids, recorded_events, watched_positions
from projections.verification.reading import Reading
from projections.verification.report import Finding, Report

_FINDINGS_MAX: Final = 100
#: Shorter logs are not worth a second process.
_DIVIDED_FROM: Final = 20_000
#: The part that is decided first: following costs the other process about half of what deciding does.
_FIRST_PART: Final = 0.68
_VALUE_LENGTH_MAX: Final = 120


def check(reading: Reading) -> Report:
    """Every event that is not what its command gives on the history before it."""
    store, until = reading.store, reading.until
    ids, watched = account_ids(store), watched_positions(store, until)
    middle = _middle(store, until)
    histories = [History(catalogue(), watched) for _ in range(2)]
    if not middle:
        return _report(decide_range(store, histories[0], ids, 0, until, progress=reading.progress))
    # Two children: what either remembers was there before it and is not taken apart, which takes as long as a
    # tenth of the deciding.
    with (
        Fork(lambda: _first_part(reading, histories[0], ids, middle)) as first,
        Fork(lambda: _second_part(store, histories[1], ids, middle, until)) as second,
    ):
        return _report(first.result() or second.result())


def _report(findings: list[Finding]) -> Report:
    if len(findings) >= _FINDINGS_MAX:
        findings = [*findings, Finding("decisions", f"{_FINDINGS_MAX} findings; stopped here")]
    return Report(findings=findings)


def _middle(store: Store, until: int) -> int:
    """Where the second process begins: between two commands. 0: nowhere."""
    if until < _DIVIDED_FROM or (os.cpu_count() or 1) < 2 or not is_possible():
        return 0
    middle = int(until * _FIRST_PART)
    while fold(store, "type_at", position=middle) == [(ADOPTION,)]:
        middle -= 1
    return middle


def _first_part(reading: Reading, history: History, ids: Mapping[str, str], middle: int) -> list[Finding]:
    """Decide what comes before the middle; the rest as well where something differs there."""
    with reading.store.beside() as own:
        findings = decide_range(own, history, ids, 0, middle, progress=reading.progress)
        if findings:
            left = _FINDINGS_MAX - len(findings)
            findings += decide_range(own, history, ids, middle, reading.until, left, reading.progress)
        return findings


def _second_part(
    store: Store, history: History, ids: Mapping[str, str], middle: int, until: int
) -> list[Finding]:
    """Decide what comes after the middle, on the events before it as they are recorded."""
    paths = {i: path for path, i in ids.items()}
    with store.beside() as own:
        try:
            for recorded in recorded_events(own, 0, middle):
                if recorded.span and history.is_decided(recorded):
                    history.follow(as_event(recorded, codec.read_canonical(recorded.data), paths))
        except UNDECIDABLE:
            return []  # the first part has a finding there, and decides the rest itself
        return decide_range(own, history, ids, middle, until)


def decide_range(
    store: Store,
    history: History,
    ids: Mapping[str, str],
    after: int,
    until: int,
    findings_max: int = _FINDINGS_MAX,
    progress: Progress = silent,
) -> list[Finding]:
    """Decide the events of a range again, on the history before it; what differs."""
    found: list[Finding] = []
    for recorded in recorded_events(store, after, until, progress):
        found += _differences(history, recorded, ids)
        if len(found) >= findings_max:
            return found[:findings_max]
    found += [_finding(held, "no round takes up this rulebook") for held in history.held]
    return found


def _differences(history: History, recorded: Recorded, ids: Mapping[str, str]) -> list[Finding]:
    if not history.is_decided(recorded):
        return [] if _is_undecided(recorded) else [_finding(recorded, "no command gives such an event")]
    try:
        again = history.confirm(recorded, ids)
    except UNDECIDABLE as error:
        what = " ".join(f"{type(error).__name__} {error}".split())
        return [_finding(recorded, f"no command gives such an event: {what}")]
    if again is None:
        return []
    if not is_command(again.recorded):
        return [_finding(recorded, "its span, key or fingerprint is not that of a command")]
    if len(again.events) == len(again.recorded) == 1:
        return [_difference(as_recorded(again.events[0], ids), recorded)]
    return _differences_of_several(again, ids)


def _is_undecided(recorded: Recorded) -> bool:
    """Whether an event may be there without a command: bytes of a recorder, which move nothing and have no key; or the
    handover of the log to another key."""
    if recorded.accounts:
        return False
    if recorded.span == NO_COMMAND:
        return not (recorded.has_key or recorded.has_fingerprint)
    return recorded.type == KEY_EVENT and is_adoption(recorded.data, recorded.tags)


def _differences_of_several(again: Redecided, ids: Mapping[str, str]) -> list[Finding]:
    now = {event.position: event for event in again.events}
    found = []
    for recorded in again.recorded:
        event = now.get(recorded.position)
        if event is None:
            found.append(_finding(recorded, "decided again it is not there"))
        elif not is_again(event, recorded, ids):
            found.append(_difference(as_recorded(event, ids), recorded))
    if len(again.events) > len(again.recorded):
        found.append(_finding(again.recorded[0], "decided again there are more events"))
    return found


def _difference(now: Recorded, recorded: Recorded) -> Finding:
    """One sentence: what was recorded, and what it is decided again."""
    if now.type != recorded.type:
        code = codec.read_canonical(now.data).get("code")
        became = f"{now.type} ({code})" if code else now.type
        return _finding(recorded, f"recorded as {recorded.type}; decided again it is {became}")
    parts = [
        f"{name} {getattr(recorded, name)}; decided again {getattr(now, name)}"
        for name in ("effective_on",)
        if getattr(recorded, name) != getattr(now, name)
    ]
    if now.tags != recorded.tags or now.tag_count != recorded.tag_count:
        parts.append(f"tags {_short(recorded.tags.split())}; decided again {_short(now.tags.split())}")
    parts += _data_differences(recorded.data, now.data)
    if (now.accounts, now.amounts, now.days) != (recorded.accounts, recorded.amounts, recorded.days):
        parts.append(f"postings {_short(_lines(recorded))}; decided again {_short(_lines(now))}")
    return _finding(recorded, "recorded " + "; recorded ".join(parts))


def _data_differences(recorded: bytes, now: bytes) -> list[str]:
    if recorded == now:
        return []
    was, comes = codec.read_canonical(recorded), codec.read_canonical(now)
    named = sorted(name for name in {*was, *comes} if was.get(name) != comes.get(name))
    return [f"{name} {_short(was.get(name))}; decided again {_short(comes.get(name))}" for name in named] or [
        "data in other bytes than canonical JSON"
    ]


def _lines(recorded: Recorded) -> list[str]:
    return [
        f"{account}:{fen}"
        for account, fen in zip(recorded.accounts.split(","), recorded.amounts.split(","), strict=False)
    ] + ([recorded.days] if recorded.days else [])


def _short(value: Any) -> str:
    text = codec.canonical(value).decode()
    return text if len(text) <= _VALUE_LENGTH_MAX else text[: _VALUE_LENGTH_MAX - 1] + "…"


def _finding(recorded: Recorded, what: str) -> Finding:
    return Finding("decisions", what, "events", recorded.position)
