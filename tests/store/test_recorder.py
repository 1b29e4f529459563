"""The recorder on real servers: the library's own test cases, races, subscriptions, and bytes that no ledger wrote."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import orjson
import psycopg
import pytest
from eventsourcing.dcb.api import DCBAppendCondition, DCBEvent, DCBQuery, DCBQueryItem
from eventsourcing.dcb.popo import InMemoryDCBRecorder
from eventsourcing.dcb.tests import DCBRecorderTestCase
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)

import ledger.recorder as recorders
from ledger.dates import today_in_shanghai
from ledger.pending import PendingEvent
from ledger.recorder import DATA_BYTES_MAX, NAME_BYTES_MAX, Recorder
from ledger.store import Store
from projections.envelopes import envelope
from projections.verification import CHECKS, run
from tests.histories import PLAIN, history
from tests.support import Ledger, fresh_database

#: Far longer than anything takes: only a hang ends here.
PATIENCE = 60.0


@pytest.fixture
def address(any_server: str) -> Iterator[str]:
    """A new database with an empty ledger on each server in turn."""
    with fresh_database(any_server) as address:
        yield address


@pytest.fixture
def recorder(address: str) -> Iterator[Recorder]:
    """A recorder of an empty ledger."""
    with Recorder(address) as opened:
        yield opened


def event(*tags: str, kind: str = "Noted", data: bytes = b"") -> DCBEvent:
    """An event to append."""
    return DCBEvent(type=kind, data=data, tags=list(tags))


def tagged(*tags: str) -> DCBQuery:
    """The events that carry all of the tags."""
    return DCBQuery([DCBQueryItem(tags=list(tags))])


def positions(found: Iterator[object]) -> list[int]:
    """The positions of an answer."""
    return [item.position for item in found]  # type: ignore[attr-defined]


def in_parallel(count: int, work: Callable[[int], object]) -> list[object]:
    """What `count` threads, let go at once, returned or raised."""
    start = threading.Barrier(count)

    def one(number: int) -> object:
        start.wait(PATIENCE)
        try:
            return work(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


# --- what the library promises --------------------------------------------------------------------------------


def test_append_and_read_as_the_library_tests_them(recorder: Recorder) -> None:
    """The library's own case for appending, conditions, reading and `head` passes."""
    DCBRecorderTestCase()._test_append_read(recorder)


def test_subscriptions_as_the_library_tests_them(recorder: Recorder) -> None:
    """The library's own case for subscriptions passes."""
    DCBRecorderTestCase()._test_append_subscribe(recorder)


def test_the_librarys_cases_hold_behind_a_history(recorder: Recorder) -> None:
    """The library's case passes on a log that is not empty."""
    recorder.append([event("before")] * 3)
    DCBRecorderTestCase()._test_append_subscribe(recorder, initial_position=3)


def test_any_query_is_answered_as_in_memory(recorder: Recorder) -> None:
    """Random logs and queries: events, order, `head` and conditions are those of the library's reference."""
    chance = random.Random(20260630)
    reference = InMemoryDCBRecorder()
    kinds, tags = ["A", "B", "C"], [f"t{i}" for i in range(6)]

    def some(names: Sequence[str], most: int) -> list[str]:
        return chance.choices(names, k=chance.randint(0, most))

    def some_query() -> DCBQuery | None:
        items = [DCBQueryItem(some(kinds, 2), some(tags, 3)) for _ in range(chance.randint(0, 4))]
        return chance.choice([None, DCBQuery(items), DCBQuery(items)])

    for number in range(300):
        after = chance.choice([None, None, -1, 0, chance.randint(0, 200), 2**80])
        query = some_query()
        limit = chance.choice([None, None, -1, 0, 1, 7, 2**80])
        mine, expected = (r.read(query, after=after, limit=limit) for r in (recorder, reference))
        assert (mine.head, list(mine), mine.head) == (expected.head, list(expected), expected.head)
        new = [
            DCBEvent(chance.choice(kinds), b"%d" % number, some(tags, 4)) for _ in range(chance.randint(1, 3))
        ]
        condition = chance.choice([None, DCBAppendCondition(query or DCBQuery(), after)])
        outcomes: list[int | type] = []
        for either in (recorder, reference):
            try:
                outcomes.append(either.append(new, condition))
            except IntegrityError:
                outcomes.append(IntegrityError)
        assert outcomes[0] == outcomes[1]


# --- appending --------------------------------------------------------------------------------------------------


