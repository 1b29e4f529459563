"""Portfolio: loans per bank, and what became of them: repaid, defaulted, lost, recovered, paid out by guarantors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ledger.store import Store
from projections import folios, measures
from projections.base import Content, Log, distinct, places
from projections.clocks import AsOf
from projections.columns import Columns
from projections.documents import changes, data_of
from projections.fold import fold, fold_binary
from projections.measures import Gathered, Index, Sum, events_of, lines_of
from projections.pages import LINE, Records
from projections.shelves import Shelf, begins_again, reaching

#: The measures. What is outstanding follows from them.
LENT, REPAID, DEFAULTED, IN_DEFAULT, LOST, RECOVERED, PAID_OUT, PRINCIPAL, INTEREST, REGAINED = range(1, 11)

#: The private accounts whose lines are a measure, by the second and the last part of their path.
_OF_ACCOUNTS: Final[Mapping[tuple[str, str], int]] = {
    ("loan", "bank"): LENT,  # which shrinks by it
    ("loan", "repaid"): REPAID,
    ("loan", "defaulted"): IN_DEFAULT,
    ("loan", "lost"): LOST,
    ("loan", "recovered"): RECOVERED,
    ("guarantee", "principal"): PRINCIPAL,
    ("guarantee", "interest"): INTEREST,
    ("guarantee", "recovered"): REGAINED,
}
#: The facts that are counted.
_COUNTED: Final = {"LoanDrawn": LENT, "RepaymentDefaulted": DEFAULTED, "GuaranteePaidOut": PAID_OUT}
#: What else moves private money.
_MOVED: Final = ("LoanRepaid", "LossReported", "RecoveryReceived", "FactReversed")
#: What may concern a payout whose bank it does not name.
_ON_PAYOUTS: Final = ("RecoveryReceived", "FactReversed")


@dataclass(frozen=True, slots=True)
class PortfolioRow:
    """The loans of one bank, or of all. Of what was lent, the part that was repaid (also by a guarantor), lost, or
    recovered by the bank is gone; the rest is outstanding, of which `in_default_fen` on defaulted loans.
    `defaulted_fen` is what was outstanding when loans defaulted; `payout_…` is what guarantors paid, and
    `payout_recovered_fen` what they got back."""

    bank: str | None
    loans: int = 0
    lent_fen: int = 0
    repaid_fen: int = 0
    outstanding_fen: int = 0
    in_default_fen: int = 0
    defaults: int = 0
    defaulted_fen: int = 0
    lost_fen: int = 0
    recovered_fen: int = 0
    payouts: int = 0
    payout_principal_fen: int = 0
    payout_interest_fen: int = 0
    payout_recovered_fen: int = 0

    @property
    def default_rate(self) -> str | None:
        """What defaulted per yuan lent; None where nothing was lent."""
        return ratio(self.defaulted_fen, self.lent_fen)

    @property
    def loss_rate(self) -> str | None:
        """What was lost per yuan lent; None where nothing was lent."""
        return ratio(self.lost_fen, self.lent_fen)


def ratio(part_fen: int, whole_fen: int) -> str | None:
    """A share or multiple as a decimal with four places, rounded down; None of nothing."""
    if whole_fen <= 0:
        return None
    sign, units = ("-" if part_fen < 0 else ""), abs(part_fen) * 10_000 // whole_fen
    return f"{sign}{units // 10_000}.{units % 10_000:04}"


class Portfolio:
    """A folio of measures per bank."""

    name = "portfolio"
    version = 3

    def create(self, shelf: Shelf) -> None:
        """The table of folios."""
        folios.create(shelf)

    def fold(self, shelf: Shelf, log: Log, after: int, until: int) -> None:
        """Add the lines of a range's loan events to the folios of their banks."""
        columns = log.columns(after, until)
        about_loans = log.is_type(columns, *_COUNTED, *_MOVED)
        if not about_loans.any():
            return
        banks, bank = _banks(log, columns)
        gathered = Gathered(columns)
        _gather_draws(log, gathered, bank)
        _gather_others(log, gathered, bank)
        measures.write(shelf, banks, *gathered.lines())

    def stored(self, shelf: Shelf, until: int) -> Content:
        """The lines by bank, after a look whether every page agrees with those before it."""
        digest, pages = measures.stored(shelf)
        return Content({"folios": digest}, pages)

    def expected(self, log: Log, until: int) -> Content:
        """The same lines, from the kinds of all private accounts and what JSON says of facts taken back."""
        return Content({"folios": measures.digest(*_expected_lines(log, until))})


