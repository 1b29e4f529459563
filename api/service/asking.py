"""The one place where the service calls the reads of projections/ and ledger/: the two clocks, and each question.

Every function here that takes a store runs in a lane's thread, on that thread's store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from api.service.problems import HttpProblem
from api.service.walking import Walk
from api.service.words import word
from ledger.accounts import DOUBLE_ENTRY_BOOKS, is_account
from ledger.dates import Day
from ledger.events import StoredEvent
from ledger.explain import NothingToExplain
from ledger.rulebook.settings import UnusableSetting, parameters, read_rulebook
from ledger.signer import root_at
from ledger.store import NotKnown, Store
from projections import differences, parties, rounds, runner, sampling, what_if
from projections.adopted import adopted
from projections.balances import (
    EndsBeforeItBegins,
    UnknownAccount,
    balances_fen,
    kept_balance_fen,
    statement,
    trial_balance,
)
from projections.caps import caps
from projections.clocks import AsOf
from projections.envelopes import envelope
from projections.existing import UnknownParty, UnknownRound, check_subject
from projections.kept import KeptExtracts
from projections.milestones import milestones
from projections.rebuilding import Differs
from projections.replay import replay
from projections.reports import explanation as explanations
from projections.reports.duplicates import duplicates
from projections.reports.duties import duties_page
from projections.reports.ladders import ladders_report
from projections.reports.near_caps import near_caps
from projections.reports.party import party_report
from projections.reports.portfolio import portfolio_report
from projections.reports.round import round_report

#: While another process fills the projections, look this often.
_POLL_SECONDS: Final = 0.01
_BEGINNING: Final[Day] = "0001-01-01"


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks as a request gave them, unresolved; and the position that it wants to see at least."""

    on: Day | None = None
    known_at: datetime | None = None
    known_position: int | None = None
    min_position: int | None = None

    @property
    def is_newest(self) -> bool:
        """Whether the newest position is asked for."""
        return self.known_at is None and self.known_position is None


class Projected:
    """Brings the projections up to a position when a read needs it, and remembers how far they are known to be.

    Safe for many threads: one works, the others wait for it.
    """

    def __init__(self, seconds_max: float) -> None:
        self._seconds_max = seconds_max
        self._reached = -1  # also an empty log has projections, once they were begun
        self._guard = threading.Lock()
        self._runner: runner.Runner | None = None

    @property
    def reached(self) -> int:
        """Every projection is known to reach this position."""
        return self._reached

    def ensure(self, store: Store, position: int) -> None:
        """Return once every projection reaches a position, or stopped before it. Raises HttpProblem `behind`."""
        if position <= self._reached:
            return
        with self._guard:
            if position > self._reached:
                try:
                    self._catch_up(store, position)
                except Differs as error:
                    self._close()
                    raise HttpProblem("behind", str(error), error.zh) from None
                except BaseException:
                    self._close()
                    raise

    def close(self) -> None:
        """Close the connection that fills them."""
        with self._guard:
            self._close()

    def _close(self) -> None:
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def _catch_up(self, store: Store, position: int) -> None:
        self._runner = self._runner or runner.Runner(store.address)
        deadline = time.monotonic() + self._seconds_max
        while not self._reach(store, position):
            with self._runner.leading() as leads:
                if leads:
                    self._runner.catch_up()
                    continue
            if time.monotonic() > deadline:  # another process works, and is slow
                raise HttpProblem(
                    "behind",
                    f"the projections do not reach position {position} yet; try again",
                    f"投影尚未到达第 {position} 条；请稍后再试",
                )
            time.sleep(_POLL_SECONDS)

    def _reach(self, store: Store, position: int) -> bool:
        found = {status.name: status for status in runner.statuses(store)}
        known = self._runner.known if self._runner is not None else {}
        if not found.keys() >= known.keys() or runner.outdated(found.values(), known):
            return False
        moving = [status.position for status in found.values() if not status.problem]
        self._reached = min(moving, default=position)
        return self._reached >= position


