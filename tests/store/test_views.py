"""Rounds, portfolio, parties and milestones on a real server: on both clocks what a naive reading of the log says, and
every changed row found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from random import Random
from typing import Any

import psycopg
import pytest

from ledger import codec
from ledger.money import YI
from projections import measures, shelves
from projections.balances import balances_fen
from projections.caps import CapRow, caps
from projections.clocks import AsOf
from projections.existing import UnknownRound
from projections.measures import SumsTooLarge
from projections.milestones import ladder, ladders, milestones
from projections.parties import find, names, party
from projections.portfolio import portfolio, total
from projections.rebuilding import rebuild
from projections.reports.duties import duties, duties_page
from projections.reports.party import party_report
from projections.reports.round import round_report
from projections.rounds import life, payees, rounds
from projections.runner import Runner, ensure, statuses
from projections.verification import run
from tests.cli.program import BANK, FIRM, GUARANTOR, OPENING, OTHER_BANK, Line, claim, draw, register
from tests.histories import Mix, history
from tests.naive import Naive
from tests.support import Ledger

DAYS = (None, "2022-06-01", "2023-12-31", "2024-07-01", "2025-03-15", "2026-06-30")
#: More of what becomes of loans and parties than elsewhere.
BUSY = Mix(
    steps={
        **Mix().steps,
        "repay": 8,
        "default": 8,
        "loss": 6,
        "payout": 8,
        "recovery": 10,
        "rename": 6,
        "certify_firm": 6,
        "assert_total": 4,
        "merge": 5,
        "reverse_fact": 14,
    }
)


def questions(ledger: Ledger, seed: int, length: int = 150) -> Iterator[tuple[AsOf, Naive]]:
    """Random clocks on a random history, and the naive reading of the log as of them."""
    ledger.submit(*history(seed, length, BUSY))
    newest, random = ledger.store.head().position, Random(seed)
    ensure(ledger.store, newest)
    clocks = [AsOf(random.choice(DAYS), random.randint(1, newest)) for _ in range(10)]
    for as_of in (AsOf(None, newest), *clocks):
        yield as_of, Naive(ledger.store, as_of.known_position, as_of.on)


def some(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what is 0."""
    return {name: value for name, value in row.items() if value}


@pytest.mark.parametrize("seed", range(3))
def test_caps_come_in_pages_of_any_length(ledger: Ledger, seed: int) -> None:
    """Page after page, each beginning after the last name of the one before, they are the whole list, in its order; so
    are those of a kind of key, and those of a party, whose rows the whole list has as well."""
    for as_of, _ in questions(ledger, seed):
        whole = caps(ledger.store, as_of)
        assert [(row.cap, row.key) for row in whole] == sorted({(row.cap, row.key) for row in whole})
        for length in (1, 3, len(whole) or 1):
            assert in_pages(ledger, as_of, length) == whole
        for party_ in {row.party for row in whole if row.party}:
            assert in_pages(ledger, as_of, 2, party=party_) == [row for row in whole if row.party == party_]
        for kind in ("firm", "loan", "product"):
            cut = [row for row in whole if row.cap.rpartition(".")[2].partition("+")[0] == kind]
            assert in_pages(ledger, as_of, 2, kind=kind) == cut


def in_pages(ledger: Ledger, as_of: AsOf, length: int, **asked: str) -> list[CapRow]:
    """The caps that are asked for, so many at a time."""
    rows: list[CapRow] = []
    while page := caps(
        ledger.store,
        as_of,
        **asked,
        after=(rows[-1].cap, rows[-1].key) if rows else None,
        rows_max=length,
    ):
        rows += page
    return rows


def test_a_loan_that_was_drawn_again_counts_for_its_last_borrower(ledger: Ledger) -> None:
    """As known before the first draw was taken back it is the first one's."""
    other = "91110000600037341L"
    ledger.submit(
        *OPENING,
        {"command": "register-party", "uscc": other, "kind": "firm", "name": "another"},
        claim("C1"),
        {"command": "void", "claim": "C1", "reason": "a mistake"},
    )
    first = ledger.store.head().position
    (drawn,) = (e.position for e in ledger.store.stored_events(0, first) if e.type == "LoanDrawn")
    ledger.submit(
        {"command": "reverse-fact", "position": drawn, "reason": "another firm's"},
        {**draw(), "firm": other, "key": "again"},
        claim("C2"),
    )

    def borrowers(known: int) -> set[str | None]:
        return {row.party for row in caps(ledger.store, ledger.as_of(None, known)) if row.key == "L1"}

    assert borrowers(first) == {FIRM}
    assert borrowers(ledger.store.head().position) == {other}


