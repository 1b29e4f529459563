"""Log: positions without gaps, times that never go back, every leaf recomputed from the stored bytes, and every
other table of the ledger recomputed from the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger import codec
from ledger.events import Event, StoredEvent
from ledger.state import State, evolve, owner_of
from ledger.store import Store, microseconds
from projections.verification.reading import Reading
from projections.verification.report import Finding, Report

_FINDINGS_MAX: Final = 100

_TAG_DIFFERENCES: Final = """
select coalesce(e.position, t.position), coalesce(e.tag, t.tag), e.position is null
from (select distinct position, unnest(tags) as tag from events) e
full join event_tags t on t.tag = e.tag and t.position = e.position
where e.position is null or t.position is null
order by 1 limit 100
"""


def check(reading: Reading) -> Report:
    """Everything that the log's bytes decide."""
    findings: list[Finding] = []
    for found in _all(reading.store, reading.until):
        findings.append(found)
        if len(findings) >= _FINDINGS_MAX:
            findings.append(Finding("log", f"more than {_FINDINGS_MAX} findings; stopped here"))
            break
    return Report(findings=findings)


def _all(store: Store, until: int) -> Iterator[Finding]:
    yield from _orphans(store)
    yield from _events(store, until)
    yield from _tags(store)
    yield from _day_sums(store, until)


def _events(store: Store, until: int) -> Iterator[Finding]:
    expected, last_us, seen_keys = 1, 0, 0
    for event in store.stored_events(0, until):
        position = event.position
        if position != expected:
            yield Finding("log", f"positions {expected} to {position - 1} are missing", "events", position)
        expected = position + 1
        recorded_us = microseconds(event.recorded_at)
        if recorded_us < last_us:
            yield Finding("log", "recorded before the event before it", "events", position)
        last_us = recorded_us
        if codec.leaf_hash(_entry(event, recorded_us)) != event.leaf:
            yield Finding("log", "the leaf is not that of the stored fields", "events", position)
        seen_keys += event.key is not None
    yield from _accounts(store)
    if expected != until + 1:
        yield Finding("log", f"positions {expected} to {until} are missing", "events", expected)
    distinct = store.connection.execute("select count(distinct key) from events").fetchone()
    if distinct is not None and distinct[0] != seen_keys:
        yield Finding("log", "an idempotency key stands twice", "events")


def _entry(event: StoredEvent, recorded_us: int) -> bytes:
    return codec.preimage(
        event.position,
        recorded_us,
        event.effective_on,
        event.type,
        event.tags,
        event.postings,
        event.principal,
        event.key,
        event.fingerprint.hex() if event.fingerprint else "-",
        event.span,
        event.data,
    )


_ACCOUNTS_OUT_OF_ORDER: Final = """
select a.id, a.path, f.n
from accounts a
full join (
    select account, row_number() over (order by position, n) as n from (
        select line.account, e.position, line.n,
               row_number() over (partition by line.account order by e.position, line.n) as seen
        from events e, unnest(e.posting_accounts) with ordinality as line (account, n)
    ) lines where seen = 1
) f on f.account = a.id
where a.id is null or f.n is null or f.n <> a.id
order by coalesce(f.n, a.id) limit 100
"""


def _accounts(store: Store) -> Iterator[Finding]:
    for account_id, path, first in store.connection.execute(_ACCOUNTS_OUT_OF_ORDER).fetchall():
        what = f"account {account_id} ({path}) is not the one that appears as number {first} in the log"
        yield Finding("log", what, "accounts")


def _orphans(store: Store) -> Iterator[Finding]:
    row = store.connection.execute(
        "select count(*) from events where cardinality(posting_accounts) <> cardinality(posting_amounts)"
        " or (posting_days is not null and cardinality(posting_days) <> cardinality(posting_accounts))"
    ).fetchone()
    if row is not None and row[0]:
        yield Finding("log", f"{row[0]} events have postings of unequal length", "events")


def _tags(store: Store) -> Iterator[Finding]:
    for position, tag, extra in store.connection.execute(_TAG_DIFFERENCES).fetchall():
        what = "is no tag of its event" if extra else "is missing"
        yield Finding("log", f"the row {tag!r} {what}", "event_tags", position)


def _day_sums(store: Store, until: int) -> Iterator[Finding]:
    stamps = dict(
        store.connection.execute("select tag, position from day_sum_stamps order by tag").fetchall()
    )
    rows = store.connection.execute(
        "select s.tag, a.path, s.effective_on::text, s.amount_fen from day_sums s"
        " left join accounts a on a.id = s.account_id"
    ).fetchall()
    stored: dict[str, dict[tuple[str | None, str], int]] = {}
    for tag, path, day, amount_fen in rows:
        stored.setdefault(tag, {})[path, day] = amount_fen
    for tag in sorted(stored.keys() - stamps.keys()):
        yield Finding("log", f"sums of {tag} have no stamp", "day_sums")
    for tag, position in stamps.items():
        if position > until:
            yield Finding("log", f"{tag} is stamped beyond the log", "day_sum_stamps", position)
        elif _recomputed(store, tag, position) != stored.get(tag, {}):
            yield Finding("log", f"the sums of {tag} are not those of the log", "day_sums", position)


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
