"""Money: whole fen, never a float.

1 yuan = 100 fen, 1 万元 = 10,000 yuan, 1 亿元 = 100,000,000 yuan.
"""

from __future__ import annotations

from math import gcd
from typing import Final

#: An exact amount in fen: numerator and denominator in lowest terms, the denominator above 0.
Exact = tuple[int, int]

#: The largest amount that every JSON reader keeps exactly (2^53 - 1), in fen.
MAX_FEN: Final = 2**53 - 1
YUAN: Final = 100
WAN: Final = 10_000 * YUAN
YI: Final = 100_000_000 * YUAN

_SCALES: Final = ((YI, "亿元"), (WAN, "万元"))


def is_amount(value: object, least: int = 1) -> bool:
    """Whether `value` is an integer amount in fen from `least` to MAX_FEN; `True` is not an amount."""
    return type(value) is int and least <= value <= MAX_FEN


def quotient(over_fen: int, under: int) -> Exact:
    """`over_fen` / `under`, exactly. Raises ZeroDivisionError."""
    if under == 0:
        raise ZeroDivisionError(f"{over_fen} / 0")
    common = gcd(over_fen, under) if under > 0 else -gcd(over_fen, under)
    return over_fen // common, under // common


def is_less(one_fen: Exact, other_fen: Exact) -> bool:
    """Whether the first of two exact amounts is less."""
    return one_fen[0] * other_fen[1] < other_fen[0] * one_fen[1]


def floor_to_unit(exact_fen: Exact, unit_fen: int) -> int:
    """Round down, once, to a multiple of `unit_fen` (policy reading A11). Never negative."""
    whole_fen = exact_fen[0] // exact_fen[1]
    return whole_fen // unit_fen * unit_fen if whole_fen > 0 else 0


def format_fen(amount_fen: int) -> str:
    """The amount for people, exact: the largest of 亿元 / 万元 that needs at most two decimals, else 元.

    >>> format_fen(600_000_00), format_fen(44_104_16), format_fen(1_80_000_000_00)
    ('60 万元', '44,104.16 元', '1.8 亿元')
    """
    sign, size_fen = ("-" if amount_fen < 0 else ""), abs(amount_fen)
    for scale_fen, unit in _SCALES:
        if size_fen >= scale_fen and size_fen * 100 % scale_fen == 0:
            hundredths = size_fen * 100 // scale_fen
            decimals = f"{hundredths % 100:02d}".rstrip("0")
            return f"{sign}{hundredths // 100:,}{'.' + decimals if decimals else ''} {unit}"
    return format_yuan(amount_fen)


def format_yuan(amount_fen: int) -> str:
    """The amount in 元 with two decimals, however large: for columns, where amounts are compared by eye.

    >>> format_yuan(600_000_00), format_yuan(-5)
    ('600,000.00 元', '-0.05 元')
    """
    sign, size_fen = ("-" if amount_fen < 0 else ""), abs(amount_fen)
    return f"{sign}{size_fen // YUAN:,}.{size_fen % YUAN:02d} 元"