@pytest.mark.parametrize("seed", range(3))
def test_duties_come_in_pages_of_any_length(ledger: Ledger, seed: int) -> None:
    """Page after page they are the whole list on both clocks, in the order of the decisions; only the last page says
    that nothing follows."""
    for as_of, _ in questions(ledger, seed):
        whole = duties(ledger.store, as_of)
        assert len({row["claim"] for row in whole}) == len(whole)
        for length in (1, 3, len(whole) or 1):
            rows: list[dict[str, Any]] = []
            after: int | None = 0
            while after is not None:
                page, after = duties_page(ledger.store, as_of, after, length)
                assert len(page) == min(length, len(whole) - len(rows))
                rows += page
            assert rows == whole


@pytest.mark.parametrize("seed", range(6))
def test_rounds_are_what_their_claims_came_to(ledger: Ledger, seed: int) -> None:
    """Per round and instrument, on both clocks: grants, money, payees, refusals, and the round's own life."""
    for as_of, naive in questions(ledger, seed):
        found = {(row.round, row.instrument): asdict(row) for row in rounds(ledger.store, as_of)}
        expected = naive.rounds()
        for key in found.keys() | expected.keys():
            ours = {n: v for n, v in found.get(key, {}).items() if n not in ("round", "instrument")}
            assert some(ours) == some(expected[key]), (key, as_of)
        for round_id in {key[0] for key in expected}:
            assert payees(ledger.store, as_of, round_id) == naive.payees(round_id)
            told = [(fact["position"], fact["event"]) for fact in life(ledger.store, as_of, round_id)]
            assert told == naive.life(round_id)


@pytest.mark.parametrize("seed", range(6))
def test_the_report_of_a_round_ties(ledger: Ledger, seed: int) -> None:
    """Appropriated is available, committed, paid, recovered or returned; committed is that of the grants."""
    for as_of, naive in questions(ledger, seed):
        for round_id in {key[0] for key in naive.rounds()}:
            if not any(kind == "RoundOpened" for _, kind in naive.life(round_id)):
                with pytest.raises(UnknownRound):
                    round_report(ledger.store, as_of, round_id)
                continue
            report = round_report(ledger.store, as_of, round_id)
            parts = ("available_fen", "committed_fen", "paid_net_fen", "recovered_fen", "returned_fen")
            assert report["appropriated_fen"] == sum(report[part] for part in parts)
            assert report["committed_fen"] == sum(row["committed_fen"] for row in report["instruments"])


@pytest.mark.parametrize("seed", range(6))
def test_the_portfolio_is_what_was_told_of_loans(ledger: Ledger, seed: int) -> None:
    """Per bank, on both clocks: lent, repaid, defaulted, lost, recovered, paid out; outstanding is what is left."""
    for as_of, naive in questions(ledger, seed):
        rows = portfolio(ledger.store, as_of)
        expected = naive.portfolio()
        found = {row.bank: asdict(row) for row in rows}
        for bank in found.keys() | expected.keys():
            ours = {n: v for n, v in found.get(bank, {}).items() if n not in ("bank", "outstanding_fen")}
            assert some(ours) == some(expected[bank or ""]), (bank, as_of)
        for row in (*rows, total(rows)):
            assert row.outstanding_fen == row.lent_fen - row.repaid_fen - row.lost_fen - row.recovered_fen
        for row in rows:
            assert portfolio(ledger.store, as_of, row.bank) == [row]


