"""A resolved rulebook: the measure's clauses as the call narrowed them, ready to decide with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.dates import Day, is_day
from ledger.refusals import CODES
from ledger.rulebook.shapes import SHAPES, Parameters

KEY_KINDS: Final = ("firm", "loan", "bank", "product", "round", "year", "programme")
WINDOWS: Final = ("lifetime", "round", "year")
DEFAULT_UNIT_FEN: Final = 1


class UnusableRulebook(ValueError):
    """A rulebook document that cannot be decided with: which document, which clause, what is wrong."""


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
    narrowed = {clause["id"]: clause for clause in (call or {}).get("clauses", ())}
    unknown = narrowed.keys() - {clause["id"] for clause in measure["clauses"]}
    if unknown:
        raise UnusableRulebook(
            f"{(call or {})['id']}: the measure has no clause {', '.join(sorted(unknown))}"
        )
    clauses = [
        _clause(measure, clause, call or {}, narrowed.get(clause["id"], {})) for clause in measure["clauses"]
    ]
    return Rulebook(measure["programme"], {clause.instrument: clause for clause in clauses})


def _clause(
    measure: Mapping[str, Any], base: Mapping[str, Any], call: Mapping[str, Any], over: Mapping[str, Any]
) -> Clause:
    where = f"{measure['id']}: {base['id']}"
    reading = {**base.get("reading", {}), **over.get("reading", {})}
    terms = _read({**base.get("terms", {}), **over.get("terms", {})}, reading)
    legs = [_read(leg, reading) for leg in _by_part(base.get("legs", ()), over.get("legs", ()))]
    caps = [_read(cap, reading) for cap in _by_part(_dated(base, measure), _dated(over, call))]
    if terms.get("budget_short", "refuse") != "refuse":
        raise UnusableRulebook(f"{where}: only a refusal is built for a short budget (A28)")
    for parameters in (*legs, *(cap["limit"] for cap in caps)):
        if parameters.get("shape") not in SHAPES:
            raise UnusableRulebook(f"{where}: unknown shape {parameters.get('shape')!r}")
    return Clause(
        id=base["id"],
        instrument=base["instrument"],
        legs=tuple(Leg(leg["part"], leg) for leg in legs),
        caps=tuple(_cap(where, measure["programme"], base["instrument"], cap) for cap in caps),
        terms=terms,
        reading=reading,
    )


def _read(parameters: Mapping[str, Any], reading: Mapping[str, str]) -> dict[str, Any]:
    """Parameters with each code of a reading (`"A1"`) replaced by what the clause reads there."""
    return {name: _reading(value, reading) for name, value in parameters.items()}


def _reading(value: Any, reading: Mapping[str, str]) -> Any:
    return reading.get(value, value) if isinstance(value, str) else value


def _dated(clause: Mapping[str, Any], document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [{"effective_from": document["effective_from"], **cap} for cap in clause.get("caps", ())]


def _by_part(base: Sequence[Mapping[str, Any]], over: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    merged = {entry["part"]: dict(entry) for entry in base}
    for entry in over:
        merged[entry["part"]] = {**merged.get(entry["part"], {}), **entry}
    return list(merged.values())


def _cap(where: str, programme: str, instrument: str, cap: Mapping[str, Any]) -> Cap:
    window = cap.get("window", "lifetime")
    kinds = (*cap["key"], *(() if window == "lifetime" else (window,)))
    if window not in WINDOWS or not set(kinds) <= set(KEY_KINDS):
        raise UnusableRulebook(f"{where}: {cap['part']} has an unknown key or window")
    if cap["refusal"] not in CODES:
        raise UnusableRulebook(f"{where}: {cap['part']} refuses with an unknown code {cap['refusal']!r}")
    if not is_day(cap["effective_from"]):
        raise UnusableRulebook(f"{where}: {cap['part']} has no real date")
    return Cap(
        id=f"{programme}.{cap.get('name', instrument)}.{'+'.join(kinds)}",
        part=cap["part"],
        kinds=kinds,
        limit=cap["limit"],
        dated_by=cap.get("dated_by"),
        effective_from=cap["effective_from"],
        refusal=cap["refusal"],
    )
