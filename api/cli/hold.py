"""kejin hold: hold a list of unpaid claims."""

from __future__ import annotations

from typing import Annotated

import typer

from api.lists import step_for_each
from api.recording import DryRun, File, Principal
from api.session import Data, Json


def command(
    file: File,
    reason: Annotated[str | None, typer.Option("--reason", help="Why. 原因。")] = None,
    effective_on: Annotated[
        str | None,
        typer.Option("--effective-on", metavar="DATE", help="Business date; default: today. 业务日期。"),
    ] = None,
    dry_run: DryRun = False,
    principal: Principal = None,
    data: Data = None,
    as_json: Json = False,
) -> int:
    """Hold each claim of a list: a claim's id, or {"claim": …, "reason": …}, a line. 暂缓一批申请。

    Options hold for lines that do not say otherwise. Outcomes and exit codes are those of kejin run.
    """
    common = {"reason": reason, "effective_on": effective_on}
    return step_for_each("hold", file, common, data, principal=principal, as_json=as_json, dry_run=dry_run)
