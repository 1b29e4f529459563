"""Writing a programme down: commands in the order of their recording, and the words that the scripts share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from ledger.money import WAN
from ledger.parties import check_character

Line = dict[str, Any]


class Script:
    """Commands for an empty ledger. Every command becomes one event, the first use of a rulebook another: so the
    script knows where each will stand in the log, and a reversal can name the fact that it takes back."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.position = 0
        self.refusals: dict[int, str] = {}  # line, from 1, to the code that the story expects
        self.landmarks: dict[str, int] = {}  # name to position: what the demo shows
        self._adopted: set[str] = set()

    def add(self, command: str, **fields: Any) -> int:
        """A command that is accepted; its position."""
        self.lines.append({"command": command, **fields})
        rulebooks = {fields[name] for name in ("rulebook", "call") if name in fields} - self._adopted
        self._adopted |= rulebooks
        self.position += 1 + len(rulebooks)
        return self.position

    def refused(self, code: str, command: str, **fields: Any) -> int:
        """A command that a rule refuses; the position of the refusal."""
        self.refusals[len(self.lines) + 1] = code
        return self.add(command, **fields)

    def mark(self, name: str) -> None:
        """Remember where the last command stands."""
        self.landmarks[name] = self.position

    def register(self, kind: str, uscc: str, name: str, on: str) -> str:
        """A party; its code."""
        self.add("register-party", uscc=uscc, kind=kind, name=name, effective_on=on)
        return uscc

    def publicise(self, claims: Iterable[str], notice: str, first: str, last: str) -> None:
        """One notice for many claims."""
        for claim in claims:
            self.add(
                "publicise", claim=claim, notice=notice, notice_from=first, notice_to=last, effective_on=first
            )

    def pay(self, claims: Iterable[str], on: str) -> None:
        """A payment each, with its voucher."""
        for claim in claims:
            self.add("pay", claim=claim, voucher=f"PZ-{claim}", paid_on=on)


def code(number: int) -> str:
    """A unified social credit code of the region 999999, which no office gives out, with its right check digit."""
    stem = f"91999999MA{number:07d}"
    return stem + check_character(stem)


def wan(amount: int | str) -> int:
    """Fen of an amount in 万元 with at most six decimals; never a float."""
    exact_fen = Decimal(amount) * WAN
    assert exact_fen == int(exact_fen), amount
    return int(exact_fen)


def interest(principal_fen: int, basis_points: int, first: str, last: str) -> int:
    """Interest of a year's rate over both days and all between, a year of 360 days, down to the fen."""
    days = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
    return principal_fen * basis_points * days // (10_000 * 360)


def workday(start: str, number: int) -> str:
    """The n-th day after `start` that is neither Saturday nor Sunday."""
    day = date.fromisoformat(start)
    while number or day.weekday() >= 5:
        number -= day.weekday() < 5 and number > 0
        day += timedelta(days=1)
    return day.isoformat()
