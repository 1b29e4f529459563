"""Caps: per cap and key the limit, what is consumed and reserved, the room that is left, the highest use ever.

What a cap was on any day, as known at any position, is read from the folios of its accounts. The table keeps, for
every key but those of loans, the use by day as known now and the highest that it ever was: a party's use may be long.
That of a loan is short, and there are as many as loans: it is read when somebody asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ledger import codec
from ledger.accounts import book_of
from ledger.day_sums import DaySums, room_fen
from ledger.store import Store
from ledger.subjects.inheritance import PARTY_KINDS
from projections import folios
from projections.adopted import clause_of_caps
from projections.balances import account_pages, accounts_of
from projections.base import Content, Damaged, Log, distinct
from projections.chart import Chart
from projections.clocks import AsOf
from projections.columns import Columns, iso_day
from projections.fold import fold, fold_binary
from projections.pages import NO_LINES
from projections.peaks import peaks
from projections.shelves import Shelf, begins_again, reaching

_BOOKS: Final = ("quota", "limit", "settled")
#: The use of one day in the table.
USE: Final = np.dtype([("day", "<i4"), ("fen", "<i8")])
#: Sums of amounts that stay below fit 64 bits.
_SAFE_SUM: Final = float(2**62)
_KEYS_AT_ONCE: Final = 5_000
#: Up to so many ids are asked for by name; of more all between the first and the last.
_FEW: Final = 5_000

Name = tuple[str, str]  # cap, key
Key = tuple[str, str, str | None]  # a name, and whose it is


@dataclass(frozen=True, slots=True)
class CapRow:
    """One cap and key. `consumed_fen` is used(on), reserved and paid together; `room_fen` is what a claim
    effective on that day could still add (design §4)."""

    cap: str
    key: str
    party: str | None
    limit_fen: int
    consumed_fen: int
    reserved_fen: int
    room_fen: int
    clause: str | None


class _Kept(NamedTuple):
    """A row of the table: whose key it is, its use by day (USE records), the highest use on any day at any time."""

    party: str | None
    used: bytes
    highest_fen: int


class Caps:
    """Whose each key is, its use by day, the highest that it ever was."""

    name = "caps"
    version = 3

    def create(self, shelf: Shelf) -> None:
        """The table of keys."""
        shelf.run("create_cap_keys")

    def fold(self, shelf: Shelf, log: Log, after: int, until: int) -> None:
        """Add the use of a range; the highest use is looked for over the range, beginning from what there was."""
        columns = log.columns(after, until)
        ids, paths = _cap_accounts(log, columns)
        names = [_name(path) for path in paths]
        touched = list(dict.fromkeys(names))
        before = _kept(shelf, touched) if after else {}
        used, highest = _folded(columns, ids, paths, names, touched, before)
        rows = {
            name: _Kept(
                _party(name), used[i], max(highest[i], before[name].highest_fen if name in before else 0)
            )
            for i, name in enumerate(touched)
        }
        _save(shelf, rows)

    def stored(self, shelf: Shelf, until: int) -> Content:
        """Every row of the table."""
        found = shelf.rows("all_cap_keys")
        rows = {(cap, key): _Kept(*rest) for cap, key, *rest in found}
        if len(rows) != len(found):
            raise Damaged(f"{shelf.schema}.keys", "a key stands twice")
        return _content(rows)

    def expected(self, log: Log, until: int) -> Content:
        """The same from the log: day by day sums, and line after line where a use ever fell."""
        rows: dict[Name, _Kept] = {}
        for path, (days, highest_fen) in _sums_by_account(log, log.columns(0, until)).items():
            name = _name(path)
            if book_of(path) == "quota" or name not in rows:
                rows[name] = _Kept(_party(name), days, highest_fen)
        return _content(rows)


def _name(path: str) -> Name:
    _, cap, key = path.split("/", 2)
    return cap, key


def _kind(cap: str) -> str:
    """The kind of subject that the keys of a cap begin with."""
    return cap.rpartition(".")[2].partition("+")[0]


def _party(name: Name) -> str | None:
    """Whose a key is that is not a loan's."""
    cap, key = name
    return key.partition("/")[0] if _kind(cap) in PARTY_KINDS else None


def _content(rows: Mapping[Name, _Kept]) -> Content:
    # Canonical JSON: whatever stands in a row, no two tables come to the same text.
    lines = [
        codec.canonical([cap, key, row.party, row.used.hex(), row.highest_fen])
        for (cap, key), row in sorted(rows.items())
    ]
    return Content({"keys": hashlib.sha256(b"\n".join(lines)).hexdigest()}, len(lines))