def test_of_appends_racing_on_a_tag_exactly_one_wins(recorder: Recorder, address: str) -> None:
    """Threads, of one recorder and of two, append if nobody did: one succeeds, the others raise IntegrityError."""
    with Recorder(address) as other:
        for attempt in range(5):
            tag = f"seat:{attempt}"
            outcomes = in_parallel(
                12,
                lambda n, tag=tag: (recorder, other)[n % 2].append(
                    [event(tag)], DCBAppendCondition(tagged(tag))
                ),  # type: ignore[misc]
            )
            assert [o for o in outcomes if not isinstance(o, IntegrityError)] == [attempt + 1]
            assert positions(recorder.read(tagged(tag))) == [attempt + 1]


def test_a_failed_append_leaves_no_gap(recorder: Recorder) -> None:
    """Positions go on without a gap after appends that failed, for whatever reason, and these left nothing."""
    assert recorder.append([event("a"), event("b")]) == 2
    with pytest.raises(IntegrityError, match="event 2 "):
        recorder.append([event("x")], DCBAppendCondition(tagged("b")))
    with pytest.raises(IntegrityError):
        recorder.append([event("x")], DCBAppendCondition())
    with pytest.raises(ProgrammingError):
        recorder.append([])
    with pytest.raises(DataError):
        recorder.append([event("x"), event("x", "a\0b")])
    assert recorder.append([event("c")], DCBAppendCondition(tagged("b"), after=2)) == 3
    assert positions(recorder.read()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("unfit", "reason"),
    [
        (event("a\0b"), r"a tag holds U\+0000"),
        (event(kind="a\0b"), r"the type of an event holds U\+0000"),
        (event("\ud800"), "half a surrogate pair"),
        (event("é" * NAME_BYTES_MAX), "a tag is longer than"),
        (event(kind="k" * (NAME_BYTES_MAX + 1)), "the type of an event is longer than"),
        (event(data=bytes(DATA_BYTES_MAX + 1)), "bytes, more than"),
        (event(data="text"), "must be bytes, not str"),  # type: ignore[arg-type]
        (event(None), "a tag must be a text, not NoneType"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_stored_is_refused_whole(database: str, unfit: DCBEvent, reason: str) -> None:
    """Unfit data raises DataError that names what is wrong, and none of the events is written."""
    with Recorder(database) as recorder:
        with pytest.raises(DataError, match=reason):
            recorder.append([event("fine"), unfit])
        assert recorder.read().head is None


def test_names_as_long_as_allowed_are_stored(recorder: Recorder) -> None:
    """The longest allowed tag and type fit, even where they cannot be compressed."""
    chance = random.Random(7)
    longest = "".join(chance.choices([chr(c) for c in range(33, 127)], k=NAME_BYTES_MAX))
    recorder.append([event(longest, kind=longest)])
    assert next(recorder.read(tagged(longest))).event == event(longest, kind=longest)


def test_a_query_with_an_impossible_name_is_refused(recorder: Recorder) -> None:
    """A name that no event can have is an error, not an empty answer."""
    for query in (tagged("a\0"), DCBQuery([DCBQueryItem(types=["\udfff"])])):
        with pytest.raises(DataError):
            recorder.read(query)
        with pytest.raises(DataError):
            recorder.append([event("x")], DCBAppendCondition(query))
    assert recorder.read().head is None


ODD_EVENTS = [
    event("plain", data=bytes(range(256))),
    event("", kind="", data=b""),
    event("tab\t", "line\nfeed\r", "back\\slash", "\\N", "\\.", kind="\\N", data=b"\\N\n\\.\n"),
    event("{brace}", '"quote"', "com,ma", "NULL", " blank ", kind='{"a"}', data=b"\x00\x00"),
    event("科金", "\U0001f4b0", "\u2028", "\x7f\x01", "%s", "%(tag)s", kind="科金", data="科金".encode()),
    event("twice", "other", "twice", data=b'{"a": 1, "a": 2}'),
    event("firm:91350100M000100Y43", "loan:L1", kind="Foreign", data=b"\xff not JSON"),
    event("loan:L1", kind="Foreign", data=b'["a list"]'),
    event("loan:L1", kind="Foreign", data=b'{"amount_fen": 1e400, "name": null}'),
    event("loan:L1", kind="Foreign", data=b'{"fen": 123456789012345678901234567890}'),
    event("loan:L1", kind="Foreign", data=b'{"open": '),
]


def test_any_bytes_come_back_exactly(recorder: Recorder) -> None:
    """Types, tags (their order, repetitions and odd characters) and data are read as they were appended."""
    recorder.append(ODD_EVENTS)
    assert [found.event for found in recorder.read()] == ODD_EVENTS
    for position, odd in enumerate(ODD_EVENTS, 1):
        assert position in positions(recorder.read(DCBQuery([DCBQueryItem([odd.type], odd.tags)])))


def test_an_append_says_who_and_when(address: str) -> None:
    """Events carry the recorder's principal and its day, by default today's in Shanghai."""
    with Recorder(address, "importer", lambda: "2024-02-29") as leap, Recorder(address) as plain:
        leap.append([event("a")])
        before = today_in_shanghai()
        plain.append([event("b")])
    with Store.open(address) as store:
        first, second = store.stored_events(0, 2)
    assert (first.principal, first.effective_on) == ("importer", "2024-02-29")
    assert second.principal == "recorder"
    assert before <= second.effective_on <= today_in_shanghai()


# --- reading ----------------------------------------------------------------------------------------------------


def test_a_large_answer_streams(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are fetched page by page as they are asked for, and the answer is that of the moment of reading."""
    asked: list[str] = []
    query = Store.query

    def counted(self: Store, name: str, **parameters: object) -> list[object]:
        asked.append(name)
        return query(self, name, **parameters)

    monkeypatch.setattr(Store, "query", counted)
    for _ in range(5):
        recorder.append([event("hot", str(n)) for n in range(4_400)])
    for newest, (sought, limit) in enumerate(
        [(None, None), (tagged("hot"), None), (None, 21_000), (tagged("hot"), 21_000)], 22_000
    ):
        last = limit or newest
        asked.clear()
        answer = recorder.read(sought, limit=limit)
        assert positions(islice(answer, 500)) == list(range(1, 501))
        assert asked == ["matching_positions", "events_at"]
        recorder.append([event("hot")])
        assert answer.head == last
        assert positions(answer) == list(range(501, last + 1))
        assert asked.count("events_at") == -(-last // 500)


def test_large_events_are_fetched_few_at_a_time(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page ends at some bytes, so that large events do not fill the memory; the answer is the same."""
    monkeypatch.setattr(recorders, "_BYTES_AT_ONCE", 1_000)
    sizes = [0, 999, 1, 1_000, 5_000, 0, 0, 400, 400, 400]
    recorder.append([event("large", data=bytes(size)) for size in sizes])
    assert [len(found.event.data) for found in recorder.read(tagged("large"))] == sizes


def test_many_items_take_one_statement(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query of a thousand items costs as many round trips as a query of one."""
    recorder.append([event(f"t{n}", "all", kind=f"K{n % 3}") for n in range(1_000)])
    asked: list[str] = []
    query = Store.query

    def counted(self: Store, name: str, **parameters: object) -> list[object]:
        asked.append(name)
        return query(self, name, **parameters)

    monkeypatch.setattr(Store, "query", counted)
    items = [DCBQueryItem(["K1"], [f"t{n}", "all"]) for n in range(1_000)]
    assert len(list(recorder.read(DCBQuery(items)))) == 333
    assert asked == ["matching_positions", "events_at"]


# --- subscriptions ----------------------------------------------------------------------------------------------


def test_a_subscription_sees_each_event_once_in_order(recorder: Recorder, address: str) -> None:
    """While several connections append, and others fail to, a subscription skips and doubles nothing."""
    recorder.append([event("wanted")])
    with recorder.subscribe() as all_of_them, recorder.subscribe(tagged("wanted"), after=1) as wanted:

        def work(number: int) -> None:
            with Recorder(address) as own:
                for n in range(40):
                    own.append([event("wanted" if number % 2 else "other")] * (1 + n % 3))
                    with pytest.raises(IntegrityError):
                        own.append([event("wanted")], DCBAppendCondition())

        threads = threading.Thread(target=in_parallel, args=(4, work))
        threads.start()
        total = 1 + 4 * sum(1 + n % 3 for n in range(40))
        assert positions(islice(all_of_them, total)) == list(range(1, total + 1))
        threads.join(PATIENCE)
        expected = positions(recorder.read(tagged("wanted"), after=1))
        assert positions(islice(wanted, len(expected))) == expected


def test_every_append_of_the_ledger_wakes_subscriptions(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the writer and other connections append arrives by notification, without looking each second."""
    monkeypatch.setattr(recorders, "_RECHECK_SECONDS", None)
    ledger = Ledger(database)
    with ledger.store, Recorder(database) as recorder, recorder.subscribe() as subscription:
        ledger.submit(*history(1, 20, PLAIN))
        recorded = ledger.store.head().position
        assert positions(islice(subscription, recorded)) == list(range(1, recorded + 1))
        with ledger.store.turn() as turn:
            turn.append([PendingEvent("Foreign", "2026-01-01", (), b"{}")], "someone")
        assert next(subscription).position == recorded + 1


def test_a_lost_notification_only_delays(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A subscription that is never notified looks by itself and misses nothing."""
    does = Store.query_nothing

    def deaf(self: Store, name: str, **parameters: object) -> None:
        if name != "listen_appended":
            does(self, name, **parameters)

    monkeypatch.setattr(Store, "query_nothing", deaf)
    monkeypatch.setattr(recorders, "_RECHECK_SECONDS", 0.01)
    with Recorder(database) as recorder, recorder.subscribe() as subscription:
        for expected in range(1, 6):
            recorder.append([event("a")])
            assert next(subscription).position == expected


def test_stop_ends_a_waiting_next(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """stop() from another thread ends a next() that waits, and leaving the context ends the threads."""
    monkeypatch.setattr(recorders, "_RECHECK_SECONDS", None)
    recorder.append([event("a")])
    running = set(threading.enumerate())
    with recorder.subscribe() as subscription, ThreadPoolExecutor(1) as other:
        assert next(subscription).position == 1
        waiting = other.submit(lambda: list(subscription))
        subscription.stop()
        assert waiting.result(PATIENCE) == []
        subscription.stop()
        assert list(subscription) == []
    assert set(threading.enumerate()) <= running


# --- when something breaks ------------------------------------------------------------------------------------------


def terminate_others(address: str) -> None:
    """The server ends every other connection to the database, as in a restart."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )


def test_lost_connections_are_reported_and_replaced(recorder: Recorder, address: str) -> None:
    """A call on a lost connection raises OperationalError; the next one works. Subscriptions raise it as well."""
    in_parallel(4, lambda n: recorder.append([event("a")]))
    with recorder.subscribe(after=4) as subscription:
        terminate_others(address)
        with pytest.raises(OperationalError):
            next(subscription)
    outcomes = [outcome(recorder) for _ in range(2)]
    assert outcomes in ([5, 6], [OperationalError, 5])
    assert positions(recorder.read()) == list(range(1, 5 + outcomes.count(5) + outcomes.count(6)))


def outcome(recorder: Recorder) -> object:
    """The position of an append, or OperationalError."""
    try:
        return recorder.append([event("b")])
    except OperationalError:
        return OperationalError


def test_a_closed_or_unreachable_recorder_says_so(database: str) -> None:
    """After close() calls raise InterfaceError; where no database answers they raise OperationalError."""
    recorder = Recorder(database)
    recorder.append([event("a")])
    recorder.close()
    with pytest.raises(InterfaceError, match="closed"):
        recorder.read()
    with pytest.raises(OperationalError, match="cannot connect"):
        Recorder(psycopg.conninfo.make_conninfo(database, dbname="nowhere")).append([event("a")])


# --- beside the ledger's own events -------------------------------------------------------------------------------


def test_a_log_with_foreign_events_verifies_and_shows(database: str) -> None:
    """Foreign bytes among the ledger's own events, under their tags too: it decides, verifies and shows as before."""
    commands = history(3, 60, PLAIN)
    ledger = Ledger(database)
    with ledger.store, Recorder(database) as recorder:
        ledger.submit(*commands[:30])
        kinds = sorted({stored.event.type for stored in recorder.read()} | {"Foreign"})
        tags = sorted({tag for stored in recorder.read() for tag in stored.event.tags})
        recorder.append([*ODD_EVENTS, *(event(*tags, kind=kind, data=b"\xff") for kind in kinds)])
        outcomes = ledger.submit(*commands[30:])
        report = run(ledger.store, list(CHECKS))
        assert (report.findings, report.events) == ([], ledger.store.head().position)
        shown = [
            orjson.loads(orjson.dumps(envelope(e))) for e in ledger.store.stored_events(0, report.events)
        ]
    assert [e["position"] for e in shown] == list(range(1, report.events + 1))
    foreign = [e for e in shown if e["principal"] == "recorder"]
    assert [e["tags"] for e in foreign] == [*[list(odd.tags) for odd in ODD_EVENTS], *[tags for _ in kinds]]
    assert all((e["postings"], e["span"]) == ([], 0) for e in foreign)
    assert foreign[-1]["data"] == {"bytes": "ff"}
    assert "accepted" in {outcome["outcome"] for outcome in outcomes}
