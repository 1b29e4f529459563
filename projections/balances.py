"""Balances of accounts and subtrees at any (on, known position), folded from the log."""

from __future__ import annotations

from ledger.accounts import is_account
from ledger.store import Store
from projections.clocks import AsOf
from projections.fold import fold


class UnknownAccount(LookupError):
    """A path of no known shape."""


def balance_fen(store: Store, account: str, as_of: AsOf) -> int:
    """The balance of an account, or with a trailing `/` of a subtree, in fen; never posted to is 0.

    Raises UnknownAccount for a path of no known shape.
    """
    if not is_account(account):
        raise UnknownAccount(account)
    until, last_day = as_of.known_position, as_of.last_day
    return int(fold(store, "balance", path=account, until=until, last_day=last_day)[0][0])
