"""The pipeline decides each batch while those before it are written: with the outcomes of one batch after the other,
and with nothing left of a batch that fails nor of what was decided on top of it."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import psycopg
import pytest

from api.appending import start
from ledger import appending, codec, commands, loading, pipeline
from ledger.appending import ProcessAppender
from ledger.catalogue import catalogue
from ledger.commands import Command, InvalidCommand
from ledger.loading import Loader
from ledger.outcomes import Outcome
from ledger.pipeline import Pipeline
from ledger.store import Store
from ledger.writing import Writing
from tests.cli.program import OPENING, Program, claim, draw, repay
from tests.histories import TODAY, history, line_keys
from tests.support import fresh_database

KNOWN = catalogue()


def test_a_column_of_somebody_else_stops_no_writer(database: str) -> None:
    """Few events and many are recorded beside it, which stays empty. Where it comes or goes while somebody writes, one
    turn fails at most, and the same writer goes on."""
    with psycopg.connect(database, autocommit=True) as owner, Store.open(database) as store:
        with Pipeline(store, KNOWN, "me") as pipeline:
            pipeline.submit(read(OPENING))
            for number, change in enumerate(
                ("add column note text", "drop column note", "add column other int")
            ):
                owner.execute(f"alter table events {change}".encode())
                (command,) = read([repay(1)], [f"few {number}"])
                with contextlib.suppress(psycopg.Error):
                    pipeline.submit([command])
                assert pipeline.submit([command])[0].outcome in ("accepted", "repeated")
            many = [repay(amount_fen) for amount_fen in range(1, 100)]
            assert {one.outcome for one in pipeline.submit(read(many))} == {"accepted"}
        owner.execute("alter table events drop column other")
    assert Program(database).ask("verify", "all")["findings"] == []


def read(lines: Sequence[dict[str, Any]], keys: Sequence[str] | None = None) -> list[Command]:
    """The well-formed ones of some lines."""
    found = []
    for number, line in enumerate(lines):
        key = keys[number] if keys else f"line {number}"
        try:
            sent = codec.parse_object(codec.canonical(line))
            found.append(commands.read(sent, KNOWN.specs, TODAY, lambda key=key: key))  # type: ignore[misc]
        except (InvalidCommand, codec.NotStrictJson):
            pass
    return found


@contextmanager
def opened(address: str, *, with_child: bool = False) -> Iterator[Pipeline]:
    """A pipeline on a ledger."""
    with Store.open(address, by_index=True) as store, Pipeline(store, KNOWN, "tester") as one:
        if with_child:
            one.start_child = lambda: start(address, None, sign=False)
        yield one


def log(address: str) -> list[Any]:
    """The log without what a clock decided."""
    with Store.open(address) as store:
        events = store.stored_events(0, store.head().position)
        return [
            (e.position, e.effective_on, e.type, e.tags, e.data, e.postings, e.key, e.span) for e in events
        ]


def in_pieces(sent: Sequence[Command], random: Random) -> Iterator[Sequence[Command] | None]:
    """Batches of any size; now and then nothing more waits."""
    rest = list(sent)
    while rest:
        size = random.choice((0, 1, 3, 20))
        yield rest[:size]
        del rest[:size]
        if random.random() < 0.2:
            yield None


def documents(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Outcomes as they are told."""
    return [outcome.document() for outcome in outcomes]


