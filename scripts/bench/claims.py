"""Claims for the benchmarks of the service: firms of very different size, their loans, claims month after month.

Deterministic. No claim is refused: what is measured is a grant with all its caps, postings, tags and hash.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from scripts.bench.workload import code

Line = dict[str, Any]

_FIRMS: Final = 2_000
_LOANS: Final = 4_000
_BANK_LEAD, _FIRM_LEAD = "51", "91"
_MONTHS: Final = 48


def opening(name: str, firms: int = _FIRMS, loans: int = _LOANS) -> Iterator[Line]:
    """A round, a bank, firms and loans. `name` keeps several benchmarks on one ledger apart."""
    chosen, seed = random.Random(name), 10**9 + sum(name.encode()) * 100_000
    yield {
        "command": "open-round",
        "round": name,
        "year": 2024,
        "budget_fen": 10**14,
        "rulebook": "shanxi-2022",
        "effective_on": "2024-01-01",
    }
    bank = code(seed, _BANK_LEAD)
    yield _party(bank, "bank")
    firm_codes = [code(seed + number, _FIRM_LEAD) for number in range(firms)]
    for firm in firm_codes:
        yield _party(firm, "firm")
    for number in range(loans):
        yield {
            "command": "draw-loan",
            "loan": f"{name}-{number}",
            "firm": firm_codes[int(firms * chosen.random() ** 3)],  # a few firms have most of the loans
            "bank": bank,
            "principal_fen": 1_000_000_000,
            "drawn_on": "2022-01-01",
            "security": "credit",
        }


def _party(party: str, kind: str) -> Line:
    return {
        "command": "register-party",
        "uscc": party,
        "kind": kind,
        "name": f"{kind} {party}",
        "effective_on": "2022-01-01",
    }


def claims(name: str, count: int, loans: int = _LOANS) -> Iterator[Line]:
    """Claims on the loans of `opening(name)`: each loan month after month, at most 48 each."""
    if count > loans * _MONTHS:
        raise ValueError(f"{count} claims want more than {loans} loans")
    chosen = random.Random(name + "claims")
    for number in range(count):
        month, loan = divmod(number, loans)
        first = f"{2022 + month // 12}-{month % 12 + 1:02d}"
        yield {
            "command": "claim-loan-interest",
            "claim": f"{name}-{number}",
            "round": name,
            "loan": f"{name}-{loan}",
            "interest_paid_fen": chosen.randrange(100, 3_000),
            "period_from": f"{first}-01",
            "period_to": f"{first}-28",
            "effective_on": f"2026-{chosen.randrange(1, 13):02d}-{chosen.randrange(1, 29):02d}",
        }