def test_a_recovery_is_with_the_bank_of_its_payout(ledger: Ledger, database: str) -> None:
    """Also once the draw was taken back, so that the loan names no bank; taken back itself, it is gone from that bank,
    whatever bank the payout's id stands for by then. A rebuild and the independent fold say the same."""
    payout = {"command": "pay-guarantee", "payout": "P1", "guarantor": GUARANTOR, "amount_fen": 1_000}
    first = {**payout, "loan": "L1", "paid_on": "2024-02-01"}
    recovery = {"command": "record-recovery", "payout": "P1", "amount_fen": 300, "effective_on": "2024-03-01"}

    def taken_back(position: int) -> Line:
        return {"command": "reverse-fact", "position": position, "reason": "a mistake"}

    def regained_fen() -> dict[str | None, int]:
        return {row.bank: row.payout_recovered_fen for row in portfolio(ledger.store, ledger.as_of())}

    ledger.submit(*OPENING, register(GUARANTOR, "guarantor"), register(OTHER_BANK, "bank"))
    ledger.submit(draw("L2", bank=OTHER_BANK))
    told = ledger.submit(first, taken_back(5), recovery)
    paid, _, recovered = (outcome["positions"][0] for outcome in told)
    assert regained_fen() == {BANK: 300, OTHER_BANK: 0}
    ledger.submit(taken_back(paid), {**first, "loan": "L2", "key": "again"})
    assert regained_fen() == {BANK: 300, OTHER_BANK: 0}
    ledger.submit(taken_back(recovered))
    assert regained_fen() == {BANK: 0, OTHER_BANK: 0}
    assert run(ledger.store, ["projections"]).findings == []
    with Runner(database) as runner:
        rebuild(runner, ["portfolio"], lambda *progress: None)
    assert regained_fen() == {BANK: 0, OTHER_BANK: 0}


#: The facts that move what is outstanding of a loan.
LOAN_FACTS = ("LoanDrawn", "LoanRepaid", "RepaymentDefaulted", "LossReported", "GuaranteePaidOut")


@pytest.mark.parametrize("seed", range(6))
def test_what_is_outstanding_of_a_loan_is_what_its_books_hold(ledger: Ledger, seed: int) -> None:
    """In the report of its bank and of its firm, on both clocks; where no draw was taken back and every loan was drawn
    by then, the loans of a bank come to what the portfolio says of it."""
    compared = 0
    for as_of, naive in questions(ledger, seed):
        lent = {row.bank: row.outstanding_fen for row in portfolio(ledger.store, as_of)}
        drawn_by = {
            role: {event.data[role] for event in naive.events if event.type == "LoanDrawn"}
            for role in ("firm", "bank")
        }
        for role, usccs in drawn_by.items():
            for uscc in usccs:
                loans = party_report(ledger.store, as_of, uscc, role)["loans"]
                for loan in loans:
                    parts = [f"private/loan/{loan['loan']}/{part}" for part in ("outstanding", "defaulted")]
                    owed_fen = sum(balances_fen(ledger.store, [(path, as_of) for path in parts]))
                    assert loan["outstanding_fen"] == owed_fen, (loan, as_of)
                if role == "bank" and told_of(naive, uscc) == {loan["loan"] for loan in loans}:
                    assert sum(loan["outstanding_fen"] for loan in loans) == lent[uscc], (uscc, as_of)
                    compared += 1
    assert compared


def told_of(naive: Naive, bank: str) -> set[str] | None:
    """The loans that facts of a bank concern; None where a draw of any of them, be it another bank's, was taken
    back."""
    told = [event for event in naive.events if event.type in (*LOAN_FACTS, "RecoveryReceived")]
    loans = {event.data["loan"] for event in told if f"bank:{bank}" in event.tags and "loan" in event.data}
    undrawn = {e.data["loan"] for e in naive.events if e.data.get("reversed_type") == "LoanDrawn"}
    return None if loans & undrawn else loans


def test_a_loss_a_rest_not_in_default_and_a_default_taken_back_leave_a_loan_what_it_is(
    ledger: Ledger,
) -> None:
    """Of 200: 60 in default and 140 not, 10 lost; the default taken back once 30 more were repaid, 160 are left."""
    loan = {"loan": "L1"}
    dated = {"effective_on": "2024-02-01"}

    def outstanding_fen() -> int:
        (row,) = party_report(ledger.store, ledger.as_of(), BANK, "bank")["loans"]
        return int(row["outstanding_fen"])

    ledger.submit(*OPENING)
    position = ledger.submit(
        {"command": "report-default", **loan, "outstanding_fen": 60_000_000, "defaulted_on": "2024-01-01"}
    )[0]["positions"][0]
    assert outstanding_fen() == 200_000_000
    ledger.submit({"command": "report-loss", **loan, "loss_fen": 10_000_000, "document": "D", **dated})
    assert outstanding_fen() == 190_000_000
    ledger.submit(
        {"command": "repay-loan", **loan, "amount_fen": 30_000_000, **dated},
        {"command": "reverse-fact", "position": position, "reason": "a mistake"},
    )
    assert outstanding_fen() == 160_000_000


