"""A resolved rulebook: the measure's clauses as the call narrowed them, ready to decide with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.dates import Day
from ledger.rulebook import forms
from ledger.rulebook.forms import KEY_KINDS, WINDOWS, Checked, UnusableRulebook
from ledger.rulebook.shapes import Parameters

__all__ = ["KEY_KINDS", "WINDOWS", "Cap", "Clause", "Leg", "Rulebook", "UnusableRulebook", "place", "resolve"]

DEFAULT_UNIT_FEN: Final = 1


@dataclass(frozen=True, slots=True)
class Leg:
    """One figure that an award may not exceed."""

    part: str
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Cap:
    """A cumulative cap: an accumulator per key (`kinds`), its limit, and since when the limit holds.

    `id` names the accounts `quota/<id>/<key>`; it ends in the kinds of the key. `dated_by` names the fact's
    date that gives the limit; without it the clause's own date does.
    """

    id: str
    part: str
    kinds: tuple[str, ...]
    limit: Parameters
    dated_by: str | None
    effective_from: Day
    refusal: str


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause as it stands after the call: legs, caps, terms and the reading that each award names."""

    id: str
    instrument: str
    legs: tuple[Leg, ...]
    caps: tuple[Cap, ...]
    terms: Mapping[str, Any]
    reading: Mapping[str, str]

    @property
    def rounding_unit_fen(self) -> int:
        """The unit that an award is rounded down to (A11)."""
        return int(self.terms.get("rounding_unit_fen", DEFAULT_UNIT_FEN))


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A measure with the call of one round laid over it."""

    programme: str
    clauses: Mapping[str, Clause]  # by instrument

    def clause_for(self, instrument: str) -> Clause | None:
        """The clause of an instrument, or None where the measure has none."""
        return self.clauses.get(instrument)


def resolve(measure: Mapping[str, Any], call: Mapping[str, Any] | None = None) -> Rulebook:
    """Lay the call over the measure: per clause the call's terms, legs, caps and readings win.

    Both are documents as adopted (see library.py). Raises UnusableRulebook.
    """
    for document in (measure, call):
        if document is not None:
            forms.check_document(document)
    narrowed = {clause["id"]: clause for clause in (call or {}).get("clauses", ())}
    unknown = ", ".join(sorted(narrowed.keys() - {clause["id"] for clause in measure["clauses"]}))
    if unknown:
        raise Checked((call or {})["id"], (call or {})["id"]).wrong(
            f"the measure has no clause {unknown}", f"办法没有条款 {unknown}"
        )
    clauses = [
        _clause(measure, clause, call or {}, narrowed.get(clause["id"], {})) for clause in measure["clauses"]
    ]
    return Rulebook(measure["programme"], {clause.instrument: clause for clause in clauses})


def place(measure: Mapping[str, Any], call: Mapping[str, Any] | None) -> Checked:
    """Where something stands that a measure says, or a call over it."""
    names = [measure["id"], *([call["id"]] if call else [])]
    return Checked(" with ".join(names), "、".join(names))


def _clause(
    measure: Mapping[str, Any], base: Mapping[str, Any], call: Mapping[str, Any], over: Mapping[str, Any]
) -> Clause:
    at = place(measure, call or None).clause(base["id"])
    reading = {**base.get("reading", {}), **over.get("reading", {})}
    terms = _read({**base.get("terms", {}), **over.get("terms", {})}, reading)
    legs = [_read(leg, reading) for leg in _by_part(base.get("legs", ()), over.get("legs", ()))]
    caps = [_read(cap, reading) for cap in _caps(measure, base, call, over)]
    for leg in legs:
        forms.check_leg(at, leg)
    for cap in caps:
        forms.check_cap(at, cap)
    at.once("part", [entry["part"] for entry in (*legs, *caps)])
    _check_terms(at, terms, reading)
    return Clause(
        id=base["id"],
        instrument=base["instrument"],
        legs=tuple(Leg(leg["part"], leg) for leg in legs),
        caps=tuple(_cap(measure["programme"], base["instrument"], cap) for cap in caps),
        terms=terms,
        reading=reading,
    )


def _check_terms(at: Checked, terms: Mapping[str, Any], reading: Mapping[str, str]) -> None:
    """The terms that every clause may have; those of its instrument are checked where the two meet (grants.py)."""
    for name, form in forms.TERMS.items():
        if name in terms:
            at.value(f"terms.{name}", terms[name], form)
    # Recoveries go by the reading alone: a term that said something else would promise what is not done.
    if "recovery_restores" in terms:
        built = reading.get("A13", "error")
        at.value("terms.recovery_restores", terms["recovery_restores"], forms.one_of(built))


def _read(parameters: Mapping[str, Any], reading: Mapping[str, str]) -> dict[str, Any]:
    """Parameters with each code of a reading (`"A1"`) replaced by what the clause reads there."""
    return {name: _reading(value, reading) for name, value in parameters.items()}


def _reading(value: Any, reading: Mapping[str, str]) -> Any:
    return reading.get(value, value) if isinstance(value, str) else value


def dates_limit(document: Mapping[str, Any], cap: Mapping[str, Any]) -> bool:
    """Whether the limit of a cap holds from the document's date on: a measure's, and one that a call states with its
    shape. A call that states single values narrows the measure's limit, and leaves its date."""
    return document["layer"] == "measure" or "shape" in cap.get("limit", ())


def _caps(
    measure: Mapping[str, Any], base: Mapping[str, Any], call: Mapping[str, Any], over: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The caps of a clause, as the call narrowed them."""
    stated = [{"effective_from": measure["effective_from"], **cap} for cap in base.get("caps", ())]
    limits = {cap["part"]: cap.get("limit", {}) for cap in stated}
    narrowed: list[Mapping[str, Any]] = []
    for cap in over.get("caps", ()):
        if cap["part"] not in limits or dates_limit(call, cap):
            narrowed.append({"effective_from": call["effective_from"], **cap})
        else:
            narrowed.append({**cap, "limit": {**limits[cap["part"]], **cap.get("limit", {})}})
    return _by_part(stated, narrowed)


def _by_part(base: Sequence[Mapping[str, Any]], over: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    merged = {entry["part"]: dict(entry) for entry in base}
    for entry in over:
        merged[entry["part"]] = {**merged.get(entry["part"], {}), **entry}
    return list(merged.values())


def _cap(programme: str, instrument: str, cap: Mapping[str, Any]) -> Cap:
    window = cap.get("window", "lifetime")
    kinds = (*cap["key"], *(() if window == "lifetime" else (window,)))
    return Cap(
        id=f"{programme}.{cap.get('name', instrument)}.{'+'.join(kinds)}",
        part=cap["part"],
        kinds=kinds,
        limit=cap["limit"],
        dated_by=cap.get("dated_by"),
        effective_from=cap["effective_from"],
        refusal=cap["refusal"],
    )
