"""What if: a recorded history beside the one that other rules would have made. Pure.

Each claim is decided three times: as it was (recorded), under the other rules on the recorded history (the rule
alone), and under them on the history that they would have made. So what changes for a claim is the effect of the rule
itself, plus what follows from earlier differences (room or money that others took or left), plus what later steps take
back of it; the three add up. Steps are people's acts and stay as they were recorded: see `_as_it_would_be`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ledger import accounts
from ledger.accounts import book_of
from ledger.compared import Compared, Decision, Values, granted_fen, mark_fen, values_of
from ledger.events import Event, Posting
from ledger.explain import cap_keys
from ledger.grants import Instrument
from ledger.redecide import ADOPTION, History, Recorded, moves_otherwise
from ledger.rulebook.clauses import Rulebook
from ledger.subjects.claims import Claim
from ledger.subjects.rounds import Round, rulebook_of


class OtherStep(NamedTuple):
    """A command that is no claim and comes out otherwise: what it was, what it would be."""

    position: int
    then: str
    now: str


#: Besides grants, what posts the limits of the rules that it is decided by, or hands them on, or ends them.
_BY_THE_RULES: Final = ("RoundOpened", "PartiesMerged", "FactReversed")


class Alone:
    """The other rules on the recorded history: what each claim would be if nothing before it had changed.

    Limits are a matter of rules, so those of the other rules stand in the place of the recorded ones. Where the other
    rules count use by other keys (`renames`), the recorded use is counted by those; so are the awards on a ladder.
    """

    def __init__(self, history: History, grants: Mapping[str, Instrument], *, renames: bool) -> None:
        self._history = history
        self._grants = grants  # by type of event
        self._renames = renames
        #: By position, where the rule alone decides otherwise than recorded: another amount, or for another reason.
        self.decisions: dict[int, Values] = {}

    def take(self, recorded: Recorded, data: Mapping[str, Any], event: Event) -> None:
        """Decide a claim under the other rules, then follow what was recorded, under their limits."""
        if recorded.type == ADOPTION:
            self._history.hold(recorded, data)
        elif recorded.type in self._grants or recorded.type == "ClaimRefused":
            (new,) = self._history.consider(recorded, data).events
            values = values_of(new.type, new.data)
            if values != values_of(recorded.type, data):
                self.decisions[recorded.position] = values
            # A claim that they refuse needs no limit; who needs one next posts it.
            limits = _limits(new.postings) if new.type in self._grants else []
            self._history.follow(self._limited(event, limits))
        elif recorded.type in _BY_THE_RULES or self._renames:
            self._history.redecide(recorded, data)
        else:
            self._history.follow(event)

    def _limited(self, event: Event, limits: Sequence[Posting]) -> Event:
        """A recorded claim with these limits instead of its own."""
        if event.type not in self._grants:
            return event
        if self._renames:
            event = self._counted(event)
        if "ladder" in event.data:
            event = self._climbed(event)
        own = _limits(event.postings)
        if list(map(_line, own)) == list(map(_line, limits)):
            return event
        others = [posting for posting in event.postings if book_of(posting.account) != "limit"]
        return event.replaced(postings=(*others, *limits))

    def _counted(self, event: Event) -> Event:
        """A grant with its use by the keys of the other rules' caps."""
        data = event.data
        round_, rulebook = self._rules(data)
        clause = rulebook.clause_for(self._grants[event.type].key)
        keys = cap_keys(event.tags, data, round_.year, rulebook.programme, self._history.state)
        postings = [p for p in event.postings if book_of(p.account) != "quota"]
        for cap in clause.caps if clause else ():
            if keys.keys() >= set(cap.kinds):
                quota = accounts.quota(cap.id, "/".join(keys[kind] for kind in cap.kinds))
                postings.append(Posting(quota, data["amount_fen"], event.effective_on))
        return event.replaced(postings=tuple(postings))

    def _climbed(self, event: Event) -> Event:
        """An award on the ladder that the other rules give it."""
        instrument, data = self._grants[event.type], event.data
        clause = self._rules(data)[1].clause_for(instrument.key)
        if clause is None or instrument.climbed is None:
            return event
        ladder, key = instrument.climbed(data, clause)
        if (ladder, key) == (data["ladder"], data["ladder_key"]):
            return event
        return event.replaced(data={**data, "ladder": ladder, "ladder_key": key})

    def _rules(self, data: Mapping[str, Any]) -> tuple[Round, Rulebook]:
        """The round of a claim, and what decides in it under the other rules."""
        state = self._history.state
        round_ = state.recall(Round, f"budget:{data['round']}")
        return round_, rulebook_of(round_, state)


def _limits(postings: Iterable[Posting]) -> list[Posting]:
    return [posting for posting in postings if book_of(posting.account) == "limit"]


def _line(posting: Posting) -> tuple[str, int, str]:
    return posting.account, posting.amount_fen, posting.effective_on


