"""What is remembered of a tag as bytes and back. Pure.

Memories are slots, mostly of plain values: as tuples of these they are packed in a third of the time that objects
take, and where all values are plain by `marshal`, which takes half of the time of `pickle`. For this process alone:
no form is for keeping.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, NamedTuple

from ledger.day_sums import day_sums_of
from ledger.plain import Plain, slots_of
from ledger.state import Remembered

#: All that is remembered of a tag, and its tail if one is counted (see Tails).
Kept = tuple[Remembered, int | None]

#: How it is packed, in the first byte.
_PLAIN: Final = b"m"
_OBJECTS: Final = b"p"


def packed(tag: str, kept: Kept) -> bytes:
    """A tag with what is kept of it."""
    (memories, sums), tail = kept
    told = []
    for memory in memories:
        form = _form_of(type(memory))
        told.append((form.number, form.values(memory)))
    accounts = [(path, one.kept()) for path, one in sums.items()]
    whole = tag, told, accounts, tail
    try:
        return _PLAIN + marshal.dumps(whole)
    except ValueError:  # an object among them
        return _OBJECTS + pickle.dumps(whole, pickle.HIGHEST_PROTOCOL)


def unpacked(content: bytes) -> tuple[str, Kept]:
    """The tag and what was kept of it, in new objects."""
    read = marshal.loads if content.startswith(_PLAIN) else pickle.loads
    tag, told, accounts, tail = read(content[1:])
    memories = tuple([_FORMS[number].made(values) for number, values in told])
    return tag, ((memories, {path: day_sums_of(kept) for path, kept in accounts}), tail)


class _Form(NamedTuple):
    """How objects of a class become tuples of their slots' values, and again objects."""

    number: int
    kind: type[Any]
    names: tuple[str, ...]
    getter: Callable[[Any], Any]

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
        for name, value in zip(self.names, values, strict=True):
            if name == "__dict__":
                one.__dict__.update(value)
            elif value is not ...:
                setattr(one, name, value)
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
    form = _Form(len(_FORMS), kind, tuple(names), getter)
    _FORMS.append(form)
    _FORM_OF[kind] = form
    return form
