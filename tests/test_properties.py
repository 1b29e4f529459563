"""Properties of the pure core, its arithmetic and its bytes, on whatever hypothesis comes up with."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import codec, commands, merkle
from ledger.accounts import DOUBLE_ENTRY_BOOKS, book_of
from ledger.catalogue import Catalogue, catalogue
from ledger.commands import InvalidCommand
from ledger.day_sums import DaySums, room_fen
from ledger.decide import Decided, decide
from ledger.events import Event, Posting
from ledger.state import Memory, State, evolve
from tests.histories import TODAY, Mix, histories

KNOWN: Catalogue = catalogue()
FIRM_LIMIT_FEN = 20_000_000

thorough = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


# --- the core in memory -------------------------------------------------------------------------------


@dataclass
class Core:
    """The pure core driven without a store: every tag is loaded, when first needed, from the list of events."""

    events: list[Event] = field(default_factory=list)
    decisions: list[Decided] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    state: State = field(default_factory=lambda: State(KNOWN.memories))

    def submit(self, sent: Mapping[str, Any]) -> Decided | None:
        """Decide one line as `kejin run` would; None if it is no command or its key was used."""
        try:
            command = commands.read(dict(sent), KNOWN.specs, TODAY)
        except InvalidCommand:
            return None
        if command.key is not None:
            if command.key in self.keys:
                return None
            self.keys.add(command.key)
        handler = KNOWN.handlers[command.name]
        while missing := [tag for tag in handler.needs(command.fields, self.state) if tag not in self.state]:
            self.state.begin(missing)
            for event in self.events:
                evolve(self.state, event, frozenset(missing))
        decided = decide(command, self.state, KNOWN)
        for new in decided.events:
            event = Event(len(self.events) + 1, new.type, new.effective_on, new.tags, new.data, new.postings)
            self.events.append(event)
            evolve(self.state, event)
        self.decisions.append(decided)
        return decided


def run(lines: Iterable[Mapping[str, Any]]) -> Core:
    """A core that decided every line."""
    core = Core()
    for line in lines:
        core.submit(line)
    return core


BACK_DATED = Mix(back_dated=0.6, wrong_order=0.02, keyed=0)


class Limits:
    """Every cap and every round's available money on every business date, added up the slow way."""

    def __init__(self) -> None:
        self.left_fen: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def take_in(self, event: Event) -> set[str]:
        """Note an event's lines; the names of what changed."""
        changed = set()
        for line in event.postings:
            account, amount_fen, day = line.account, line.amount_fen, line.effective_on
            book, _, name = account.partition("/")
            if book in ("quota", "limit"):
                self.left_fen[name][day] += amount_fen if book == "limit" else -amount_fen
            elif account.endswith("/available"):
                name = account
                self.left_fen[name][day] += amount_fen
            else:
                continue
            changed.add(name)
        return changed

    def by_day(self, name: str) -> dict[str, int]:
        """What is left on each day on which it changes."""
        days = self.left_fen[name]
        return {turn: sum(fen for day, fen in days.items() if day <= turn) for turn in days}

    def least_fen(self, name: str, since: str = "") -> int:
        """The least that is left on any day from `since` on, before the first one too."""
        days = self.left_fen[name]
        turning = [day for day in days if day > since] + ([since] if since else [])
        sums = [sum(fen for day, fen in days.items() if day <= turn) for turn in turning]
        return min(sums, default=0)


#: What moves use between keys, or changes a limit, after the fact: nobody granted beyond what was known.
LATER_KNOWLEDGE = ("PartiesMerged", "FactReversed")


@thorough
@given(histories(70, BACK_DATED))
def test_no_sequence_of_commands_passes_a_cap_on_any_clock(lines: list[dict[str, Any]]) -> None:
    """After every event, on every business date, use is within the limit and no round owes money; where a merger
    or a reversal passed it, no later event takes more."""
    limits = Limits()
    for event in run(lines).events:
        before = {name: limits.by_day(name) for name in list(limits.left_fen)}
        for name in limits.take_in(event):
            if event.type in LATER_KNOWLEDGE:
                continue
            known = before.get(name, {})
            for day, left_fen in limits.by_day(name).items():
                last = max((d for d in known if d <= day), default=None)
                left_before = 0 if last is None else known[last]
                assert left_fen >= min(0, left_before), (name, day, event)