def _cap_accounts(log: Log, columns: Columns) -> tuple[NDArray[np.int32], list[str]]:
    """The accounts of caps that a range posts to."""
    ids = distinct(columns.account)
    if not len(ids):
        return ids, []
    few = ids.tolist() if len(ids) <= _FEW else None
    bounds = {"first": int(ids[0]), "last": int(ids[-1])}
    ((sent, paths),) = fold_binary(log.store, "cap_accounts_among", ids=few, **bounds)
    found = np.frombuffer(sent or b"", ">i4").astype(np.int32)
    posted = np.isin(found, ids, kind="table")
    return found[posted], list(compress((paths or "").split("\n"), posted.tolist()))


def _folded(
    columns: Columns,
    ids: NDArray[np.int32],
    paths: Sequence[str],
    names: Sequence[Name],
    touched: Sequence[Name],
    before: Mapping[Name, _Kept],
) -> tuple[list[bytes], list[int]]:
    """Per touched key its use by day after the range, and the highest use during it."""
    if not touched:
        return [], []
    place = {name: i for i, name in enumerate(touched)}
    key_of = np.full(int(ids[-1]) + 1, -1, np.int32)
    is_quota = np.array([path.startswith("quota/") for path in paths])
    key_of[ids[is_quota]] = [
        place[name] for name, quota in zip(names, is_quota.tolist(), strict=True) if quota
    ]
    inside = np.flatnonzero(
        (columns.account <= ids[-1]) & (key_of[np.minimum(columns.account, ids[-1])] >= 0)
    )
    # What was there before counts as one event before the range.
    old = [(place[name], np.frombuffer(row.used, USE)) for name, row in before.items() if row.used]
    old_key = np.repeat([i for i, _ in old], [len(use) for _, use in old]).astype(np.int32)
    old_use = np.concatenate([np.empty(0, USE), *(use for _, use in old)])
    key = np.concatenate([old_key, key_of[columns.account[inside]]])
    position = np.concatenate([np.full(len(old_key), columns.after), columns.position[inside]])
    day = np.concatenate([old_use["day"], columns.day[inside]])
    fen = np.concatenate([old_use["fen"], columns.amount_fen[inside]])
    if (np.bincount(key, np.abs(fen.astype(np.float64))) >= _SAFE_SUM).any():
        raise OverflowError("the use of a cap passes 64 bits")
    return _by_day(key, day, fen, len(touched)), peaks(key, position, day, fen, len(touched)).tolist()


def _by_day(key: NDArray[np.int32], day: NDArray[np.int32], fen: NDArray[np.int64], keys: int) -> list[bytes]:
    """Per key its sums by day as USE records, in order of the days, without those of 0."""
    packed = (key.astype(np.int64) << 32) + (day.astype(np.int64) + 2**31)
    order = np.argsort(packed, kind="stable")
    packed = packed[order]
    starts = np.flatnonzero(np.append(True, packed[1:] != packed[:-1])) if len(packed) else order
    sums = np.add.reduceat(fen[order], starts) if len(starts) else fen
    kept = sums != 0
    use = np.empty(int(kept.sum()), USE)
    use["day"], use["fen"] = (packed[starts[kept]] & 0xFFFFFFFF) - 2**31, sums[kept]
    ends = np.cumsum(np.bincount(packed[starts[kept]] >> 32, minlength=keys)) * USE.itemsize
    whole, begins = use.tobytes(), [0, *ends.tolist()]
    return [whole[begins[i] : begins[i + 1]] for i in range(keys)]


def _kept(shelf: Shelf, names: Sequence[Name]) -> dict[Name, _Kept]:
    rows = shelf.rows("cap_keys_named", caps=[cap for cap, _ in names], keys=[key for _, key in names])
    return {(cap, key): _Kept(*rest) for cap, key, *rest in rows}


def _save(shelf: Shelf, rows: Mapping[Name, _Kept]) -> None:
    columns: tuple[list[Any], ...] = ([], [], [], [], [])
    for (cap, key), row in rows.items():
        for column, value in zip(columns, (cap, key, row.party, row.used, row.highest_fen), strict=True):
            column.append(value)
    caps, keys, parties, used, highest = columns
    shelf.run("save_cap_keys", caps=caps, keys=keys, parties=parties, used=used, highest=highest)


