"""A programme of any size, the same for the same seed: commands as `kejin run` reads them.

Four rounds, twenty banks, up to 20,000 firms of which few borrow much (Zipf), loans, and claims for their interest,
month by month, on dates in any order. Four of five commands are claims once it is under way; some are refused, since
caps bind.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, count, islice
from random import Random
from typing import Any, Final

from ledger.parties import ALPHABET, check_character

Command = dict[str, Any]

ROUND_YEARS: Final = (2022, 2023, 2024, 2025)
BANKS: Final = 20
FIRMS_MAX: Final = 20_000
FIRST_FIRMS: Final = 100
FIRST_LOANS: Final = 100
RECENT_LOANS: Final = 1_000  # half of the claims are for one of these
CLAIMS_PER_LOAN_MAX: Final = 36
ZIPF_EXPONENT: Final = 1.05
NEW_FIRM_SHARE: Final = 0.05
NEW_LOAN_SHARE: Final = 0.2
BUDGET_FEN: Final = 10**14


def commands(count: int, seed: int = 7) -> Iterator[Command]:
    """The first `count` commands of the programme that `seed` gives; a longer one begins with a shorter one."""
    return islice(_Programme(Random(seed)).commands(), count)


def code(number: int, head: str) -> str:
    """The USCC of a party that exists only in benchmarks; `head` is its first two characters."""
    digits = ""
    for _ in range(9):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    body = f"{head}999999{digits}"
    return body + check_character(body)


@dataclass(slots=True)
class _Loan:
    name: str
    months_claimed: int = 0


class _Programme:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._weights = list(accumulate(1 / rank**ZIPF_EXPONENT for rank in range(1, FIRMS_MAX + 1)))
        self._banks = [code(number, "51") for number in range(BANKS)]
        self._firms: list[str] = []
        self._loans: list[_Loan] = []
        self._claims = count(1)

    def commands(self) -> Iterator[Command]:
        yield from self._opening()
        random = self._random
        while True:
            if len(self._firms) < FIRMS_MAX and (
                len(self._firms) < FIRST_FIRMS or random.random() < NEW_FIRM_SHARE
            ):
                yield self._firm()
            elif len(self._loans) < FIRST_LOANS or random.random() < NEW_LOAN_SHARE:
                yield self._draw()
            elif (loan := self._some_loan()).months_claimed < CLAIMS_PER_LOAN_MAX:
                yield self._claim(loan)

    def _opening(self) -> Iterator[Command]:
        for year in ROUND_YEARS:
            yield {
                "command": "open-round",
                "round": f"R{year}",
                "year": year,
                "budget_fen": BUDGET_FEN,
                "rulebook": "shanxi-2022",
                "effective_on": f"{year}-01-01",
            }
        for number, bank in enumerate(self._banks):
            yield _registration(bank, "bank", f"bank {number}")

    def _firm(self) -> Command:
        self._firms.append(code(len(self._firms), "91"))
        return _registration(self._firms[-1], "firm", f"firm {len(self._firms)}")

    def _draw(self) -> Command:
        random = self._random
        firm = bisect.bisect(self._weights, random.random() * self._weights[len(self._firms) - 1])
        self._loans.append(_Loan(f"L{len(self._loans)}"))
        return {
            "command": "draw-loan",
            "loan": self._loans[-1].name,
            "firm": self._firms[min(firm, len(self._firms) - 1)],
            "bank": random.choice(self._banks),
            "principal_fen": random.randrange(50, 1000) * 1_000_000,
            "drawn_on": self._day(2022),
            "security": "credit",
        }

    def _some_loan(self) -> _Loan:
        recent = self._random.random() < 0.5
        among = min(len(self._loans), RECENT_LOANS) if recent else len(self._loans)
        return self._loans[-1 - self._random.randrange(among)]

    def _claim(self, loan: _Loan) -> Command:
        random = self._random
        year, month = 2023 + loan.months_claimed // 12, loan.months_claimed % 12 + 1
        loan.months_claimed += 1
        return {
            "command": "claim-loan-interest",
            "claim": f"C{next(self._claims)}",
            "round": f"R{random.choice(ROUND_YEARS[1:])}",
            "loan": loan.name,
            "interest_paid_fen": random.randrange(100, 3000),
            "period_from": f"{year}-{month:02d}-01",
            "period_to": f"{year}-{month:02d}-28",
            "effective_on": self._day(random.choice((2025, 2025, 2025, 2026))),
        }

    def _day(self, year: int) -> str:
        return f"{year}-{self._random.randrange(1, 13):02d}-{self._random.randrange(1, 29):02d}"


def _registration(uscc: str, kind: str, name: str) -> Command:
    return {
        "command": "register-party",
        "uscc": uscc,
        "kind": kind,
        "name": name,
        "effective_on": "2022-01-01",
    }
