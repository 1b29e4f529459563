"""Claims: the life of a grant after its decision: publicised, held, paid, returned, voided, recovered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ledger import accounts, rows
from ledger.commands import AMOUNT, DAY, ID, TEXT, Command, CommandSpec, Field, one_of
from ledger.dates import END_OF_TIME, Day, shared
from ledger.decisions import Decision, Handler, Refused, move, record, refuse, too_early
from ledger.events import Event, Posting
from ledger.state import Memory, State, owner_of
from ledger.subjects.inheritance import PARTY_KINDS, heirs, inherited
from ledger.subjects.ladders import released_mark


@mypyc_attr(acyclic=True)
class Claim(Memory):
    """One claim (tag `claim:<id>`): its state and what its grant posted."""

    __slots__ = (
        "_quotas",
        "_tags",
        "amount_fen",
        "climbs",
        "instrument",
        "last_on",
        "on_hold",
        "payee",
        "recovered_error_fen",
        "recovered_misconduct_fen",
        "restoring_causes",
        "round",
        "state",
    )

    def __init__(self) -> None:
        self.state: str | None = None  # None, refused, decided, publicised, paid, voided
        self.instrument = self.payee = self.round = ""
        self.amount_fen = self.recovered_error_fen = self.recovered_misconduct_fen = 0
        self.last_on: Day = ""
        self.on_hold = self.climbs = False  # climbs: whether the grant moved the mark of a ladder
        # Joined: of a million claims, few are asked for either, and as texts of their own they are twice as large.
        self._quotas = ""
        self._tags = ""
        self.restoring_causes: tuple[str, ...] = ()  # of a recovery that gives cap room back (A13)

    def apply(self, event: Event, tag: str) -> None:
        """The decision, and each step of the grant's life."""
        kind, data = event.type, event.data
        if kind == "ClaimRefused":
            self.state = self.state or "refused"
            return
        if kind == "CommandRefused":
            return
        if "legs" in data:
            self.state, self._tags = "decided", "\n".join(event.tags)
            self.instrument, self.round = intern(data["instrument"]), intern(data["round"])
            self.payee = intern(data["payee"])
            self.amount_fen, self.climbs = data["amount_fen"], "ladder" in data
            self.restoring_causes = _causes(data["reading"].get("A13", "error"))
            quotas = [posting.account for posting in event.postings if posting.account.startswith("quota/")]
            self._quotas = "\n".join(quotas)
        elif kind == "GrantRecovered":
            if data["cause"] == "error":
                self.recovered_error_fen += data["amount_fen"]
            else:
                self.recovered_misconduct_fen += data["amount_fen"]
        elif kind in ("GrantHeld", "GrantReleased"):
            self.on_hold = kind == "GrantHeld"
        else:
            self.state = STATE_AFTER[kind]
            self.on_hold = self.on_hold and kind != "GrantVoided"
        self.last_on = shared(event.effective_on)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of the grant."""
        return tuple(self._tags.split("\n")) if self._tags else ()

    @property
    def quotas(self) -> tuple[str, ...]:
        """The accounts `quota/<cap>/<key>` that the grant uses."""
        return tuple(self._quotas.split("\n")) if self._quotas else ()

    @property
    def used(self) -> bool:
        """Whether the id was ever decided on, accepted or refused."""
        return self.state is not None

    @property
    def recoverable_fen(self) -> int:
        """Paid and not yet recovered."""
        if self.state != "paid":
            return 0
        return self.amount_fen - self.recovered_error_fen - self.recovered_misconduct_fen

    @property
    def recovered_fen(self) -> int:
        """Recovered so far, for whatever cause."""
        return self.recovered_error_fen + self.recovered_misconduct_fen


@lru_cache(maxsize=64)
def _causes(reading: str) -> tuple[str, ...]:
    return tuple(reading.split("+"))


@dataclass(slots=True)
class StandingGrant:
    """A grant that is neither voided nor wholly recovered: what of it is not recovered, in all and for error."""

    position: int
    instrument: str
    left_fen: int
    left_but_for_error_fen: int
    certified_at: int | None  # the position of the certificate that it rests on, if it rests on one


@mypyc_attr(acyclic=True)
class Standing(Memory):
    """The standing grants that rest on a loan, a payout, a product or the fact at a position (the memory of such
    a tag)."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        # A loan's are set aside and taken back (see swap) far more often than they are read: claim, position,
        # instrument, what is left in all and but for error, position of the certificate.
        self._rows: rows.Rows = []

    def apply(self, event: Event, tag: str) -> None:
        """A grant stands until it is voided or wholly recovered."""
        data = event.data
        if event.type == "GrantVoided":
            rows.replace(self._rows, data["claim"], None)
        elif event.type == "GrantRecovered":
            found = rows.find(self._rows, data["claim"])
            if found is not None:
                claim, position, instrument, left, but_for_error, certified_at = found
                left_fen = int(left) - data["amount_fen"]
                but_for_error_fen = int(but_for_error) - (
                    data["amount_fen"] if data["cause"] == "error" else 0
                )
                row = f"{claim} {position} {instrument} {left_fen} {but_for_error_fen} {certified_at}"
                rows.replace(self._rows, claim, row)
        elif "legs" in data and event.type != "ClaimRefused":
            fen, at = data["amount_fen"], data["inputs"].get("certified_at")
            certified_at = _NONE if at is None else str(at)
            row = f"{data['claim']} {event.position} {data['instrument']} {fen} {fen} {certified_at}"
            rows.add(self._rows, row)

    def carried(self) -> dict[str, StandingGrant]:
        """The grants that still rest on it, by claim: not voided, not wholly recovered."""
        return {claim: grant for claim, grant in self._grants() if grant.left_fen > 0}

    def decided(self) -> dict[str, StandingGrant]:
        """The grants that count as decided, by claim: not voided, not wholly recovered for error."""
        return {claim: grant for claim, grant in self._grants() if grant.left_but_for_error_fen > 0}

    def _grants(self) -> list[tuple[str, StandingGrant]]:
        return [
            (
                claim,
                StandingGrant(
                    int(position),
                    instrument,
                    int(left_fen),
                    int(left_but_for_error_fen),
                    None if certified_at == _NONE else int(certified_at),
                ),
            )
            for claim, position, instrument, left_fen, left_but_for_error_fen, certified_at in rows.words(
                self._rows
            )
        ]


