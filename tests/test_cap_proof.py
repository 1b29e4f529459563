"""The proof of caps against brute force: for every day, at the end of every event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events import Posting
from ledger.money import format_fen
from ledger.pending import PendingEvent
from ledger.store import Store
from projections.verification import run
from projections.verification.caps import Line, breaches
from tests.histories import TODAY, Mix, history
from tests.support import Ledger, fresh_database

_DAYS = tuple(f"2024-01-{day:02d}" for day in range(1, 8))
_LINE = st.tuples(st.sampled_from(_DAYS), st.integers(-5, 5).filter(bool), st.booleans())
_HISTORY = st.lists(st.lists(_LINE, min_size=1, max_size=3), max_size=12)


def _lines(history: list[list[tuple[str, int, bool]]], kind: str) -> list[Line]:
    """Lines of one key: (key, position, event type, day, net fen, is a limit)."""
    return [
        ("key", position, kind, day, net_fen, is_limit)
        for position, event in enumerate(history, 1)
        for day, net_fen, is_limit in event
    ]


def _peaks_by_brute_force(lines: list[Line]) -> dict[int, int]:
    """At the end of each event the largest use above the limit on any day (0: none)."""
    peaks = {}
    for position in sorted({line[1] for line in lines}):
        known = [line for line in lines if line[1] <= position]
        values = [sum(line[4] for line in known if line[3] <= day) for day in _DAYS]
        peaks[position] = max(0, *values)
    return peaks


@settings(max_examples=400, deadline=None)
@given(_HISTORY)
def test_the_first_breach_is_the_one_that_brute_force_finds(
    history: list[list[tuple[str, int, bool]]],
) -> None:
    """The first event after which some day's use is above its limit, and by how much, in any order of dates."""
    lines = _lines(history, "LoanInterestGranted")
    over = {position: peak for position, peak in _peaks_by_brute_force(lines).items() if peak}
    found = sorted(breaches(lines), key=lambda breach: breach.position)
    assert bool(found) == bool(over)
    if over:
        assert (found[0].position, found[0].over_fen) == next(iter(over.items()))


@settings(max_examples=200, deadline=None)
@given(_HISTORY)
def test_what_later_knowledge_passed_is_no_finding(history: list[list[tuple[str, int, bool]]]) -> None:
    """An event that moves or reverses never takes more than was left: what it passes is a notice."""
    assert not any(breach.known_then for breach in breaches(_lines(history, "PartiesMerged")))


def test_a_grant_beyond_a_merger_is_found_behind_its_notice() -> None:
    """A cap that a merger passed is a notice; a grant that takes still more is a finding beside it."""
    merged = ("key", 2, "PartiesMerged", "2024-01-02", 5, False)
    lines = [("key", 1, "X", "2024-01-01", -3, True), merged, ("key", 3, "X", "2024-01-03", 1, False)]
    assert [(b.position, b.over_fen, b.known_then) for b in breaches(lines)] == [(2, 2, False), (3, 3, True)]


def test_what_one_event_passed_hides_nothing_on_other_days() -> None:
    """After a merger that passed a cap by much, use given back, and a grant that passes it by less: a finding."""
    lines = [
        ("key", 1, "X", "2024-01-01", -20, True),
        ("key", 2, "PartiesMerged", "2024-01-02", 40, False),
        ("key", 3, "X", "2024-01-04", -30, False),
        ("key", 4, "X", "2024-01-06", 15, False),
    ]
    assert [(b.position, b.over_fen, b.known_then) for b in breaches(lines)] == [(2, 20, False), (4, 5, True)]


def _raised_by_brute_force(lines: list[Line]) -> list[tuple[int, int]]:
    """Of each event that raises a day above the limit, or further above it: its position, the most on such a day."""
    found = []
    for position in sorted({line[1] for line in lines}):
        after, before = (
            [sum(line[4] for line in lines if line[1] <= known and line[3] <= day) for day in _DAYS]
            for known in (position, position - 1)
        )
        raised = [a for a, b in zip(after, before, strict=True) if a > b]
        if max(raised, default=0) > 0:
            found.append((position, max(raised)))
    return found


