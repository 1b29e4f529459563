"""Lists of claims: one step for each line of a file. A line is a claim's id, or a JSON object with its own fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api.recording import record_file
from ledger import codec
from ledger.commands import InvalidCommand


def step_for_each(
    command: str,
    file: str,
    common: dict[str, str | None],
    data: Path | None,
    *,
    principal: str | None,
    as_json: bool,
    dry_run: bool,
) -> int:
    """Record `command` for every line of a file; fields of `common` that are given hold for lines without them."""
    given = {name: value for name, value in common.items() if value is not None}

    def reading(text: bytes) -> dict[str, Any]:
        stripped = text.strip()
        own = codec.parse_object(stripped) if stripped.startswith(b"{") else {"claim": _id(stripped)}
        if "command" in own:
            raise InvalidCommand(
                f"a line of this list is always {command}; leave command out, or use kejin run",
                f"此清单每一行均为 {command}；请去掉 command，或改用 kejin run",
            )
        return {"command": command, **given, **own}

    seed = codec.canonical([command, given])
    return record_file(
        file, data, principal=principal, as_json=as_json, dry_run=dry_run, reading=reading, seed=seed
    )


def _id(text: bytes) -> str:
    other = codec.not_utf_8(text)
    if other is not None:
        raise InvalidCommand(str(other), other.zh)
    return text.decode()
