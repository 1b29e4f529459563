"""Balances of accounts and subtrees at any (on, known position), each read from one page of a folio."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ledger.accounts import TREASURY, is_account
from ledger.store import Store
from ledger.subjects.inheritance import PARTY_KINDS
from projections import folios
from projections.base import Content, Damaged, Log, distinct, places
from projections.clocks import AsOf
from projections.columns import Columns, day_number
from projections.fold import fold
from projections.pages import (
    LINE,
    LINES_MAX,
    NO_SUMS,
    Page,
    Pages,
    Records,
    advanced,
    extended,
    summed_by_day,
)
from projections.shelves import Shelf, reaching


class UnknownAccount(LookupError):
    """A path of no known shape."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What all accounts with the same first two parts of their path share: the kind of their folio's subject, which
    part of the rest names it, and the subtrees with folios of their own that they lie in."""

    subject: str
    part: int
    subtrees: tuple[str, ...]


def _kind(book: str, head: str) -> Kind:
    above = (f"{book}/", f"{book}/{head}/")
    if book == "public":
        return Kind("party:", 1, above) if head == "paid" else Kind("round:", 0, above)
    if book == "private":
        return Kind("payout:" if head == "guarantee" else f"{head}:", 0, above)
    kind = "bank" if book == "milestone" else head.rpartition(".")[2].partition("+")[0]
    return Kind("party:" if kind in PARTY_KINDS else f"{kind}:", 0, above)


class Chart:
    """The chart of accounts: for each the folio that it stands in (that of its subject, so that what is read together
    lies together) and the subtrees with folios of their own that it lies in."""

    def __init__(self) -> None:
        self.kinds: list[Kind] = []
        self._by_prefix: dict[str, int] = {}

    def folio(self, path: str) -> str:
        """The folio of one account."""
        return self.folios([path])[0][0]

    def folios(self, paths: Iterable[str]) -> tuple[list[str], list[int]]:
        """Per account its folio and its kind, an index into `kinds`."""
        folios, kinds = [], []
        by_prefix, known = self._by_prefix, self.kinds
        for path in paths:
            second = path.find("/", path.find("/") + 1)
            if second < 0:  # the treasury: an account by itself
                folios.append(path)
                kinds.append(self._number(path))
                continue
            number = by_prefix.get(path[:second])
            if number is None:
                number = self._number(path[:second])
            kind = known[number]
            if kind.part:  # what is paid: public/paid/<instrument>/<payee>/<round>
                instrument, payee, _ = path[second + 1 :].split("/", 2)
                folios.append(kind.subject + payee)
                number = self._paid(instrument)
            else:
                end = path.find("/", second + 1)
                folios.append(kind.subject + (path[second + 1 :] if end < 0 else path[second + 1 : end]))
            kinds.append(number)
        return folios, kinds

    def _number(self, prefix: str) -> int:
        book, _, head = prefix.partition("/")
        kind = Kind("", 0, (f"{book}/",)) if prefix == TREASURY else _kind(book, head)
        return self._add(prefix, kind)

    def _paid(self, instrument: str) -> int:
        """One account per payee has no bound: whoever sums up an instrument must not read them all."""
        prefix = f"public/paid/{instrument}"
        if prefix in self._by_prefix:
            return self._by_prefix[prefix]
        return self._add(prefix, Kind("party:", 1, ("public/", "public/paid/", f"{prefix}/")))

    def _add(self, prefix: str, kind: Kind) -> int:
        if prefix not in self._by_prefix:
            self._by_prefix[prefix] = len(self.kinds)
            self.kinds.append(kind)
        return self._by_prefix[prefix]


class Balances:
    """Every line of the log in the folio of its account's subject, and summed in those of the subtrees above it."""

    name = "balances"
    version = 1

    def create(self, shelf: Shelf) -> None:
        """The table of folios."""
        folios.create(shelf)

    def fold(self, shelf: Shelf, log: Log, after: int, until: int) -> None:
        """Sort the lines of a range into their folios and add them to the last pages."""
        columns = log.columns(after, until)
        names, folio, lines = _sorted_lines(log, columns)
        folios.write(shelf, extended(folios.last_pages(shelf, names), names, folio, lines))

    def stored(self, shelf: Shelf, until: int) -> Content:
        """The lines by account and by subtree, after a look whether every page agrees with those before it."""
        pages, first_positions = folios.all_pages(shelf)
        table = f"{shelf.schema}.folios"
        check_pages(pages, first_positions, table)
        _check_folios(shelf, pages, table)
        folio = np.repeat(pages.folio, pages.line_counts)
        own = pages.lines["account"] != 0
        content = {"folios": _by_account(pages.lines[own])}
        names = np.array(pages.names, object)
        for place in np.unique(folio[~own]).tolist():
            content[f"folios {names[place]}"] = pages.lines[~own & (folio == place)]
        return _content(content, len(pages))

    def expected(self, log: Log, until: int) -> Content:
        """The same from the log: its lines by account, and for each subtree the sums of those below it."""
        columns = log.columns(0, until)
        content = {"folios": _by_account(_lines(columns, columns.account)[1])}
        for path in _subtrees(log):
            lines = _below(log, columns, path)
            if len(lines):
                content[f"folios {path}"] = lines
        return _content(content, None)