def _sums_by_account(log: Log, columns: Columns) -> dict[str, tuple[bytes, int]]:
    """By other means than the fold: per account of a cap its sums by day as USE records, and its highest sum."""
    ((sent,),) = fold(log.store, "cap_account_paths", last=int(columns.account.max(initial=0)))
    path_of = dict(_numbered(line) for line in (sent or "").split("\n") if line)
    own = np.zeros(int(columns.account.max(initial=0)) + 1, bool)
    own[list(path_of)] = True
    at = np.flatnonzero(own[columns.account])
    order = at[np.lexsort((columns.day[at], columns.account[at]))]
    account, day, fen = columns.account[order], columns.day[order], columns.amount_fen[order]
    falling = set(np.unique(account[fen < 0]).tolist())
    # One after the other: the days of an account, the accounts.
    days = np.flatnonzero(
        np.append(True, (account[1:] != account[:-1]) | (day[1:] != day[:-1]))[: len(account)]
    )
    use = np.zeros(len(days), USE)
    use["day"], use["fen"] = day[days], np.add.reduceat(fen, days) if len(days) else 0
    owner = account[days]
    begins = np.flatnonzero(np.append(True, owner[1:] != owner[:-1])[: len(owner)])
    totals = np.add.reduceat(use["fen"], begins).tolist() if len(begins) else []
    kept = use["fen"] != 0
    whole, accounts = use[kept].tobytes(), owner[begins]
    starts, ends = (
        (np.searchsorted(owner[kept], accounts, side) * USE.itemsize).tolist() for side in ("left", "right")
    )
    found: dict[str, tuple[bytes, int]] = {}
    for number, start, end, total_fen in zip(accounts.tolist(), starts, ends, totals, strict=True):
        path = path_of[number]
        if path.startswith("quota/"):
            found[path] = (whole[start:end], _highest(columns, number) if number in falling else total_fen)
        else:
            found[path] = (b"", 0)
    return found


def _numbered(line: str) -> tuple[int, str]:
    number, path = line.split("\t")
    return int(number), path


def _highest(columns: Columns, account: int) -> int:
    """The largest sum of an account on any day at the end of any event, event after event."""
    at = np.flatnonzero(columns.account == account)
    sums, highest = DaySums(), 0
    positions = columns.position[at].tolist()
    for i, line in enumerate(at.tolist()):
        sums.add(iso_day(columns.day[line]), int(columns.amount_fen[line]))
        if i + 1 == len(positions) or positions[i + 1] != positions[i]:
            highest = max(highest, sums.highest_from("0000"))
    return highest


@begins_again
def caps(
    store: Store,
    as_of: AsOf,
    party: str | None = None,
    kind: str | None = None,
    after: Name | None = None,
    rows_max: int | None = None,
) -> list[CapRow]:
    """Every cap and key that was ever used, in order of cap and key; or those of one party, or those whose key begins
    with a kind of subject (`firm`, `loan`); or the first of those after a name.

    Raises NotProjected where the position is not reached.
    """
    return list(islice(_rows(store, as_of, party, kind, after, rows_max or _KEYS_AT_ONCE), rows_max))


def _rows(
    store: Store, as_of: AsOf, party: str | None, kind: str | None, after: Name | None, at_once: int
) -> Iterator[CapRow]:
    """As `caps`, so many keys at a time and then more: what is not taken is not read, and keys that were not used yet
    are soon passed."""
    own = reaching(store, PROJECTION.name, as_of.known_position)
    balances = reaching(store, "balances", as_of.known_position)
    clauses = clause_of_caps(store, as_of.known_position)
    if party is None:
        keys = _every_key(store, own, as_of.known_position, kind, after or ("", ""), at_once)
    else:
        named = _keys_of_party(store, own, as_of.known_position, party, kind)
        keys = (key for key in named if after is None or key[:2] > after)
    while some := list(islice(keys, at_once)):
        at_once = _more(at_once)
        accounts = accounts_of(store, [f"{book}/{cap}/{key}" for cap, key, _ in some for book in _BOOKS])
        pages = account_pages(balances, accounts, as_of.known_position)
        for cap, key, owner in some:
            books = {}
            for book in _BOOKS:
                page = pages.get(f"{book}/{cap}/{key}")
                if page is not None and (len(page.lines) or len(page.opening)):
                    books[book] = page.iso_day_sums()
            if books:
                yield _row(cap, key, owner, books, as_of, clauses.get(cap))


def _more(keys: int) -> int:
    """So many keys are read after so many."""
    return min(2 * keys, _KEYS_AT_ONCE)


def _every_key(
    store: Store, own: Shelf, position: int, kind: str | None, after: Name, at_once: int
) -> Iterator[Key]:
    """Every cap and key in order, of one kind or of all, those after a name; with whose it is."""
    first_cap, first_key = after
    for (cap,) in fold(store, "caps_with_accounts"):
        if cap < first_cap or (kind is not None and _kind(cap) != kind):
            continue
        last = first_key if cap == first_cap else ""
        while keys := _keys_after(store, own, position, cap, last, at_once):
            yield from keys
            last, at_once = keys[-1][1], _more(at_once)