@pytest.mark.parametrize("seed", range(6))
def test_parties_are_what_was_told_of_them(ledger: Ledger, seed: int) -> None:
    """On both clocks: the name of the day, certificates that were not taken back, mergers and splits."""
    for as_of, naive in questions(ledger, seed):
        expected = naive.names()
        assert names(ledger.store, as_of) == expected
        for uscc, name in expected.items():
            known = party(ledger.store, as_of, uscc)
            assert known is not None
            assert known.name == name
            assert [entry["position"] for entry in known.certificates] == naive.certificates(uscc)
            assert [entry["position"] for entry in known.mergers] == naive.mergers(uscc)
            assert known in find(ledger.store, as_of, name, 100)
            assert find(ledger.store, as_of, uscc[3:].lower(), 1) == [known]


@pytest.mark.parametrize("seed", range(8))
def test_ladders_are_what_was_certified_and_awarded(ledger: Ledger, seed: int) -> None:
    """As known at any position: the awards that stand, also inherited ones, and the total in force of each year."""
    mix = Mix(steps={**Mix().steps, "certify": 20, "claim_award": 30, "merge": 6, "void": 10})
    ledger.submit(*history(seed, 150, mix))
    newest, random = ledger.store.head().position, Random(seed)
    ensure(ledger.store, newest)
    for known in (newest, *(random.randint(1, newest) for _ in range(10))):
        naive = Naive(ledger.store, known, None)
        awards, certified = naive.awards(), naive.certified()
        rows = {(row.bank, row.product): row for row in milestones(ledger.store, AsOf(None, known))}
        assert awards.keys() <= rows.keys()
        for key, row in rows.items():
            found = ladder(ledger.store, known, *key)
            assert found is not None
            left = {a["claim"]: a["amount_fen"] - a["recovered_error_fen"] for a in found.awards}
            assert left == awards.get(key, {}), (key, known)
            assert {c["year"]: c["total_fen"] for c in found.certified} == certified.get(key, {})
            assert found.row == row
            highest_fen = max((c["total_fen"] for c in found.certified), default=0)
            assert found.missing_fen == max(0, found.row.next_at_fen - highest_fen)
            assert found in ladders(ledger.store, AsOf(None, known), key[0])


@pytest.mark.parametrize("seed", range(4))
def test_ladders_on_a_business_date_are_what_was_effective_by_then(ledger: Ledger, seed: int) -> None:
    """On any day, as known at any position: the awards that stood, the totals certified by then, and as the mark the
    highest step that any of those awards reached."""
    mix = Mix(steps={**Mix().steps, "certify": 20, "claim_award": 30, "merge": 6, "void": 10})
    ledger.submit(*history(seed, 120, mix))
    newest, random = ledger.store.head().position, Random(seed)
    events = [*ledger.store.stored_events(0, newest)]
    days = sorted({event.effective_on for event in events})
    told = [codec.parse_object(event.data) for event in events if event.type == "CreditAwarded"]
    reached = {data["claim"]: data["mark"] for data in told}
    for known in (newest, *(random.randint(1, newest) for _ in range(5))):
        for on in (days[0], days[-1], *random.choices(days, k=3)):
            naive, as_of = Naive(ledger.store, known, on), ledger.as_of(on, known)
            found = ladders(ledger.store, as_of)
            left = {
                (one.row.bank, one.row.product): {
                    a["claim"]: a["amount_fen"] - a["recovered_error_fen"] for a in one.awards
                }
                for one in found
            }
            assert {key: awards for key, awards in left.items() if awards} == naive.awards(), (on, known)
            certified = {
                (one.row.bank, one.row.product): {c["year"]: c["total_fen"] for c in one.certified}
                for one in found
            }
            assert {key: totals for key, totals in certified.items() if totals} == naive.certified()
            for one in found:
                standing = naive.awards().get((one.row.bank, one.row.product), {})
                assert one.row.mark == max((reached[claim] for claim in standing), default=0)
                account = f"milestone/credit_award.product/{one.row.bank}/{one.row.product}"
                if on == days[-1]:
                    assert ledger.balance(account, on, known) // YI == one.row.mark


