"""What is remembered of a tag as bytes and back. Pure.

Memories are slots of plain values, or of dictionaries of objects that are: as tuples of these `marshal` packs them in a
third of the time that pickling objects takes. Whatever is not plain is pickled. For this process alone: no form is for
keeping.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, NamedTuple

from ledger.day_sums import DaySums
from ledger.plain import Plain, slots_of
from ledger.state import Remembered

#: All that is remembered of a tag, and its tail if one is counted (see Loader.tails).
Kept = tuple[Remembered, int | None]

_PLAIN, _NESTED, _PICKLED = b"m", b"n", b"p"
#: Before the number of a form: no text that a memory holds begins so.
_OBJECTS: Final = "\0"


def packed(tag: str, kept: Kept) -> bytes:
    """A tag with what is kept of it."""
    (memories, sums), tail = kept
    told = []
    for memory in memories:
        form = _form_of(type(memory))
        told.append((form.number, form.values(memory)))
    values = _form_of(DaySums).values
    accounts = {path: values(one) for path, one in sums.items()}
    try:
        return _PLAIN + marshal.dumps((tag, told, accounts, tail))
    except ValueError:  # a value that is not plain
        pass
    try:
        flat = [(number, tuple([_flat(value) for value in values])) for number, values in told]
        return _NESTED + marshal.dumps((tag, flat, accounts, tail))
    except ValueError:
        return _PICKLED + pickle.dumps((tag, told, accounts, tail), pickle.HIGHEST_PROTOCOL)


def unpacked(content: bytes) -> tuple[str, Kept]:
    """The tag and what was kept of it, in new objects."""
    load = pickle.loads if content[:1] == _PICKLED else marshal.loads
    tag, told, accounts, tail = load(memoryview(content)[1:])
    if content[:1] == _NESTED:
        told = [(number, tuple([_raised(value) for value in values])) for number, values in told]
    memories = tuple([_FORMS[number].made(values) for number, values in told])
    made = _form_of(DaySums).made
    return tag, ((memories, {path: made(values) for path, values in accounts.items()}), tail)


def _flat(value: Any) -> Any:
    """A dictionary of objects of one class as one of their values."""
    if type(value) is not dict or not value:
        return value
    kind = type(next(iter(value.values())))
    if kind.__module__ == "builtins":
        return value
    form = _form_of(kind)
    if any(type(one) is not kind for one in value.values()):
        raise ValueError(f"not all are {kind.__name__}")
    return _OBJECTS, form.number, {key: form.values(one) for key, one in value.items()}


def _raised(value: Any) -> Any:
    """What `_flat` made flat."""
    if type(value) is not tuple or value[:1] != (_OBJECTS,):
        return value
    _, number, flat = value
    made = _FORMS[number].made
    return {key: made(values) for key, values in flat.items()}


class _Form(NamedTuple):
    """How objects of a class become tuples of their slots' values, and again objects."""

    number: int
    kind: type[Any]
    names: tuple[str, ...]
    getter: Callable[[Any], Any]
    puts: tuple[Callable[[Any, Any], None], ...]

    def values(self, one: Any) -> tuple[Any, ...]:
        """What is in its slots; `...` in one that is not set."""
        try:
            return (self.getter(one),) if len(self.names) == 1 else self.getter(one)
        except AttributeError:
            return tuple([getattr(one, name, ...) for name in self.names])

    def made(self, values: tuple[Any, ...]) -> Any:
        """An object with these values in its slots."""
        kind: Any = self.kind
        one = kind.__new__(kind)
        for put, value in zip(self.puts, values, strict=True):
            if value is not ...:
                put(one, value)
        return one


_FORMS: Final[list[_Form]] = []
_FORM_OF: Final[dict[type[Any], _Form]] = {}


def _form_of(kind: type[Any]) -> _Form:
    return _FORM_OF.get(kind) or _learnt(kind)


def _learnt(kind: type[Any]) -> _Form:
    """The form of a class: its slots, and whatever other attributes an object has. Raises ValueError for one whose
    objects hold more than attributes (a tuple, a dictionary), or take theirs when they are made."""
    if issubclass(kind, Plain) or any(
        one.__module__ == "builtins" and one is not object for one in kind.__mro__
    ):
        raise ValueError(f"{kind.__name__} is not made of attributes alone")
    names = [name for one in kind.__mro__ for name in slots_of(one)]
    if kind.__dictoffset__:
        names.append("__dict__")
    getter: Callable[[Any], Any] = attrgetter(*names) if names else lambda one: ()
    form = _Form(len(_FORMS), kind, tuple(names), getter, tuple([_put_of(kind, name) for name in names]))
    _FORMS.append(form)
    _FORM_OF[kind] = form
    return form


def _put_of(kind: type[Any], name: str) -> Callable[[Any, Any], None]:
    if name == "__dict__":
        return lambda one, value: one.__dict__.update(value)
    put: Callable[[Any, Any], None] = getattr(kind, name).__set__
    return put