@thorough
@given(histories(70))
def test_the_books_sum_to_zero_in_every_event(lines: list[dict[str, Any]]) -> None:
    """The lines of each double-entry book cancel in each event, and no line is 0."""
    for event in run(lines).events:
        sums: dict[str, int] = defaultdict(int)
        for posting in event.postings:
            assert posting.amount_fen != 0
            sums[book_of(posting.account)] += posting.amount_fen
        assert all(sums[book] == 0 for book in DOUBLE_ENTRY_BOOKS), event


USCC = "91350100M000100Y43"
OTHER = "91110108551385082Q"


def probing(day: str) -> list[dict[str, Any]]:
    """A firm with money and principal without end, so that only its cap binds, on or before `day`."""
    opening = "2022-01-01"
    party = {"command": "register-party", "name": "n", "effective_on": opening}
    loan = {"command": "draw-loan", "loan": "probe", "firm": USCC, "bank": OTHER, "security": "credit"}
    return [
        {
            "command": "open-round",
            "round": "probe",
            "year": 2024,
            "budget_fen": 10**13,
            "rulebook": "shanxi-2022",
            "effective_on": opening,
        },
        {**party, "uscc": USCC, "kind": "firm"},
        {**party, "uscc": OTHER, "kind": "bank"},
        {**loan, "principal_fen": 10**13, "drawn_on": opening},
    ]


def a_day(number: int) -> str:
    """A day of its own for each number."""
    return (date(2010, 1, 1) + timedelta(days=number)).isoformat()


def probe(number: int, amount_fen: int, day: str) -> dict[str, Any]:
    """A claim of exactly so much."""
    return {
        "command": "claim-loan-interest",
        "claim": f"probe-{number}",
        "round": "probe",
        "loan": "probe",
        "interest_paid_fen": 2 * amount_fen,
        "period_from": a_day(number),
        "period_to": a_day(number),
        "effective_on": day,
    }


DAYS = [a.isoformat() for a in (date(2024, 1, 1) + timedelta(days=n) for n in range(0, 60, 3))]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "claim", "claim", "void", "recover"]),
        st.integers(1, 9_000_000),
        st.sampled_from(DAYS),
    ),
    max_size=14,
)


