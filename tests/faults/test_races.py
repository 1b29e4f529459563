"""Many processes on one ledger: no cap is passed, nothing is recorded twice, no reader sees a gap."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from tests.cli.program import (
    BANK,
    FIRM,
    OPENING,
    OTHER_FIRM,
    PATIENCE_SECONDS,
    Line,
    Program,
    claim,
    data_folder,
    draw,
    ndjson,
    next_line,
    open_round,
    publicise,
    register,
    repay,
)

PROCESSES = 6
#: Sizes of the pieces in which each process gets its file: line by line, at random, all at once.
PIECES = {"line by line": (1, 1), "in pieces": (1, 9), "at once": (10_000, 10_000)}


@pytest.fixture
def kejin(empty_database: str) -> Program:
    """The program on a new empty database."""
    return Program(empty_database)


def feed(kejin: Program, files: Sequence[Sequence[Line]], piece: tuple[int, int]) -> list[list[Any]]:
    """One `kejin run` per file, all at work at the same moment; the outcomes of each file.

    A process gets its lines in pieces and waits for their outcomes, so that batches of all processes interleave.
    """
    gate = threading.Barrier(len(files), timeout=PATIENCE_SECONDS)
    answers: list[list[Any]] = [[] for _ in files]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        process = kejin.start("run", "-", "--json")
        try:
            assert process.stdin and process.stdout and process.stderr
            process.stdin.write(
                b"{}\n"
            )  # invalid, writes nothing: its outcome tells that the process is ready
            process.stdin.flush()
            assert next_line(process)["outcome"] == "invalid"
            gate.wait()
            rest, random = list(files[number]), Random(number)
            while rest:
                size = random.randint(*piece)
                process.stdin.write(ndjson(*rest[:size]))
                process.stdin.flush()
                answers[number] += [next_line(process) for _ in rest[:size]]
                rest = rest[size:]
            answer = kejin.finish(process)
            assert (answer.code, answer.out) == (2, b""), answer
            assert answer.complaint.startswith(f"1 of {len(files[number]) + 1} lines invalid; line 1: ")
        except BaseException as error:
            gate.abort()
            process.kill()
            process.communicate()
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(files))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    return answers


def holds(kejin: Program, answers: Sequence[Sequence[Any]]) -> list[Any]:
    """Everything verifies, positions are gapless, and each outcome's positions are its own; the events."""
    assert kejin.ask("verify", "all")["findings"] == []
    events = kejin.events()
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))
    told = Counter(p for answer in answers for outcome in answer for p in outcome["positions"])
    assert set(told.values()) <= {1}
    assert all(answer == sorted(answer, key=lambda outcome: outcome["positions"]) for answer in answers)
    return events


def a_day(number: int) -> str:
    """A day of its own for each number."""
    return (date(2023, 3, 1) + timedelta(days=number)).isoformat()


def claims(random: Random, amount_fen: int, count: int = 25, **more: Any) -> list[list[Line]]:
    """A file of claims per process, on days of their own, effective on any date of 2024."""
    return [
        [
            claim(
                f"C{process}-{n}",
                2 * amount_fen,
                a_day(process * count + n),
                effective_on=f"2024-{random.randint(1, 12):02}-{random.randint(1, 28):02}",
                **more,
            )
            for n in range(count)
        ]
        for process in range(PROCESSES)
    ]


@pytest.mark.parametrize("piece", PIECES)
def test_a_firm_cap_is_granted_exactly(kejin: Program, piece: str) -> None:
    """Six processes claim at the edge of one firm's 200,000 yuan: that sum is granted, not a fen more or less."""
    opening = (open_round(budget_fen=10**12), *OPENING[1:3], draw(principal_fen=10**11))
    kejin.record(*opening)
    answers = feed(kejin, claims(Random(1), 300_001), PIECES[piece])
    events = holds(kejin, answers)
    granted = [outcome["amount_fen"] for answer in answers for outcome in answer if "amount_fen" in outcome]
    assert sum(granted) == 20_000_000
    assert sorted(granted)[1:] == [300_001] * 66
    codes = Counter(outcome.get("code") for answer in answers for outcome in answer)
    assert codes == {None: 67, "firm_cap_reached": 83}
    assert len(events) == 5 + PROCESSES * 25
    row = next(row for row in kejin.ask("caps") if row["cap"].endswith(".firm"))
    assert (row["consumed_fen"], row["room_fen"]) == (20_000_000, 0)