def resolved_at_once(clocks: Clocks, recorded: int) -> AsOf | None:
    """The position that a request means, where that shows without asking: up to `recorded` the log is known to be
    there."""
    wanted = clocks.known_position
    if wanted is not None and 0 < max(wanted, clocks.min_position or 0) <= min(wanted, recorded):
        return AsOf(clocks.on, wanted)
    return None


def resolve(store: Store, clocks: Clocks, recorded: int = 0) -> AsOf:
    """The position that a request means; up to `recorded` the log is known to be there without asking.

    Raises HttpProblem `not_known`.
    """
    as_of = resolved_at_once(clocks, recorded)
    if as_of is not None:
        return as_of
    try:
        known = store.known_position(clocks.known_position, clocks.known_at)
        if clocks.min_position is not None and clocks.min_position > known:
            store.known_position(clocks.min_position)
            raise NotKnown(
                f"min_position {clocks.min_position} is after what the request asks to be known, {known}",
                f"min_position {clocks.min_position} 晚于请求所知的序号 {known}",
            )
    except NotKnown as error:
        raise HttpProblem("not_known", str(error), error.zh) from None
    return AsOf(clocks.on, known)


def balances(
    store: Store, asked: Sequence[tuple[str, AsOf]], kept: KeptExtracts | None = None
) -> list[int | HttpProblem]:
    """The balance of each account or subtree; `unknown_account` in the place of one that is of no known shape."""
    known = [one for one in asked if is_account(one[0])]
    found = iter(balances_fen(store, known, kept) if known else ())
    return [next(found) if is_account(account) else _unknown_account(account) for account, _ in asked]


def balance_at_once(kept: KeptExtracts, account: str, as_of: AsOf) -> int | None:
    """The balance of an account, or of a subtree with a folio of its own, if memory has it. For any thread."""
    return kept_balance_fen(kept, account, as_of)


def _unknown_account(account: str) -> HttpProblem:
    return HttpProblem(
        "unknown_account",
        f"{account!r} is no account of a known shape",
        f"{account!r} 不是已知形式的账户",
    )


