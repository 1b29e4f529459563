"""Exact amounts: pairs of integers in lowest terms."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import floor_to_unit, is_less, quotient

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


def test_nothing_is_divided_by_nothing() -> None:
    """A year of 0 days, in somebody's own rulebook, is an error and no amount."""
    with pytest.raises(ZeroDivisionError):
        quotient(1, 0)
