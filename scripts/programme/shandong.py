"""1,585 loans made to the totals that Shandong published for the second quarter of 2023.

Real are the totals of the control file; every bank, firm and loan is synthetic. What the ledger can hold of them:
the loans themselves (their sum is the amount lent), their number, the banks and the firms, and, by the product on
the loan, which part of the amount is registered. Nobody published which loans are not registered, so four whole
loans stand for the difference. A loan has no field for a rate: the average rate stays a figure of the file.
A control total asserted in the ledger belongs to a round and is held against its grants, and these loans have none;
so the reconciliation is computed from the loans' own events.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from scripts.programme.script import Line, Script, code, wan

CONTROL_TOTALS = Path(__file__).with_name("shandong-control-totals.csv")
PERIOD = "2023Q2"
REGISTERED = "SD-REGISTERED"  # the product of a registered loan
UNREGISTERED = "SD-UNREGISTERED"
PRODUCTS = (REGISTERED, UNREGISTERED)

_FIRST_DAY = "2023-04-03"
_SECURITIES = ("credit", "mortgage", "pledge", "credit", "credit")
_SIZES = (
    50,
    100,
    200,
    300,
    500,
    300,
    150,
    1000,
    200,
    800,
    80,
    500,
    400,
    1000,
    260,
)  # 万元, before they are fitted
_NOT_REGISTERED = ("500", "400", "400", "347.25")  # 万元; together lent less registered
_FIRST_FIRM, _FIRST_BANK = 5_000_001, 5_900_001


@dataclass(frozen=True, slots=True)
class Totals:
    """What was published for one period."""

    banks: int
    firms: int
    loans: int
    lent_fen: int
    registered_fen: int
    average_rate_percent: str


def published() -> Totals:
    """The control figures of the period."""
    with CONTROL_TOTALS.open(encoding="utf-8", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["period"] == PERIOD)
    return Totals(
        int(row["banks"]),
        int(row["firms"]),
        int(row["loans"]),
        wan(row["lent_wan"]),
        wan(row["registered_wan"]),
        row["average_rate_percent"],
    )


def commands() -> list[Line]:
    """Banks and firms, then the loans."""
    totals, script = published(), Script()
    banks = [
        script.register("bank", code(_FIRST_BANK + i), f"合成银行（山东演示）{i + 1:02d}", _FIRST_DAY)
        for i in range(totals.banks)
    ]
    firms = [
        script.register("firm", code(_FIRST_FIRM + i), f"合成企业（山东演示）{i + 1:04d}", _FIRST_DAY)
        for i in range(totals.firms)
    ]
    for number, (product, principal_fen) in enumerate(_principals(totals)):
        script.add(
            "draw-loan",
            loan=f"SD-{PERIOD}-{number + 1:04d}",
            firm=firms[number % totals.firms],
            bank=banks[number % totals.banks],
            principal_fen=principal_fen,
            drawn_on=f"2023-{4 + number % 3:02d}-{3 + number % 25:02d}",
            security=_SECURITIES[number % len(_SECURITIES)],
            product=product,
        )
    return script.lines


def _principals(totals: Totals) -> list[tuple[str, int]]:
    """Product and principal of each loan: whole 万元, the last one takes what is left to the fen."""
    others = [wan(amount) for amount in _NOT_REGISTERED]
    assert sum(others) == totals.lent_fen - totals.registered_fen, "the published difference changed"
    count = totals.loans - len(others)
    weights = list(islice(cycle(_SIZES), count))
    whole_wan = totals.registered_fen // wan(1)
    sizes = [whole_wan * weight // sum(weights) for weight in weights]
    principals = [wan(size) for size in sizes]
    principals[-1] += totals.registered_fen - sum(principals)
    return [(REGISTERED, amount) for amount in principals] + [(UNREGISTERED, amount) for amount in others]