def test_the_mark_of_a_day_is_that_of_the_awards_that_stood_on_it(ledger: Ledger) -> None:
    """Also where an award was claimed after a higher one that is effective later, or after a void that is: never more
    than was certified, whatever the lines of both sum to on that day."""
    certify = {"command": "certify-credit", "bank": BANK, "product": "P", "effective_on": "2024-01-01"}
    award = {"command": "claim-credit-award", "round": "R1", "bank": BANK, "product": "P"}
    ledger.submit(
        *OPENING,
        {**certify, "year": 2022, "total_fen": 2 * YI, "certificate": "Z1"},
        {**certify, "year": 2023, "total_fen": 3 * YI, "certificate": "Z2"},
        {**award, "claim": "A1", "year": 2022, "effective_on": "2024-06-01"},
        {**award, "claim": "A2", "year": 2023, "effective_on": "2024-02-01"},
        {"command": "void", "claim": "A2", "reason": "a mistake", "effective_on": "2024-11-01"},
        {"command": "void", "claim": "A1", "reason": "a mistake", "effective_on": "2024-11-02"},
        {**award, "claim": "A3", "year": 2023, "effective_on": "2024-03-01"},
    )

    def mark(on: str | None, known: int) -> int:
        (row,) = milestones(ledger.store, ledger.as_of(on, known))
        return row.mark

    newest = ledger.store.head().position
    before_the_voids = newest - 3
    assert [mark(day, before_the_voids) for day in ("2024-01-31", "2024-02-15", "2024-06-30")] == [0, 3, 3]
    days = ("2024-02-15", "2024-06-30", "2024-11-01", "2024-12-31", None)
    assert [mark(day, newest) for day in days] == [3, 3, 3, 3, 3]


def test_names_of_chinese_parties_are_found_in_order_of_their_sound(ledger: Ledger) -> None:
    """By a part of a name, of a former name or of the code; as many as were asked for."""
    codes = ("91350100M000100Y43", "91110000600037341L", "91110108551385082Q", "911101066976941872")
    named = ("中信科技", "阿里科技", '重庆"银行"', "Éclair Baidu 科技")
    ledger.submit(
        *(
            {"command": "register-party", "uscc": code, "kind": "firm", "name": name}
            for code, name in zip(codes, named, strict=True)
        ),
        {"command": "rename-party", "uscc": codes[0], "name": "安泰", "effective_on": "2099-01-01"},
    )
    as_of = ledger.as_of("2098-12-31")
    assert [p.name for p in find(ledger.store, as_of, "科技", 9)] == [
        "Éclair Baidu 科技",
        "阿里科技",
        "中信科技",
    ]
    assert [p.name for p in find(ledger.store, as_of, "BAIDU", 9)] == ["Éclair Baidu 科技"]
    assert [p.name for p in find(ledger.store, as_of, '"银行"', 9)] == ['重庆"银行"']
    assert [p.uscc for p in find(ledger.store, as_of, "Éclair bai", 9)] == [codes[3]]
    assert len(find(ledger.store, as_of, "", 2)) == 2
    assert find(ledger.store, as_of, "安泰", 9) == []
    later = ledger.as_of("2099-01-01")
    assert [p.name for p in find(ledger.store, later, "中信", 9)] == ["安泰"]


def test_a_merger_is_known_from_its_position_and_effective_on_its_day(ledger: Ledger) -> None:
    """Who absorbed whom depends on both clocks."""
    one, other = "91350100M000100Y43", "91110000600037341L"
    ledger.submit(
        {"command": "register-party", "uscc": one, "kind": "firm", "name": "甲"},
        {"command": "register-party", "uscc": other, "kind": "firm", "name": "乙"},
        {
            "command": "merge-parties",
            "survivor": one,
            "absorbed": other,
            "document": "d",
            "effective_on": "2026-02-01",
        },
    )
    found = []
    for on, known in (("2026-01-31", 3), ("2026-02-01", 3), ("2026-02-01", 2), (None, 3)):
        gone = party(ledger.store, ledger.as_of(on, known), other)
        found.append(gone and gone.absorbed_into)
    assert found == [None, one, None, one]
    assert party(ledger.store, ledger.as_of(None, 1), other) is None