def cap_page(
    store: Store, as_of: AsOf, party: str | None, after: str, count: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Some caps and keys, or some of those of a party, after one ("<cap>/<key>"); the last one if there are more."""
    cap, _, key = after.partition("/")
    rows = caps(store, as_of, party, after=(cap, key) if after else None, rows_max=count + 1)
    following = f"{rows[count - 1].cap}/{rows[count - 1].key}" if len(rows) > count else None
    return [asdict(row) for row in rows[:count]], following


def milestone_rows(store: Store, as_of: AsOf, bank: str | None) -> list[dict[str, Any]]:
    """Every product's climb, or those of a bank."""
    return [asdict(row) for row in milestones(store, as_of, bank)]


def events(
    store: Store, after: int, until: int, limit: int, tag: str | None, event_type: str | None, on: Day | None
) -> list[dict[str, Any]]:
    """At most `limit` envelopes with after < position <= until, effective on or before a day."""
    return [envelope(event) for event in _stored(store, after, until, limit, tag, event_type, on)]


def replayed(
    store: Store, as_of: AsOf, after: int, until: int, limit: int, subject: tuple[str, str] | None
) -> list[dict[str, Any]]:
    """What each of at most `limit` events changed, of all or of a subject (`firm`, `bank`, `round`; its id). Events
    effective after `on` change nothing by then: left out. Raises HttpProblem `unknown_round`, `unknown_party` where
    there is nothing to show since there is no such subject."""
    tag = None if subject is None else ":".join(subject)
    found = replay(store, _stored(store, after, until, limit, tag, None, as_of.on), as_of.on)
    if not found and subject is not None:
        try:
            check_subject(store, as_of.known_position, *subject)
        except UnknownRound as unknown:
            raise _unknown_round(str(unknown)) from None
        except UnknownParty as unknown:
            raise _nobody(str(unknown)) from None
    return found


def _stored(
    store: Store, after: int, until: int, limit: int, tag: str | None, event_type: str | None, on: Day | None
) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    stream = store.stored_events(after, until, tag=tag, event_type=event_type)
    try:
        for event in stream:
            if on is None or event.effective_on <= on:
                found.append(event)
                if len(found) == limit:
                    break
    finally:
        stream.close()  # type: ignore[attr-defined]
    return found


def event(store: Store, as_of: AsOf, position: int) -> dict[str, Any]:
    """One envelope. Raises HttpProblem `not_known`: beyond what is known, or effective later."""
    found = (
        events(store, position - 1, position, 1, None, None, None) if position <= as_of.known_position else []
    )
    if not found or (as_of.on is not None and found[0]["effective_on"] > as_of.on):
        raise HttpProblem(
            "not_known",
            f"position {position} is not known at {as_of.known_position}, or effective later",
            f"在 {as_of.known_position} 时序号 {position} 尚不可知，或尚未生效",
        )
    return found[0]


def explanation(store: Store, as_of: AsOf, position: int) -> dict[str, Any]:
    """Why this amount. Raises HttpProblem `not_known`, `nothing_to_explain`."""
    event(store, as_of, position)
    newest = as_of.known_position
    found = store.events_at([position], newest)[0].event
    try:
        return explanations.document(store, found, newest)
    except NothingToExplain as error:
        raise HttpProblem("nothing_to_explain", str(error), error.zh) from None


def round_document(store: Store, as_of: AsOf, round_id: str) -> Mapping[str, Any]:
    """The report of a round. Raises HttpProblem `unknown_round`."""
    try:
        return round_report(store, as_of, round_id)
    except UnknownRound:
        raise _unknown_round(round_id) from None


def _unknown_round(round_id: str) -> HttpProblem:
    return HttpProblem(
        "unknown_round", f"there is no round {round_id!r} as known then", f"当时没有轮次 {round_id!r}"
    )


#: The rounds that were opened, and what happened to one itself.
opened_rounds = rounds.opened
round_life = rounds.life
#: Parties whose code or name holds a text; the names of some.
found_parties = parties.find
party_names = parties.names


def party(store: Store, as_of: AsOf, uscc: str) -> parties.Party:
    """Whoever is registered under a code, in whatever role. Raises HttpProblem `unknown_party`."""
    known = parties.party(store, as_of, uscc)
    if known is None:
        raise _nobody(uscc)
    return known


def party_document(store: Store, as_of: AsOf, uscc: str, kind: str) -> Mapping[str, Any]:
    """The report of a party in its role. Raises HttpProblem `unknown_party`."""
    try:
        return party_report(store, as_of, uscc, kind)
    except UnknownParty:
        raise _unknown_party(uscc, kind) from None


def ladders_document(store: Store, as_of: AsOf, bank: str) -> Mapping[str, Any]:
    """A bank's ladders: marks, awards, what is missing. Raises HttpProblem `unknown_party`."""
    try:
        return ladders_report(store, as_of, bank)
    except UnknownParty:
        raise _unknown_party(bank, "bank") from None


def _unknown_party(uscc: str, kind: str) -> HttpProblem:
    return HttpProblem(
        "unknown_party",
        f"{uscc} is not registered as {kind} as known then",
        f"当时 {uscc} 未登记为{word(kind, 'zh')}",
    )


def _nobody(uscc: str) -> HttpProblem:
    return HttpProblem(
        "unknown_party", f"nobody is registered as {uscc} as known then", f"当时 {uscc} 未登记"
    )


#: Reports over the whole ledger: lists, of which one is read page by page, and one document.
WHOLE_REPORTS = {"near-caps": near_caps, "duplicates": duplicates}
DUTIES = duties_page
PORTFOLIO = portfolio_report


def statement_document(store: Store, as_of: AsOf, account: str, first: Day | None) -> dict[str, Any]:
    """An account between two business dates (None: from the beginning), the second that of the clocks. Raises
    HttpProblem `unknown_account`, `invalid_parameter`."""
    try:
        found = statement(store, account, first or _BEGINNING, as_of)
    except UnknownAccount:
        raise _unknown_account(account) from None
    except EndsBeforeItBegins:
        raise HttpProblem(
            "invalid_parameter",
            f"the statement ends on {as_of.on}, before it begins on {first}",
            f"对账单止于 {as_of.on}，早于其起始日 {first}",
        ) from None
    return {"account": account, "from": first, "to": as_of.on, **asdict(found)}


def trial_balance_document(store: Store, as_of: AsOf) -> dict[str, Any]:
    """Every book with its balances and their sum, as `kejin trial-balance` has them."""
    books = [
        {"book": book, "balances_fen": lines, "total_fen": sum(lines.values())}
        for book, lines in trial_balance(store, as_of).items()
    ]
    balanced = not any(book["total_fen"] for book in books if book["book"] in DOUBLE_ENTRY_BOOKS)
    return {"balanced": balanced, "books": books}


def difference(
    store: Store, what: str, name: str | None, points: tuple[AsOf, AsOf], after: int, limit: int
) -> dict[str, Any]:
    """What lies between two points. Raises HttpProblem `unknown_account`, `unknown_round`, `unknown_party`."""
    try:
        return differences.document(store, what, name, *points, after=after, limit=limit)
    except UnknownAccount:
        raise _unknown_account(what) from None
    except UnknownRound as unknown:
        raise _unknown_round(str(unknown)) from None
    except UnknownParty as unknown:
        raise _nobody(str(unknown)) from None


def sample(store: Store, as_of: AsOf, walk: Walk, given: Mapping[str, Any], seed: str) -> dict[str, Any]:
    """Claims drawn for an auditor. Raises HttpProblem `too_slow`, `unknown_round`."""
    walk.look()
    method, size = given["by"] or sampling.METHODS[0], given["size"] or sampling.SIZE
    until, on = as_of.known_position, as_of.on
    try:
        return sampling.document(store, until, method, size, seed, given["round"], on, walk.look)
    except UnknownRound as unknown:
        raise _unknown_round(str(unknown)) from None


def checkpoint(store: Store, as_of: AsOf) -> dict[str, Any]:
    """The root of the log as known, and the newest checkpoint: a signed note, None before the first."""
    size = as_of.known_position
    rows = store.query("newest_checkpoint")
    signed_size, note = rows[0] if rows else (None, None)
    return {"size": size, "root": root_at(store, size).hex(), "signed_size": signed_size, "note": note}


def rule_rows(store: Store, as_of: AsOf) -> list[dict[str, Any]]:
    """What can be set in the adopted rulebooks, with its present value."""
    found = parameters(adopted(store, as_of.known_position, as_of.last_day))
    return [{"document": p.document, "set": p.name, "value": p.value} for p in found]


def supposed(
    store: Store, as_of: AsOf, walk: Walk, settings: Sequence[str], rulebooks: Sequence[str]
) -> dict[str, Any]:
    """Who would have got more or less under other rules. Raises HttpProblem `unusable_rules`, `too_slow`,
    `not_decidable`."""
    walk.look()
    until = as_of.known_position
    try:
        contents = adopted(store, until)
        others = [read_rulebook(text) for text in rulebooks]
        change = what_if.Change(contents, settings, others)
        found = what_if.document(store, until, change, walk.look)
    except UnusableSetting as error:
        raise HttpProblem("unusable_rules", str(error), error.zh) from None
    except what_if.NotDecidable as error:
        raise HttpProblem("not_decidable", str(error), error.zh) from None
    return {"settings": list(settings), "rulebooks": [str(other["id"]) for other in others], **found}


def projection_status(store: Store) -> list[dict[str, Any]]:
    """How far each projection is, and what stopped it."""
    return [asdict(status) for status in runner.statuses(store)]


def ready(store: Store) -> dict[str, Any]:
    """Whether the database answers, and how far the log and its projections are."""
    started = time.perf_counter()
    head = store.head()
    row = store.connection.execute("select version from kejin_work.schema_version").fetchone()
    return {
        "database": "ok",
        "database_seconds": round(time.perf_counter() - started, 6),
        "schema": None if row is None else row[0],
        "position": head.position,
        "projections": projection_status(store),
    }