def _content(lines: Mapping[str, Records], rows: int | None) -> Content:
    return Content({name: hashlib.sha256(lines[name].tobytes()).hexdigest() for name in sorted(lines)}, rows)


def _by_account(lines: Records) -> Records:
    """Lines by account, those of one in the order of the log."""
    packed = (lines["account"].astype(np.int64) << 32) + np.arange(len(lines))
    packed.sort()
    return np.ascontiguousarray(lines[packed & 0xFFFFFFFF])


def check_pages(pages: Pages, first_positions: Sequence[int], table: str) -> None:
    """Raises Damaged where pages are missing, not full, or open with other sums than the lines before them give."""
    ends = np.cumsum(pages.line_counts)
    sum_ends = np.cumsum(pages.opening_counts)
    first = np.append(True, pages.folio[1:] != pages.folio[:-1])
    in_turn = np.where(first, pages.page == 0, pages.page == np.append(0, pages.page[:-1]) + 1)
    full = np.append(first[1:], True) | (pages.line_counts == LINES_MAX)
    _all_hold(in_turn, pages, table, "a page is missing or there twice")
    _all_hold(full & (pages.line_counts > 0), pages, table, "a page before the last is not full")
    _all_hold(
        np.array(first_positions) == pages.first_positions, pages, table, "the first position is another"
    )
    opening = NO_SUMS
    for i in np.flatnonzero(~first | (pages.opening_counts > 0)).tolist():
        stored = pages.openings[sum_ends[i] - pages.opening_counts[i] : sum_ends[i]]
        opening = NO_SUMS
        if not first[i]:
            before = pages.openings[sum_ends[i - 1] - pages.opening_counts[i - 1] : sum_ends[i - 1]]
            opening = advanced(before, pages.lines[ends[i - 1] - LINES_MAX : ends[i - 1]])
        if not np.array_equal(stored, opening):
            raise Damaged(
                table, f"page {pages.page[i]} of {pages.names[pages.folio[i]]} opens with other sums"
            )


def _all_hold(holds: NDArray[np.bool_], pages: Pages, table: str, what: str) -> None:
    if not holds.all():
        i = int(np.argmin(holds))
        raise Damaged(table, f"{what}: page {pages.page[i]} of {pages.names[pages.folio[i]]}")


def _check_folios(shelf: Shelf, pages: Pages, table: str) -> None:
    """Raises Damaged where a line stands in another folio than that of its account."""
    folio, account = np.repeat(pages.folio, pages.line_counts), pages.lines["account"]
    pairs = np.unique((account.astype(np.int64) << 32) + folio)
    pairs = pairs[pairs >> 32 != 0]
    (sent,) = shelf.rows("folios_of_accounts")[0]
    right = dict(line.split("\t", 1) for line in (sent or "").split("\n") if line)
    for pair in pairs.tolist():
        name = pages.names[pair & 0xFFFFFFFF]
        if right.get(str(pair >> 32)) != name:
            raise Damaged(table, f"{name} holds lines of account {pair >> 32}")


