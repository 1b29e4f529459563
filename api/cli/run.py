"""kejin run: read commands, one JSON object a line, and record them."""

from __future__ import annotations

from api.recording import DryRun, File, Principal, record_file
from api.session import Data, Json


def command(
    file: File,
    dry_run: DryRun = False,
    principal: Principal = None,
    data: Data = None,
    as_json: Json = False,
) -> int:
    """Record commands, one JSON object a line: an outcome for each. 逐行执行命令。

    Each line is an object such as {"command": "open-round", "round": "R1", "year": 2024,
    "budget_fen": 100000000, "rulebook": "shanxi-2022"}. Money is whole fen, dates are YYYY-MM-DD.

    A line is accepted, refused (by a rule; recorded with its arithmetic), invalid (malformed; nothing is written)
    or repeated (recorded before under the same key). Killed and run again, the same file ends in the same ledger.

    Exit code: 2 if any line was invalid, else 1 if any was refused, else 0.
    """
    return record_file(file, data, principal=principal, as_json=as_json, dry_run=dry_run)
