"""Tables: what follows from the log row by row (tags, accounts, day sums), and the signed index of parties."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final

from ledger.accounts import owner_of
from ledger.sql import load
from ledger.store import Store
from projections.forking import Fork
from projections.party_index import FoldedIndex
from projections.verification.checkpoints import Outside, signed
from projections.verification.indexes import disagreeing
from projections.verification.kept_accounts import changed_accounts
from projections.verification.leaves import PARALLEL_FROM
from projections.verification.reading import Reading, one_moment
from projections.verification.relations import TABLES, in_front, replaced, replaced_beside, unguarded
from projections.verification.report import Finding, Report
from projections.verification.structure import STORE, differing, structure

_QUERIES: Final = load("projections", "verification/queries.sql")
_FINDINGS_MAX: Final = 100
_EVENTS_AT_ONCE: Final = 50_000


def check(reading: Reading) -> Report:
    """Every row of the tables beside the log, recomputed from it."""
    store = reading.store
    gone = replaced(store, "tables", TABLES) + replaced_beside(store, "tables")
    if gone:
        return Report(findings=gone)
    report = unguarded(store, "tables")
    report.add(in_front(store, "tables"))
    findings = report.findings
    findings += [Finding("tables", what, name) for name, what in differing(structure(store, "public"), STORE)]
    if reading.until < PARALLEL_FROM:
        findings += _indexes(store)
        findings += islice(_all(store, reading.until, reading.outside), _FINDINGS_MAX)
    else:
        # Each is PostgreSQL's work, and takes about as long as the other.
        with Fork(lambda: _indexes_by(store.address)) as indexes:
            rest = list(islice(_all(store, reading.until, reading.outside), _FINDINGS_MAX))
            findings += indexes.result() + rest
    if len(findings) >= _FINDINGS_MAX:
        findings[_FINDINGS_MAX:] = [Finding("tables", f"more than {_FINDINGS_MAX} findings; stopped here")]
    return report


def _indexes(store: Store) -> list[Finding]:
    with one_moment(store):
        return disagreeing(store, "tables", "public", frozenset(TABLES))


def _indexes_by(address: str) -> list[Finding]:
    """The same over a connection of its own."""
    with Store.open(address) as store:
        return _indexes(store)


def _all(store: Store, until: int, outside: Outside) -> Iterator[Finding]:
    yield from _tags(store, until)
    yield from _accounts(store, until)
    yield from _day_sums(store)
    yield from _parties(store, until, outside)


def _tags(store: Store, until: int) -> Iterator[Finding]:
    """Both sides are summed up first; only where they differ is each row looked for."""
    execute = store.connection.execute
    digest = execute(_QUERIES["tags_digest"], {"until": until, "seed": secrets.randbits(62)}).fetchone()
    if digest is None or not digest[0]:
        for first in range(0, until, _EVENTS_AT_ONCE):
            span = {"after": first, "until": min(first + _EVENTS_AT_ONCE, until)}
            for position, tag, difference in execute(_QUERIES["tag_differences"], span).fetchall():
                if difference > 1:
                    what = "stands more than once"
                else:
                    what = "is no tag of its event" if difference > 0 else "is missing"
                yield Finding("tables", f"the row {tag!r} {what}", "event_tags", position)
    for position, tag in execute(_QUERIES["tags_outside"], {"until": until}).fetchall():
        yield Finding("tables", f"the row {tag!r} belongs to no event", "event_tags", position)


def _accounts(store: Store, until: int) -> Iterator[Finding]:
    yield from changed_accounts(store, "tables", {})
    execute = store.connection.execute
    for account_id, path, first in execute(_QUERIES["accounts_out_of_order"], {"until": until}).fetchall():
        what = f"account {account_id} ({path}) is not the one that appears as number {first} in the log"
        yield Finding("tables", what, "accounts")
    for account_id, path in execute(_QUERIES["accounts_unused"], {"until": until}).fetchall():
        yield Finding("tables", f"account {account_id} ({path}) is in no event", "accounts")
    for account_id, path in execute(_QUERIES["accounts_repeated"]).fetchall():
        yield Finding("tables", f"account {account_id} ({path}) stands more than once", "accounts")


#: The day sums of an owner: the texts of its three arrays.
Sums = tuple[str | None, str | None, str | None]
_NO_SUMS: Final[Sums] = ("{}", "{}", "{}")


def _day_sums(store: Store) -> Iterator[Finding]:
    """Each owner's stored sums against those of the log up to their position. Sums of events that were appended since
    the check began are looked at as well: they are read, with the log, as of one moment."""
    execute = store.connection.execute
    with one_moment(store) as newest:
        stored = execute(_QUERIES["day_sums"]).fetchall()
        kept = dict(execute(_QUERIES["kept_day_sums"]).fetchall())
        stamps = {tag: at for tag, at in kept.items() if at is not None and at <= newest}
        recomputed = _recomputed(store, stamps)
    for tag, times in Counter(tag for tag, *_ in stored).items():
        if times > 1 or tag not in kept:
            yield Finding("tables", f"the sums of {tag} were never made, or stand twice", "day_sums")
    for tag in sorted(kept.keys() - {tag for tag, *_ in stored}):
        yield Finding("tables", f"the sums of {tag} are missing", "day_sums")
    for tag, position, *sums in stored:
        if tag in kept and (position != kept[tag] or tuple(sums) != recomputed.get(tag)):
            yield Finding("tables", f"the sums of {tag} are not those of the log", "day_sums", position)


def _recomputed(store: Store, stamps: dict[str, int]) -> dict[str, Sums]:
    watched = [
        (account, owner)
        for account, path in store.connection.execute(_QUERIES["paths"])
        if (owner := owner_or_none(path)) in stamps
    ]
    parameters = {
        "accounts": [account for account, _ in watched],
        "tags": [tag for _, tag in watched],
        "stamps": [stamps[tag or ""] for _, tag in watched],
    }
    rows = store.connection.execute(_QUERIES["day_sums_recomputed"], parameters)
    return dict.fromkeys(stamps, _NO_SUMS) | {tag: (accounts, days, fen) for tag, accounts, days, fen in rows}


def owner_or_none(path: str) -> str | None:
    """Whose account it is, as far as its path, which anybody may have changed, says."""
    try:
        return owner_of(path)
    except (IndexError, AttributeError):
        return None


def _parties(store: Store, until: int, outside: Outside) -> Iterator[Finding]:
    """The index of parties, from the tags of the log, against the newest checkpoint and those brought."""
    wanted = sorted(
        (c.size, name, c.parties) for name, c in signed(store, outside, until).compared() if c.size <= until
    )
    folded = FoldedIndex(store)
    for size, name, parties in wanted:
        if folded.reach(size).root() != parties:
            what = f"the events of parties are not those that {name} was signed over, up to position {size}"
            yield Finding("tables", what, "events", size)