class Supposed:
    """The history that the other rules would have made, beside the recorded one."""

    def __init__(self, history: History, grants: Collection[str]) -> None:
        self._history = history
        self._grants = grants  # their types of event
        self._parted: dict[str, int] = {}  # by tag, the first event that differs
        self._recovered_then_fen: dict[str, int] = {}
        self._granted_anew: set[str] = set()  # claims that were refused
        self.changed: dict[str, Compared] = {}  # claims whose amount or later steps differ
        self.other_steps: list[OtherStep] = []
        self.then_fen = self.now_fen = 0  # what stands of all grants

    def take(self, recorded: Recorded, data: Mapping[str, Any]) -> None:
        """Decide the command of an event on the supposed history, and compare."""
        if recorded.type == ADOPTION:
            self._history.hold(recorded, data)
            return
        if recorded.type == "CommandRefused" and data.get("claim") in self._granted_anew:
            return  # a step that people tried in vain; of a grant made anew none is invented
        is_claim = recorded.type in self._grants or recorded.type == "ClaimRefused"
        again = self._history.redecide(recorded, data if is_claim else self._as_it_would_be(recorded, data))
        event = again.events[-1]
        if is_claim:
            self._compare_claims(recorded, data, event)
        else:
            self._compare_steps(recorded, data, event)

    def _compare_claims(self, recorded: Recorded, data: Mapping[str, Any], event: Event) -> None:
        then_fen, now_fen = granted_fen(recorded.type, data), granted_fen(event.type, event.data)
        self.then_fen += then_fen
        self.now_fen += now_fen
        payee, payee_now = _payees(recorded.type, data, event)
        # A mark is the same where it stands as high: later claims count it in steps of the rule that decides them.
        if then_fen == now_fen and payee == payee_now and mark_fen(event.data) == mark_fen(data):
            return
        tags = event.tags
        if "\n".join(tags) != recorded.tags:
            tags = tuple(sorted({*recorded.tags.split("\n"), *tags}))
        parted = {tag: at for tag in tags if (at := self._parted.get(tag)) is not None}
        if recorded.type == "ClaimRefused" and event.type != "ClaimRefused":
            self._granted_anew.add(data["claim"])
        if then_fen != now_fen or payee != payee_now:
            then, now = Decision.of(recorded.type, data), Decision.of(event.type, event.data)
            shown = event.data if event.type != "ClaimRefused" else data
            self.changed[data["claim"]] = Compared(
                claim=data["claim"],
                position=recorded.position,
                instrument=shown.get("instrument", ""),
                round=data["round"],
                payee=payee,
                then=then,
                now=now,
                parted_at=parted,
                payee_now=payee_now,
            )
        self._part(tags, recorded.position)

    def _compare_steps(self, recorded: Recorded, data: Mapping[str, Any], event: Event) -> None:
        then_fen, now_fen = _taken_fen(recorded.type, data), _taken_fen(event.type, event.data)
        self.then_fen -= then_fen
        self.now_fen -= now_fen
        claim = self.changed.get(data.get("claim", ""))
        if claim is not None:
            claim.taken_then_fen += then_fen
            claim.taken_now_fen += now_fen
        if event.type != recorded.type:
            self.other_steps.append(
                OtherStep(recorded.position, _shown(recorded.type, data), _shown(event.type, event.data))
            )
        if event.type == "PartiesMerged":
            # Also awards that leave the same mark: once one of them is undone the other marks count.
            if moves_otherwise(event, recorded) or _heights(event.data) != _heights(data):
                self._hand_on(event)
        elif event.type != recorded.type or ("claim" in data and moves_otherwise(event, recorded)):
            self._part((*recorded.tags.split("\n"), *event.tags), recorded.position)

    def _hand_on(self, merger: Event) -> None:
        """What parted the absorbed party's use parts the survivor's from the merger on."""
        survivor, absorbed = (f":{merger.data[name]}" for name in ("survivor", "absorbed"))
        for tag in merger.tags:
            at = self._parted.get(tag)
            if at is not None and absorbed in tag:
                heir = tag.replace(absorbed, survivor, 1)
                self._parted[heir] = min(at, self._parted.get(heir, at))

    def _part(self, tags: Iterable[str], position: int) -> None:
        for tag in tags:
            self._parted.setdefault(tag, position)

    @property
    def first_parting(self) -> int | None:
        """The first event that differs."""
        return min(self._parted.values(), default=None)

    def _as_it_would_be(self, recorded: Recorded, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """A step of a grant's life as people would have taken it. A grant that is refused now has no steps: they are
        refused as well. One that is granted anew has none that were taken: it stays decided. A recovery of all that
        was left takes all that would be left; one of a part stays what it was, as far as so much would be left."""
        if recorded.type != "GrantRecovered":
            return data
        name = data["claim"]
        before_fen = self._recovered_then_fen.get(name, 0)
        self._recovered_then_fen[name] = before_fen + data["amount_fen"]
        left_fen = self._history.state.recall(Claim, f"claim:{name}").recoverable_fen
        if left_fen == 0:
            return data
        was_all = before_fen + data["amount_fen"] == data["granted_fen"]
        return {**data, "amount_fen": left_fen if was_all else min(data["amount_fen"], left_fen)}


def _payees(recorded_type: str, data: Mapping[str, Any], event: Event) -> tuple[str, str]:
    """Whom a claim paid and whom it would pay; where one of the two refuses it, whom the other pays. Facts that the
    other rules keep in use may leave a loan with the firm that it was drawn for first."""
    payee, payee_now = data.get("payee") or "", event.data.get("payee") or ""
    if recorded_type == "ClaimRefused":
        return payee_now, payee_now
    return payee, payee if event.type == "ClaimRefused" else payee_now


def _heights(merger: Mapping[str, Any]) -> dict[str, int]:
    """How high the awards stand that a merger moves, by claim."""
    awards: Mapping[str, Mapping[str, Any]] = merger.get("awards", {})
    return {
        claim: award["reached"] * award["step_fen"]
        for moved in awards.values()
        for claim, award in moved.items()
    }


def _taken_fen(event_type: str, data: Mapping[str, Any]) -> int:
    """What a step takes back of its grant."""
    if event_type == "GrantVoided":
        return int(data["granted_fen"])
    return int(data["amount_fen"]) if event_type == "GrantRecovered" else 0


def _shown(event_type: str, data: Mapping[str, Any]) -> str:
    return f"{event_type} ({data['code']})" if "code" in data else event_type
