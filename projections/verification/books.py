"""Books: in every event the lines of each double-entry book sum to zero."""

from __future__ import annotations

from ledger.accounts import DOUBLE_ENTRY_BOOKS
from ledger.money import format_fen
from projections.verification.reading import Reading
from projections.verification.report import Finding, Report

_UNBALANCED = """
select e.position, split_part(a.path, '/', 1) as book, sum(line.amount)::bigint
from events e, unnest(e.posting_accounts, e.posting_amounts) as line (account, amount)
join accounts a on a.id = line.account
where e.position <= %s and split_part(a.path, '/', 1) = any(%s)
group by e.position, book having sum(line.amount) <> 0
order by e.position
"""


def check(reading: Reading) -> Report:
    """Every event whose public or private lines do not sum to zero."""
    rows = reading.store.connection.execute(_UNBALANCED, (reading.until, list(DOUBLE_ENTRY_BOOKS))).fetchall()
    return Report(
        findings=[
            Finding("books", f"the {book} book is off by {format_fen(sum_fen)}", "events", position)
            for position, book, sum_fen in rows
        ]
    )