@settings(max_examples=400, deadline=None)
@given(_HISTORY, st.lists(st.booleans(), min_size=12, max_size=12))
def test_each_kind_of_breach_is_the_first_that_brute_force_finds(
    history: list[list[tuple[str, int, bool]]], moved: list[bool]
) -> None:
    """Events that merge among others that grant: the first notice and the first finding, day by day."""
    kinds = ["PartiesMerged" if one else "X" for one in moved]
    lines = [(k, p, kinds[p - 1], day, fen, is_limit) for k, p, _, day, fen, is_limit in _lines(history, "X")]
    raised = dict(_raised_by_brute_force(lines))
    uses = {line[1] for line in lines if line[4] > 0 and not line[5] and line[2] == "X"}
    first = {
        then: next(((p, fen) for p, fen in raised.items() if (p in uses) == then), None)
        for then in (True, False)
    }
    found = {breach.known_then: (breach.position, breach.over_fen) for breach in breaches(lines)}
    assert found == {then: one for then, one in first.items() if one is not None}


# --- the whole check, on a ledger ---------------------------------------------------------------------

Passed = tuple[str, int, int]  # key, position, fen above the limit
Shown = tuple[str, int]  # what is told, position


@dataclass
class Naive:
    """Every value on every day, added up anew after each event, in plain integers."""

    left_fen: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    known_then: dict[str, Passed] = field(default_factory=dict)
    known_later: dict[str, Passed] = field(default_factory=dict)

    def take_in(self, position: int, kind: str, postings: Iterable[Posting]) -> None:
        """Note one event and what it passed."""
        takes: dict[str, bool] = {}
        before = {key: dict(days) for key, days in self.left_fen.items()}
        for line in postings:
            account, fen, day = line.account, line.amount_fen, line.effective_on
            book, _, rest = account.partition("/")
            if book in ("quota", "limit"):
                key, change_fen = rest, fen if book == "limit" else -fen
            elif book == "public" and account.startswith("public/round/") and account.endswith("/available"):
                key, change_fen = account, fen
            else:
                continue
            self.left_fen[key][day] += change_fen
            takes[key] = takes.get(key, False) or (change_fen < 0 and book != "limit")
        for key, raised in takes.items():
            days, days_before = self.left_fen[key], before.get(key, {})
            now = {day: left_on(days, day) for day in days}
            least_fen = min(0, *(left for day, left in now.items() if left < left_on(days_before, day)), 0)
            if least_fen < 0:
                then = raised and kind not in ("PartiesMerged", "FactReversed")
                found = self.known_then if then else self.known_later
                found.setdefault(key, (key, position, -least_fen))


def left_on(days: dict[str, int], day: str) -> int:
    """What is left on a day."""
    return sum(fen for other, fen in days.items() if other <= day)


def naive(store: Store) -> tuple[set[Shown], set[Shown]]:
    """What is to be found and what is to be noticed in a ledger, from its events read one by one."""
    checker = Naive()
    for event in store.stored_events(0, store.head().position):
        checker.take_in(event.position, event.type, event.postings)
    return shown(checker.known_then.values()), shown(checker.known_later.values())


def shown(passed: Iterable[Passed]) -> set[Shown]:
    """As people are told."""
    return {(f"{key} is passed by {format_fen(fen)}", position) for key, position, fen in passed}


def checked(store: Store) -> tuple[set[Shown], set[Shown]]:
    """What `kejin verify caps` finds and notices."""
    report = run(store, ["caps"])
    found = []
    for several in (report.findings, report.notices):
        assert all((one.check, one.table) == ("caps", "events") for one in several)
        found.append({(one.detail, one.position or 0) for one in several})
        assert len(found[-1]) == len(several)
    return found[0], found[1]


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """The store of an empty ledger."""
    with Store.open(database) as opened:
        yield opened


def append(store: Store, *events: tuple[str, str, tuple[tuple[str, int, str], ...]]) -> None:
    """Record events (type, effective date, lines of account, fen and day) that nobody decided."""
    with store.turn() as turn:
        turn.append(
            [
                PendingEvent(kind, on, (), b"{}", tuple(Posting(*line) for line in lines))
                for kind, on, lines in events
            ],
            "nobody",
        )


