"""Exact amounts: pairs of integers in lowest terms."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import floor_to_unit, format_fen, format_yuan, is_less, quotient

INTEGERS = st.integers(-(10**30), 10**30)
DIVISORS = INTEGERS.filter(bool)


@given(INTEGERS, DIVISORS, INTEGERS, DIVISORS)
def test_exact_amounts_are_compared_as_fractions_are(one: int, under: int, other: int, below: int) -> None:
    """Whatever the signs: in lowest terms, the denominator above 0, and less where the fraction is less."""
    assert quotient(one, under) == Fraction(one, under).as_integer_ratio()
    first, second = quotient(one, under), quotient(other, below)
    assert is_less(first, second) == (Fraction(one, under) < Fraction(other, below))


@given(INTEGERS, DIVISORS, st.sampled_from([1, 100, 10_000]))
def test_rounding_down_is_to_a_whole_unit_and_never_below_nothing(over: int, under: int, unit: int) -> None:
    """The largest multiple of the unit that is not above the amount; 0 for less than nothing."""
    assert floor_to_unit(quotient(over, under), unit) == max(0, Fraction(over, under) // unit * unit)


@given(INTEGERS)
def test_an_amount_is_shown_to_the_fen(fen: int) -> None:
    """For people and in columns: read back, what is shown is the amount, whichever unit it is shown in."""
    for shown in (format_fen(fen), format_yuan(fen)):
        figure, unit = shown.split(" ")
        assert Fraction(figure.replace(",", "")) * {"元": 100, "万元": 10**6, "亿元": 10**10}[unit] == fen
    assert format_yuan(fen).endswith(" 元")
    assert len(format_yuan(fen).partition(".")[2]) == len("00 元")


def test_nothing_is_divided_by_nothing() -> None:
    """A year of 0 days, in somebody's own rulebook, is an error and no amount."""
    with pytest.raises(ZeroDivisionError):
        quotient(1, 0)