def test_reads_go_on_when_another_generation_was_swapped_in(ledger: Ledger, database: str) -> None:
    """A connection that read a generation which a rebuild dropped reads the new one."""
    ledger.submit(*history(21, 90))
    as_of = ledger.as_of()

    def everything() -> list[Any]:
        bank = milestones(ledger.store, as_of)[0]
        (first, *_) = names(ledger.store, as_of)
        (round_id, *_) = (row.round for row in rounds(ledger.store, as_of))
        return [
            ladders(ledger.store, as_of),
            ladder(ledger.store, as_of.known_position, bank.bank, bank.product),
            party(ledger.store, as_of, first),
            find(ledger.store, as_of, "", 100),
            life(ledger.store, as_of, round_id),
            portfolio(ledger.store, as_of),
        ]

    for read in (everything, lambda: names(ledger.store, as_of), lambda: rounds(ledger.store, as_of)):
        before: Any = read()
        with Runner(database) as runner:
            rebuild(runner, list(runner.known), lambda *progress: None)
        assert read() == before


FORGERIES = {
    "a document": "update {} set document = replace(document, '\"', '''') where {}",
    "a digit": "update {} set document = regexp_replace(document, '([0-9])', '7\\1') where {}",
    "a position": "update {} set position = position + 1 where {}",
    "a key": "update {} set key = key || 'x' where {}",
    "a document gone": "delete from {} where {}",
    "a document more": "insert into {0} select key, position + 1, document from {0} d where {1}",
    "a line": "update {} set lines = set_byte(lines, 8, get_byte(lines, 8) # 1) where {}",
    "a measure": "update {} set lines = set_byte(lines, 16, get_byte(lines, 16) # 3) where {}",
    "a day": "update {} set lines = set_byte(lines, 20, get_byte(lines, 20) # 1) where {}",
    "a folio": "update {} set folio = folio || 'x' where {}",
    "a page gone": "delete from {} where {}",
    "a page more": "insert into {0} select folio, page + 1, first_position, opening, lines from {0} f where {1}",
}
_TABLES = {
    "milestones": ("documents",),
    "parties": ("documents",),
    "portfolio": ("folios",),
    "rounds": ("documents", "folios"),
}
CASES = [
    (name, table, forgery)
    for name, tables in _TABLES.items()
    for table in tables
    for forgery in list(FORGERIES)[slice(0, 6) if table == "documents" else slice(6, None)]
]


@pytest.mark.parametrize(("name", "table", "forgery"), CASES)
def test_a_changed_row_is_found_and_its_table_named(
    ledger: Ledger, database: str, name: str, table: str, forgery: str
) -> None:
    """Whatever an administrator changes in any table of these projections, the check names the table."""
    ledger.submit(*history(21, 90))
    ensure(ledger.store, ledger.store.head().position)
    shelf = shelves.live(ledger.store, name)
    assert shelf is not None
    path = f"{shelf.schema}.{table}"
    changeable = (
        "where document ~ '\".*[0-9]'" if table == "documents" else ""
    )  # some forgeries want such letters
    one = f"ctid = (select ctid from {path} {changeable} order by random() limit 1)"
    with psycopg.connect(database, autocommit=True) as owner:
        assert owner.execute(FORGERIES[forgery].format(path, one).encode()).rowcount == 1
    assert path in {finding.table for finding in run(ledger.store, ["projections"]).findings}


def test_nothing_is_found_where_nothing_was_changed(ledger: Ledger) -> None:
    """The history of the forgeries itself is sound, and fills every table."""
    ledger.submit(*history(21, 90))
    ensure(ledger.store, ledger.store.head().position)
    assert run(ledger.store, ["projections"]).findings == []
    for name, tables in _TABLES.items():
        shelf = shelves.live(ledger.store, name)
        assert shelf is not None
        for table in tables:
            counted = ledger.store.connection.execute(f"select count(*) from {shelf.schema}.{table}".encode())
            assert counted.fetchone() != (0,)


@pytest.mark.parametrize("number", [-3, -1, 0, 1, 5, 10**6])
@pytest.mark.parametrize("fen", [0, 1, -1, measures._SUM_FEN_MAX - 1, 1 - measures._SUM_FEN_MAX])
def test_a_count_and_a_sum_are_told_apart(number: int, fen: int) -> None:
    """Up to the bound that a fold guards, whatever the count."""
    assert measures.split(number * measures.COUNT + fen) == (number, fen)


LARGEST_FEN = 2**53 - 1


