"""What is written down and what is answered, as plain frozen data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

YUAN = 100
YI = 100_000_000 * YUAN  # one hundred million yuan, the height of one step of the credit award
FIRM_LIMIT_FEN = 200_000 * YUAN
STEP_AWARD_FEN = 200_000 * YUAN
PROGRAMME_START = "2022-01-01"
NEVER_ENDS = "9999-12-31"

Move = tuple[str, str, int]  # date, account, amount
Draft = tuple[str, Mapping[str, Any], list[Move]]  # kind, data, lines


@dataclass(frozen=True)
class Line:
    """One movement: a position, an effective date, an account, an amount."""

    position: int
    effective_on: str
    account: str
    amount_fen: int


@dataclass(frozen=True)
class Event:
    """Something that happened, with the fields that were sent and what was decided."""

    position: int
    effective_on: str
    kind: str
    data: Mapping[str, Any]
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The answer to one command; of a repeated one, everything but `outcome` is the first answer's."""

    outcome: str
    code: str | None = None
    clause: str | None = None
    amount_fen: int | None = None
    first: str | None = None
    positions: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()

    def as_line(self) -> dict[str, Any]:
        """The same answer in the shape of an outcome line of `kejin run`."""
        everything: dict[str, Any] = {
            "outcome": self.outcome,
            "positions": list(self.positions),
            "first": self.first,
            "warnings": list(self.warnings) or None,
        }
        everything |= {"code": self.code, "clause": self.clause, "amount_fen": self.amount_fen}
        return {name: value for name, value in everything.items() if value is not None}


@dataclass(frozen=True)
class Answered:
    """A key with the command that used it and the answer that it got."""

    key: str
    fingerprint: str
    outcome: Outcome


@dataclass(frozen=True)
class CapRow:
    kind: str
    key: str
    party: str
    limit_fen: int
    consumed_fen: int
    reserved_fen: int
    room_fen: int


@dataclass(frozen=True)
class MilestoneRow:
    bank: str
    product: str
    mark: int
    awarded_fen: int
    next_at_fen: int


@dataclass(frozen=True)
class Breach:
    """On this date, as known at the end of this position, an account was past its bound by this much."""

    position: int
    effective_on: str
    account: str
    over_fen: int


class RefusedError(Exception):
    """The rules say no: a code and, where a clause says it, the clause."""

    def __init__(self, code: str, clause: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.clause = clause


class NotKnownError(Exception):
    """The position asked for was never written."""


def total(lines: Iterable[Line], account: str, on: str) -> int:
    """What the lines sum to on a date, for one account."""
    return sum(line.amount_fen for line in lines if line.account == account and line.effective_on <= on)


def dates_of(lines: Iterable[Line]) -> list[str]:
    return sorted({line.effective_on for line in lines})


def transfer(on: str, giver: str, receiver: str, amount_fen: int) -> list[Move]:
    """The receiving account grows, the giving one shrinks."""
    return [(on, giver, -amount_fen), (on, receiver, amount_fen)] if amount_fen else []
