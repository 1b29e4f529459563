"""Mergers and splits: whose used cap counts on.

The survivor of a merger inherits the sum of used cap from the merger's date on; after a split the used cap stays
with the original, and the created party is flagged for review (A3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger import accounts
from ledger.commands import TEXT, USCC, Command, CommandSpec, Field, InvalidCommand
from ledger.dates import Day
from ledger.day_sums import DaySums
from ledger.decisions import Decision, Handler, Refused, record
from ledger.events import Posting
from ledger.limits import missing_limit
from ledger.state import State
from ledger.subjects.ladders import Awards, moved_marks
from ledger.subjects.registrations import Party, absorbed, unknown_as

#: The kinds of key that are a party's code; their use moves with a merger, as that of a bank's products does.
_OWNERS = ("firm", "bank")

_MERGE = CommandSpec(
    "merge-parties",
    "Record that one party absorbed another: the used caps move to the survivor, of two marks the higher counts.",
    "登记合并：被吸收方已用额度转入存续方，里程碑取较高者。",
    (
        Field("survivor", USCC, "who goes on", "存续方"),
        Field("absorbed", USCC, "who ends", "被吸收方"),
        Field("document", TEXT, "the document", "依据文件"),
    ),
    check=lambda fields: _distinct(fields, "survivor", "absorbed"),
)
_SPLIT = CommandSpec(
    "split-party",
    "Record that a party was split off another: used caps stay with the original, the created one is flagged.",
    "登记分立：已用额度留在原主体，新主体标记待核。",
    (
        Field("original", USCC, "who was split", "原主体"),
        Field("created", USCC, "who came of it, registered before", "新主体（须先登记）"),
        Field("document", TEXT, "the document", "依据文件"),
    ),
    check=lambda fields: _distinct(fields, "original", "created"),
)


def _distinct(fields: Mapping[str, Any], first: str, second: str) -> None:
    if fields[first] == fields[second]:
        raise InvalidCommand(
            f"{first} and {second} are the same party; name two", f"{first} 与 {second} 相同；须为两个主体"
        )


def _merge_needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    for uscc in (fields["survivor"], fields["absorbed"]):
        yield f"party:{uscc}"
        yield from (f"{kind}:{uscc}" for kind in _OWNERS)
    gone = state.peek(Party, f"party:{fields['absorbed']}")
    for product in sorted(gone.products) if gone else ():
        yield f"product:{fields['absorbed']}/{product}"
        yield f"product:{fields['survivor']}/{product}"


def _split_needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    yield f"party:{fields['original']}"
    yield f"party:{fields['created']}"


def _merge(command: Command, state: State) -> Decision:
    survivor, gone = command.fields["survivor"], command.fields["absorbed"]
    tags = [f"party:{survivor}", f"party:{gone}"]
    refused = _not_two(survivor, gone, state, tags)
    if refused:
        return refused
    postings: list[Posting] = []
    for kind in _OWNERS:
        tags += [f"{kind}:{survivor}", f"{kind}:{gone}"]
        postings += _moved_use(f"{kind}:{gone}", survivor, command.effective_on, state)
    awards: dict[str, Any] = {}
    for product in sorted(state.recall(Party, f"party:{gone}").products):
        pair = (f"product:{survivor}/{product}", f"product:{gone}/{product}")
        tags += pair
        awards[product] = state.recall(Awards, pair[1]).document()
        postings += moved_marks(state, *pair, command.effective_on)
        postings += _moved_use(pair[1], survivor, command.effective_on, state)
    return record(command, "PartiesMerged", tags, postings, decided={"awards": awards} if awards else None)


def _not_two(first: str, second: str, state: State, tags: Iterable[str]) -> Refused | None:
    """Why two parties are not both there: one that is unknown comes before one that was absorbed (design §4)."""
    both = (first, second)
    return next(
        (refused for uscc in both if (refused := unknown_as(uscc, None, state, tags))),
        next((refused for uscc in both if (refused := absorbed(uscc, state, tags))), None),
    )


def _moved_use(gone_tag: str, survivor: str, on: Day, state: State) -> Iterable[Posting]:
    """From the merger's date on, on every day, the absorbed party's use is 0 and the survivor's the sum."""
    for path, sums in sorted(state.accounts_of(gone_tag).items()):
        target = _at(path, survivor)
        book = accounts.book_of(path)
        if book == "limit":
            yield from _inherited_limit(target, sums, state)
        elif book in ("quota", "settled"):
            for day, moved_fen in [(on, sums.at(on)), *[one for one in sums.items() if one[0] > on]]:
                if moved_fen:
                    yield Posting(path, -moved_fen, day)
                    yield Posting(target, moved_fen, day)


def _inherited_limit(target: str, sums: DaySums, state: State) -> Iterable[Posting]:
    """A survivor that never used the cap has the same limit, from the same dates."""
    if state.account(target).days:
        return
    posted = DaySums()
    for day in sums.days:
        for line in missing_limit(target, posted, sums.at(day), day):
            posted.add(line.effective_on, line.amount_fen)
            yield line


def _at(path: str, uscc: str) -> str:
    book, cap, _, *rest = path.split("/")
    return "/".join((book, cap, uscc, *rest))


def _split(command: Command, state: State) -> Decision:
    original, created = command.fields["original"], command.fields["created"]
    tags = (f"party:{original}", f"party:{created}")
    return _not_two(original, created, state, tags) or record(command, "PartySplit", tags)


HANDLERS = (Handler(_MERGE, _merge_needs, _merge), Handler(_SPLIT, _split_needs, _split))