#: In the place of a position that there is not.
_NONE: Final = "-"

STATE_AFTER = {
    "GrantPublicised": "publicised",
    "GrantPaid": "paid",
    "PaymentReturned": "publicised",  # payable again
    "GrantVoided": "voided",
}
MEMORIES = {"claim": (Claim,), "loan": (Standing,), "product": (Standing,), "position": (Standing,)}

_CLAIM = Field("claim", ID, "id of the claim", "申请编号")

_PUBLICISE = CommandSpec(
    "publicise",
    "Put a decided claim on public notice.",
    "将已决定的申请予以公示。",
    (
        _CLAIM,
        Field("notice", TEXT, "reference of the notice", "公示文号"),
        Field("notice_from", DAY, "first day of the notice", "公示起始日", required=False),
        Field("notice_to", DAY, "last day of the notice", "公示截止日", required=False),
    ),
)
_PAY = CommandSpec(
    "pay",
    "Pay a publicised claim. Effective on paid_on unless said otherwise.",
    "支付已公示的申请；业务日期默认为 paid_on。",
    (
        _CLAIM,
        Field("voucher", TEXT, "number of the payment voucher", "支付凭证号"),
        Field("paid_on", DAY, "the day of the payment", "支付日期"),
    ),
    dated_by="paid_on",
)
_VOID = CommandSpec(
    "void",
    "Take back a decision before it is paid: money, cap room and days become free again.",
    "支付前撤销决定：资金、额度与期间随之释放。",
    (_CLAIM, Field("reason", TEXT, "why", "原因")),
)
_RECOVER = CommandSpec(
    "recover",
    "Recover paid money, wholly or in part; for error it restores cap room, for misconduct it does not.",
    "追回已支付资金（全部或部分）；因差错追回恢复额度，因违规追回不恢复。",
    (
        _CLAIM,
        Field("amount_fen", AMOUNT, "the amount that came back", "追回金额"),
        Field("cause", one_of("error", "misconduct"), "why", "原因类别"),
        Field("document", TEXT, "the document that orders it", "依据文件"),
    ),
)


