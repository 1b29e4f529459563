"""kejin balance: what an account held, on any business date, as known at any time."""

from __future__ import annotations

from typing import Annotated

import typer

from api.language import say
from api.printing import as_of_line, print_json
from api.problems import Problem
from api.session import Data, Json, KnownAt, KnownPosition, On, as_of, ledger
from ledger.money import format_fen
from projections.balances import UnknownAccount, balance_fen


def command(
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="e.g. public/treasury; with a trailing / a subtree.")
    ],
    on: On = None,
    known_at: KnownAt = None,
    known_position: KnownPosition = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """The balance of an account or subtree on both clocks. 账户余额（双时钟）。

    Accounts: public/treasury, public/round/<round>/available, public/round/<round>/committed,
    public/paid/<instrument>/<uscc>/<round>, public/recovered/<round>, private/loan/<loan>/outstanding (also bank,
    repaid, defaulted, lost, recovered), private/guarantee/<payout>/..., quota/<cap>/<key>, limit/<cap>/<key>,
    settled/<cap>/<key>, milestone/<ladder>/<key>. A trailing / sums everything below.
    """
    with ledger(data) as store:
        clocks = as_of(store, on, known_at, known_position)
        try:
            amount_fen = balance_fen(store, account, clocks)
        except UnknownAccount:
            raise Problem(
                say(
                    f"{account!r} is no account; see kejin balance --help for their shapes",
                    f"{account!r} 不是账户；账户形式见 kejin balance --help",
                )
            ) from None
    if as_json:
        print_json(
            {
                "account": account,
                "on": clocks.on,
                "known_position": clocks.known_position,
                "balance_fen": amount_fen,
            }
        )
        return
    print(f"{account}  {format_fen(amount_fen)}")
    print(as_of_line(clocks.on, clocks.known_position))
