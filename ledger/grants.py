"""Deciding a claim: what every instrument shares. The instrument says what the claim rests on; this file takes
the least of its legs, the room under each cap on both clocks, the round's budget, and writes the grant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from mypy_extensions import mypyc_attr

from ledger import accounts
from ledger.commands import ID, Command, CommandSpec, Field
from ledger.dates import Day
from ledger.day_sums import room_fen
from ledger.decisions import Accepted, Decision, Handler, Refused, move, own_fields, refuse, too_early
from ledger.events import NewEvent, Posting
from ledger.limits import missing_limit
from ledger.money import Exact, floor_to_unit, is_less
from ledger.plain import Plain
from ledger.refusals import Refusal
from ledger.rulebook import shapes
from ledger.rulebook.clauses import Cap, Clause
from ledger.rulebook.forms import Form, UnusableRulebook
from ledger.state import MemoryKinds, State, owner_of
from ledger.subjects.claims import Claim
from ledger.subjects.registrations import Party
from ledger.subjects.rounds import Round, rulebook_of

#: Every claim names itself and the round that pays it.
CLAIM_FIELDS = (
    Field("claim", ID, "id of the new claim; used once, accepted or refused", "新申请编号；无论结果只用一次"),
    Field("round", ID, "the round that pays", "支付的轮次"),
)


#: What may say an input of a claim that the claim does not bring itself: the draw of its loan, its payout and what was
#: recovered on that, the certificate of its year, the awards that reached the mark, the rules of its round.
Source = Literal["draw", "payout", "recoveries", "certificate", "awards", "rules"]


@mypyc_attr(acyclic=True)
class Case(Plain):
    """What a claim rests on, once the instrument found nothing to refuse.

    `legs` are figures that the claim brings itself (part, exact fen), e.g. what people decided; `basis` are the
    figures for the shapes (fen or counts), `dates` the facts' dates that limits hang on, `inputs`
    what the grant keeps so that it can be computed again. `marks` are counters that the grant moves, `tags` what
    else the grant takes hold of, `keys` what else a cap may count by (kind of key to id).
    """

    __slots__ = (
        "basis",
        "dates",
        "decided",
        "inputs",
        "keys",
        "legs",
        "marks",
        "nothing_due",
        "payee",
        "tags",
        "warnings",
    )

    def __init__(
        self,
        payee: str,
        basis: Mapping[str, int],
        inputs: Mapping[str, Any],
        dates: Mapping[str, Day] = MappingProxyType({}),
        decided: Mapping[str, Any] = MappingProxyType({}),
        legs: tuple[tuple[str, Exact], ...] = (),
        marks: tuple[tuple[str, int], ...] = (),
        warnings: tuple[str, ...] = (),
        tags: tuple[str, ...] = (),
        keys: Mapping[str, str] = MappingProxyType({}),
        nothing_due: str = "rounds_to_nothing",
    ) -> None:
        self.payee: Final = payee
        self.basis: Final = basis
        self.inputs: Final = inputs
        self.dates: Final = dates
        self.decided: Final = decided
        self.legs: Final = legs
        self.marks: Final = marks
        self.warnings: Final = warnings
        self.tags: Final = tags
        self.keys: Final = keys
        self.nothing_due: Final = nothing_due


@dataclass(frozen=True, slots=True)
class Instrument:
    """One policy instrument.

    `keys(fields, state)` names the subjects as far as they are loaded: kind of key to id; `needs` further tags.
    `find` refuses unknown subjects; `payee(fields, keys)` says whom it would pay, once all are known; `assess` refuses
    what the clause excludes or returns the Case; `climbed(fields, clause)` names the ladder that its grants climb, if
    they climb one, and its key.

    What it asks of its clause: `terms` that have to stand there and those that `may_say` more, by name; `legs` by part,
    with their shape, and at least one leg unless the amount is `decided_by_people`. What its cases bring: `figures` to
    compute with, `dates` of facts, and what caps may be `counted_by`. `sources` names what says each input that the
    claim does not bring itself.
    """

    key: str
    event: str
    spec: CommandSpec
    keys: Callable[[Mapping[str, Any], State], Mapping[str, str]]
    needs: Callable[[Mapping[str, Any], State], Iterable[str]]
    find: Callable[[Mapping[str, Any], State], Refusal | None]
    payee: Callable[[Mapping[str, Any], Mapping[str, str]], str | None]
    assess: Callable[[Command, State, Clause, Round], Refusal | Case]
    climbed: Callable[[Mapping[str, Any], Clause], tuple[str, str]] | None = None
    memories: MemoryKinds = field(default_factory=dict)
    terms: Mapping[str, Form] = field(default_factory=dict)
    may_say: Mapping[str, Form] = field(default_factory=dict)
    legs: Mapping[str, str] = field(default_factory=dict)
    figures: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    counted_by: tuple[str, ...] = ()
    decided_by_people: bool = False

    def handler(self) -> Handler:
        """The handler of the instrument's command."""
        return Handler(
            self.spec,
            lambda fields, state: _needs(self, fields, state),
            lambda command, state: decide_claim(self, command, state),
        )


