"""What lies between two points of a ledger: the events that make up the difference, to the fen.

A point is a business date and what was known: a line counts at it if it is effective by that day and recorded by that
position. Lines that count at one of two points only are the difference; the balances beside them are read elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from ledger import codec
from ledger.accounts import is_account
from ledger.store import Store
from projections.balances import PROJECTION, UnknownAccount, account_pages, balance_fen
from projections.clocks import AsOf
from projections.columns import day_number
from projections.existing import check_subject
from projections.fold import fold
from projections.shelves import begins_again, reaching

#: The accounts of caps and ladders whose key begins with a code of a kind: a loan's id may be spelled like a code.
_CAPS: Final = r"({books})/[^/]*\.({kinds})(\+[^/.]*)?/{{id}}(/[^/]+)*"
#: What can be compared besides an account, and how the paths of its accounts look; {id} is its id.
SUBJECTS: Final = {
    "firm": ("public/paid/[^/]+/{id}/[^/]+", _CAPS.format(books="quota|settled|limit", kinds="firm")),
    "bank": (
        "public/paid/[^/]+/{id}/[^/]+",
        _CAPS.format(books="quota|settled|limit|milestone", kinds="bank|product"),
    ),
    "round": ("public/round/{id}/[^/]+", "public/recovered/{id}", "public/paid/[^/]+/[^/]+/{id}"),
}


def document(
    store: Store,
    what: str,
    name: str | None,
    earlier: AsOf,
    later: AsOf,
    *,
    after: int = 0,
    limit: int | None = None,
) -> dict[str, Any]:
    """The difference of an account, a subtree, or of all accounts of a firm, bank or round, between two points.

    `lines` are what counts at one point only, signed as they make up `later` less `earlier`; per account they sum to
    the difference of its balances. With a `limit` at most so many lines that come after the first `after` ones, and
    the accounts of these alone; the sums are of all. Raises UnknownAccount, NotProjected, and where the id was never
    registered or opened by either point UnknownParty, UnknownRound.
    """
    if name is not None:
        check_subject(store, max(earlier.known_position, later.known_position), what, name)
    accounts = _accounts(store, what, name)
    lines, sums = _lines(store, accounts.values(), earlier, later, after, limit)
    if limit is not None:
        accounts = {account: number for account, number in accounts.items() if account in sums}
    balances = [_balances(store, accounts, point) for point in (earlier, later)]
    rows = []
    for account in accounts:
        from_fen, to_fen = (found.get(account, 0) for found in balances)
        if to_fen != from_fen or account in sums:
            rows.append(
                {
                    "account": account,
                    "from_fen": from_fen,
                    "to_fen": to_fen,
                    "difference_fen": to_fen - from_fen,
                    "lines_fen": sums.get(account, 0),
                }
            )
    shown: dict[str, Any] = {"what": what} if name is None else {"what": what, "id": name}
    points = {"from": _point(earlier), "to": _point(later)}
    if name is None:
        from_fen, to_fen = (balance_fen(store, what, point) for point in (earlier, later))
        shown |= {"from_fen": from_fen, "to_fen": to_fen, "difference_fen": to_fen - from_fen}
    return {**shown, **points, "accounts": rows, "lines": lines}


def _point(as_of: AsOf) -> dict[str, Any]:
    return {"on": as_of.on, "known_position": as_of.known_position}


def _accounts(store: Store, what: str, name: str | None) -> dict[str, int]:
    """Every account that is meant and was ever posted to, with its id, in the order of their paths."""
    if name is not None:
        path = "|".join(pattern.format(id="(?:%s)") for pattern in SUBJECTS[what])
        quoted = "".join(c if c.isalnum() or c in "_-" else f"[{c}]" for c in name)
        patterns = "^(" + path.replace("%s", quoted) + ")$"
        return {p: i for i, p in fold(store, "accounts_like", pattern=patterns)}
    if not is_account(what):
        raise UnknownAccount(what)
    if what.endswith("/"):
        found = {p: i for i, p in fold(store, "accounts_below", path=what, end=what[:-1] + "0")}
        return dict(sorted(found.items()))
    return {p: i for i, p in fold(store, "account_of_path", path=what)}


@begins_again
def _balances(store: Store, accounts: dict[str, int], as_of: AsOf) -> dict[str, int]:
    shelf = reaching(store, PROJECTION.name, as_of.known_position)
    last_day = day_number(as_of.last_day)
    pages = account_pages(shelf, accounts, as_of.known_position)
    return {account: page.value_fen(last_day) for account, page in pages.items()}


def _lines(
    store: Store, ids: Collection[int], earlier: AsOf, later: AsOf, after: int, limit: int | None
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """A page of the lines, and of each account on it the sum of all its lines, in fen."""
    rows: Sequence[Any] = fold(
        store,
        "lines_between",
        accounts=list(ids),
        from_position=earlier.known_position,
        from_day=earlier.last_day,
        to_position=later.known_position,
        to_day=later.last_day,
        after=after,
        limit=limit,
    )
    named = dict(fold(store, "data_at", positions=sorted({row[0] for row in rows})))
    found = []
    for position, kind, account, day, amount_fen, counts_later, _ in rows:
        point, other = (later, earlier) if counts_later else (earlier, later)
        data = codec.parse_object(bytes(named[position]))
        found.append(
            {
                "position": position,
                "type": kind,
                "claim": data.get("claim"),
                "account": account,
                "effective_on": day,
                "amount_fen": amount_fen,
                "why": _why(counts_later, position > other.known_position),
                "counts_at": _point(point),
            }
        )
    return found, {row[2]: int(row[6]) for row in rows}


def _why(counts_later: bool, by_knowledge: bool) -> str:
    """Which of the two clocks sets the line apart: recorded or effective only by one of the points."""
    clock = "recorded" if by_knowledge else "effective"
    return f"{clock} since" if counts_later else f"not yet {clock}"
