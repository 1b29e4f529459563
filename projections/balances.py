"""Balances of accounts and subtrees at any (on, known position), each read from one page of a folio."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ledger.accounts import BOOKS, is_account
from ledger.dates import Day
from ledger.store import Store
from projections import folios, portfolio
from projections.base import Content, Log, distinct, places
from projections.chart import Chart, has_folio, is_above_folios
from projections.clocks import AsOf
from projections.columns import FIRST_DAY, Columns, day_number, iso_day
from projections.fold import fold, fold_binary
from projections.kept import KeptExtracts
from projections.pages import (
    LINE,
    NO_SUMS,
    Extract,
    Page,
    Records,
    extended,
    summed_by_day,
)
from projections.shelves import Shelf, begins_again, known_reach, reaching

#: By connection the ids of accounts that were asked for: they never change.
_IDS: Final[WeakKeyDictionary[Store, dict[str, int]]] = WeakKeyDictionary()
_IDS_MAX: Final = 100_000
#: Room for every day of the calendar.
_DAY_BITS: Final = 22


class UnknownAccount(LookupError):
    """A path of no known shape."""


class EndsBeforeItBegins(ValueError):
    """The last date of a statement is earlier than its first."""


class Balances:
    """Every line of the log in the folio of its account's subject, and summed in those of the subtrees above it."""

    name = "balances"
    version = 3

    def create(self, shelf: Shelf) -> None:
        """The table of folios."""
        folios.create(shelf)

    def fold(self, shelf: Shelf, log: Log, after: int, until: int) -> None:
        """Sort the lines of a range into their folios and add them to the last pages."""
        columns = log.columns(after, until)
        names, folio, lines = _sorted_lines(log, columns)
        folios.write(shelf, extended(folios.last_pages(shelf, names), names, folio, lines))

    def stored(self, shelf: Shelf, until: int) -> Content:
        """Every row of the table, hashed where it lies."""
        digest, rows = folios.digest_of_stored(shelf)
        return Content({"folios": digest}, rows)

    def expected(self, log: Log, until: int) -> Content:
        """The same rows from the log: which folio an account stands in by SQL, each subtree from the accounts below
        it, the pages cut from each folio's lines as a whole."""
        columns = log.columns(0, until)
        last = int(columns.account.max(initial=0))
        names = (fold(log.store, "folios_of_accounts", last=last)[0][0] or "").split("\n")
        if last and len(names) != last:
            raise LookupError(f"of {last} accounts {len(names)} have a path")
        parts = [(names, columns.account - 1, _lines(columns, columns.account)[1])]
        for (path,) in fold(log.store, "subtrees_of_accounts"):
            lines = _below(log, columns, path)
            parts.append(([path], np.zeros(len(lines), np.int32), lines))
        return Content({"folios": folios.digest_of_lines(parts)})


def _sorted_lines(log: Log, columns: Columns) -> tuple[list[str], NDArray[np.int32], Records]:
    """The names of the folios in order; per line its folio; the lines of accounts, then those of subtrees."""
    ids = distinct(columns.account)
    chart = Chart()
    folios_of, kinds_of = chart.folios(log.paths(ids))
    names = sorted({*folios_of, *(kind.subtree for kind in chart.kinds if kind.subtree)})
    place = {name: i for i, name in enumerate(names)}
    at = places(columns.account, ids)
    own, lines = _lines(columns, np.array([place[name] for name in folios_of], np.int32)[at])
    subtrees = np.array([place[kind.subtree] if kind.subtree else -1 for kind in chart.kinds], np.int32)
    above, sums = _subtree_lines(columns, subtrees[np.array(kinds_of, np.int32)[at]])
    return names, np.concatenate([own, above]), np.concatenate([lines, sums])


def _lines(columns: Columns, folio: NDArray[np.int32]) -> tuple[NDArray[np.int32], Records]:
    lines = np.empty(len(folio), LINE)
    lines["position"], lines["amount_fen"] = columns.position, columns.amount_fen
    lines["account"], lines["day"] = columns.account, columns.day
    return folio, lines


def _subtree_lines(columns: Columns, folio: NDArray[np.int32]) -> tuple[NDArray[np.int32], Records]:
    """One line per event and day: what only moves within the subtree leaves none."""
    within = folio >= 0
    folio, position, day, amount_fen = summed_by_day(
        folio[within], columns.position[within], columns.day[within], columns.amount_fen[within]
    )
    lines = np.empty(len(folio), LINE)
    lines["position"], lines["amount_fen"], lines["account"], lines["day"] = position, amount_fen, 0, day
    return folio, lines


