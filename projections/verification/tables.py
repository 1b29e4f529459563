"""Tables: what follows from the log row by row (tags, accounts, day sums), and the signed index of parties."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from ledger.events import Event
from ledger.party_index import BUCKET_COUNT, PartyIndex
from ledger.sql import load
from ledger.state import State, evolve, owner_of
from ledger.store import Store
from projections.verification.checkpoints import Outside, signed
from projections.verification.report import Finding, Report

_QUERIES: Final = load("projections", "verification/queries.sql")
_FINDINGS_MAX: Final = 100
_EVENTS_AT_ONCE: Final = 50_000


def check(store: Store, until: int, outside: Outside = Outside()) -> Report:  # noqa: B008 - frozen and empty
    """Every row of the tables beside the log, recomputed from it."""
    findings: list[Finding] = []
    for found in _all(store, until, outside):
        findings.append(found)
        if len(findings) >= _FINDINGS_MAX:
            findings.append(Finding("tables", f"more than {_FINDINGS_MAX} findings; stopped here"))
            break
    return Report(findings=findings)


def _all(store: Store, until: int, outside: Outside) -> Iterator[Finding]:
    yield from _tags(store, until)
    yield from _accounts(store)
    yield from _day_sums(store, until)
    yield from _parties(store, until, outside)


def _tags(store: Store, until: int) -> Iterator[Finding]:
    """In the usual order of rows the two sides are the same text; only where they are not is each row looked for."""
    for first in range(0, until, _EVENTS_AT_ONCE):
        span = {"after": first, "until": min(first + _EVENTS_AT_ONCE, until)}
        for position, tag, difference in store.connection.execute(
            _QUERIES["tag_differences"], span
        ).fetchall():
            if difference > 1:
                what = "stands more than once"
            else:
                what = "is no tag of its event" if difference > 0 else "is missing"
            yield Finding("tables", f"the row {tag!r} {what}", "event_tags", position)
    for position, tag in store.connection.execute(_QUERIES["tags_outside"], {"until": until}).fetchall():
        yield Finding("tables", f"the row {tag!r} belongs to no event", "event_tags", position)


def _accounts(store: Store) -> Iterator[Finding]:
    for account_id, path, first in store.connection.execute(_QUERIES["accounts_out_of_order"]).fetchall():
        what = f"account {account_id} ({path}) is not the one that appears as number {first} in the log"
        yield Finding("tables", what, "accounts")
    for account_id, path in store.connection.execute(_QUERIES["accounts_repeated"]).fetchall():
        yield Finding("tables", f"account {account_id} ({path}) stands more than once", "accounts")


def _day_sums(store: Store, until: int) -> Iterator[Finding]:
    execute = store.connection.execute
    stamps = execute(_QUERIES["day_sum_stamps"]).fetchall()
    kept = dict(execute(_QUERIES["kept_day_sums"]).fetchall())
    for tag, times in Counter(tag for tag, _ in stamps).items():
        if times > 1 or tag not in kept:
            yield Finding("tables", f"the stamp of {tag} was never made, or stands twice", "day_sum_stamps")
    for tag in sorted(kept.keys() - {tag for tag, _ in stamps}):
        yield Finding("tables", f"the stamp of {tag} is missing", "day_sum_stamps")
    stored: dict[str | None, Counter[tuple[str | None, str]]] = {}
    rows: dict[str | None, list[tuple[str | None, str]]] = {}
    for tag, path, day, amount_fen in execute(_QUERIES["day_sums"]).fetchall():
        stored.setdefault(tag, Counter())[path, day] += amount_fen
        rows.setdefault(tag, []).append((path, day))
    for tag in sorted(stored.keys() - dict(stamps).keys(), key=str):
        yield Finding("tables", f"sums of {tag} have no stamp", "day_sums")
    for tag, position in stamps:
        if kept.get(tag, position) != position or position > until:
            yield Finding(
                "tables", f"the stamp of {tag} is not the one that was set", "day_sum_stamps", position
            )
            continue
        told = stored.get(tag, Counter())
        if _recomputed(store, tag, position) != dict(told) or len(rows.get(tag, ())) != len(told):
            yield Finding("tables", f"the sums of {tag} are not those of the log", "day_sums", position)


def _recomputed(store: Store, tag: str, until: int) -> dict[tuple[str | None, str], int]:
    state = State({})
    state.begin([tag])
    for stored in store.stored_events(0, until, tag=tag):
        lines = tuple(posting for posting in stored.postings if owner_of(posting.account) == tag)
        evolve(state, Event(stored.position, stored.type, stored.effective_on, (), {}, lines), (tag,))
    return {
        (path, day): amount_fen
        for path, sums in state.accounts_of(tag).items()
        for day, amount_fen in sums.by_day.items()
    }


def _parties(store: Store, until: int, outside: Outside) -> Iterator[Finding]:
    """The index of parties, from the tags of the log, against the newest checkpoint and those brought."""
    wanted = sorted(
        (c.size, name, c.parties) for name, c in signed(store, outside).compared() if c.size <= until
    )
    index, done = PartyIndex(), 0
    for number in range(BUCKET_COUNT):
        index.load(number, {})
    for size, name, parties in wanted:
        for first in range(done, size, _EVENTS_AT_ONCE):
            span = {"after": first, "until": min(first + _EVENTS_AT_ONCE, size)}
            for position, leaf, tag in store.connection.execute(_QUERIES["party_tags"], span, binary=True):
                index.add(position, leaf, [tag])
        done = max(done, size)
        if index.root() != parties:
            what = f"the events of parties are not those that {name} was signed over, up to position {size}"
            yield Finding("tables", what, "events", size)
