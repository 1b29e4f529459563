"""Parties: legal persons by their unified social credit code (USCC, 统一社会信用代码, GB 32100-2015)."""

from __future__ import annotations

import re
from typing import Final

#: What a party may be in the programme; a party may be several.
KINDS: Final = (
    "firm",
    "research_institute",
    "bank",
    "guarantor",
    "service_body",
    "investor",
    "insurer",
)

#: GB 32100-2015: digits and capital letters without I, O, S, V, Z; a character's place is its value.
ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WELL_FORMED: Final = re.compile(f"[{ALPHABET}]{{18}}")
_WEIGHTS: Final = tuple(pow(3, place, 31) for place in range(17))


def is_well_formed(uscc: str) -> bool:
    """Whether `uscc` has 18 characters of the alphabet. Letters are real in the first places too."""
    return _WELL_FORMED.fullmatch(uscc) is not None


def check_character(uscc: str) -> str:
    """The 18th character that the first 17 demand: (31 - Σ value·weight mod 31) mod 31."""
    total = sum(ALPHABET.index(c) * weight for c, weight in zip(uscc, _WEIGHTS, strict=False))
    return ALPHABET[(31 - total % 31) % 31]


def passes_check(uscc: str) -> bool:
    """Whether the 18th character is right. Some real old codes fail: a person may confirm them."""
    return uscc[17] == check_character(uscc)
