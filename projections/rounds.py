"""Rounds: per round and instrument how much was granted, committed, paid, recovered, voided and refused, on both
clocks; and each round's own life."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ledger import codec
from ledger.catalogue import discover_instruments
from ledger.store import Store
from projections import documents, folios, measures
from projections.base import Content, Log, distinct
from projections.clocks import AsOf
from projections.columns import COMMAND_BYTES, BrokenLog, Columns
from projections.documents import Change, Document, Version
from projections.fold import fold, fold_binary
from projections.measures import Gathered, Index, Sum, events_of, lines_of
from projections.pages import LINE, Records
from projections.shelves import Shelf, begins_again, reaching

#: The measures. What is committed follows from them.
GRANTED, VOIDED, PAID, RETURNED, RECOVERED, REFUSED = range(1, 7)

_INSTRUMENTS: Final = discover_instruments()
#: Steps whose line on an account of paid money says round and instrument: the measure, the line's sign.
_STEPS: Final = {"GrantPaid": (PAID, 1), "PaymentReturned": (RETURNED, -1), "GrantRecovered": (RECOVERED, -1)}
#: The events of a round's own life, with the fields that its document keeps.
_LIFE: Final[Mapping[str, tuple[str, ...]]] = {
    "RoundOpened": ("year", "budget_fen", "rulebook", "rulebook_sha256", "call", "call_sha256"),
    "BudgetAdjusted": ("amount_fen", "document"),
    "RoundClosed": ("document",),
    "ReturnedToTreasury": ("amount_fen", "document"),
    "ControlTotalAsserted": ("instrument", "count", "total_fen", "source"),
}


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One instrument in one round. `grants` and `granted_fen` are those not voided; `paid_fen` is what was paid and
    not returned, before recoveries; `committed_fen` what was granted and neither paid nor voided."""

    round: str
    instrument: str
    grants: int
    granted_fen: int
    committed_fen: int
    paid_fen: int
    returned_fen: int
    recovered_fen: int
    voided: int
    refused: int


class Rounds:
    """A folio of measures per round and instrument (`<round>/<instrument>`), a document per round and change."""

    name = "rounds"
    version = 3

    def create(self, shelf: Shelf) -> None:
        """The tables of folios and of documents."""
        folios.create(shelf)
        documents.create(shelf)

    def fold(self, shelf: Shelf, log: Log, after: int, until: int) -> None:
        """Add the lines of a range's grants, steps and refusals, and the events of the rounds' own lives."""
        columns = log.columns(after, until)
        places = _Places()
        gathered = Gathered(columns)
        committed = _committed(log)
        _gather_grants(log, gathered, places, committed)
        _gather_voids(log, gathered, places, committed)
        _gather_steps(log, gathered, places)
        _gather_refusals(log, gathered, places)
        measures.write(shelf, places.names, *gathered.lines())
        _fold_lives(shelf, log, columns)

    def stored(self, shelf: Shelf, until: int) -> Content:
        """The lines by folio, after a look whether every page agrees with those before it, and the documents."""
        digest, pages = measures.stored(shelf)
        lives, rows = documents.stored(shelf)
        return Content({"folios": digest, "documents": lives}, pages + rows)

    def expected(self, log: Log, until: int) -> Content:
        """The same lines from what the accounts' paths and the tags say, and the documents from the rounds' tags."""
        lives = documents.digest(_lives_from_the_log(log, until))
        return Content({"folios": measures.digest(*_expected_lines(log, until)), "documents": lives})


class _Places:
    """The folios that come up, each with a number."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def of(self, round_id: str, instrument: str) -> int:
        """The number of a round's folio for an instrument."""
        name = f"{round_id}/{instrument}"
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        return number


def _committed(log: Log) -> dict[int, str]:
    """The accounts of committed money, by id: their rounds. Two accounts per round: few."""
    rows = fold(log.store, "accounts_below", path="public/round/", end="public/round0")
    return {number: path.split("/")[2] for number, path in rows if path.endswith("/committed")}


def _of_accounts(columns: Columns, line: Index, numbers: Mapping[int, int]) -> tuple[Index, Index]:
    """The lines whose accounts have a number, and the numbers."""
    table = np.full(int(columns.account.max(initial=0)) + 1, -1, np.int32)
    for account, number in numbers.items():
        if account < len(table):
            table[account] = number
    found = table[columns.account[line]]
    at = np.flatnonzero(found >= 0)
    return line[at], found[at].astype(np.int64)