def test_a_loans_principal_cap_is_granted_exactly(kejin: Program) -> None:
    """Six processes claim on one loan: exactly three per cent of its principal are granted."""
    kejin.record(*OPENING[:3], draw(principal_fen=200_000_033))
    answers = feed(kejin, claims(Random(2), 70_000), PIECES["in pieces"])
    holds(kejin, answers)
    granted = [outcome.get("amount_fen", 0) for answer in answers for outcome in answer]
    assert sum(granted) == 6_000_000  # floor of 6,000,000.99
    codes = Counter(outcome.get("code") for answer in answers for outcome in answer)
    assert codes == {None: 86, "principal_cap_reached": 64}


def test_a_rounds_budget_is_granted_exactly(kejin: Program) -> None:
    """Six processes with loans of their own claim at the edge of one round: as many are granted as it can pay."""
    budget_fen = 40 * 70_000 + 69_999
    kejin.record(
        open_round(budget_fen=budget_fen),
        *(register(uscc) for uscc in (FIRM, OTHER_FIRM)),
        register(BANK, "bank"),
        *(draw(f"L{n}", 10**9, (FIRM, OTHER_FIRM)[n % 2]) for n in range(PROCESSES)),
    )
    files = [
        [{**line, "loan": f"L{n}"} for line in file] for n, file in enumerate(claims(Random(3), 70_000, 15))
    ]
    answers = feed(kejin, files, PIECES["in pieces"])
    holds(kejin, answers)
    codes = Counter(outcome.get("code") for answer in answers for outcome in answer)
    assert codes == {None: 40, "budget_short": 50}
    assert kejin.ask("balance", "public/round/R1/available")["balance_fen"] == 69_999
    assert kejin.ask("balance", "public/round/R1/committed")["balance_fen"] == 40 * 70_000


def test_one_claim_by_many_under_keys_of_their_own_is_granted_once(kejin: Program) -> None:
    """Two claims that share a day, a slip or an id never both pass, whoever sends them."""
    kejin.record(open_round(budget_fen=10**12), *OPENING[1:3], draw(principal_fen=10**11))
    files = [
        [
            line
            for n in range(8)
            for line in (
                claim(f"same-{n}", 1000, a_day(3 * n), key=f"id {process} {n}"),
                claim(f"days-{process}-{n}", 1000, a_day(3 * n + 1)),
                claim(
                    f"slip-{process}-{n}",
                    1000,
                    a_day(100 + 8 * process + n),
                    slips=[{"number": f"S{n}", "amount_fen": 1000}],
                ),
            )
        ]
        for process in range(PROCESSES)
    ]
    answers = feed(kejin, files, PIECES["in pieces"])
    holds(kejin, answers)
    codes = Counter(outcome.get("code") for answer in answers for outcome in answer)
    assert codes == {None: 24, "duplicate_claim": 2 * 8 * 5, "duplicate_slip": 8 * 5}


@pytest.mark.parametrize("piece", ["in pieces", "at once"])
def test_one_file_by_many_is_recorded_once(kejin: Program, piece: str) -> None:
    """Six processes with the same file: each command is recorded once, everybody else is told `repeated`."""
    file = (*OPENING, claim(), publicise(), *(repay(7) for _ in range(30)), claim("C2", loan="L9"), repay(9))
    answers = feed(kejin, [file] * PROCESSES, PIECES[piece])
    events = kejin.events()
    assert [event["position"] for event in events] == list(range(1, len(file) + 2))
    for same in zip(*answers, strict=True):
        first = [outcome for outcome in same if outcome["outcome"] != "repeated"]
        assert len(first) == 1
        for outcome in same:
            if outcome["outcome"] == "repeated":
                told = {**outcome, "outcome": outcome["first"]}
                del told["first"]
                assert told == first[0]
    assert kejin.ask("verify", "all")["ok"]
    assert kejin.ask("balance", "private/loan/L1/repaid")["balance_fen"] == 30 * 7 + 9