def _banks(log: Log, columns: Columns) -> tuple[list[str], Index]:
    """The folios of banks, and per event of the range the place of its bank's; 0, of no bank, where it has none."""
    names, bank = [_folio("")], np.zeros(len(columns.types), np.int64)
    rows = fold_binary(log.store, "banks_of_events", after=columns.after, until=columns.until)
    for tag, positions in reversed(rows):  # of several the first counts
        if tag != _folio(""):
            names.append(tag)
            bank[np.frombuffer(positions, ">i8") - (columns.after + 1)] = len(names) - 1
    _bring_to_payouts(log, columns, names, bank)
    return names, bank


def _bring_to_payouts(log: Log, columns: Columns, names: list[str], bank: Index) -> None:
    """A payout's recovery names no bank once the draw of the loan was taken back: it is with the bank of its payout."""
    lacking = np.flatnonzero(log.is_type(columns, *_ON_PAYOUTS) & (bank == 0)) + (columns.after + 1)
    if not len(lacking):
        return
    for position, tag in fold(log.store, "banks_of_payouts", positions=lacking.tolist()):
        if tag not in names:
            names.append(tag)
        bank[position - (columns.after + 1)] = names.index(tag)


def _folio(bank: str) -> str:
    return f"bank:{bank}"


def _gather_draws(log: Log, gathered: Gathered, bank: Index) -> None:
    """A draw has two lines, the bank's and what is outstanding from it: its type says all."""
    columns = gathered.columns
    line = lines_of(columns, log.is_type(columns, "LoanDrawn"))
    line = line[columns.amount_fen[line] > 0]
    event = events_of(columns, line)
    gathered.add(LENT, event, bank[event], 1, columns.amount_fen[line])


def _gather_others(log: Log, gathered: Gathered, bank: Index) -> None:
    """All but draws: what is counted by their types, what moved by their accounts."""
    columns = gathered.columns
    undone = _undone(log, columns)
    for kind, measure in _COUNTED.items():
        if measure != LENT:
            event = np.flatnonzero(log.is_type(columns, kind))
            gathered.add(measure, event, bank[event], 1, 0)
        event = np.flatnonzero(undone == measure)
        gathered.add(measure, event, bank[event], -1, 0)
    others = log.is_type(columns, *_COUNTED, *_MOVED) & ~log.is_type(columns, "LoanDrawn")
    line = lines_of(columns, others)
    measure_of = _measures(log, columns.account[line])
    for measure in _OF_ACCOUNTS.values():
        at = line[measure_of == measure]
        event, sign = events_of(columns, at), -1 if measure == LENT else 1
        gathered.add(measure, event, bank[event], 0, sign * columns.amount_fen[at])
    at = line[measure_of == IN_DEFAULT]
    event = events_of(columns, at)
    own = (log.is_type(columns, "RepaymentDefaulted") | (undone == DEFAULTED))[event]
    gathered.add(DEFAULTED, event[own], bank[event[own]], 0, columns.amount_fen[at[own]])


def _undone(log: Log, columns: Columns) -> Index:
    """Per event what is counted of the fact that it takes back; 0 where it takes none back."""
    undone = np.zeros(len(columns.types), np.int64)
    for change in changes(log, columns, ["FactReversed"]):
        undone[change.position - columns.after - 1] = _COUNTED.get(change.data["reversed_type"], 0)
    return undone


def _measures(log: Log, accounts: NDArray[np.int32]) -> Index:
    """Per line the measure of its account, or 0."""
    if not len(accounts):
        return np.empty(0, np.int64)
    ids = distinct(accounts)
    found = np.zeros(len(ids), np.int64)
    for i, path in enumerate(log.paths(ids)):
        if path.startswith("private/"):
            _, book, _, part = path.split("/")
            found[i] = _OF_ACCOUNTS.get((book, part), 0)
    return found[places(accounts, ids)]


def _expected_lines(log: Log, until: int) -> tuple[list[str], Index, Records]:
    """The folios, and per line its folio's place and the line itself, by other means than the fold."""
    columns = log.columns(0, until)
    names, bank = ["bank:"], np.zeros(until + 1, np.int64)
    for tag, positions in reversed(fold_binary(log.store, "tags_of_banks", until=until)):
        names.append(tag)
        bank[np.frombuffer(positions, ">i8")] = len(names) - 1
    _expect_at_payouts(log, columns, bank)
    measure = _measure_table(log, columns)[columns.account]
    line = np.flatnonzero(measure)
    moved = np.stack([measure[line], columns.position[line], columns.amount_fen[line]])
    moved[2, moved[0] == LENT] *= -1
    counted = _counted_facts(log, columns)
    of_defaults = np.isin(moved[1], counted[1, counted[0] == DEFAULTED]) & (moved[0] == IN_DEFAULT)
    defaulted = moved[:, of_defaults]
    defaulted[0] = DEFAULTED
    lent = moved[0] == LENT  # one line of a draw holds both
    moved[2, lent & (moved[2] > 0)] += measures.COUNT
    measure, position, amount_fen = np.concatenate([counted, moved, defaulted], axis=1)
    order = np.lexsort((measure, position))
    lines = np.zeros(len(order), LINE)
    lines["position"], lines["account"] = position[order], measure[order]
    lines["amount_fen"], lines["day"] = amount_fen[order], columns.days[position[order] - 1]
    return names, bank[position[order]], lines