def _gather_grants(log: Log, gathered: Gathered, places: _Places, committed: Mapping[int, str]) -> None:
    """A grant's type says the instrument, its line of committed money the round."""
    columns = gathered.columns
    for key, instrument in _INSTRUMENTS.items():
        line = lines_of(columns, log.is_type(columns, instrument.event))
        if not len(line):
            continue
        line = line[columns.amount_fen[line] > 0]
        line, place = _of_accounts(columns, line, {a: places.of(r, key) for a, r in committed.items()})
        event = events_of(columns, line)
        gathered.add(GRANTED, event, place, 1, columns.amount_fen[line])


def _gather_voids(log: Log, gathered: Gathered, places: _Places, committed: Mapping[int, str]) -> None:
    """The instrument of a void stands only in its data."""
    columns = gathered.columns
    voids = documents.changes(log, columns, ["GrantVoided"])
    if not voids:
        return
    place_of = np.zeros(len(columns.types), np.int64)
    for change in voids:
        number = places.of(change.data["round"], change.data["instrument"])
        place_of[change.position - columns.after - 1] = number
    line = lines_of(columns, log.is_type(columns, "GrantVoided"))
    line, _ = _of_accounts(columns, line, dict.fromkeys(committed, 0))
    event = events_of(columns, line)
    gathered.add(VOIDED, event, place_of[event], 1, -columns.amount_fen[line])


def _gather_steps(log: Log, gathered: Gathered, places: _Places) -> None:
    """Payments, their returns, recoveries: the account of paid money says instrument and round."""
    columns = gathered.columns
    line = lines_of(columns, log.is_type(columns, *_STEPS))
    ids = distinct(columns.account[line])
    if not len(ids):
        return
    paid: dict[int, int] = {}
    for number, path in fold(log.store, "paid_accounts", ids=ids.tolist()):
        _, _, instrument, _, round_id = path.split("/")
        paid[number] = places.of(round_id, instrument)
    line, place = _of_accounts(columns, line, paid)
    event = events_of(columns, line)
    for name, (measure, sign) in _STEPS.items():
        own = log.is_type(columns, name)[event]
        gathered.add(measure, event[own], place[own], 1, sign * columns.amount_fen[line[own]])


def _gather_refusals(log: Log, gathered: Gathered, places: _Places) -> None:
    """A refusal moves nothing: its tag says the round, its data the command."""
    columns = gathered.columns
    refused = log.is_type(columns, "ClaimRefused")
    if not refused.any():
        return
    event, named = np.flatnonzero(refused), columns.refused_rounds.split("\n")[:-1]
    command = np.frombuffer(columns.refused_commands, f"S{COMMAND_BYTES}")
    if not len(event) == len(named) == len(command):
        raise BrokenLog("a refusal does not say its command or its round")
    numbers = {name: number for number, name in enumerate(dict.fromkeys(named))}
    round_of = np.fromiter(map(numbers.__getitem__, named), np.int64, len(named))
    for key, instrument in _INSTRUMENTS.items():
        of_instrument = np.char.startswith(command, f'{instrument.spec.name}"'.encode())
        for name, number in numbers.items():
            own = event[of_instrument & (round_of == number)]
            if name and len(own):
                gathered.add(REFUSED, own, np.full(len(own), places.of(name, key)), 1, 0)


def _fold_lives(shelf: Shelf, log: Log, columns: Columns) -> None:
    changes = documents.changes(log, columns, [*_LIFE, "FactReversed"], of_kind="budget:")
    known = documents.newest(shelf, columns.after, {change.keys[0] for change in changes})
    versions: list[Version] = []
    for change in changes:
        round_id = change.keys[0]
        known[round_id] = _lived(known.get(round_id, {"life": []}), change)
        versions.append((round_id, change.position, known[round_id]))
    documents.write(shelf, versions)


def _lived(document: Document, change: Change) -> Document:
    """A round's document after an event of its life; a total that was taken back is as if never asserted."""
    if change.type == "FactReversed":
        return {"life": [fact for fact in document["life"] if fact["position"] != change.data["position"]]}
    shown = {name: change.data[name] for name in _LIFE[change.type] if name in change.data}
    return {"life": [*document["life"], _fact(change.position, change.type, change.on, shown)]}


def _fact(position: int, kind: str, on: str, shown: Mapping[str, Any]) -> Document:
    return {"position": position, "event": kind, "on": on, **shown}