def _below(log: Log, columns: Columns, path: str) -> Records:
    """The lines below a path, one per event and day, without those that sum to 0."""
    ((sent,),) = fold_binary(log.store, "account_ids_below", path=path, end=path[:-1] + "0")
    ids = np.frombuffer(sent or b"", ">i4")
    inside = np.zeros(int(columns.account.max(initial=0)) + 1, bool)
    inside[ids[ids < len(inside)]] = True
    at = inside[columns.account]
    packed = (columns.position[at] << _DAY_BITS) + (columns.day[at] - FIRST_DAY)
    order = np.argsort(packed)
    packed, amount_fen = packed[order], columns.amount_fen[at][order]
    starts = np.flatnonzero(np.append(True, packed[1:] != packed[:-1])) if len(packed) else order
    sums = np.add.reduceat(amount_fen, starts) if len(starts) else amount_fen
    lines = np.zeros(len(starts), LINE)
    lines["position"], lines["day"] = (
        packed[starts] >> _DAY_BITS,
        (packed[starts] & ((1 << _DAY_BITS) - 1)) + FIRST_DAY,
    )
    lines["amount_fen"] = sums
    kept: Records = lines[sums != 0]
    return kept


def balance_fen(store: Store, account: str, as_of: AsOf) -> int:
    """The balance of an account, or with a trailing `/` of a subtree, in fen; never posted to is 0.

    Raises UnknownAccount for a path of no known shape, NotProjected where the position is not reached.
    """
    return balances_fen(store, [(account, as_of)])[0]


@begins_again
def balances_fen(
    store: Store, asked: Sequence[tuple[str, AsOf]], kept: KeptExtracts | None = None
) -> list[int]:
    """As `balance_fen`, many at once: the pages of all of them come in one round trip, but for those that are `kept`
    from before."""
    for path, _ in asked:
        if not is_account(path):
            raise UnknownAccount(path)
    shelf = reaching(store, PROJECTION.name, max(as_of.known_position for _, as_of in asked))
    sums = [0] * len(asked)
    last_days = [day_number(as_of.last_day) for _, as_of in asked]
    lacking: list[tuple[int, _Part]] = []
    for number, (path, as_of) in enumerate(asked):
        for part in _parts_of(shelf, path):
            extract = None if kept is None else kept.find(part[0], as_of.known_position)
            if extract is None:
                lacking.append((number, part))
            else:
                sums[number] += extract.value_fen(as_of.known_position, last_days[number])
    places_ = [(_folio_of(part), asked[number][1].known_position) for number, part in lacking]
    for (number, (path, account)), page in zip(lacking, folios.pages_of(shelf, places_), strict=True):
        if page is not None:
            extract = Extract(page if account is None else page.of(account))
            sums[number] += extract.value_fen(asked[number][1].known_position, last_days[number])
            if kept is not None:
                kept.keep(path, page, extract, known_reach(shelf))
    return sums


def kept_balance_fen(kept: KeptExtracts, path: str, as_of: AsOf) -> int | None:
    """The balance of an account or of a subtree with a folio of its own, if what is kept says it; in memory alone."""
    extract = kept.find(path, as_of.known_position)
    return None if extract is None else extract.value_fen(as_of.known_position, day_number(as_of.last_day))


#: An account by path and id, or a subtree with a folio of its own, whose path that is.
_Part = tuple[str, int | None]


def _parts_of(shelf: Shelf, path: str) -> Iterable[_Part]:
    """What a balance is the sum of: the account; of a subtree the folio that it is, those that it is made of, or all
    its accounts."""
    if has_folio(path) or is_above_folios(path):
        return [(folio, None) for folio in _folios_of(shelf, path)]
    return _accounts(shelf.store, path).items()


def _folio_of(part: _Part) -> str:
    path, account = part
    return path if account is None else Chart().folios([path])[0][0]


def _folios_of(shelf: Shelf, path: str) -> list[str]:
    """The folios that a subtree is made of."""
    if has_folio(path):
        return [path]
    return [row[0] for row in shelf.rows("folios_below", path=path, end=path[:-1] + "0")]


def _accounts(store: Store, path: str) -> dict[str, int]:
    """The accounts that a path means, with their ids: itself if it was ever posted to, or those of a subtree."""
    if path.endswith("/"):
        return {name: i for i, name in fold(store, "accounts_below", path=path, end=path[:-1] + "0")}
    ids = _IDS.setdefault(store, {})
    if path not in ids:
        if len(ids) > _IDS_MAX:
            ids.clear()
        ids.update((name, i) for i, name in fold(store, "account_of_path", path=path))
    return {path: ids[path]} if path in ids else {}