def _expect_at_payouts(log: Log, columns: Columns, bank: Index) -> None:
    """As `_bring_to_payouts`, from what JSON says; `bank` is by position."""
    lacking = np.flatnonzero(log.is_type(columns, *_ON_PAYOUTS) & (bank[1:] == 0)) + 1
    if not len(lacking):
        return
    paid = np.flatnonzero(log.is_type(columns, "GuaranteePaidOut")) + 1
    paid_at: dict[str, list[int]] = {}
    for position, data in zip(paid.tolist(), data_of(log, paid), strict=True):
        paid_at.setdefault(data["payout"], []).append(position)
    for position, data in zip(lacking.tolist(), data_of(log, lacking), strict=True):
        recovered_at = data["position"] if "reversed_type" in data else position
        before = [at for at in paid_at.get(data.get("payout", ""), ()) if at < recovered_at]
        bank[position] = bank[before[-1]] if before else 0


def _counted_facts(log: Log, columns: Columns) -> Index:
    """Measure, position and count as a line holds it of every fact that is counted (draws apart) or was taken back; a
    column each."""
    found = [np.empty((3, 0), np.int64)]
    back = fold(log.store, "loan_facts_taken_back", until=columns.until)
    for kind, measure in _COUNTED.items():
        told = np.flatnonzero(log.is_type(columns, kind)) + 1
        undone = np.array([position for position, fact in back if fact == kind], np.int64)
        for positions, count in ((told[: 0 if measure == LENT else None], 1), (undone, -1)):
            rows = np.empty((3, len(positions)), np.int64)
            rows[0], rows[1], rows[2] = measure, positions, count * measures.COUNT
            found.append(rows)
    return np.concatenate(found, axis=1)


def _measure_table(log: Log, columns: Columns) -> NDArray[np.int8]:
    """Per account id its measure or 0, as the database reads their paths."""
    table = np.zeros(int(columns.account.max(initial=0)) + 1, np.int8)
    ids, ends = fold_binary(log.store, "private_accounts")[0]
    if ids is not None:
        account, end = np.frombuffer(ids, ">i4"), np.array([ends.encode()]).view("S5")
        known = account < len(table)
        for (book, part), measure in _OF_ACCOUNTS.items():
            table[account[known & (end == (book[0] + part[-4:]).encode())]] = measure
    return table


@begins_again
def portfolio(store: Store, as_of: AsOf, bank: str | None = None) -> list[PortfolioRow]:
    """The loans of every bank that ever lent, or of one, on both clocks, in order of their codes; what is known of
    no bank has the code "". Raises NotProjected."""
    shelf = reaching(store, PROJECTION.name, as_of.known_position)
    names = measures.names_of(shelf) if bank is None else [_folio(bank)]
    found = measures.sums(shelf, names, as_of)
    return [_row(name.removeprefix("bank:"), found[name]) for name in sorted(found)]


def _row(bank: str, sums: Mapping[int, Sum]) -> PortfolioRow:
    def of(measure: int) -> Sum:
        return sums.get(measure, Sum(0, 0))

    gone_fen = of(REPAID).fen + of(LOST).fen + of(RECOVERED).fen
    return PortfolioRow(
        bank=bank,
        loans=of(LENT).number,
        lent_fen=of(LENT).fen,
        repaid_fen=of(REPAID).fen,
        outstanding_fen=of(LENT).fen - gone_fen,
        in_default_fen=of(IN_DEFAULT).fen,
        defaults=of(DEFAULTED).number,
        defaulted_fen=of(DEFAULTED).fen,
        lost_fen=of(LOST).fen,
        recovered_fen=of(RECOVERED).fen,
        payouts=of(PAID_OUT).number,
        payout_principal_fen=of(PRINCIPAL).fen,
        payout_interest_fen=of(INTEREST).fen,
        payout_recovered_fen=of(REGAINED).fen,
    )


def total(rows: Iterable[PortfolioRow]) -> PortfolioRow:
    """All of some banks together."""
    listed = list(rows)
    sums = {
        f.name: sum(getattr(row, f.name) for row in listed) for f in fields(PortfolioRow) if f.name != "bank"
    }
    return PortfolioRow(None, **sums)


PROJECTION = Portfolio()