def _needs(instrument: Instrument, fields: Mapping[str, Any], state: State) -> Iterable[str]:
    round_id = fields["round"]
    tags = [f"claim:{fields['claim']}", f"round:{round_id}", f"budget:{round_id}"]
    tags += instrument.needs(fields, state)
    keys = instrument.keys(fields, state)
    payee = instrument.payee(fields, keys)
    if payee is not None:
        tags.append(f"party:{payee}")
    tags += [f"{kind}:{keys[kind]}" for kind in ("loan", "product") if kind in keys]
    round_ = state.peek(Round, tags[2])
    if round_ is None or not round_.opened:
        return tags
    tags += round_.rulebook_tags
    for tag in round_.rulebook_tags:
        if tag not in state:
            return tags
    clause = rulebook_of(round_, state).clause_for(instrument.key)
    for cap in clause.caps if clause else ():
        kind = cap.kinds[0]
        if kind in keys and kind != "loan":  # which is among them already
            tags.append(f"{kind}:{keys[kind]}")
    return tags


def decide_claim(instrument: Instrument, command: Command, state: State) -> Decision:
    """Decide one claim, in the documented precedence of refusals (design §4)."""
    fields = command.fields
    keys = instrument.keys(fields, state)
    tags = [f"claim:{fields['claim']}", f"round:{fields['round']}"]
    tags += [f"{kind}:{key}" for kind, key in keys.items()]
    round_ = state.recall(Round, f"budget:{fields['round']}")
    if not round_.opened:
        return refuse("unknown_round", tags, round=fields["round"])
    unknown = instrument.find(fields, state)
    if unknown is not None:
        return Refused(unknown, tuple(tags))
    if state.recall(Claim, tags[0]).used:
        return refuse(
            "duplicate_claim", tags, claim=fields["claim"], with_claim=fields["claim"], why="id_used"
        )
    if round_.closed:
        return refuse("wrong_state", tags, subject=fields["round"], state="closed", wanted="round_closed")
    early = too_early(command, round_.effective_on, tags)
    if early is not None:
        return early
    rulebook = rulebook_of(round_, state)
    clause = rulebook.clause_for(instrument.key)
    if clause is None:
        return refuse("no_clause", tags, instrument=instrument.key, rulebook=round_.measure[0])
    payee = instrument.payee(fields, keys) or ""
    assessed = _excluded(command, state, clause, payee) or instrument.assess(command, state, clause, round_)
    if isinstance(assessed, Refusal):
        return Refused(assessed, tuple(tags), _frame(instrument, round_, clause))
    frame = {"round": round_.id or "", "year": str(round_.year), "programme": rulebook.programme}
    keys = {**keys, **assessed.keys, **frame}
    return _Computation(instrument, command, state, clause, round_, assessed, keys).decide(tags)


