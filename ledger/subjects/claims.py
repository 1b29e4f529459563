"""Claims: the life of a grant after its decision: publicised, paid, voided, recovered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ledger import accounts
from ledger.commands import AMOUNT, DAY, ID, TEXT, Command, CommandSpec, Field, one_of
from ledger.dates import END_OF_TIME, Day
from ledger.decisions import Decision, Handler, Refused, move, record, refuse, too_early
from ledger.events import Event, Posting
from ledger.state import Memory, State

#: What gives back the counters of a grant that is undone, by instrument: (account, signed fen).
Release = Callable[["Claim", State], tuple[tuple[str, int], ...]]


class Claim(Memory):
    """One claim (tag `claim:<id>`): its state and what its grant posted."""

    __slots__ = (
        "amount_fen",
        "instrument",
        "last_on",
        "payee",
        "quotas",
        "recovered_error_fen",
        "recovered_misconduct_fen",
        "restoring_causes",
        "round",
        "state",
        "tags",
    )

    def __init__(self) -> None:
        self.state: str | None = None  # None, refused, decided, publicised, paid, voided
        self.instrument = self.payee = self.round = ""
        self.amount_fen = self.recovered_error_fen = self.recovered_misconduct_fen = 0
        self.last_on: Day = ""
        self.quotas: tuple[str, ...] = ()  # quota/<cap>/<key> accounts that the grant uses
        self.tags: tuple[str, ...] = ()
        self.restoring_causes: tuple[str, ...] = ()  # of a recovery that gives cap room back (A13)

    def apply(self, event: Event) -> None:
        """The decision, and each step of the grant's life."""
        kind, data = event.type, event.data
        if kind == "ClaimRefused":
            self.state = self.state or "refused"
            return
        if kind == "CommandRefused":
            return
        if "legs" in data:
            self.state, self.tags = "decided", event.tags
            self.instrument, self.payee, self.round = data["instrument"], data["payee"], data["round"]
            self.amount_fen = data["amount_fen"]
            self.restoring_causes = tuple(data["reading"].get("A13", "error").split("+"))
            self.quotas = tuple(p.account for p in event.postings if p.account.startswith("quota/"))
        elif kind == "GrantRecovered":
            if data["cause"] == "error":
                self.recovered_error_fen += data["amount_fen"]
            else:
                self.recovered_misconduct_fen += data["amount_fen"]
        else:
            self.state = STATE_AFTER[kind]
        self.last_on = event.effective_on

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


STATE_AFTER = {"GrantPublicised": "publicised", "GrantPaid": "paid", "GrantVoided": "voided"}
MEMORIES = {"claim": (Claim,)}

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


def _needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    tag = f"claim:{fields['claim']}"
    yield tag
    claim = state.peek(Claim, tag)
    if claim is not None:
        yield from claim.tags


def _in_state(
    command: Command, state: State, allowed: tuple[str, ...], wanted: str, recover_fen: int = 0
) -> tuple[Claim, Refused | None]:
    """The claim, and the refusal where it is unknown, in another state, has less left than `recover_fen`, or
    where the step comes too early."""
    claim_id = command.fields["claim"]
    tag = f"claim:{claim_id}"
    claim = state.recall(Claim, tag)
    if not claim.used:
        return claim, refuse("unknown_claim", (tag,), claim=claim_id)
    tags = claim.tags or (tag,)
    if claim.state not in allowed:
        return claim, refuse("wrong_state", tags, subject=claim_id, state=claim.state, wanted=wanted)
    if recover_fen > claim.recoverable_fen:
        left_fen = claim.recoverable_fen
        return claim, refuse(
            "wrong_state",
            tags,
            subject=claim_id,
            state=claim.state,
            wanted="recover_at_most",
            recoverable_fen=left_fen,
        )
    return claim, too_early(command, claim.last_on, tags)


def _publicise(command: Command, state: State) -> Decision:
    claim, refused = _in_state(command, state, ("decided",), "decided_first")
    if refused:
        return refused
    first, last = command.fields.get("notice_from", ""), command.fields.get("notice_to", END_OF_TIME)
    warnings = ("notice_ends_before_it_begins",) if first > last else ()
    return record(command, "GrantPublicised", claim.tags, warnings=warnings, decided=_kept(claim))


def _pay(command: Command, state: State) -> Decision:
    claim, refused = _in_state(command, state, ("publicised",), "publicise_first")
    if refused:
        return refused
    on = command.effective_on
    paid = accounts.paid(claim.instrument, claim.payee, claim.round)
    postings = (
        *move(accounts.committed(claim.round), paid, claim.amount_fen, on),
        *(Posting(_settled(quota), claim.amount_fen, on) for quota in claim.quotas),
    )
    return record(command, "GrantPaid", claim.tags, postings, decided=_kept(claim))


def _void(command: Command, state: State, releases: Mapping[str, Release]) -> Decision:
    claim, refused = _in_state(command, state, ("decided", "publicised"), "void_before_payment")
    if refused:
        return refused
    on, amount_fen = command.effective_on, claim.amount_fen
    postings = (
        *move(accounts.committed(claim.round), accounts.available(claim.round), amount_fen, on),
        *(Posting(quota, -amount_fen, on) for quota in claim.quotas),
        *_released(claim, state, releases, on),
    )
    return record(command, "GrantVoided", claim.tags, postings, decided=_kept(claim))


def _recover(command: Command, state: State, releases: Mapping[str, Release]) -> Decision:
    claim, refused = _in_state(
        command, state, ("paid",), "paid_first", recover_fen=command.fields["amount_fen"]
    )
    if refused:
        return refused
    fields, on = command.fields, command.effective_on
    amount_fen = fields["amount_fen"]
    paid = accounts.paid(claim.instrument, claim.payee, claim.round)
    postings = list(move(paid, accounts.recovered(claim.round), amount_fen, on))
    if fields["cause"] in claim.restoring_causes:
        for quota in claim.quotas:
            postings += (Posting(quota, -amount_fen, on), Posting(_settled(quota), -amount_fen, on))
    if fields["cause"] == "error" and claim.recovered_error_fen + amount_fen == claim.amount_fen:
        postings += _released(claim, state, releases, on)
    return record(command, "GrantRecovered", claim.tags, postings, decided=_kept(claim))


def _kept(claim: Claim) -> dict[str, Any]:
    """What an event of a grant's life repeats, so that it can be read alone. Its own amount wins."""
    kept = {"instrument": claim.instrument, "payee": claim.payee, "round": claim.round}
    return {**kept, "granted_fen": claim.amount_fen}


def _settled(quota: str) -> str:
    return "settled" + quota.removeprefix("quota")


def _released(claim: Claim, state: State, releases: Mapping[str, Release], on: Day) -> tuple[Posting, ...]:
    marks = releases[claim.instrument](claim, state)
    return tuple(Posting(account, change_fen, on) for account, change_fen in marks if change_fen)


def handlers(releases: Mapping[str, Release]) -> tuple[Handler, ...]:
    """publicise, pay, void, recover; `releases` by instrument."""

    def void(command: Command, state: State) -> Decision:
        return _void(command, state, releases)

    def recover(command: Command, state: State) -> Decision:
        return _recover(command, state, releases)

    return (
        Handler(_PUBLICISE, _needs, _publicise),
        Handler(_PAY, _needs, _pay),
        Handler(_VOID, _needs, void),
        Handler(_RECOVER, _needs, recover),
    )