def back_dated(steps: Iterable[tuple[str, int, str]]) -> Core:
    """A firm's grants, voids and recoveries on dates in any order."""
    core = run(probing(DAYS[0]))
    decided: list[str] = []
    for number, (what, amount_fen, day) in enumerate(steps):
        if what == "claim":
            if (answer := core.submit(probe(number, amount_fen, day))) and answer.amount_fen:
                decided.append(f"probe-{number}")
        elif decided and what == "void":
            core.submit({"command": "void", "claim": decided.pop(0), "reason": "r", "effective_on": day})
        elif decided:
            claim = decided.pop()
            core.submit({"command": "publicise", "claim": claim, "notice": "n", "effective_on": day})
            core.submit({"command": "pay", "claim": claim, "voucher": "v", "paid_on": day})
            facts = {"amount_fen": 1 + amount_fen // 3, "cause": "error", "document": "d"}
            core.submit({"command": "recover", "claim": claim, **facts, "effective_on": day})
    return core


FIRM_CAP = f"shanxi.loan_interest.firm/{USCC}"


@many
@given(STEPS, st.sampled_from(DAYS))
def test_the_room_is_granted_and_one_fen_more_is_not(steps: list[tuple[str, int, str]], day: str) -> None:
    """On a back-dated history, a claim of the room on any date is granted whole; of one fen more, only the room;
    and the room by brute force is what the ledger cut it to."""
    first = back_dated(steps)
    limits = Limits()
    for event in first.events:
        limits.take_in(event)
    room = FIRM_LIMIT_FEN if not limits.left_fen[FIRM_CAP] else max(0, limits.least_fen(FIRM_CAP, day))
    if room:
        whole = first.submit(probe(500, room, day))
        assert whole is not None
        assert (whole.refusal, whole.amount_fen) == (None, room)
        nothing = first.submit(probe(501, 1, day))
        assert nothing is not None
        assert nothing.refusal is not None
        assert nothing.refusal.code == "firm_cap_reached"
    more = back_dated(steps).submit(probe(500, room + 1, day))
    assert more is not None
    assert more.amount_fen == (room or None)
    forced = Posting(f"quota/{FIRM_CAP}", room + 1, day)
    if limits.left_fen[FIRM_CAP]:
        limits.take_in(Event(0, "", day, (), {}, (forced,)))
        assert limits.least_fen(FIRM_CAP) < 0


def observed(state: State, tags: Iterable[str]) -> dict[str, Any]:
    """What a state remembers of tags, as plain values."""
    return {
        tag: (
            [slots_of(memory) for memory in state._memories[tag]],
            {path: dict(sums.items()) for path, sums in state.accounts_of(tag).items() if sums.days},
            {path: (sums.total_fen, sorted(sums.days) == sums.days) for path, sums in state.accounts_of(tag).items()
             if sums.days},
        )
        for tag in tags
    }  # fmt: skip


def slots_of(memory: Memory) -> tuple[str, dict[str, Any]]:
    """The class of a memory and each of its fields."""
    names = [name for kind in type(memory).__mro__ for name in getattr(kind, "__slots__", ())]
    return type(memory).__name__, {name: getattr(memory, name) for name in names}


@thorough
@given(histories(70), st.data())
def test_replaying_the_events_gives_the_state_that_deciding_left(
    lines: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Whatever is remembered of any tag is the same when all events are taken in afterwards, also when only some
    tags are loaded, and deciding further commands on either state gives the same events."""
    core = run(lines)
    tags = list(core.state._memories)
    replayed = State(KNOWN.memories)
    replayed.begin(tags)
    for event in core.events:
        evolve(replayed, event)
    assert observed(replayed, tags) == observed(core.state, tags)
    assert replayed.position == core.state.position == len(core.events)
    some = data.draw(st.lists(st.sampled_from(tags), unique=True)) if tags else []
    partly = State(KNOWN.memories)
    partly.begin(some)
    for event in core.events:
        evolve(partly, event, frozenset(some))
    assert observed(partly, some) == observed(core.state, some)
    again = Core(list(core.events), [], set(core.keys), replayed)
    for number, line in enumerate(lines[-10:]):
        further = {**line, "key": f"again-{number}"}
        assert core.submit(further) == again.submit(further)


@thorough
@given(histories(50), st.integers(0, 49))
def test_deciding_leaves_no_trace_but_its_events(lines: list[dict[str, Any]], cut: int) -> None:
    """The same commands decided twice, or by a core that forgot everything in between, give the same events."""
    core = run(lines)
    assert run(lines).events == core.events
    forgetful = run(lines[:cut])
    forgetful.state = State(KNOWN.memories, len(forgetful.events))
    for line in lines[cut:]:
        forgetful.submit(line)
        forgetful.state = State(KNOWN.memories, len(forgetful.events))
    assert forgetful.events == core.events


# --- sums by day --------------------------------------------------------------------------------------

SOME_DAYS = [a_day(n) for n in range(9)]
POSTINGS = st.lists(st.tuples(st.sampled_from(SOME_DAYS[1:-1]), st.integers(-50, 50)), max_size=12)


def day_sums(postings: Iterable[tuple[str, int]]) -> DaySums:
    """The sums of postings."""
    sums = DaySums()
    for day, amount_fen in postings:
        sums.add(day, amount_fen)
    return sums


LATER_DAYS = [f"{2020 + n // 12}-{n % 12 + 1:02d}-{d:02d}" for n in range(60) for d in (1, 11, 28)]


@many
@given(st.data(), st.integers(0, 2**32))
def test_the_highest_and_lowest_from_a_day_on_are_those_of_brute_force_over_years(
    data: st.DataObject, seed: int
) -> None:
    """Where months are summed up: days come in any order, fall and rise, and are asked about in between."""
    random, sums, by_day = Random(seed), DaySums(), dict[str, int]()
    for _ in range(data.draw(st.integers(40, 200))):
        day, amount_fen = random.choice(LATER_DAYS), random.choice((1, 1, -1)) * random.randrange(1, 50)
        sums.add(day, amount_fen)
        by_day[day] = by_day.get(day, 0) + amount_fen
        if random.random() < 0.1:
            asked = random.choice(LATER_DAYS)
            seen = [sum(fen for d, fen in by_day.items() if d <= day) for day in LATER_DAYS if day >= asked]
            assert (sums.lowest_from(asked), sums.highest_from(asked)) == (min(seen), max(seen))


def values(postings: Sequence[tuple[str, int]], since: str) -> list[int]:
    """The value on every day from `since` on."""
    return [sum(fen for d, fen in postings if d <= day) for day in SOME_DAYS if day >= since]


@many
@given(POSTINGS, POSTINGS, st.sampled_from(SOME_DAYS))
def test_day_sums_and_room_are_those_of_brute_force(
    limit: list[tuple[str, int]], used: list[tuple[str, int]], day: str
) -> None:
    """A value, the highest and lowest from a day on, and the room under a limit, day by day."""
    sums = day_sums(used)
    assert sums.at(day) == values(used, day)[0]
    assert sums.highest_from(day) == max(values(used, day))
    assert sums.lowest_from(day) == min(values(used, day))
    differences = [lim - use for lim, use in zip(values(limit, day), values(used, day), strict=True)]
    room = room_fen(day_sums(limit), sums, day)
    assert room == max(0, min(differences))
    twin = sums.copy()
    twin.add(day, 7)
    assert sums.at(day) == values(used, day)[0]
    assert twin.at(SOME_DAYS[-1]) == sums.at(SOME_DAYS[-1]) + 7


# --- bytes --------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=5)


@many
@given(OBJECTS)
def test_canonical_json_is_read_back_and_written_the_same(value: dict[str, Any]) -> None:
    """What is written is read as the same value and written as the same bytes: sorted keys, UTF-8, no blanks."""
    text = codec.canonical(value)
    assert codec.parse_object(text) == value
    assert codec.canonical(codec.parse_object(text)) == text
    assert codec.canonical(dict(reversed(value.items()))) == text
    assert text.decode() == json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Pairs:
    """A JSON object as it may be written: keys in any order, as often as you like."""

    pairs: tuple[tuple[str, Any], ...]

    def repeats(self) -> bool:
        """Whether a key stands twice in this object."""
        names = [name for name, _ in self.pairs]
        return len(set(names)) < len(names)


NAMES = st.sampled_from(["a", "b", "ab", "甲", "", '"', "\\", "a\n", "é", "e\u0301"])
WRITTEN = st.recursive(
    st.integers(-5, 5) | st.none() | NAMES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(st.tuples(NAMES, inner), max_size=4).map(lambda pairs: Pairs(tuple(pairs)))
    ),
    max_leaves=10,
)
WRITTEN_OBJECTS = st.lists(st.tuples(NAMES, WRITTEN), max_size=4).map(lambda pairs: Pairs(tuple(pairs)))


def any_repeats(value: Any) -> bool:
    """Whether any object in a value has a key twice."""
    if isinstance(value, Pairs):
        return value.repeats() or any(any_repeats(inner) for _, inner in value.pairs)
    return isinstance(value, list) and any(map(any_repeats, value))


def written(value: Any, draw: st.DataObject) -> str:
    """The value as JSON, each text escaped in one of several ways."""
    blank = draw.draw(st.sampled_from(["", " "]))
    if isinstance(value, Pairs):
        inner = (f"{written(n, draw)}{blank}:{written(v, draw)}" for n, v in value.pairs)
        return "{" + ("," + blank).join(inner) + "}"
    if isinstance(value, list):
        return "[" + ("," + blank).join(written(inner, draw) for inner in value) + "]"
    if isinstance(value, str) and draw.draw(st.booleans()):
        return '"' + "".join(f"\\u{ord(character):04x}" for character in value) + '"'
    return json.dumps(value, ensure_ascii=draw.draw(st.booleans()))


def plain(value: Any) -> Any:
    """The value as Python has it."""
    if isinstance(value, Pairs):
        return {name: plain(inner) for name, inner in value.pairs}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


@many
@given(WRITTEN_OBJECTS, st.data())
def test_every_key_that_stands_twice_is_refused_and_nothing_else(value: Pairs, data: st.DataObject) -> None:
    """However deep it stands and however it is escaped; an object with each key once is read as it is."""
    text = written(value, data).encode()
    if any_repeats(value):
        with pytest.raises(codec.NotStrictJson):
            codec.parse_object(text)
    else:
        assert codec.parse_object(text) == plain(value)


@many
@given(st.binary(max_size=30))
def test_any_bytes_are_an_object_or_refused(line: bytes) -> None:
    """Reading never ends in anything but an object or NotStrictJson."""
    with contextlib.suppress(codec.NotStrictJson):
        assert isinstance(codec.parse_object(line), dict)


WORDS = st.text("ab-=0", max_size=3)
LEAVES = st.fixed_dictionaries(
    {
        "position": st.integers(1, 20),
        "recorded_at_us": st.integers(0, 20),
        "effective_on": st.sampled_from(SOME_DAYS),
        "event_type": WORDS,
        "tags": st.lists(WORDS, max_size=3),
        "postings": st.lists(
            st.builds(Posting, WORDS, st.integers(-2, 2), st.sampled_from(SOME_DAYS)), max_size=2
        ),
        "principal": WORDS,
        "key": st.none() | WORDS,
        "fingerprint_hex": st.sampled_from(["-", "00", "0" * 64]),
        "span": st.integers(1, 3),
        "data": st.binary(max_size=4),
    }
)


def _entry(position: int, recorded_at_us: int, **rest: Any) -> bytes:
    return codec.preimage(position, recorded_at_us, codec.body(**rest))


@many
@given(LEAVES, LEAVES, st.data())
def test_a_leaf_tells_every_field(one: dict[str, Any], other: dict[str, Any], data: st.DataObject) -> None:
    """Two events that differ in one field, or in any, have different preimages; equal ones have equal ones."""
    name = data.draw(st.sampled_from(sorted(one)))
    changed = {**one, name: other[name]}
    for first, second in ((one, changed), (one, other), (changed, other)):
        assert (_entry(**first) == _entry(**second)) == (first == second)


@many
@given(st.lists(WORDS, max_size=3), st.lists(WORDS, max_size=3), WORDS, WORDS, LEAVES)
def test_no_leaf_can_be_read_in_two_ways(
    tags: list[str], others: list[str], principal: str, key: str, leaf: dict[str, Any]
) -> None:
    """Words that move from one field to the next, or from one list to another, change the preimage."""
    base = {**leaf, "postings": []}
    assert (_entry(**{**base, "tags": tags}) == _entry(**{**base, "tags": others})) == (tags == others)
    moved = {**base, "tags": [*tags, principal], "principal": key}
    stayed = {**base, "tags": tags, "principal": principal, "key": key}
    assert _entry(**moved) != _entry(**stayed)
    assert _entry(**{**base, "key": None}) != _entry(**{**base, "key": "-"})


# --- the tree -----------------------------------------------------------------------------------------

#: The entries and roots of Certificate Transparency's own reference tests of RFC 6962.
ENTRIES = [
    *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(9))
def test_the_published_trees(size: int) -> None:
    """The empty tree and the well-known trees of up to eight entries have their published roots."""
    tree = merkle.Tree()
    leaves = [codec.leaf_hash(bytes.fromhex(entry)) for entry in ENTRIES[:size]]
    tree.extend(leaves)
    assert tree.root().hex() == ROOTS[size]
    assert merkle.root_of(b"".join(leaves)).hex() == ROOTS[size]
    assert tree.size == size


def naive_root(entries: Sequence[bytes]) -> bytes:
    """RFC 6962 §2.1, word by word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = 1
    while 2 * k < len(entries):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(entries[:k]) + naive_root(entries[k:])).digest()


@many
@given(st.lists(st.binary(max_size=3), max_size=70))
def test_the_root_is_that_of_the_definition(entries: list[bytes]) -> None:
    """A growing tree has at every size the root that the definition gives, and asking changes nothing; so has one
    made at once, also of the roots of equal parts."""
    tree = merkle.Tree()
    for size, entry in enumerate(entries, 1):
        tree.append(codec.leaf_hash(entry))
        assert tree.root() == tree.root()
        if size % 7 == 0 or size == len(entries):
            assert tree.root() == naive_root(entries[:size])
    leaves = [codec.leaf_hash(entry) for entry in entries]
    assert merkle.root_of(b"".join(leaves)) == naive_root(entries)
    parts = [b"".join(leaves[first : first + 8]) for first in range(0, len(leaves), 8)]
    assert merkle.root_of(b"".join(merkle.root_of(part) for part in parts)) == naive_root(entries)