def _lives_from_the_log(log: Log, until: int) -> Iterator[Version]:
    """Every version from all events with the round's tag up to its position."""
    told: dict[str, list[tuple[int, str, str, Document]]] = {}
    kinds = [*_LIFE, "FactReversed"]
    for tag, position, kind, on, raw in fold(log.store, "events_of_budgets", until=until, types=kinds):
        data = codec.parse_object(bytes(raw))
        told.setdefault(tag.removeprefix("budget:"), []).append((position, kind, on, data))
    for round_id, life in told.items():
        for known in range(1, len(life) + 1):
            gone = {data["position"] for _, kind, _, data in life[:known] if kind == "FactReversed"}
            facts = [
                _fact(position, kind, on, {name: data[name] for name in _LIFE[kind] if name in data})
                for position, kind, on, data in life[:known]
                if kind != "FactReversed" and position not in gone
            ]
            yield round_id, life[known - 1][0], {"life": facts}


def _expected_lines(log: Log, until: int) -> tuple[list[str], Index, Records]:
    """The folios, and per line its folio's place and the line itself, by other means than the fold: whatever moved
    committed, paid and recovered money, told apart by its sign, and each refusal."""
    columns = log.columns(0, until)
    names: dict[str, int] = {}
    parts = [_NOTHING, *_committed_lines(log, columns, names), *_paid_lines(log, columns, names)]
    parts += _refused_lines(log, until, names)
    measure, position, place, amount_fen = np.concatenate(parts, axis=1)
    order = np.lexsort((measure, position))
    lines = np.zeros(len(order), LINE)
    lines["position"], lines["account"] = position[order], measure[order]
    lines["amount_fen"], lines["day"] = amount_fen[order], columns.days[position[order] - 1]
    return list(names), place[order], lines


_NOTHING: Final = np.empty((4, 0), np.int64)


def _rows(measure: int, position: Index, place: Index | int, amount_fen: Index | int) -> Index:
    """Rows of measure, position, place and what a line holds, for lines that count one each."""
    rows = np.empty((4, len(position)), np.int64)
    rows[0], rows[1], rows[2], rows[3] = measure, position, place, amount_fen
    rows[3] += measures.COUNT
    return rows


def _committed_lines(log: Log, columns: Columns, names: dict[str, int]) -> Iterator[Index]:
    """What raises committed money and is no returned payment is a grant; what lowers it and is no payment, a void."""
    returned, paid = log.is_type(columns, "PaymentReturned"), log.is_type(columns, "GrantPaid")
    voids = (np.flatnonzero(log.is_type(columns, "GrantVoided")) + 1).tolist()
    of_voids = dict(fold(log.store, "instruments_of_voids", positions=voids)) if voids else {}
    for number, path in fold(log.store, "accounts_below", path="public/round/", end="public/round0"):
        _, _, round_id, part = path.split("/")
        if part != "committed":
            continue
        line = np.flatnonzero(columns.account == number)
        position, amount_fen = columns.position[line], columns.amount_fen[line]
        grant = (amount_fen > 0) & ~returned[position - 1]
        for key, instrument in _INSTRUMENTS.items():
            own = grant & log.is_type(columns, instrument.event)[position - 1]
            if own.any():
                place = names.setdefault(f"{round_id}/{key}", len(names))
                yield _rows(GRANTED, position[own], place, amount_fen[own])
        for i in np.flatnonzero((amount_fen < 0) & ~paid[position - 1]).tolist():
            place = names.setdefault(f"{round_id}/{of_voids[int(position[i])]}", len(names))
            yield _rows(VOIDED, position[i : i + 1], place, -amount_fen[i : i + 1])


def _paid_lines(log: Log, columns: Columns, names: dict[str, int]) -> Iterator[Index]:
    """What raises paid money is a payment; what lowers it, a returned one or else a recovery."""
    groups = fold_binary(log.store, "groups_of_paid_accounts")
    if not groups:
        return
    returned = log.is_type(columns, "PaymentReturned")
    table = np.full(int(columns.account.max(initial=0)) + 1, -1, np.int64)
    for instrument, round_id, sent in groups:
        ids = np.frombuffer(sent, ">i4")
        table[ids[ids < len(table)]] = names.setdefault(f"{round_id}/{instrument}", len(names))
    place = table[columns.account]
    line = np.flatnonzero(place >= 0)
    place, position, amount_fen = place[line], columns.position[line], columns.amount_fen[line]
    payment, back = amount_fen > 0, returned[position - 1]
    for own, measure in ((payment, PAID), (~payment & back, RETURNED), (~payment & ~back, RECOVERED)):
        yield _rows(measure, position[own], place[own], np.abs(amount_fen[own]))