KINDS = ("LoanInterestGranted", "LoanInterestGranted", "GrantVoided", "PartiesMerged", "FactReversed")
ACCOUNTS = [
    *(f"{book}/some.cap.firm/F{n}" for n in range(40) for book in ("quota", "limit")),
    *(f"quota/other.cap.firm+round/F{n}/R1" for n in range(3)),
    *(f"limit/lonely.cap.loan/L{n}" for n in range(3)),
    *(f"public/round/R{n}/{part}" for n in range(4) for part in ("available", "committed")),
    *(
        "public/treasury",
        "settled/some.cap.firm/F1",
        "milestone/some.ladder/B/p",
        "private/loan/available/bank",
    ),
]


def some_lines(random: Random, on: str, growth: float) -> Iterator[tuple[str, int, str]]:
    """Lines on accounts of every book, on the event's date or others."""
    own_days = random.random() < 0.4
    for _ in range(random.randrange(5)):
        account = random.choice(ACCOUNTS)
        gives = account.startswith(("limit/", "public/"))
        fen = random.randrange(1, 60) * (10 if gives else 1)
        if random.random() < (0.15 if gives else growth):
            fen = -fen
        yield account, fen, random.choice(_DAYS) if own_days else on


@pytest.mark.parametrize("seed", range(6))
def test_the_check_finds_what_brute_force_finds(seed: int, any_server: str) -> None:
    """On random lines of every book, dated in any order: the same findings and notices, none missed, none invented."""
    random = Random(seed)
    events = []
    for _ in range(700):
        on = random.choice(_DAYS)
        lines = tuple(some_lines(random, on, random.choice((0.1, 0.5))))
        events.append((random.choice(KINDS), on, lines))
    with fresh_database(any_server) as address, Store.open(address) as store:
        append(store, *events)
        found, noticed = naive(store)
        assert checked(store) == (found, noticed)
    assert found
    assert noticed


@pytest.mark.parametrize("seed", range(4))
def test_what_brute_force_allows_is_never_reported(seed: int, store: Store) -> None:
    """A ledger of random lines, each taken only if brute force allows it, has no finding and no notice."""
    random, checker = Random(seed), Naive()
    kept: list[tuple[str, str, tuple[tuple[str, int, str], ...]]] = []
    while len(kept) < 500:
        on = random.choice(_DAYS)
        lines = tuple(some_lines(random, on, 0.4))
        trial = Naive(
            defaultdict(
                lambda: defaultdict(int), {k: defaultdict(int, v) for k, v in checker.left_fen.items()}
            )
        )
        trial.take_in(len(kept) + 1, "LoanInterestGranted", [Posting(*line) for line in lines])
        if not trial.known_then and not trial.known_later:
            checker = trial
            kept.append(("LoanInterestGranted", on, lines))
    append(store, *kept)
    assert checked(store) == (set(), set())