def test_the_first_start_of_many_on_one_absent_folder(tmp_path: Path) -> None:
    """Processes that come at once to an absent folder find one server, one schema, one ledger."""
    with data_folder(tmp_path / "data", absent=True) as kejin:
        started = [kejin.start("run", "-", "--json") for _ in range(PROCESSES)]
        for process in started:
            assert process.stdin
        answers = []
        finished: list[Any] = [None] * PROCESSES

        def end(number: int) -> None:
            finished[number] = kejin.finish(started[number], ndjson(*OPENING, repay(number + 1)))

        threads = [threading.Thread(target=end, args=(number,)) for number in range(PROCESSES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for answer in finished:
            # Who waits long says for whom; how long is a matter of the machine.
            said = [line for line in answer.err.splitlines() if "waiting for process" not in line]
            assert (answer.code, said) == (0, []), answer
            answers.append(answer.lines)
        accepted = Counter(line["outcome"] for answer in answers for line in answer)
        assert accepted == {"accepted": 4 + PROCESSES, "repeated": 4 * (PROCESSES - 1)}
        events = kejin.events()
        assert [event["position"] for event in events] == list(range(1, 6 + PROCESSES))
        assert kejin.ask("verify", "all")["ok"]


def test_a_rulebook_is_adopted_once(kejin: Program) -> None:
    """Rounds opened by many processes at once adopt each version of each rulebook once, before its first use."""
    calls: tuple[dict[str, Any], ...] = ({}, {"call": "shanxi-2023"}, {"call": "shanxi-2024"})
    files = [[open_round(f"R{n}-{i}", **calls[(n + i) % 3]) for i in range(10)] for n in range(PROCESSES)]
    events = holds(kejin, feed(kejin, files, PIECES["line by line"]))
    adopted = {e["data"]["rulebook"]: e["position"] for e in events if e["type"] == "RulebookAdopted"}
    assert Counter(event["type"] for event in events) == {"RulebookAdopted": 3, "RoundOpened": 60}
    for event in events:
        if event["type"] == "RoundOpened":
            for name in ("rulebook", "call"):
                if name in event["data"]:
                    assert adopted[event["data"][name]] < event["position"]


@contextmanager
def at_work(kejin: Program, files: Sequence[Sequence[Line]]) -> Iterator[threading.Event]:
    """Writers in the background; the event tells that they are done."""
    done, failures = threading.Event(), []

    def write() -> None:
        try:
            feed(kejin, files, (1, 5))
        except BaseException as error:
            failures.append(error)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield done
    finally:
        writer.join()
    assert not failures, failures


def test_a_reader_never_sees_a_gap(kejin: Program, empty_database: str) -> None:
    """While many write, every reading of the log is gapless and begins with the reading before it, and a balance
    as known at a position is what those events say."""
    kejin.record(open_round(budget_fen=10**12), *OPENING[1:3], draw(principal_fen=10**11))
    readings = [kejin.events()]
    polls = 0
    with (
        at_work(kejin, claims(Random(4), 1000, 200)) as done,
        psycopg.connect(empty_database, autocommit=True) as poll,
    ):
        while not done.is_set():
            answer = kejin.ask("balance", f"quota/shanxi.loan_interest.firm/{FIRM}")
            readings.append(kejin.events())
            known = readings[-1][: answer["known_position"]]
            granted = sum(event["data"].get("amount_fen", 0) for event in known)
            assert answer["balance_fen"] == granted
            for _ in range(100):
                row = poll.execute("select count(*), max(position), min(position) from events").fetchone()
                assert row is not None
                assert row[0] == row[1] - row[2] + 1
                polls += 1
    readings.append(kejin.events())
    for before, after in itertools.pairwise(readings):
        assert [event["position"] for event in after] == list(range(1, len(after) + 1))
        assert after[: len(before)] == before
    assert len({len(reading) for reading in readings}) > 2, "nothing was read while others wrote"
    assert polls
    assert len(readings[-1]) == 5 + PROCESSES * 200
