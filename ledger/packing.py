"""What is remembered of a tag as bytes and back. Pure.

Memories are slots of plain values, nearly all of them: as tuples of these `marshal` packs them in a third of the time
that pickling objects takes. Whatever is not plain is pickled. For this process alone: neither form is for keeping.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, NamedTuple

from ledger.day_sums import DaySums
from ledger.state import Remembered

#: All that is remembered of a tag, and its tail if one is counted (see Loader.tails).
Kept = tuple[Remembered, int | None]

_PLAIN, _PICKLED = b"m", b"p"


def packed(tag: str, kept: Kept) -> bytes:
    """A tag with what is kept of it."""
    (memories, sums), tail = kept
    told = []
    for memory in memories:
        form = _form_of(type(memory))
        told.append((form.number, form.values(memory)))
    values = _form_of(DaySums).values
    content = (tag, told, {path: values(one) for path, one in sums.items()}, tail)
    try:
        return _PLAIN + marshal.dumps(content)
    except ValueError:  # a value that is not plain
        return _PICKLED + pickle.dumps(content, pickle.HIGHEST_PROTOCOL)


def unpacked(content: bytes) -> tuple[str, Kept]:
    """The tag and what was kept of it, in new objects."""
    load = pickle.loads if content[:1] == _PICKLED else marshal.loads
    tag, told, accounts, tail = load(memoryview(content)[1:])
    memories = tuple([_FORMS[number].made(values) for number, values in told])
    made = _form_of(DaySums).made
    return tag, ((memories, {path: made(values) for path, values in accounts.items()}), tail)


class _Form(NamedTuple):
    """How objects of a class become tuples of their slots' values, and again objects."""

    number: int
    kind: type[Any]
    values: Callable[[Any], Any]
    puts: tuple[Callable[[Any, Any], None], ...]

    def made(self, values: tuple[Any, ...]) -> Any:
        """An object with these values in its slots."""
        kind: Any = self.kind
        one = kind.__new__(kind)
        for put, value in zip(self.puts, values, strict=True):
            put(one, value)
        return one


_FORMS: Final[list[_Form]] = []
_FORM_OF: Final[dict[type[Any], _Form]] = {}


def _form_of(kind: type[Any]) -> _Form:
    return _FORM_OF.get(kind) or _learnt(kind)


def _learnt(kind: type[Any]) -> _Form:
    """The form of a class: its slots, and whatever other attributes an object of it has."""
    names = [name for one in kind.__mro__ for name in slots_of(one)]
    if kind.__dictoffset__:
        names.append("__dict__")
    values = (
        attrgetter(*names) if len(names) > 1 else lambda one: tuple([getattr(one, name) for name in names])
    )
    form = _Form(len(_FORMS), kind, values, tuple([_put_of(kind, name) for name in names]))
    _FORMS.append(form)
    _FORM_OF[kind] = form
    return form


def _put_of(kind: type[Any], name: str) -> Callable[[Any, Any], None]:
    if name == "__dict__":
        return lambda one, value: one.__dict__.update(value)
    put: Callable[[Any, Any], None] = getattr(kind, name).__set__
    return put


def slots_of(kind: type[Any]) -> tuple[str, ...]:
    """The slots that a class itself declares. What is compiled keeps their names elsewhere (see ledger/compiled.py)."""
    found = vars(kind).get("__mypyc_attrs__", vars(kind).get("__slots__", ()))
    return (found,) if isinstance(found, str) else tuple(found)