@pytest.mark.parametrize("seed", range(6))
def test_ledgers_that_were_decided_are_as_brute_force_sees_them(seed: int, embedded_server: str) -> None:
    """After random commands, back-dated, reversed and merged, nobody granted beyond what was known; what mergers
    and reversals passed is noticed."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address, today=TODAY)
        commands = history(seed, 400, Mix(back_dated=0.5))
        for first in range(0, len(commands), 40):
            ledger.submit(*commands[first : first + 40])
        found, noticed = naive(ledger.store)
        assert checked(ledger.store) == (found, noticed)
        assert not found
        ledger.store.close()


# --- planted breaches ---------------------------------------------------------------------------------

Q, L, OTHER = "quota/some.cap.firm/F1", "limit/some.cap.firm/F1", "quota/some.cap.firm/F2"
AVAILABLE = "public/round/R1/available"
GRANT = "LoanInterestGranted"
D1, D2, D3, D4 = _DAYS[0], _DAYS[1], _DAYS[2], _DAYS[3]
F1 = "some.cap.firm/F1"

PLANTED = {
    "over a cap": ([(GRANT, D1, [(L, 10, D1), (Q, 7, D1)]), (GRANT, D2, [(Q, 4, D2)])], (F1, 2, 1), None),
    "back-dated before room was made": (
        [
            (GRANT, D1, [(L, 10, D1), (Q, 9, D1)]),
            ("GrantVoided", D3, [(Q, -9, D3)]),
            (GRANT, D2, [(Q, 2, D2)]),
        ],
        (F1, 3, 1),
        None,
    ),
    "taken back later, so that no day shows it today": (
        [(GRANT, D1, [(L, 10, D1), (Q, 11, D1)]), ("GrantVoided", D1, [(Q, -11, D1)])],
        (F1, 1, 1),
        None,
    ),
    "back-dated under a limit of a later date": ([(GRANT, D2, [(L, 10, D2), (Q, 3, D1)])], (F1, 1, 3), None),
    "used where no limit was ever given": ([(GRANT, D1, [(Q, 3, D1)])], (F1, 1, 3), None),
    "a limit that was too small by one": (
        [(GRANT, D1, [(L, 9, D1), (Q, 9, D1)]), (GRANT, D2, [(Q, 1, D2)])],
        (F1, 2, 1),
        None,
    ),
    "a limit lowered after its use": (
        [(GRANT, D1, [(L, 9, D1), (Q, 9, D1)]), (GRANT, D2, [(L, -4, D2)])],
        None,
        (F1, 2, 4),
    ),
    "a fact reversed below its use": (
        [(GRANT, D1, [(L, 9, D1), (Q, 8, D2)]), ("FactReversed", D1, [(L, -9, D1)])],
        None,
        (F1, 2, 8),
    ),
    "a void reversed late": (
        [
            (GRANT, D1, [(L, 10, D1), (Q, 10, D1)]),
            ("GrantVoided", D2, [(Q, -10, D2)]),
            (GRANT, D3, [(Q, 10, D3)]),
            ("FactReversed", D2, [(Q, 10, D2)]),
        ],
        None,
        (F1, 4, 10),
    ),
    "a merger": (
        [
            (GRANT, D1, [(L, 10, D1), (Q, 8, D1)]),
            (GRANT, D1, [("limit/some.cap.firm/F2", 10, D1), (OTHER, 7, D1)]),
            ("PartiesMerged", D2, [(OTHER, -7, D2), (Q, 7, D2)]),
        ],
        None,
        (F1, 3, 5),
    ),
    "a grant beyond a merger": (
        [
            (GRANT, D1, [(L, 10, D1), (Q, 8, D1)]),
            ("PartiesMerged", D2, [(Q, 7, D2)]),
            (GRANT, D3, [(Q, 1, D3)]),
        ],
        (F1, 3, 6),
        (F1, 2, 5),
    ),
    "a round that owes money": (
        [("RoundOpened", D2, [(AVAILABLE, 100, D2)]), (GRANT, D1, [(AVAILABLE, -1, D1)])],
        (AVAILABLE, 2, 1),
        None,
    ),
    "a budget lowered under what is bound": (
        [
            ("RoundOpened", D1, [(AVAILABLE, 100, D1)]),
            (GRANT, D3, [(AVAILABLE, -90, D3)]),
            ("BudgetAdjusted", D2, [(AVAILABLE, -20, D2)]),
        ],
        (AVAILABLE, 3, 10),
        None,
    ),
    "a fen more than a float64 can tell": (
        [(GRANT, D1, [(L, 2**53, D1), (Q, 2**53, D1)]), (GRANT, D2, [(Q, 1, D2)])],
        (F1, 2, 1),
        None,
    ),
    "more than 64 bits can hold": (
        [(GRANT, D1, [(Q, 2**62, D1)]), (GRANT, D2, [(Q, 2**62, D2)]), (GRANT, D3, [(Q, 2**62, D3)])],
        (F1, 1, 2**62),
        None,
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_breach_is_found(name: str, store: Store) -> None:
    """Among sound keys each kind of breach is found or noticed, where and by how much, and nothing else."""
    sound = [
        (GRANT, day, ((f"limit/some.cap.firm/S{n}", 5, D1), (f"quota/some.cap.firm/S{n}", 5, day)))
        for n, day in enumerate(_DAYS)
    ]
    events, found, noticed = PLANTED[name]
    append(store, *((kind, on, tuple(lines)) for kind, on, lines in events), *sound)
    expected = shown([found] if found else []), shown([noticed] if noticed else [])
    assert naive(store) == expected
    assert checked(store) == expected
