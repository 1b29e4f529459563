"""The shapes that a rule's number can have: small exact functions of (parameters, basis).

A basis holds the figures that a claim rests on, in fen or as counts. Results are exact (Fraction): rounding
happens once, at the end (A11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final

Parameters = Mapping[str, Any]
Basis = Mapping[str, int]


def share(parameters: Parameters, basis: Basis) -> Fraction:
    """A rate of a basis figure: `{of, rate = "1/2"}`."""
    return Fraction(parameters["rate"]) * basis[parameters["of"]]


def points(parameters: Parameters, basis: Basis) -> Fraction:
    """A yearly rate on a basis figure for the days of the period: `{of, rate, year_days}` with `period_days` in
    the basis. Actual days over a fixed year, as loan contracts count."""
    days = Fraction(basis["period_days"], parameters["year_days"])
    return Fraction(parameters["rate"]) * basis[parameters["of"]] * days


def fixed(parameters: Parameters, basis: Basis) -> Fraction:
    """A fixed sum: `{amount_fen}`."""
    return Fraction(parameters["amount_fen"])


def ladder(parameters: Parameters, basis: Basis) -> Fraction:
    """Awards for whole steps reached above the high-water mark: `{of, step_fen, first_fen, further_fen,
    first_reach}` with `mark` in the basis.

    With `first_reach = "once"` the first reach is one award however high it is (A18); with `"each"` every
    step of it counts.
    """
    reached = basis[parameters["of"]] // parameters["step_fen"]
    new_steps = reached - basis["mark"]
    if new_steps <= 0:
        return Fraction(0)
    if basis["mark"] > 0:
        return Fraction(new_steps * parameters["further_fen"])
    further = new_steps - 1 if parameters["first_reach"] == "each" else 0
    return Fraction(parameters["first_fen"] + further * parameters["further_fen"])


SHAPES: Final[Mapping[str, Callable[[Parameters, Basis], Fraction]]] = {
    "share": share,
    "points": points,
    "fixed": fixed,
    "ladder": ladder,
}


def value(parameters: Parameters, basis: Basis) -> Fraction:
    """The exact value, in fen, of the shape that `parameters["shape"]` names."""
    return SHAPES[parameters["shape"]](parameters, basis)
