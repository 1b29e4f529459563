"""Where rulebooks meet instruments: a clause says what its instrument needs, and nothing that nobody reads. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from ledger.grants import Instrument
from ledger.rulebook.clauses import Clause
from ledger.rulebook.forms import TERMS, Checked, one_of
from ledger.rulebook.library import Library

#: What a cap may count by under every instrument: what every claim has.
_FRAME: Final = ("round", "year", "programme")
#: The figures that a shape takes besides the one that it names.
_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {"points": ("period_days",), "ladder": ("mark",)}


def check_rulebooks(library: Library, instruments: Mapping[str, Instrument]) -> None:
    """Whether every clause can decide the claims of its instrument. Raises forms.UnusableRulebook."""
    for at, rulebook in library.rulebooks:
        for clause in rulebook.clauses.values():
            _check_clause(at.clause(clause.id), clause, instruments)


def _check_clause(at: Checked, clause: Clause, instruments: Mapping[str, Instrument]) -> None:
    at.value("instrument", clause.instrument, one_of(*instruments))
    instrument = instruments[clause.instrument]
    at.table(
        "terms.", clause.terms, {**TERMS, **instrument.may_say, **instrument.terms}, tuple(instrument.terms)
    )
    if any(leg.parameters["shape"] == "ladder" for leg in clause.legs):
        # A mark falls after a recovery for error and no other (subjects/ladders.py): who reads it otherwise is told.
        at.value("reading.A13", clause.reading.get("A13", "error"), one_of("error"))
    shapes = {leg.part: leg.parameters["shape"] for leg in clause.legs}
    for part, shape in instrument.legs.items():
        if part not in shapes:
            listed = ", ".join(shapes) or "-"
            raise at.wrong(
                f"legs.{part} is missing, of shape {shape}; there are {listed}",
                f"缺少 legs.{part}（shape 为 {shape}）；现有 {listed}",
            )
        at.value(f"legs.{part}.shape", shapes[part], one_of(shape))
    if not clause.legs and not instrument.decided_by_people:
        raise at.wrong("there are no legs: nothing says how much is due", "没有 legs：未规定金额")
    for leg in clause.legs:
        _check_figures(at, f"legs.{leg.part}.", leg.parameters, instrument)
    for cap in clause.caps:
        _check_figures(at, f"caps.{cap.part}.limit.", cap.limit, instrument)
        for kind in cap.kinds:
            at.value(f"caps.{cap.part}.key", kind, one_of(*instrument.counted_by, *_FRAME))
        if cap.dated_by is not None:
            _check_name(at, f"caps.{cap.part}.dated_by", cap.dated_by, instrument.dates)


def _check_figures(at: Checked, prefix: str, parameters: Mapping[str, Any], instrument: Instrument) -> None:
    """A shape computes with figures that a claim of the instrument has."""
    shape = parameters["shape"]
    if "of" in parameters:
        _check_name(at, f"{prefix}of", parameters["of"], instrument.figures)
    for figure in _BESIDE.get(shape, ()):
        if figure not in instrument.figures:
            raise at.wrong(
                f"{prefix}shape cannot be {shape}: a claim of {instrument.key} has no {figure}",
                f"{prefix}shape 不能是 {shape}：{instrument.key} 的申请没有 {figure}",
            )


def _check_name(at: Checked, field: str, name: str, known: Collection[str]) -> None:
    if not known:
        raise at.wrong(f"{field} names {name}, and its claims have none", f"{field} 为 {name}，而其申请没有")
    at.value(field, name, one_of(*known))
