"""The shapes that a rule's number can have: small exact functions of (parameters, basis).

A basis holds the figures that a claim rests on, in fen or as counts. Results are exact: rounding happens
once, at the end (A11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from ledger.money import Exact, quotient

Parameters = Mapping[str, Any]
Basis = Mapping[str, int]

_RATE: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18}|/0*[1-9][0-9]{0,17})?")


def is_rate(text: object) -> bool:
    """Whether a text is a rate: a fraction such as `1/2` or `0.03`. No exponents: they could name any size."""
    return isinstance(text, str) and _RATE.fullmatch(text) is not None


def share(parameters: Parameters, basis: Basis) -> Exact:
    """A rate of a basis figure: `{of, rate = "1/2"}`."""
    over, under = _rate(parameters["rate"])
    return quotient(over * basis[parameters["of"]], under)


def points(parameters: Parameters, basis: Basis) -> Exact:
    """A yearly rate on a basis figure for the days of the period: `{of, rate, year_days}` with `period_days` in
    the basis. Actual days over a fixed year, as loan contracts count."""
    over, under = _rate(parameters["rate"])
    days, year_days = basis["period_days"], parameters["year_days"]
    return quotient(over * basis[parameters["of"]] * days, under * year_days)


@lru_cache(maxsize=1024)
def _rate(text: str) -> tuple[int, int]:
    if not is_rate(text):
        raise ValueError(f"{text!r} is no rate: a fraction such as 1/2 or 0.03")
    return Fraction(text).as_integer_ratio()


def fixed(parameters: Parameters, basis: Basis) -> Exact:
    """A fixed sum: `{amount_fen}`."""
    return int(parameters["amount_fen"]), 1


def ladder(parameters: Parameters, basis: Basis) -> Exact:
    """Awards for whole steps reached above the high-water mark: `{of, step_fen, first_fen, further_fen,
    first_reach}` with `mark` in the basis.

    With `first_reach = "once"` the first reach is one award however high it is (A18); with `"each"` every
    step of it counts.
    """
    reached = basis[parameters["of"]] // parameters["step_fen"]
    new_steps = reached - basis["mark"]
    if new_steps <= 0:
        return 0, 1
    if basis["mark"] > 0:
        return int(new_steps * parameters["further_fen"]), 1
    further = new_steps - 1 if parameters["first_reach"] == "each" else 0
    return int(parameters["first_fen"] + further * parameters["further_fen"]), 1


SHAPES: Final[Mapping[str, Callable[[Parameters, Basis], Exact]]] = {
    "share": share,
    "points": points,
    "fixed": fixed,
    "ladder": ladder,
}


def value(parameters: Parameters, basis: Basis) -> Exact:
    """The exact value, in fen, of the shape that `parameters["shape"]` names."""
    return SHAPES[parameters["shape"]](parameters, basis)