_HOLD = CommandSpec(
    "hold",
    "Hold an unpaid claim: it is not publicised or paid until released; a void ends it (A29).",
    "暂缓未支付的申请：解除前不得公示或支付；可撤销。",
    (_CLAIM, Field("reason", TEXT, "why", "原因")),
)
_RELEASE = CommandSpec(
    "release",
    "Release a claim from hold.",
    "解除暂缓。",
    (_CLAIM, Field("reason", TEXT, "why", "原因")),
)
_RETURN = CommandSpec(
    "return-payment",
    "Record that a payment came back (e.g. a closed account); the claim is payable again. Effective on returned_on.",
    "登记退回的支付（如账户注销）；可再次支付。业务日期默认为 returned_on。",
    (
        _CLAIM,
        Field("voucher", TEXT, "number of the voucher of the return", "退回凭证号"),
        Field("returned_on", DAY, "the day of the return", "退回日期"),
    ),
    dated_by="returned_on",
)


def _needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    tag = f"claim:{fields['claim']}"
    yield tag
    claim = state.peek(Claim, tag)
    for concerned in claim.tags if claim else ():
        yield concerned
        kind, party, key = _party_tag(concerned)
        for heir in heirs(party, state) if party else ():
            yield f"party:{heir}"
            yield f"{kind}:{heir}{key}"


def _party_tag(tag: str) -> tuple[str, str, str]:
    """Kind, code and the rest of the key of a tag whose accounts move with a merger; no code for other tags."""
    kind, _, key = tag.partition(":")
    if kind not in PARTY_KINDS:
        return kind, "", ""
    party, slash, rest = key.partition("/")
    return kind, party, slash + rest


def _step(
    command: Command, state: State, allowed: tuple[str, ...], wanted: str, *, held: bool = False
) -> tuple[Claim, Refused | None]:
    """The claim of a step, and why the step is refused: unknown, on hold (unless `held` allows it), in another
    state."""
    claim_id = command.fields["claim"]
    tag = f"claim:{claim_id}"
    claim = state.recall(Claim, tag)
    tags = claim.tags or (tag,)
    if not claim.used:
        return claim, refuse("unknown_claim", tags, claim=claim_id)
    if claim.on_hold and not held:
        return claim, refuse("on_hold", tags, subject=claim_id)
    if claim.state not in allowed:
        return claim, _wrong(command, claim, claim.state or "", wanted)
    return claim, None


def _wrong(
    command: Command, claim: Claim, state: str, wanted: str, recoverable_fen: int | None = None
) -> Refused:
    tags = claim.tags or (f"claim:{command.fields['claim']}",)
    return refuse(
        "wrong_state",
        tags,
        subject=command.fields["claim"],
        state=state,
        wanted=wanted,
        recoverable_fen=recoverable_fen,
    )


def _take(
    command: Command,
    state: State,
    claim: Claim,
    event_type: str,
    postings: Iterable[Posting] = (),
    warnings: tuple[str, ...] = (),
) -> Decision:
    """Record a step, unless it takes effect before the one that it follows. Use of an absorbed party's cap is
    posted to the survivor."""
    early = too_early(command, claim.last_on, claim.tags)
    if early is not None:
        return early
    lines = tuple(inherited(postings, state))
    owners = {owner_of(line.account) for line in lines} - {None}
    tags = {*claim.tags, *_carriers(claim, state), *(owner for owner in owners if owner)}
    kept = {"instrument": claim.instrument, "payee": claim.payee, "round": claim.round}
    # Its own amount, where it has one, is the step's; the grant's stands beside it.
    return record(command, event_type, tags, lines, warnings, {**kept, "granted_fen": claim.amount_fen})


def _carriers(claim: Claim, state: State) -> Iterable[str]:
    """The tags of whoever absorbed a party of the grant: their memories carry it on, whether or not this step
    posts anything to them."""
    for tag in claim.tags:
        kind, party, key = _party_tag(tag)
        if party:
            yield from (f"{kind}:{heir}{key}" for heir in heirs(party, state, whole=True))


def _publicise(command: Command, state: State) -> Decision:
    claim, refused = _step(command, state, ("decided",), "decided_first")
    if refused:
        return refused
    first, last = command.fields.get("notice_from", ""), command.fields.get("notice_to", END_OF_TIME)
    warnings: tuple[str, ...] = ("notice_ends_before_it_begins",) if first > last else ()
    return _take(command, state, claim, "GrantPublicised", (), warnings)