def _subtrees(log: Log) -> list[str]:
    return [row[0] for row in fold(log.store, "subtrees_of_accounts")]


def _below(log: Log, columns: Columns, path: str) -> Records:
    """The lines below a path, one per event and day, without those that sum to 0."""
    ids = [row[0] for row in fold(log.store, "accounts_below", path=path, end=path[:-1] + "0")]
    inside = np.zeros(int(columns.account.max(initial=0)) + 1, bool)
    inside[[i for i in ids if i < len(inside)]] = True
    at = inside[columns.account]
    packed = (columns.position[at] << 22) + (columns.day[at] + 2**21)
    order = np.argsort(packed)
    packed, amount_fen = packed[order], columns.amount_fen[at][order]
    starts = np.flatnonzero(np.append(True, packed[1:] != packed[:-1])) if len(packed) else order
    sums = np.add.reduceat(amount_fen, starts) if len(starts) else amount_fen
    lines = np.zeros(len(starts), LINE)
    lines["position"], lines["day"] = packed[starts] >> 22, (packed[starts] & (2**22 - 1)) - 2**21
    lines["amount_fen"] = sums
    kept: Records = lines[sums != 0]
    return kept


def _sorted_lines(log: Log, columns: Columns) -> tuple[list[str], NDArray[np.int32], Records]:
    """The names of the folios in order; per line its folio; the lines of accounts, then those of subtrees."""
    ids = distinct(columns.account)
    chart = Chart()
    folios_of, kinds_of = chart.folios(log.paths(ids))
    names = sorted({*folios_of, *(name for kind in chart.kinds for name in kind.subtrees)})
    place = {name: i for i, name in enumerate(names)}
    at = places(columns.account, ids)
    parts = [_lines(columns, np.array([place[name] for name in folios_of], np.int32)[at])]
    kind = np.array(kinds_of, np.int32)[at]
    for depth in range(3):
        above = [place[k.subtrees[depth]] if depth < len(k.subtrees) else -1 for k in chart.kinds]
        parts.append(_subtree_lines(columns, np.array(above, np.int32)[kind]))
    return names, np.concatenate([folio for folio, _ in parts]), np.concatenate([lines for _, lines in parts])


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


def balance_fen(store: Store, account: str, as_of: AsOf) -> int:
    """The balance of an account, or with a trailing `/` of a subtree, in fen; never posted to is 0.

    Raises UnknownAccount for a path of no known shape, NotProjected where the position is not reached.
    """
    if not is_account(account):
        raise UnknownAccount(account)
    shelf = reaching(store, PROJECTION.name, as_of.known_position)
    last_day = day_number(as_of.last_day)
    pages = [*_pages_of(shelf, account, as_of.known_position).values()]
    return sum(page.value_fen(last_day) for page in pages)


def _pages_of(shelf: Shelf, path: str, position: int) -> Mapping[str, Page]:
    """The page of an account; of a subtree that of its folio, or those of all accounts below it; by path."""
    if not path.endswith("/"):
        found = fold(shelf.store, "account_of_path", path=path)
        return account_pages(shelf, {path: found[0][0]} if found else {}, position)
    if _has_folio(path):
        return folios.pages_at(shelf, [path], position)
    below = fold(shelf.store, "accounts_below", path=path, end=path[:-1] + "0")
    return account_pages(shelf, {name: number for number, name in below}, position)


def account_pages(shelf: Shelf, accounts: Mapping[str, int], position: int) -> dict[str, Page]:
    """Of each account (path to id) its part of the page that holds its last line up to a position."""
    paths = list(accounts)
    folio_of = dict(zip(paths, Chart().folios(paths)[0], strict=True))
    pages = folios.pages_at(shelf, set(folio_of.values()), position)
    return {path: pages[f].of(accounts[path]) for path, f in folio_of.items() if f in pages}


def _has_folio(path: str) -> bool:
    depth = path.count("/")
    return depth <= 2 or (depth == 3 and path.startswith("public/paid/"))


PROJECTION = Balances()
