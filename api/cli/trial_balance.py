"""kejin trial-balance: every book in a few lines; the double-entry ones sum to zero."""

from __future__ import annotations

from api.language import say
from api.printing import as_of_line, print_json, print_table
from api.session import Data, Json, KnownAt, KnownPosition, On, as_of, ledger
from ledger.accounts import DOUBLE_ENTRY_BOOKS
from ledger.money import format_fen
from projections.balances import trial_balance


def command(
    on: On = None,
    known_at: KnownAt = None,
    known_position: KnownPosition = None,
    data: Data = None,
    as_json: Json = False,
) -> int:
    """The trial balance of every book on both clocks. 各账簿试算平衡表（双时钟）。

    The public and the private book are double-entry: their lines sum to zero; exit 1 if they do not.
    """
    with ledger(data) as store:
        clocks = as_of(store, on, known_at, known_position)
        books = trial_balance(store, clocks)
    totals = {book: sum(lines.values()) for book, lines in books.items()}
    balanced = not any(totals.get(book) for book in DOUBLE_ENTRY_BOOKS)
    if as_json:
        clocked = {"on": clocks.on, "known_position": clocks.known_position, "balanced": balanced}
        print_json(
            {
                **clocked,
                "books": [
                    {"book": book, "balances_fen": lines, "total_fen": totals[book]}
                    for book, lines in books.items()
                ],
            }
        )
    else:
        _show(books, totals)
        print(as_of_line(clocks.on, clocks.known_position))
    return 0 if balanced else 1


def _show(books: dict[str, dict[str, int]], totals: dict[str, int]) -> None:
    rows = []
    for book, lines in books.items():
        rows += [[path, format_fen(fen)] for path, fen in lines.items()]
        if book in DOUBLE_ENTRY_BOOKS:
            rows.append([say(f"total of {book}", f"{book} 合计"), format_fen(totals[book])])
    print_table([say("account", "账户"), say("balance", "余额")], rows, right=(1,))