def _hold(command: Command, state: State) -> Decision:
    claim, refused = _step(command, state, ("decided", "publicised"), "hold_unpaid", held=True)
    if not refused and claim.on_hold:
        refused = _wrong(command, claim, "on_hold", "hold_unpaid")
    return refused or _take(command, state, claim, "GrantHeld")


def _release(command: Command, state: State) -> Decision:
    claim, refused = _step(command, state, ("decided", "publicised"), "hold_first", held=True)
    if not refused and not claim.on_hold:
        refused = _wrong(command, claim, claim.state or "", "hold_first")
    return refused or _take(command, state, claim, "GrantReleased")


def _pay(command: Command, state: State) -> Decision:
    claim, refused = _step(command, state, ("publicised",), "publicise_first")
    return refused or _take(command, state, claim, "GrantPaid", _payment(claim, 1, command.effective_on))


def _return_payment(command: Command, state: State) -> Decision:
    claim, refused = _step(command, state, ("paid",), "paid_first", held=True)
    if not refused and claim.recovered_fen:
        refused = _wrong(command, claim, "recovered", "return_whole")
    return refused or _take(
        command, state, claim, "PaymentReturned", _payment(claim, -1, command.effective_on)
    )


def _payment(claim: Claim, sign: int, on: Day) -> Iterable[Posting]:
    """The lines of the payment of a grant, or with sign -1 of its return."""
    paid = accounts.paid(claim.instrument, claim.payee, claim.round)
    yield from move(accounts.committed(claim.round), paid, sign * claim.amount_fen, on)
    yield from (Posting(_settled(quota), sign * claim.amount_fen, on) for quota in claim.quotas)


def _void(command: Command, state: State) -> Decision:
    claim, refused = _step(command, state, ("decided", "publicised"), "void_before_payment", held=True)
    if refused:
        return refused
    on, amount_fen = command.effective_on, claim.amount_fen
    postings = (
        *move(accounts.committed(claim.round), accounts.available(claim.round), amount_fen, on),
        *(Posting(quota, -amount_fen, on) for quota in claim.quotas),
        *_released(command, claim, state),
    )
    return _take(command, state, claim, "GrantVoided", postings)


def _recover(command: Command, state: State) -> Decision:
    claim, refused = _step(command, state, ("paid",), "paid_first", held=True)
    fields, on, amount_fen = command.fields, command.effective_on, command.fields["amount_fen"]
    left_fen = claim.recoverable_fen
    if not refused and amount_fen > left_fen:
        refused = _wrong(command, claim, "paid", "recover_at_most", recoverable_fen=left_fen)
    if refused:
        return refused
    paid = accounts.paid(claim.instrument, claim.payee, claim.round)
    postings = list(move(paid, accounts.recovered(claim.round), amount_fen, on))
    if fields["cause"] in claim.restoring_causes:
        for quota in claim.quotas:
            postings += (Posting(quota, -amount_fen, on), Posting(_settled(quota), -amount_fen, on))
    if fields["cause"] == "error" and claim.recovered_error_fen + amount_fen == claim.amount_fen:
        postings += _released(command, claim, state)
    return _take(command, state, claim, "GrantRecovered", postings)


def _settled(quota: str) -> str:
    return "settled" + quota.removeprefix("quota")


def _released(command: Command, claim: Claim, state: State) -> Iterable[Posting]:
    """The fall of the mark of a ladder that the grant climbed, in the books of whoever carries the award now."""
    for tag in claim.tags if claim.climbs else ():
        kind, party, key = _party_tag(tag)
        if kind == "product":
            *_, carrier = heirs(party, state, whole=True)
            yield from released_mark(
                state, f"product:{carrier}{key}", command.fields["claim"], command.effective_on
            )


HANDLERS = (
    Handler(_PUBLICISE, _needs, _publicise),
    Handler(_HOLD, _needs, _hold),
    Handler(_RELEASE, _needs, _release),
    Handler(_PAY, _needs, _pay),
    Handler(_RETURN, _needs, _return_payment),
    Handler(_VOID, _needs, _void),
    Handler(_RECOVER, _needs, _recover),
)
