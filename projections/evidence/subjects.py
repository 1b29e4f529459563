"""What a pack is about, and which events it must hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.bilingual import Bilingual
from ledger.codec import parse_object
from ledger.events import StoredEvent
from ledger.key_events import EVENT_TYPE as KEY_EVENT
from ledger.parties import KINDS
from ledger.store import Store
from ledger.stored import NO_COMMAND
from projections.evidence.reading import rows

#: Kinds of tags whose whole history a claim rests on (what deciding it remembers), beside its parties and rules.
_RESTS_ON: Final = frozenset({"claim", "loan", "product", "payout"})
#: Also all of its firm, whose other grants used the same cap, unless there are more events: a pack is to be read.
FIRM_EVENTS_MAX: Final = 500


class NoSubject(Bilingual, LookupError):
    """There is no such claim, firm or bank."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a pack is about: `named` as the pack says it; the events that it holds; `shown`, the tag whose events are
    the subject's own (None: the one event); `complete`, the tags whose events are all there, up to `until`."""

    named: Mapping[str, Any]
    until: int
    events: tuple[StoredEvent, ...]
    shown: str | None = None
    complete: tuple[str, ...] = ()

    def own(self, event: StoredEvent) -> bool:
        """Whether an event is the subject's own, not only what it rests on."""
        return (
            event.position == self.named.get("position") if self.shown is None else self.shown in event.tags
        )


def of_event(store: Store, position: int) -> Subject:
    """One event, with the rules that it names."""
    named = {"kind": "event", "position": position}
    return Subject(named, position, _with_rules(store, [position], position))


def of_claim(store: Store, claim: str, until: int) -> Subject:
    """A claim's whole life up to a position, with all that it rests on: its loan, product or payout, its firm with
    what else used the firm's cap, its parties, its round's budget, the rules. Raises NoSubject."""
    shown = f"claim:{claim}"
    tags = _tags_at(store, _positions(store, [shown], until))
    if not tags:
        raise NoSubject(
            f"there is no claim {claim!r} up to position {until}", f"截至第 {until} 条没有申请 {claim!r}"
        )
    wanted = {tag for tag in tags if tag.partition(":")[0] in _RESTS_ON and not _is_other_claim(tag, shown)}
    wanted |= {tag for tag in tags if tag.startswith("firm:") and not _is_long(store, tag, until)}
    wanted |= {f"party:{uscc}" for kind, uscc in map(_parted, tags) if kind in KINDS}
    wanted |= {f"budget:{name}" for kind, name in map(_parted, tags) if kind == "round"}
    events = _with_rules(store, _positions(store, sorted(wanted), until), until)
    return Subject({"kind": "claim", "claim": claim}, until, events, shown)


def of_party(store: Store, kind: str, uscc: str, until: int) -> Subject:
    """All events of a firm or bank up to a position. Raises NoSubject."""
    tags = (f"{kind}:{uscc}", f"party:{uscc}")
    positions = _positions(store, tags, until)
    if not positions:
        raise NoSubject(
            f"no event up to {until} concerns the {kind} {uscc}", f"截至第 {until} 条没有涉及 {uscc} 的事件"
        )
    named = {"kind": kind, "uscc": uscc}
    return Subject(named, until, _with_rules(store, positions, until), tags[0], tags)


def _is_long(store: Store, tag: str, until: int) -> bool:
    return bool(rows(store, "has_more_than", tag=tag, until=until, events=FIRM_EVENTS_MAX)[0][0])


def _parted(tag: str) -> tuple[str, str]:
    kind, _, name = tag.partition(":")
    return kind, name


def _is_other_claim(tag: str, claim: str) -> bool:
    return tag.startswith("claim:") and tag != claim


def _positions(store: Store, tags: Iterable[str], until: int) -> list[int]:
    return [row[0] for row in rows(store, "positions_of_tags", tags=list(tags), until=until)]


def _tags_at(store: Store, positions: list[int]) -> set[str]:
    return {tag for event in store.stored_events_at(positions) for tag in event.tags}


def _with_rules(store: Store, positions: Iterable[int], until: int) -> tuple[StoredEvent, ...]:
    """The events, the adoptions of the rules that their decisions name, and every event about keys."""
    events = {event.position: event for event in store.stored_events_at(sorted(set(positions)))}
    rules = {f"rulebook:{name}" for event in events.values() for name in _rules_of(event)}
    more = {position for position in _positions(store, sorted(rules), until) if position not in events}
    events |= {event.position: event for event in store.stored_events_at(sorted(more))}
    newest = store.head().position
    keys = [row[0] for row in rows(store, "positions_of_type", type=KEY_EVENT, until=newest)]
    events |= {event.position: event for event in store.stored_events_at(keys)}
    return tuple(event for _, event in sorted(events.items()))


def _rules_of(event: StoredEvent) -> Iterable[str]:
    if event.span != NO_COMMAND:
        named = parse_object(event.data).get("rulebook")
        if isinstance(named, dict):
            yield from (named[layer] for layer in ("measure", "call") if layer in named)
