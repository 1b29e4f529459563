"""Plain data that every event goes through: what a named tuple is but for its tuple, made several times as fast where
it is compiled. Pure.

Plain data and memories never refer back to themselves (`acyclic`): where they are compiled, Python's search for cycles
need not look at them, and they have no room for what it notes.
"""

from __future__ import annotations

from typing import Any, Self

from mypy_extensions import mypyc_attr


@mypyc_attr(acyclic=True)
class Plain:
    """Objects of classes with slots, which `__init__` takes by the same names: equal where all slots are equal, shown
    with what is in them, and pickled by value. Nobody changes them."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and type(self) is type(other) and self._by_name() == other._by_name()

    def __hash__(self) -> int:
        return hash(tuple(self._by_name().values()))

    def __repr__(self) -> str:
        held = ", ".join([f"{name}={value!r}" for name, value in self._by_name().items()])
        return f"{type(self).__name__}({held})"

    def replaced(self, **changes: Any) -> Self:
        """A copy in which these slots hold something else."""
        return _made(type(self), {**self._by_name(), **changes})  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self._by_name())

    def _by_name(self) -> dict[str, Any]:
        return {name: getattr(self, name) for kind in type(self).__mro__ for name in slots_of(kind)}


def _made(kind: type[Any], values: dict[str, Any]) -> Any:
    return kind(**values)


def slots_of(kind: type[Any]) -> tuple[str, ...]:
    """The slots that a class itself declares. What is compiled keeps their names elsewhere (see ledger/compiled.py)."""
    found = vars(kind).get("__mypyc_attrs__", vars(kind).get("__slots__", ()))
    return (found,) if isinstance(found, str) else tuple(found)