def _excluded(command: Command, state: State, clause: Clause, payee: str) -> Refusal | None:
    """Whether the payee itself is out: absorbed by another, or without a quality that the clause demands."""
    party = state.recall(Party, f"party:{payee}")
    if party.absorbed_into is not None:
        survivor, merged_on = party.absorbed_into
        return Refusal("party_absorbed", None, {"uscc": payee, "survivor": survivor, "merged_on": merged_on})
    quality = clause.terms.get("quality")
    if quality is not None and party.certified_at(quality, command.effective_on) is None:
        demanded = {"uscc": payee, "quality": quality, "on": command.effective_on}
        return Refusal("party_not_eligible", clause.id, demanded)
    return None


def _frame(instrument: Instrument, round_: Round, clause: Clause) -> dict[str, Any]:
    """Which rules decided: kept by grants and refusals alike."""
    return {"instrument": instrument.key, "reading": clause.reading, "rulebook": round_.frozen}


def _party_of_product(tag: str) -> str:
    return f"party:{tag.removeprefix('product:').partition('/')[0]}"


@mypyc_attr(acyclic=True)
class _Computation:
    """The arithmetic of one claim: legs, caps, budget, postings."""

    __slots__ = (
        *("binding", "case", "clause", "command", "instrument", "keys"),
        *("least", "legs", "limits", "quotas", "round", "state"),
    )

    def __init__(
        self,
        instrument: Instrument,
        command: Command,
        state: State,
        clause: Clause,
        round_: Round,
        case: Case,
        keys: Mapping[str, str],
    ) -> None:
        self.instrument, self.command, self.state = instrument, command, state
        self.clause, self.round, self.case, self.keys = clause, round_, case, keys
        self.legs: list[tuple[str, Exact]] = []
        self.binding = 0  # the leg that is least; of equal ones the first
        self.least: Exact = (0, 1)  # what it comes to
        self.limits: list[Posting] = []
        self.quotas: list[str] = []

    def decide(self, tags: list[str]) -> Decision:
        """The grant, or the refusal with the legs that led to it."""
        unit_fen = self.clause.rounding_unit_fen
        for part, value in self.case.legs:
            self._add_leg(part, value)
        for leg in self.clause.legs:
            self._add_leg(leg.part, shapes.value(leg.parameters, self.case.basis))
        if not self.legs:
            raise ValueError(f"clause {self.clause.id} has no leg: nothing says how much is due")
        if floor_to_unit(self.least, unit_fen) == 0:
            return self._refused(tags, "nothing_due", why=self.case.nothing_due)
        for cap in self.clause.caps:
            limit_fen, left_fen = self._take_cap(cap)
            if floor_to_unit(self.least, unit_fen) == 0:
                return self._refused(tags, cap.refusal, limit_fen=limit_fen, room_fen=left_fen)
        amount_fen = floor_to_unit(self.least, unit_fen)
        available = accounts.available(self.keys["round"])
        available_fen = self.state.account(available).lowest_from(self.command.effective_on)
        if amount_fen > available_fen:
            return self._refused(
                tags, "budget_short", available_fen=max(0, available_fen), amount_fen=amount_fen
            )
        return self._granted(tags, amount_fen)

    def _add_leg(self, part: str, value: Exact) -> None:
        if not self.legs or is_less(value, self.least):
            self.binding, self.least = len(self.legs), value
        self.legs.append((part, value))

    def _take_cap(self, cap: Cap) -> tuple[int, int]:
        """Add the cap's room as a leg; remember its quota line and a limit that is not posted yet."""
        try:
            key = "/".join([self.keys[kind] for kind in cap.kinds])
        except KeyError as error:
            raise self._not_counted(cap, error.args[0]) from None
        quota, limit = accounts.quota(cap.id, key), accounts.limit(cap.id, key)
        limit_fen = floor_to_unit(shapes.value(cap.limit, self.case.basis), 1)
        since = cap.effective_from if cap.dated_by is None else self.case.dates[cap.dated_by]
        limits = self.state.account(limit)
        missing = missing_limit(limit, limits, limit_fen, since)
        if missing:
            limits = limits.copy()
            for posting in missing:
                limits.add(posting.effective_on, posting.amount_fen)
        left_fen = room_fen(limits, self.state.account(quota), self.command.effective_on)
        self._add_leg(cap.part, (left_fen, 1))
        self.limits.extend(missing)
        self.quotas.append(quota)
        return limit_fen, left_fen

    def _not_counted(self, cap: Cap, kind: str) -> UnusableRulebook:
        """What is wrong with a cap that counts by what not every claim has."""
        where, claim = f"{self.clause.id}: caps.{cap.part}", self.command.fields["claim"]
        return UnusableRulebook(
            f"{where} counts by {kind}, and claim {claim} has no {kind}",
            f"{where} 按 {kind} 累计，而申请 {claim} 没有 {kind}",
        )

    def _shown_legs(self) -> list[dict[str, Any]]:
        clause, shown = self.clause.id, list[dict[str, Any]]()
        for i, (part, (over, under)) in enumerate(self.legs):
            # In the order of the names, as the canonical bytes have them: nothing is left to sort.
            leg = {"binding": i == self.binding, "clause": clause}
            if under != 1:
                leg["exact_fen"] = f"{over}/{under}"
            leg["part"], leg["value_fen"] = part, over // under
            shown.append(leg)
        return shown

    def _refused(self, tags: list[str], code: str, **arithmetic: Any) -> Refused:
        kept = {
            **_frame(self.instrument, self.round, self.clause),
            "payee": self.case.payee,
            "inputs": self.case.inputs,
            "legs": self._shown_legs(),
        }
        clause = None if code == "budget_short" else self.clause.id  # means are short, no clause refuses
        return Refused(Refusal(code, clause, arithmetic), tuple(tags), kept)

    def _granted(self, tags: list[str], amount_fen: int) -> Accepted:
        on, case, round_id = self.command.effective_on, self.case, self.keys["round"]
        postings = (
            *move(accounts.available(round_id), accounts.committed(round_id), amount_fen, on),
            *self.limits,
            *[Posting(quota, amount_fen, on) for quota in self.quotas],
            *[Posting(account, step_fen, on) for account, step_fen in case.marks if step_fen],
        )
        data = {
            **own_fields(self.command),
            **_frame(self.instrument, self.round, self.clause),
            **case.decided,
            "payee": case.payee,
            "amount_fen": amount_fen,
            "clause": self.clause.id,
            "legs": self._shown_legs(),
            "inputs": case.inputs,
        }
        warnings = (*case.warnings, *self._review_warnings())
        if warnings:
            data["warnings"] = list(warnings)
        # Whoever owns a cap's account carries the grant: its day sums are loaded by that tag.
        owners = [owner for quota in self.quotas if (owner := owner_of(quota))]
        # A bank knows the products that are counted: their use moves when it merges.
        banks = [_party_of_product(owner) for owner in owners if owner.startswith("product:")]
        tags = sorted(set(tags).union(case.tags, self._certificate_tags(), owners, banks))
        event = NewEvent(self.instrument.event, on, tuple(tags), data, postings)
        return Accepted((event,), amount_fen, warnings)

    def _certificate_tags(self) -> tuple[str, ...]:
        """The certificate of the payee that the clause demands: the grant rests on it."""
        quality = self.clause.terms.get("quality")
        if quality is None:
            return ()
        party = self.state.recall(Party, f"party:{self.case.payee}")
        return (f"position:{party.certified_at(quality, self.command.effective_on)}",)

    def _review_warnings(self) -> tuple[str, ...]:
        """A party that was split off another is flagged: people look whether it fills a second cap (A3)."""
        party = self.state.recall(Party, f"party:{self.case.payee}")
        return ("split_review",) if party.split_from else ()
