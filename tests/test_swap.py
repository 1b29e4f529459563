"""What is set aside comes back as it was: every memory of random histories, also of tags of one hash, also from a file
that is reclaimed."""

from __future__ import annotations

import errno
from random import Random
from typing import Any

import pytest

from ledger import loading, swap
from ledger.day_sums import DaySums
from ledger.events import Posting
from ledger.packing import Kept, packed, unpacked
from ledger.places import LENGTH_MAX, Places
from ledger.plain import slots_of
from ledger.refusals import Refusal
from ledger.state import Memory
from ledger.subjects.claims import StandingGrant
from ledger.swap import Swap
from tests.histories import history, line_keys
from tests.store.test_pipeline import documents, log, opened, read
from tests.test_properties import Core


def inside(value: Any) -> Any:
    """Objects of slots as their values, all the way down."""
    if isinstance(value, Memory | DaySums):
        names = [name for kind in type(value).__mro__ for name in slots_of(kind)]
        # What is only computed again when it is wanted is not set aside.
        return type(value), {name: inside(getattr(value, name)) for name in names if name != "_months"}
    if isinstance(value, dict):
        return [(key, inside(one)) for key, one in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [inside(one) for one in value]
    return type(value), value


def kept_of(seed: int, length: int = 300) -> dict[str, Kept]:
    """All that is remembered of every tag of a random history."""
    core = Core()
    for line in history(seed, length):
        core.submit(line)
    return {tag: (remembered, seed) for tag, remembered in core.state.forget(list(core.state)).items()}


@pytest.mark.parametrize("seed", range(5))
def test_what_is_packed_is_unpacked(seed: int) -> None:
    """Every memory and every account's sums come back with the same values of the same types."""
    kept = kept_of(seed)
    kinds = {tag.partition(":")[0] for tag in kept}
    assert kinds >= {"loan", "party", "claim", "round", "budget", "firm"}
    for tag, value in kept.items():
        assert inside(unpacked(packed(tag, value))) == inside((tag, value))


@pytest.mark.parametrize("slots", [(), ("anything",)])
def test_whatever_is_not_plain_is_kept_too(slots: tuple[str, ...]) -> None:
    """A memory of a class that somebody else wrote, with attributes and values of any kind."""
    memory: Any = (Foreign if not slots else ForeignWithSlots)()
    memory.anything = {("a", 1): Foreign}
    tag, ((memories, _), tail) = unpacked(packed("x:1", (((memory,), {}), None)))
    assert (tag, tail) == ("x:1", None)
    told: Any = memories[0]
    assert type(told) is type(memory)
    assert told.anything == memory.anything


def test_a_slot_that_is_not_set_stays_so() -> None:
    """A memory that was not told everything yet comes back as it is."""
    _, ((memories, _), _) = unpacked(packed("x:1", (((ForeignWithSlots(),), {}), None)))
    assert not hasattr(memories[0], "anything")


def test_dictionaries_of_anything_come_back() -> None:
    """Objects, named tuples, strings, mixed: each as it was."""
    memory = Foreign()
    memory.objects = {"a": StandingGrant(1, "x", 2, 3, None), "b": StandingGrant(2, "y", 3, 4, 5)}
    memory.tuples = {"a": Refusal("wrong_state", None, {"a": 1})}
    memory.lines = {"a": Posting("a/b", 1, "2024-01-01")}
    memory.mixed = {"a": StandingGrant(1, "x", 2, 3, None), "b": None}
    memory.texts = {"a": "b"}
    _, ((memories, _), _) = unpacked(packed("x:1", (((memory,), {}), None)))
    assert vars(memories[0]) == vars(memory)
    assert type(vars(memories[0])["tuples"]["a"]) is Refusal


class Foreign(Memory):
    """A memory without slots."""

    anything: Any
    objects: dict[str, Any]
    tuples: dict[str, Any]
    lines: dict[str, Posting]
    mixed: dict[str, Any]
    texts: dict[str, str]


class ForeignWithSlots(Memory):
    """A memory whose slot may hold whatever it likes."""

    __slots__ = ("anything",)


def test_the_file_is_reclaimed_and_nothing_is_lost() -> None:
    """Put again and again, tags come back as they were last put; the file stays in proportion to them."""
    random, aside = Random(1), Swap(reclaim_bytes_min=50_000)
    every = [value for seed in range(3) for value in kept_of(seed, 60).values()]
    last: dict[str, Kept] = {}
    sizes = set()
    for _ in range(300):
        some = {f"tag:{random.randrange(60)}": random.choice(every) for _ in range(20)}
        aside.put(some)
        last |= some
        for tag in random.sample(sorted(last), 2):
            aside.concern(tag)
            del last[tag]
        asked = [f"tag:{number}" for number in range(80)]
        assert {tag: inside(value) for tag, value in aside.take(asked).items()} == {
            tag: inside(value) for tag, value in last.items()
        }
        sizes.add(aside.size_bytes)
    live = sum(len(packed(tag, value)) for tag, value in last.items())
    assert max(sizes) < 50_000 + 8 * max(live, 50_000)
    aside.close()


@pytest.mark.parametrize("seed", range(4))
def test_places_are_those_of_a_dictionary(seed: int) -> None:
    """Put, put again, dropped and put again, also where hashes crowd in the same slots and the table grows or is made
    anew because most of it was dropped: what is found is what a dictionary holds."""
    random, places, last = Random(seed), Places(8), dict[int, tuple[int, int]]()
    numbers = [random.choice((random.randrange(-40, 40), 8 * random.randrange(90), random.getrandbits(63) - 2**62))
               for _ in range(300)]  # fmt: skip
    for _ in range(4_000):
        number = random.choice(numbers) or 1  # 0 is told from 1 no more than any two tags of one hash are
        if random.random() < 0.5:
            places.drop(number)
            last.pop(number, None)
        else:
            last[number] = random.randrange(2**39), random.randrange(LENGTH_MAX + 1)
            places.put(number, *last[number])
    found = {number: places.of(number) for number in numbers}
    held = {number: place for number, place in found.items() if place >= 0}
    assert {n: (place >> 24, place & LENGTH_MAX) for n, place in held.items()} == {
        number or 1: last[number or 1] for number in numbers if (number or 1) in last
    } | ({0: last[1]} if 0 in numbers and 1 in last else {})
    assert sorted((at, length) for _, at, length in places) == sorted(last.values())
    assert places.live_bytes == sum(length for _, length in last.values())


class OneHash(str):
    """Tags that all have the same hash."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 7


def test_tags_of_one_hash_are_not_taken_for_each_other() -> None:
    """Of two such tags at most the last one is there; neither has the other's value."""
    aside, kept = Swap(), kept_of(1, 60)
    first, second = list(kept.values())[:2]
    aside.put({OneHash("loan:A"): first})
    aside.put({OneHash("loan:B"): second})
    assert aside.take([OneHash("loan:A")]) == {}
    found = aside.take([OneHash("loan:B")])
    assert inside(found["loan:B"] if "loan:B" in found else found[OneHash("loan:B")]) == inside(second)
    aside.close()


def test_without_room_for_the_swap_memory_is_read_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk without room for what is set aside costs time and nothing else: the same outcomes and log."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(loading, "LIMITS", (0, 0, 0))
    monkeypatch.setattr(swap, "_append", full)
    lines = history(3, 120)
    sent = read(lines, list(line_keys(lines)))
    with opened(database) as one:
        told = [documents(found) for found in one.outcomes([item] for item in sent)]
    with opened(database) as one:
        again = [documents(found) for found in one.outcomes([item] for item in sent)]
    core = Core()
    decided = [core.submit(line) for line in lines]
    assert len(log(database)) == len(core.events) > 100
    assert len(told) == len(again) <= len(decided)
