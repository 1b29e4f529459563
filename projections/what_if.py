"""What if other rules had decided: the recorded history beside the one that they would have made. Writes nothing.

Two processes share the work where they may: one decides the supposed history, the other what each claim would be
under the other rules if nothing before it had changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

from ledger import codec
from ledger.bilingual import Bilingual
from ledger.catalogue import catalogue, discover_instruments
from ledger.compared import Decision, Totals, Values
from ledger.fitting import check_rulebooks
from ledger.redecide import UNDECIDABLE, History, as_event
from ledger.rulebook.forms import UnusableRulebook, check_document
from ledger.rulebook.library import Library
from ledger.rulebook.settings import (
    Content,
    Setting,
    UnusableSetting,
    check_places,
    read_settings,
    with_rulebooks,
    with_settings,
)
from ledger.store import Store
from ledger.what_if import Alone, Supposed
from projections.adopted import rulebooks
from projections.cycles import without_search
from projections.forking import Fork
from projections.progress import Progress, silent
from projections.recorded import account_ids, go_on, recorded_events, watched_positions

#: What a rulebook makes go wrong that nothing can be decided with. A text may nest deeper than Python's stack.
_UNUSABLE: Final = (*UNDECIDABLE, RecursionError)


class NotDecidable(Bilingual):
    """The log cannot be decided again."""


def _not_decidable(reason: BaseException) -> NotDecidable:
    what = f"{type(reason).__name__} {reason}"
    return NotDecidable(
        f"the log cannot be decided again: {what}; see kejin verify decisions",
        f"日志无法重新决定：{what}；见 kejin verify decisions",
    )


class Change:
    """Other rules: what becomes of each adopted rulebook. `others` are foreign rulebooks, laid over the adopted ones
    first; `settings`, as people spell them, then change what is in use. Raises UnusableSetting where nothing could
    decide by it."""

    def __init__(
        self, contents: Sequence[Content], settings: Iterable[str] = (), others: Sequence[Content] = ()
    ) -> None:
        self._others = others
        self._adopted = frozenset(content["id"] for content in contents)
        self.settings: list[Setting] = []
        instruments = discover_instruments()
        try:
            for other in others:  # first by themselves: they are laid over what was adopted under its names
                check_document(other)
            check_rulebooks(Library([other for other in others if other["layer"] == "measure"]), instruments)
            check_places(contents, others)
            self.in_use = [self(content) for content in contents]
            check_rulebooks(Library(self.in_use), instruments)
            self.settings = read_settings(settings, self.in_use, contents)
            self.in_use = [self(content) for content in contents]
            check_rulebooks(Library(self.in_use), instruments)
        except UnusableRulebook as error:
            raise UnusableSetting(str(error), error.zh) from None
        except _UNUSABLE as error:
            raise _cannot_decide(error) from None
        self.renames = _caps(contents) != _caps(self.in_use)

    def failed(self, error: BaseException) -> UnusableSetting | NotDecidable:
        """What to tell of a decision that failed: rules from elsewhere may be why, settings are checked before."""
        return _cannot_decide(error) if self._others else _not_decidable(error)

    def __call__(self, content: Content) -> Content:
        """The document as it is under the other rules."""
        return with_settings(with_rulebooks(content, self._others, self._adopted), self.settings)


def _cannot_decide(error: BaseException) -> UnusableSetting:
    if isinstance(error, UnusableRulebook):
        return UnusableSetting(str(error), error.zh)
    what = f"{type(error).__name__} {error}"
    return UnusableSetting(f"the rulebook cannot be decided with: {what}", f"规则无法用于决定：{what}")


def _caps(contents: Sequence[Content]) -> list[set[tuple[str, str]]]:
    """Of every measure, alone and under each of its calls, instrument and id of its caps. Each by itself: a cap that
    moves from one document to another counts other claims."""
    return [
        {(clause.instrument, cap.id) for clause in rulebook.clauses.values() for cap in clause.caps}
        for rulebook in rulebooks(contents)
    ]


@without_search()
def document(
    store: Store,
    until: int,
    change: Change,
    look: Callable[[], None] = go_on,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Who would have got more or less up to a position, and why; amounts in fen. `look` is called before each event
    and may raise what ends the work; `progress` is told now and then which position of how many was decided.

    Raises UnusableSetting where a foreign rulebook cannot decide, NotDecidable on a log that is no ledger's.
    """
    watched = watched_positions(store, until)
    histories = [History(catalogue(), watched, change) for _ in range(2)]
    try:
        # The history of the child was there before it, so it is not taken apart at its end.
        with Fork(lambda: _alone(store, histories[1], until, change, look)) as other:
            supposed = _supposed(store, histories[0], until, look, progress)
            alone = other.result()
    except _UNUSABLE as error:
        raise change.failed(error) from error
    return _document(supposed, alone, until)


def _supposed(
    store: Store, history: History, until: int, look: Callable[[], None], progress: Progress
) -> Supposed:
    supposed = Supposed(history, frozenset(i.event for i in discover_instruments().values()))
    # Closed at once, whatever ends the work: the connection is somebody else's next.
    with closing(recorded_events(store, 0, until, progress)) as events:
        for recorded in events:
            look()
            if history.is_decided(recorded):
                supposed.take(recorded, codec.read_canonical(recorded.data))
    return supposed


def _alone(
    store: Store, history: History, until: int, change: Change, look: Callable[[], None]
) -> dict[int, Values]:
    """By position the values of the decisions under the other rules alone, where these decide otherwise."""
    grants = {instrument.event: instrument for instrument in discover_instruments().values()}
    alone = Alone(history, grants, renames=change.renames)
    with store.beside() as own, closing(recorded_events(own, 0, until)) as events:
        paths = {number: path for path, number in account_ids(own).items()}
        for recorded in events:
            look()
            if history.is_decided(recorded):
                data = codec.read_canonical(recorded.data)
                alone.take(recorded, data, as_event(recorded, data, paths))
    return alone.decisions


def _document(supposed: Supposed, alone: Mapping[int, Values], until: int) -> dict[str, Any]:
    claims, totals = [], Totals()
    for whole in supposed.changed.values():
        values = alone.get(whole.position)
        for claim, rule in whole.by_payee(whole.then if values is None else Decision(*values)):
            if claim.then_fen != claim.now_fen:
                causes = claim.causes(rule)
                totals.add(claim, causes)
                claims.append(claim.document(rule, causes))
    return {
        "known_position": until,
        "first_parting": supposed.first_parting,
        "then_fen": supposed.then_fen,
        "now_fen": supposed.now_fen,
        "difference_fen": supposed.now_fen - supposed.then_fen,
        "causes": totals.causes(),
        "payees": totals.payees(),
        "claims": claims,
        "other_steps": [step._asdict() for step in supposed.other_steps],
    }
