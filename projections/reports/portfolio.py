"""The portfolio for readers: loans by bank, rates, and how much bank credit stands on each yuan of public money."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ledger.store import Store
from projections.balances import balance_fen
from projections.clocks import AsOf
from projections.parties import names
from projections.portfolio import PortfolioRow, portfolio, ratio, total
from projections.rounds import rounds


def portfolio_report(store: Store, as_of: AsOf) -> dict[str, Any]:
    """`banks` (a row per bank, see PortfolioRow, with its name and rates), `total` (the same of all), and `public`:
    granted_fen (not voided), paid_fen (net of returns and recoveries) and what was lent per yuan of each, as
    decimals, null where nothing was granted or paid. Raises NotProjected."""
    rows = portfolio(store, as_of)
    named = names(store, as_of, [row.bank or "" for row in rows])
    whole = total(rows)
    granted_fen = sum(row.granted_fen for row in rounds(store, as_of))
    paid_fen = balance_fen(store, "public/paid/", as_of)
    return {
        "banks": [{**_shown(row), "name": named.get(row.bank or "")} for row in rows],
        "total": _shown(whole),
        "public": {
            "granted_fen": granted_fen,
            "paid_fen": paid_fen,
            "lent_per_granted": ratio(whole.lent_fen, granted_fen),
            "lent_per_paid": ratio(whole.lent_fen, paid_fen),
        },
    }


def _shown(row: PortfolioRow) -> dict[str, Any]:
    return {**asdict(row), "default_rate": row.default_rate, "loss_rate": row.loss_rate}
