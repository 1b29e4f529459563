"""How schemathesis sends a batch: texts and bytes as they are, anything else as one line of JSON; and how it makes the
texts of a pattern in less time."""

from __future__ import annotations

import json
from typing import Any

import schemathesis
from hypothesis.strategies._internal import regex


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: Any, value: Any) -> bytes:
    """The bytes of a generated body."""
    if isinstance(value, bytes):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.encode("utf-8", "surrogatepass")


_built: dict[tuple[object, ...], Any] = {}
_build = regex.regex_strategy


def _built_once(pattern: Any, fullmatch: bool, *, alphabet: Any, **how: Any) -> Any:
    """hypothesis makes the strategy of a pattern anew for every example, character by character: of ids, which take
    CJK, that is two thirds of a run. It is the same each time."""
    key = (pattern, fullmatch, repr(alphabet), *sorted(how.items()))
    if key not in _built:
        _built[key] = _build(pattern, fullmatch, alphabet=alphabet, **how)
    return _built[key]


regex.regex_strategy = _built_once  # type: ignore[assignment]