@pytest.mark.parametrize("remembered", [0, 3, 10**6])
@pytest.mark.parametrize("seed", range(6))
def test_overlapping_changes_nothing(
    seed: int, remembered: int, any_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcomes and the log are those of one command after the other, however late a batch is committed, and also
    where what a batch needs was forgotten and lies half in the log, half in the batch that is being written."""
    lines = history(seed, length=150)
    sent, random = read(lines, list(line_keys(lines))), Random(seed)
    with fresh_database(any_server) as plain, fresh_database(any_server) as overlapped:
        with opened(plain) as one:
            expected = [documents(found) for found in one.outcomes([item] for item in sent)]
        monkeypatch.setattr(loading, "LIMITS", (remembered, remembered, remembered))
        write = Writing.write

        def late(writing: Writing, *rest: Any) -> None:
            time.sleep(random.choice((0, 0, 0.02)))
            write(writing, *rest)
            time.sleep(random.choice((0, 0, 0.02)))

        monkeypatch.setattr(Writing, "write", late)
        with opened(overlapped) as one:
            one.alone_max = 3 * (seed % 2)
            got = [
                document for found in one.outcomes(in_pieces(sent, random)) for document in documents(found)
            ]
        assert got == [document for found in expected for document in found]
        assert log(overlapped) == log(plain)


@pytest.mark.parametrize("seed", range(3))
def test_a_process_that_writes_changes_nothing(
    seed: int, any_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcomes and the log are those of a thread that writes, wherever in the input the process takes over."""
    monkeypatch.setattr(pipeline, "MANY_COMMANDS", 1)
    lines = history(seed, length=400)
    sent, random = read(lines, list(line_keys(lines))), Random(seed)
    with fresh_database(any_server) as plain, fresh_database(any_server) as by_process:
        with opened(plain) as one:
            expected = [documents(found) for found in one.outcomes([item] for item in sent)]
        with opened(by_process, with_child=True) as one:
            one.alone_max = 3  # small batches go in between by themselves
            got = []
            for number, found in enumerate(one.outcomes(in_pieces(sent, random))):
                got += documents(found)
                if (
                    number == 20
                ):  # let it become ready; which of the next batches it begins with is left to chance
                    until_ready(one)
            assert one.appends_in_process
        assert got == [document for found in expected for document in found]
        assert log(by_process) == log(plain)


def until_ready(one: Pipeline) -> None:
    """Wait for the first word of the process that writes, without taking it."""
    if one._child is not None:
        select.select([one._child._from], [], [], 30)


def test_the_death_of_the_process_that_writes_is_an_error_of_the_database(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is told of a batch that it was killed with, the lock is free, and sending all again completes."""
    monkeypatch.setattr(pipeline, "MANY_COMMANDS", 1)
    batches = [read(OPENING), read([draw("L9")]), *([c] for c in read(many_claims(60)))]
    told: list[Any] = []
    with opened(database, with_child=True) as one, pytest.raises(psycopg.OperationalError):
        for found in one.outcomes(batches):
            told += [documents(found)]
            if len(told) == 4:
                until_ready(one)
            if one.appends_in_process and len(told) == 20:
                child = one._appender
                assert isinstance(child, ProcessAppender)
                child._child.kill()
    assert 20 <= len(told) < len(batches)
    assert len(log(database)) >= max(outcome["positions"][-1] for found in told for outcome in found)
    with opened(database) as one:
        again = [documents(found) for found in one.outcomes(batches)]
    assert {o["outcome"] for found in again[: len(told)] for o in found} == {"repeated"}
    assert len(log(database)) == max(outcome["positions"][-1] for found in again for outcome in found)
    assert Program(database).ask("verify", "all")["findings"] == []


def many_claims(count: int) -> list[dict[str, Any]]:
    """Claims on one loan, month by month."""
    days = [
        f"20{year}-{month:02d}-{day:02d}" for year in (23, 24) for month in range(1, 13) for day in (1, 9, 20)
    ]
    return [claim(f"C{n}", 100, day, loan="L9") for n, day in enumerate(days[:count])]


def test_a_process_that_cannot_connect_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """A process to write that finds no database ends in silence, and as an error of the database: what it would have
    said is its parent's to say, in one line."""
    child = start("host=127.0.0.1 port=1 dbname=none", None, sign=False)
    with pytest.raises(psycopg.OperationalError):
        while not child.is_ready():
            select.select([child._from], [], [])
    child.close()
    assert capfd.readouterr().err == ""


def test_outcomes_are_told_after_their_commit(database: str) -> None:
    """Whoever is told of an outcome finds its event in the log."""
    sent = read([*OPENING, *(claim(f"C{n}", 200, f"2023-03-{n + 1:02d}") for n in range(20))])
    with opened(database) as one, Store.open(database) as other:
        for found in one.outcomes([item] for item in sent):
            assert other.head().position >= max(outcome.positions[-1] for outcome in found)


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_batch_that_fails_drops_what_was_decided_on_top_of_it(
    failing: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it nor of the next batch is in the log or told, and sending all again ends in the same ledger."""
    batches = [
        read(OPENING),
        read([draw("L9"), claim("C1", 10_000, "2023-03-01")]),
        read([claim("C2", 10_000, "2023-04-01", loan="L9"), claim("C3", 10_000, "2023-04-02", loan="L9")]),
        read([claim("C4", 10_000, "2023-05-01", loan="L9")]),
    ]
    write, written = Writing.write, list[Writing]()

    def failing_once(writing: Writing, *rest: Any) -> None:
        write(writing, *rest)
        written.append(writing)
        if len(written) == failing + 1:
            time.sleep(0.2)  # the next batch is decided meanwhile
            raise psycopg.OperationalError("the disk is full")

    monkeypatch.setattr(Writing, "write", failing_once)
    told: list[Any] = []
    with opened(database) as one, pytest.raises(psycopg.OperationalError):
        for found in one.outcomes(batches):
            told += [documents(found)]
    assert len(told) == failing
    assert len(log(database)) == max(outcome["positions"][-1] for found in told for outcome in found)
    with opened(database) as one:
        again = [documents(found) for found in one.outcomes(batches)]
    assert [[o["outcome"] for o in found] for found in again[:failing]] == [
        ["repeated"] * len(f) for f in told
    ]
    assert {o["outcome"] for found in again[failing:] for o in found} == {"accepted"}
    assert Program(database).ask("verify", "all")["findings"] == []


def test_batches_are_decided_while_two_before_them_wait_to_be_written(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes never lacks work while one batch takes longer to decide, and each outcome is told after its commit."""
    batches = [read(OPENING), read([draw("L9")]), *([one] for one in read(many_claims(8)))]
    write, decided, written = Writing.write, list[Writing](), list[Writing]()
    of = Writing.of.__func__  # type: ignore[attr-defined]

    def noted(cls: type[Writing], events: Any, loader: Any) -> Writing:
        decided.append(of(cls, events, loader))
        return decided[-1]

    def late(writing: Writing, *rest: Any) -> None:
        written.append(writing)
        wanted, deadline = min(len(written) + 2, len(batches)), time.monotonic() + 20
        while len(decided) < wanted:  # two batches more, unless there are none
            assert time.monotonic() < deadline, "what decides waits for what writes"
            time.sleep(0.001)
        write(writing, *rest)

    monkeypatch.setattr(Writing, "of", classmethod(noted))
    monkeypatch.setattr(Writing, "write", late)
    with opened(database) as one, Store.open(database) as other:
        for found in one.outcomes(batches):
            assert other.head().position >= max(outcome.positions[-1] for outcome in found)
    assert written == decided


@pytest.mark.parametrize("remembered", [0, 5])
@pytest.mark.parametrize("seed", range(3))
def test_three_that_write_at_once_record_each_key_once(
    seed: int, remembered: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three pipelines on one ledger, one with a process that writes, all sending the same commands, some of them
    twice: each is recorded once, and everybody is told where, however little they remember."""
    monkeypatch.setattr(loading, "LIMITS", (remembered, remembered, remembered))
    monkeypatch.setattr(pipeline, "MANY_COMMANDS", 1)
    lines = history(seed, length=250)
    sent = read(lines, list(line_keys(lines)))
    told: list[tuple[Command, Outcome]] = []
    write, delays = Writing.write, Random(seed)

    def late(writing: Writing, *rest: Any) -> None:
        time.sleep(delays.choice((0, 0.005, 0.02)))
        write(writing, *rest)

    monkeypatch.setattr(Writing, "write", late)

    def work(number: int) -> None:
        random, given = Random(10 * seed + number), list[Sequence[Command]]()

        def batches() -> Iterator[Sequence[Command] | None]:
            at = 0
            while at < len(sent):
                size = random.choice((0, 1, 3, 10))
                again = random.sample(sent[max(0, at - 12) : at], k=min(at, random.choice((0, 0, 2))))
                given.append([*sent[at : at + size], *again])
                yield given[-1]
                at += size
                if random.random() < 0.1:
                    yield None

        with opened(database, with_child=number == 0) as one:
            one.held_seconds_min = 0.01 * (number == 0)
            one.alone_max = 2 * number
            for batch, outcomes in zip(given, one.outcomes(batches()), strict=False):
                told.extend(zip(batch, outcomes, strict=True))
                if random.random() < 0.1:
                    one.let_go()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorded = {event[6]: event for event in log(database) if event[6] is not None}
    assert len(recorded) == sum(event[6] is not None for event in log(database))
    known = [(command, outcome) for command, outcome in told if outcome.code != "key_reused"]
    assert {command.key for command, _ in known} == recorded.keys()
    assert all(outcome.positions[-1] == recorded[command.key][0] for command, outcome in known)
    first = [command.key for command, outcome in known if outcome.outcome != "repeated"]
    assert len(first) == len(set(first)) == len(recorded)
    assert Program(database).ask("verify", "all")["findings"] == []


def test_what_was_set_aside_does_not_outlive_what_was_passed_over(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who remembers nothing passes over what others appended; what lies aside from before is then read anew."""
    monkeypatch.setattr(loading, "LIMITS", (0, 0, 0))
    with opened(database) as one, Store.open(database, by_index=True) as store:
        list(one.outcomes([read([*OPENING, draw("L9"), claim("C1", 10_000, "2023-03-01", loan="L9")])]))
        next_one = read([claim("C3", 10_000, "2023-05-01", loan="L9")])
        loader, fresh = Loader(store, KNOWN), Loader(store, KNOWN)

        def begin(with_loader: Loader, sent: list[Command]) -> dict[str, int]:
            with store.reading() as head:
                with_loader.begin(head, sent)
            if not sent:
                return {}
            found = with_loader.state.accounts_of("loan:L9")
            return {path: sums.total_fen for path, sums in found.items()}

        begin(loader, next_one)
        while len(loader.state):
            begin(loader, [])
        list(one.outcomes([read([claim("C2", 10_000, "2023-04-01", loan="L9")])]))
        begin(loader, [])
        assert begin(loader, next_one) == begin(fresh, next_one)


def test_after_a_failure_the_same_can_be_sent_again(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline whose batch failed takes the same batches again, and tells the outcomes of these."""
    batches = [read(OPENING), read([draw("L9")]), read([claim("C1", 10_000, "2023-03-01", loan="L9")])]
    write, written = Writing.write, list[Writing]()

    def failing_once(writing: Writing, *rest: Any) -> None:
        written.append(writing)
        if len(written) == 2:
            raise psycopg.OperationalError("the disk is full")
        write(writing, *rest)

    monkeypatch.setattr(Writing, "write", failing_once)
    with opened(database) as one:
        with pytest.raises(psycopg.OperationalError):
            list(one.outcomes(batches))
        again = [documents(found) for found in one.outcomes(batches)]
    assert [{o["outcome"] for o in found} for found in again] == [{"repeated"}, {"accepted"}, {"accepted"}]


def test_an_interrupt_is_not_kept_waiting_by_what_could_be_told(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while a batch is waited for ends the pipeline at once, and is not held up by a reader of outcomes."""
    finish, waited = pipeline._Turn.finish, list[Any]()

    def interrupted(turn: Any) -> None:
        waited.append(turn)
        if len(waited) == 2:
            raise KeyboardInterrupt
        finish(turn)

    monkeypatch.setattr(pipeline._Turn, "finish", interrupted)
    monkeypatch.setattr(pipeline._Turn, "is_done", False)  # else the first one is told before
    told = 0
    with pytest.raises(KeyboardInterrupt), opened(database) as one:
        for _ in one.outcomes([read(OPENING), read([draw("L9")]), None]):
            told += 1
    assert told == 0


def test_what_cannot_be_sent_to_the_process_that_writes_ends_in_an_error(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer comes to a message that was not sent: whoever waits for it is told, instead of waiting for ever."""
    send = appending._send

    def failing(stream: Any, letter: bytes, content: bytes = b"") -> None:
        if letter == appending._WRITE:
            raise MemoryError
        send(stream, letter, content)

    monkeypatch.setattr(appending, "_send", failing)
    monkeypatch.setattr(pipeline, "MANY_COMMANDS", 1)
    with opened(database, with_child=True) as one, pytest.raises(psycopg.OperationalError):
        for number, _ in enumerate(one.outcomes([[one] for one in read([*OPENING, *many_claims(60)])])):
            if number == 5:
                until_ready(one)


def test_the_lock_is_let_go_when_somebody_waits(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pipelines that never run dry take turns, and together they grant a cap exactly."""
    monkeypatch.setattr(pipeline, "HELD_SECONDS_MIN", 0.02)
    with opened(database) as one:
        list(one.outcomes([read([*OPENING, draw("L9", 10**12)])]))
    order: list[str] = []
    granted = dict.fromkeys("ab", 0)

    def work(name: str) -> None:
        days = [
            f"20{year}-{month:02d}-{day:02d}"
            for year in (23, 24)
            for month in range(1, 13)
            for day in range(1, 26)
        ]
        mine = days[::2] if name == "a" else days[1::2]
        sent = read(
            [
                {**claim(f"{name}{n}", 100_000, day, loan="L9"), "key": f"{name}{n}"}
                for n, day in enumerate(mine)
            ]
        )
        with opened(database) as other:
            for found in other.outcomes([item] for item in sent):
                order.append(name)
                granted[name] += sum(outcome.amount_fen or 0 for outcome in found)

    threads = [threading.Thread(target=work, args=(name,)) for name in granted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted.values()) == 20_000_000
    first_of_second = order.index("b" if order[0] == "a" else "a")
    assert first_of_second < len(order) // 2, "one had to wait for all of the other"
    assert Program(database).ask("verify", "all")["findings"] == []