def _keys_after(store: Store, own: Shelf, position: int, cap: str, after: str, count: int) -> list[Key]:
    """The first keys of a cap after one, in order."""
    if _kind(cap) != "loan":
        return own.rows("cap_keys_after", cap=cap, after=after, count=count)
    keys = [key for (key,) in fold(store, "keys_of_accounts_after", cap=cap, after=after, count=count)]
    borrowers = _borrowers(store, {key.partition("/")[0] for key in keys}, position)
    return [(cap, key, borrowers.get(key.partition("/")[0])) for key in keys]


def _keys_of_party(store: Store, own: Shelf, position: int, party: str, kind: str | None) -> list[Key]:
    """A party's own caps and keys and those of its loans, in order."""
    named = [key for key in own.rows("cap_keys_of", party=party) if kind is None or _kind(key[0]) == kind]
    if kind in (None, "loan"):
        named += _loan_keys(store, position, party)
    return sorted(named)


def _loan_keys(store: Store, position: int, borrower: str) -> list[Key]:
    """The caps per loan of one borrower's loans."""
    caps = [cap for (cap,) in fold(store, "caps_with_accounts") if _kind(cap) == "loan"]
    loans = [row[0] for row in fold(store, "loans_of_firm", tag=f"firm:{borrower}", until=position)]
    borrowers = _borrowers(store, loans, position)
    loans = [loan for loan in loans if borrowers.get(loan) == borrower]
    paths = [row[0] for row in fold(store, "cap_keys_of_loans", caps=caps, loans=loans)]
    return [(*path.split("/", 1), borrower) for path in dict.fromkeys(paths)]


def _borrowers(store: Store, loans: Iterable[str], position: int) -> dict[str, str]:
    """Loan to firm; of one that was drawn again after a reversal the last borrower."""
    firms: dict[str, str] = {}
    wanted = [f"loan:{loan}" for loan in loans]
    for first in range(0, len(wanted), _KEYS_AT_ONCE):
        tags = wanted[first : first + _KEYS_AT_ONCE]
        rows = fold(store, "first_borrowers_of_loans", tags=tags, until=position)
        firms |= {loan: firm for loan, firm, _ in rows}
        again = [f"loan:{loan}" for loan, _, is_reversed in rows if is_reversed]
        if again:
            firms.update(fold(store, "last_borrowers_of_loans", tags=again, until=position))
    return firms


def _row(
    cap: str, key: str, party: str | None, books: Mapping[str, DaySums], as_of: AsOf, clause: str | None
) -> CapRow:
    day = as_of.last_day
    limit, used, settled = (books.get(book, DaySums()) for book in ("limit", "quota", "settled"))
    consumed_fen = used.at(day)
    reserved_fen = consumed_fen - settled.at(day)
    return CapRow(
        cap, key, party, limit.at(day), consumed_fen, reserved_fen, room_fen(limit, used, day), clause
    )


@begins_again
def highest_uses(store: Store, position: int, names: Sequence[Name]) -> dict[Name, int]:
    """Of each cap and key the highest use on any day, as known at any time up to a position, in fen.

    The table knows it up to where it is; of an earlier position, and of loans, it is found in the key's history.
    Raises NotProjected.
    """
    shelf, balances = reaching(store, PROJECTION.name, position), reaching(store, "balances", position)
    caps, keys = [cap for cap, _ in names], [key for _, key in names]
    rows = shelf.rows("highest_uses", caps=caps, keys=keys, position=position)
    kept = {(cap, key): int(fen) for cap, key, fen in rows}
    return kept | _highest_in_history(store, balances, [name for name in names if name not in kept], position)


def _highest_in_history(
    store: Store, balances: Shelf, names: Sequence[Name], position: int
) -> dict[Name, int]:
    """Of each key the highest sum of its history up to a position."""
    accounts = accounts_of(store, [f"quota/{cap}/{key}" for cap, key in names])
    highest = dict.fromkeys(names, 0)
    for (path, account), folio in zip(accounts.items(), Chart().folios(accounts)[0], strict=True):
        lines = [NO_LINES, *(page.of(account).lines for page in folios.whole(balances, folio, position))]
        whole = np.concatenate(lines)
        key = np.zeros(len(whole), np.int32)
        found = peaks(key, whole["position"], whole["day"], whole["amount_fen"], 1).tolist()
        (highest[_name(path)],) = found
    return highest


PROJECTION = Caps()