def accounts_of(store: Store, paths: Sequence[str]) -> dict[str, int]:
    """The accounts among paths that were ever posted to, with their ids."""
    return {name: i for i, name in fold(store, "accounts_of_paths", paths=list(paths))}


def account_pages(shelf: Shelf, accounts: Mapping[str, int], position: int) -> dict[str, Page]:
    """Of each account (path to id) its part of the page that holds its last line up to a position."""
    paths = list(accounts)
    folio_of = dict(zip(paths, Chart().folios(paths)[0], strict=True))
    pages = folios.pages_at(shelf, set(folio_of.values()), position)
    return {path: pages[f].of(accounts[path]) for path, f in folio_of.items() if f in pages}


@dataclass(frozen=True, slots=True)
class StatementLine:
    """What an event moved on a day, and the balance after it, in the order of business dates and then of the log."""

    position: int
    effective_on: Day
    amount_fen: int
    balance_fen: int


@dataclass(frozen=True, slots=True)
class Statement:
    """An account or subtree between two dates, both included: what was there before, each line, what was there then."""

    opening_fen: int
    lines: list[StatementLine]
    closing_fen: int


@begins_again
def statement(store: Store, account: str, first: Day, as_of: AsOf) -> Statement:
    """The lines of an account or subtree from a date up to `as_of.on`, as known at a position.

    Reads every page of the account: the cost grows with its history. Raises UnknownAccount, EndsBeforeItBegins,
    NotProjected.
    """
    if not is_account(account):
        raise UnknownAccount(account)
    if as_of.last_day < first:
        raise EndsBeforeItBegins(first)
    shelf = reaching(store, PROJECTION.name, as_of.known_position)
    first_day, last_day = day_number(first), day_number(as_of.last_day)
    opening_fen = 0
    found: dict[tuple[int, int], int] = defaultdict(int)
    for page in _history(shelf, account, as_of.known_position):
        opening_fen += page.value_fen(first_day - 1)
        within = (page.lines["day"] >= first_day) & (page.lines["day"] <= last_day)
        for position, amount_fen, _, day in page.lines[within].tolist():
            found[day, position] += amount_fen
    lines, balance = [], opening_fen
    for (day, position), amount_fen in sorted(found.items()):
        if amount_fen:
            balance += amount_fen
            lines.append(StatementLine(position, iso_day(day), amount_fen, balance))
    return Statement(opening_fen, lines, balance)


def _history(shelf: Shelf, path: str, position: int) -> Iterable[Page]:
    """All pages of an account or subtree up to a position, without their openings: these repeat earlier lines."""
    if has_folio(path) or is_above_folios(path):
        for folio in _folios_of(shelf, path):
            yield from (Page(NO_SUMS, page.lines) for page in folios.whole(shelf, folio, position))
        return
    accounts = _accounts(shelf.store, path)
    for folio, account in zip(Chart().folios(accounts)[0], accounts.values(), strict=True):
        for page in folios.whole(shelf, folio, position):
            yield Page(NO_SUMS, page.lines).of(account)


@begins_again
def trial_balance(store: Store, as_of: AsOf) -> dict[str, dict[str, int]]:
    """Per book the balance of the treasury and of each subtree that has a folio; of a double-entry book they sum to 0.

    Raises NotProjected.
    """
    shelf = reaching(store, PROJECTION.name, as_of.known_position)
    last_day = day_number(as_of.last_day)
    books: dict[str, dict[str, int]] = {}
    for book in BOOKS:
        pages = folios.pages_at(shelf, _folios_of(shelf, f"{book}/"), as_of.known_position)
        lines = {path: page.value_fen(last_day) for path, page in pages.items()}
        if book == "private":
            # What moves within a loan leaves no line in the subtree's folio: it may have none.
            lines = dict.fromkeys(_private_subtrees(store, as_of), 0) | lines
        if lines:
            books[book] = dict(sorted(lines.items()))
    return books


def _private_subtrees(store: Store, as_of: AsOf) -> list[str]:
    """The subtrees of the private book below which anything lies, on both clocks."""
    lent = portfolio.total(portfolio.portfolio(store, as_of))
    there = {"private/loan/": lent.loans, "private/guarantee/": lent.payouts}
    return [path for path, count in there.items() if count]


PROJECTION = Balances()
