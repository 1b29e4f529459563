"""A naive model of the ledger, written from the policy and the command contract alone.

Slow and obvious on purpose: it keeps the list of what happened and nothing else, and answers every
question by going through the whole list again. The real program is held against it.
"""

from tests.oracle.model import Oracle
from tests.oracle.records import (
    STEP_AWARD_FEN,
    YI,
    Breach,
    CapRow,
    Event,
    Line,
    MilestoneRow,
    NotKnownError,
    Outcome,
    total,
)
from tests.oracle.shapes import SHAPES, default_key, is_uscc, is_well_formed, uscc_check_character

__all__ = [
    "SHAPES",
    "STEP_AWARD_FEN",
    "YI",
    "Breach",
    "CapRow",
    "Event",
    "Line",
    "MilestoneRow",
    "NotKnownError",
    "Oracle",
    "Outcome",
    "default_key",
    "is_uscc",
    "is_well_formed",
    "total",
    "uscc_check_character",
]