def test_sums_of_the_largest_amounts_are_exact(ledger: Ledger) -> None:
    """However many there are on one day: as they come, rebuilt, and folded independently."""
    firm, bank = "91350100M000100Y43", "91110108551385082Q"
    draw: dict[str, Any] = {"command": "draw-loan", "firm": firm, "bank": bank, "security": "credit"}
    draw |= {"drawn_on": "2024-01-01", "principal_fen": LARGEST_FEN}
    repay = {"command": "repay-loan", "loan": "L0", "amount_fen": LARGEST_FEN, "effective_on": "2024-01-02"}
    budget = {"budget_fen": LARGEST_FEN, "rulebook": "shanxi-2022", "effective_on": "2024-01-01"}
    adjust = {"command": "adjust-budget", "round": "R", "document": "D", "effective_on": "2024-01-01"}
    grant: dict[str, Any] = {"command": "claim-service-grant", "round": "R", "payee": firm, "document": "D"}
    grant |= {"decided_fen": LARGEST_FEN, "effective_on": "2024-01-02"}
    review = {"passed": True, "document": "D", "on": "2024-01-01"}
    grant["reviews"] = [review | {"kind": kind} for kind in ("expert", "onsite")]
    ledger.submit(
        {"command": "register-party", "uscc": firm, "kind": "firm", "name": "甲"},
        {"command": "register-party", "uscc": firm, "kind": "service_body", "name": "甲"},
        {"command": "register-party", "uscc": bank, "kind": "bank", "name": "乙"},
        {"command": "open-round", "round": "R", "year": 2024} | budget,
    )
    times = 300
    for first in range(0, times, 100):
        some = range(first, first + 100)
        ledger.submit(*[draw | {"loan": f"L{i}"} for i in some])
        ledger.submit(*[repay for _ in some], *[adjust | {"amount_fen": LARGEST_FEN} for _ in some])
        ledger.submit(*[grant | {"claim": f"C{i}"} for i in some])
        ledger.as_of()
    as_of = ledger.as_of()
    lent = portfolio(ledger.store, as_of)[0]
    assert (lent.loans, lent.lent_fen, lent.repaid_fen) == (times, times * LARGEST_FEN, times * LARGEST_FEN)
    assert [row.committed_fen for row in rounds(ledger.store, as_of)] == [times * LARGEST_FEN]
    assert run(ledger.store, ["projections"]).findings == []


def test_more_money_on_a_day_than_a_folio_can_add_up_stops_the_projection(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never a wrong sum: the fold stops with a clear state, and everything else goes on."""
    firm, bank = "91350100M000100Y43", "91110108551385082Q"
    lines: list[dict[str, Any]] = [
        {"command": "register-party", "uscc": firm, "kind": "firm", "name": "甲"},
        {"command": "register-party", "uscc": bank, "kind": "bank", "name": "乙"},
    ]
    draw: dict[str, Any] = {"command": "draw-loan", "firm": firm, "bank": bank, "security": "credit"}
    draw |= {"drawn_on": "2024-01-01", "principal_fen": 2**36 - 1}
    lines += [draw | {"loan": f"L{i}"} for i in range(140)]
    ledger.submit(*lines[:100])
    ledger.as_of()
    monkeypatch.setattr(measures, "_SUM_FEN_MAX", 2**40)
    assert {finding.check for finding in run(ledger.store, ["projections"]).findings} == {"projections"}
    monkeypatch.setattr(measures, "_SUM_FEN_MAX", 2**43)
    ledger.submit(*lines[100:])
    as_of = ledger.as_of()
    found = {status.name: status for status in statuses(ledger.store)}
    stopped = found.pop("portfolio")
    # 2^43 is 128 principals of 2^36.
    assert stopped.stopped_at is not None
    assert SumsTooLarge.__name__ in str(stopped.problem)
    assert stopped.position == stopped.stopped_at - 1
    assert portfolio(ledger.store, AsOf(None, stopped.position))[0].lent_fen == (stopped.position - 2) * (
        2**36 - 1
    )
    assert all(status.lag == 0 for status in found.values())
    with pytest.raises(shelves.NotProjected):
        portfolio(ledger.store, as_of)
    told = run(ledger.store, ["projections"])
    assert told.findings == []
    assert any("portfolio stopped" in notice.detail for notice in told.notices)
