"""kejin publicise: put a list of decided claims on public notice."""

from __future__ import annotations

from typing import Annotated

import typer

from api.lists import step_for_each
from api.recording import DryRun, File, Principal
from api.session import Data, Json


def command(
    file: File,
    notice: Annotated[
        str | None, typer.Option("--notice", help="Reference of the notice. 公示文号。")
    ] = None,
    notice_from: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day. 起始日。")
    ] = None,
    notice_to: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day. 截止日。")] = None,
    effective_on: Annotated[
        str | None,
        typer.Option("--effective-on", metavar="DATE", help="Business date; default: today. 业务日期。"),
    ] = None,
    dry_run: DryRun = False,
    principal: Principal = None,
    data: Data = None,
    as_json: Json = False,
) -> int:
    """Publicise each claim of a list: a claim's id, or {"claim": …, "notice": …}, a line. 公示一批申请。

    Options hold for lines that do not say otherwise. Outcomes and exit codes are those of kejin run.
    """
    common = {
        "notice": notice,
        "notice_from": notice_from,
        "notice_to": notice_to,
        "effective_on": effective_on,
    }
    return step_for_each(
        "publicise", file, common, data, principal=principal, as_json=as_json, dry_run=dry_run
    )
