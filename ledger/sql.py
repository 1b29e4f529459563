"""Named queries: SQL lives in SQL files, each query under a line `-- name: …`. And texts as their parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(package: str, file_name: str) -> dict[str, bytes]:
    """The queries of a file by name. Raises ValueError where a name stands twice."""
    text = resources.files(package).joinpath(file_name).read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    if len(set(parts[::2])) != len(parts[::2]):
        raise ValueError(f"{file_name}: a query's name stands twice")
    return {name: body.strip().encode() for name, body in zip(parts[::2], parts[1::2], strict=True)}


def array(texts: Sequence[str]) -> str:
    """Texts as the literal of an array: what a parameter of type text[] may be sent as."""
    joined = '","'.join(texts)
    if "\\" not in joined and joined.count('"') == 2 * len(texts) - 2:
        return '{"' + joined + '"}'
    quoted = ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts]
    return "{" + ",".join(quoted) + "}"
