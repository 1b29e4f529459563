"""Balances, statements and trial balances, against plain sums over the envelopes of all events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from random import Random

import pytest

from ledger.dates import END_OF_TIME
from projections.balances import EndsBeforeItBegins, balance_fen, statement, trial_balance
from projections.clocks import AsOf
from projections.envelopes import envelope
from tests.histories import history
from tests.support import Ledger

Posted = tuple[int, str, int, str]  # position, account, fen, day


def posted(ledger: Ledger) -> list[Posted]:
    """Every line of the log."""
    events = ledger.store.stored_events(0, ledger.store.head().position)
    return [
        (event["position"], line["account"], line["amount_fen"], line["effective_on"])
        for event in map(envelope, events)
        for line in event["postings"]
    ]


def paths(lines: list[Posted]) -> list[str]:
    """Every account and every subtree above one."""
    found = {account for _, account, _, _ in lines}
    above = {account[: i + 1] for account in found for i, c in enumerate(account) if c == "/"}
    return sorted(found | above)


def below(path: str, lines: list[Posted]) -> Iterator[Posted]:
    """The lines of an account or subtree."""
    return (line for line in lines if line[1] == path or (path.endswith("/") and line[1].startswith(path)))


@pytest.mark.parametrize("seed", range(4))
def test_every_account_and_subtree_has_the_sum_of_its_lines_on_both_clocks(ledger: Ledger, seed: int) -> None:
    """At random (on, known position) a balance is the sum of the lines known then and effective by then."""
    random = Random(seed)
    ledger.submit(*history(seed, 150))
    lines = posted(ledger)
    days = sorted({day for *_, day in lines})
    for path in paths(lines):
        on, known = random.choice([None, *days]), random.randrange(1, lines[-1][0] + 1)
        expected = sum(f for p, _, f, d in below(path, lines) if p <= known and d <= (on or END_OF_TIME))
        assert ledger.balance(path, on, known) == expected, (path, on, known)


def test_a_statement_does_not_end_before_it_begins(ledger: Ledger) -> None:
    """Dates that were exchanged are refused, not answered with the figures of one of them."""
    ledger.submit(*history(0, 20))
    statement(ledger.store, "public/treasury", "2024-01-31", ledger.as_of("2024-01-31"))
    with pytest.raises(EndsBeforeItBegins):
        statement(ledger.store, "public/treasury", "2024-02-01", ledger.as_of("2024-01-31"))


@pytest.mark.parametrize("seed", range(3))
def test_a_statement_leads_from_one_balance_to_the_other(ledger: Ledger, seed: int) -> None:
    """Opening and closing are the balances of these days, and the lines between are those of the log."""
    random = Random(seed)
    ledger.submit(*history(seed, 120))
    lines = posted(ledger)
    days = sorted({day for *_, day in lines})
    for path in random.sample(paths(lines), 40):
        known = random.randrange(1, lines[-1][0] + 1)
        first, last = sorted(random.choices(days, k=2))
        as_of = ledger.as_of(last, known)
        found = statement(ledger.store, path, first, as_of)
        within: dict[tuple[str, int], int] = defaultdict(int)
        for position, _, fen, day in below(path, lines):
            if position <= known and first <= day <= last:
                within[day, position] += fen
        shown: dict[tuple[str, int], int] = defaultdict(int)
        for line in found.lines:
            shown[line.effective_on, line.position] += line.amount_fen
        assert {key: fen for key, fen in shown.items() if fen} == {k: fen for k, fen in within.items() if fen}
        assert found.closing_fen == balance_fen(ledger.store, path, as_of)
        assert found.opening_fen + sum(within.values()) == found.closing_fen
        assert [line.balance_fen for line in found.lines][-1:] in ([], [found.closing_fen])


def private_subtrees(ledger: Ledger, as_of: AsOf) -> set[str]:
    """The parts of the private book that anything was posted to, and not wholly taken back."""
    sums: dict[str, int] = defaultdict(int)
    for event in ledger.store.stored_events(0, as_of.known_position):
        for posting in event.postings:
            if posting.account.startswith("private/") and posting.effective_on <= as_of.last_day:
                sums[posting.account] += posting.amount_fen
    return {f"{book}/{part}/" for book, part, *_ in (path.split("/") for path, fen in sums.items() if fen)}


@pytest.mark.parametrize("seed", range(3))
def test_the_trial_balance_of_the_double_entry_books_is_zero_at_any_time(ledger: Ledger, seed: int) -> None:
    """On every day, as known at every position, public and private lines sum to zero; each line is a balance."""
    random = Random(seed)
    ledger.submit(*history(seed, 120))
    days = sorted({day for *_, day in posted(ledger)})
    for _ in range(40):
        as_of = ledger.as_of(
            random.choice([None, *days]), random.randrange(1, ledger.store.head().position + 1)
        )
        books = trial_balance(ledger.store, as_of)
        assert sum(books.get("public", {}).values()) == 0
        assert books.get("private", {}) == dict.fromkeys(private_subtrees(ledger, as_of), 0)
        for lines in books.values():
            for path, fen in lines.items():
                assert fen == balance_fen(ledger.store, path, as_of)