def _refused_lines(log: Log, until: int, names: dict[str, int]) -> Iterator[Index]:
    """Refusals by the tags of all rounds, and by the first letters of their commands."""
    positions, starts = fold_binary(log.store, "refusals", until=until)[0]
    if positions is None:
        return
    position, start = np.frombuffer(positions, ">i8").astype(np.int64), np.frombuffer(starts, "S48")
    told = log.is_type(log.columns(0, until), "ClaimRefused")[position - 1]
    position, start = position[told], start[told]
    of_instrument = {
        key: position[np.char.startswith(start, f'"command":"{i.spec.name}"'.encode())]
        for key, i in _INSTRUMENTS.items()
    }
    for tag, tagged in fold_binary(log.store, "tags_of_rounds", until=until):
        of_round = np.zeros(until + 1, np.bool_)
        of_round[np.frombuffer(tagged, ">i8")] = True
        for key, refused in of_instrument.items():
            own = refused[of_round[refused]]
            if len(own):
                place = names.setdefault(f"{tag.removeprefix('round:')}/{key}", len(names))
                yield _rows(REFUSED, own, place, 0)


@begins_again
def rounds(store: Store, as_of: AsOf, round_id: str | None = None) -> list[RoundRow]:
    """Every instrument of every round, or of one, that anything was claimed under, on both clocks; in order of round
    and instrument. Raises NotProjected."""
    shelf = reaching(store, PROJECTION.name, as_of.known_position)
    names = measures.names_of(shelf, "" if round_id is None else f"{round_id}/")
    found = measures.sums(shelf, names, as_of)
    return [_row(name, found[name]) for name in sorted(found)]


def _row(name: str, sums: Mapping[int, Sum]) -> RoundRow:
    granted, voided, paid, returned, recovered, refused = (
        sums.get(measure, Sum(0, 0)) for measure in (GRANTED, VOIDED, PAID, RETURNED, RECOVERED, REFUSED)
    )
    round_id, _, instrument = name.partition("/")
    return RoundRow(
        round=round_id,
        instrument=instrument,
        grants=granted.number - voided.number,
        granted_fen=granted.fen - voided.fen,
        committed_fen=granted.fen - voided.fen - paid.fen + returned.fen,
        paid_fen=paid.fen - returned.fen,
        returned_fen=returned.fen,
        recovered_fen=recovered.fen,
        voided=voided.number,
        refused=refused.number,
    )


@begins_again
def life(store: Store, as_of: AsOf, round_id: str) -> list[dict[str, Any]]:
    """What happened to a round itself, on both clocks, in the order of recording: dicts with position, event (the
    type), on, and what the event says (year, budget_fen, rulebook, amount_fen, document, count, …). Empty for a
    round that was not opened by then. Raises NotProjected."""
    shelf = reaching(store, PROJECTION.name, as_of.known_position)
    document = documents.newest(shelf, as_of.known_position, [round_id]).get(round_id, {"life": []})
    return documents.effective(document["life"], as_of.last_day)


@begins_again
def opened(store: Store, as_of: AsOf) -> list[dict[str, Any]]:
    """The rounds that were opened by then, on both clocks, in order of year and id: dicts with round, year, rulebook,
    call (if it has one) and appropriated_fen. Raises NotProjected."""
    shelf = reaching(store, PROJECTION.name, as_of.known_position)
    found: list[dict[str, Any]] = []
    for round_id, document in documents.all_newest(shelf, as_of.known_position).items():
        facts = documents.effective(document["life"], as_of.last_day)
        for fact in facts:
            if fact["event"] == "RoundOpened":
                told: list[str] = [name for name in ("year", "rulebook", "call") if name in fact]
                named = {name: fact[name] for name in told}
                found.append({"round": round_id, **named, "appropriated_fen": appropriated_fen(facts)})
    return sorted(found, key=lambda row: (row["year"], row["round"]))


def appropriated_fen(facts: Sequence[Mapping[str, Any]]) -> int:
    """What a round was given in all: opened with, and more or less by each adjustment of its budget."""
    return sum(
        fact["budget_fen"] if fact["event"] == "RoundOpened" else fact["amount_fen"]
        for fact in facts
        if fact["event"] in ("RoundOpened", "BudgetAdjusted")
    )


def payees(store: Store, as_of: AsOf, round_id: str) -> dict[str, int]:
    """Per instrument how many distinct payees hold a grant of a round that was not voided, on both clocks. Exact, and
    so folded from the log when asked: about 4 s per million grants of the round."""
    kinds = {instrument.event: key for key, instrument in _INSTRUMENTS.items()}
    known = {"tag": f"round:{round_id}", "until": as_of.known_position, "last_day": as_of.last_day}
    voided: list[str] = []
    if any(row.voided for row in rounds(store, as_of, round_id)):
        voided = [tag for (tag,) in fold(store, "voided_claims_of_round", **known)]
    rows = fold(store, "payees_of_round", types=list(kinds), voided=voided, **known)
    return {kinds[kind]: number for kind, number in rows}


PROJECTION = Rounds()
