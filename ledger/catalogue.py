"""The catalogue: every command with its handler, every kind of memory. Instruments are found by discovery:
a new file under ledger/instruments/ with an `INSTRUMENT` needs no line here."""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ledger import instruments
from ledger.commands import CommandSpec
from ledger.decisions import Handler
from ledger.fitting import check_rulebooks
from ledger.grants import Instrument
from ledger.rulebook.library import Library, shipped
from ledger.state import Memory, MemoryKinds
from ledger.subjects import (
    budgets,
    certificates,
    claims,
    guarantees,
    loans,
    mergers,
    registrations,
    reversals,
    rounds,
)

# Kinds of tags that own accounts without further memory are not listed: state.State gives them day sums only.
_SUBJECTS = (rounds, registrations, loans, guarantees, certificates, claims, reversals)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the ledger understands: handlers and specs by command name, memory classes by kind of tag."""

    handlers: Mapping[str, Handler]
    specs: Mapping[str, CommandSpec]
    memories: MemoryKinds
    instruments: Mapping[str, Instrument]


def discover_instruments() -> dict[str, Instrument]:
    """Every `INSTRUMENT` of the modules in ledger/instruments/, by key, in order of the file names."""
    names = sorted(module.name for module in pkgutil.iter_modules(instruments.__path__))
    found = [importlib.import_module(f"{instruments.__name__}.{name}").INSTRUMENT for name in names]
    return {instrument.key: instrument for instrument in found}


def catalogue(library: Library | None = None) -> Catalogue:
    """The catalogue for a library of rulebooks (default: the shipped ones). Raises forms.UnusableRulebook."""
    found, library = discover_instruments(), library or shipped()
    check_rulebooks(library, found)
    handlers: list[Handler] = [
        *rounds.handlers(library),
        *budgets.handlers(found),
        *registrations.HANDLERS,
        *mergers.HANDLERS,
        *loans.HANDLERS,
        *guarantees.HANDLERS,
        *certificates.HANDLERS,
        *(instrument.handler() for instrument in found.values()),
        *claims.HANDLERS,
        *reversals.HANDLERS,
    ]
    by_name = {handler.spec.name: handler for handler in handlers}
    memories = _merged(
        [
            *(subject.MEMORIES for subject in _SUBJECTS),
            *(instrument.memories for instrument in found.values()),
        ]
    )
    return Catalogue(by_name, {name: h.spec for name, h in by_name.items()}, memories, found)


def _merged(kinds: Iterable[Mapping[str, tuple[type[Memory], ...]]]) -> MemoryKinds:
    merged: dict[str, tuple[type[Memory], ...]] = defaultdict(tuple)
    for mapping in kinds:
        for kind, classes in mapping.items():
            merged[kind] += classes
    return dict(merged)
