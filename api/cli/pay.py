"""kejin pay: pay a list of publicised claims."""

from __future__ import annotations

from typing import Annotated

import typer

from api.lists import step_for_each
from api.recording import DryRun, File, Principal
from api.session import Data, Json


def command(
    file: File,
    voucher: Annotated[
        str | None, typer.Option("--voucher", help="Number of the voucher. 支付凭证号。")
    ] = None,
    paid_on: Annotated[
        str | None,
        typer.Option(
            "--paid-on", metavar="DATE", help="Date of payment, where a line names none. 支付日期。"
        ),
    ] = None,
    dry_run: DryRun = False,
    principal: Principal = None,
    data: Data = None,
    as_json: Json = False,
) -> int:
    """Pay each claim of a list: a claim's id, or {"claim": …, "voucher": …, "paid_on": …}, a line. 支付一批申请。

    Options hold for lines that do not say otherwise. Outcomes and exit codes are those of kejin run.
    """
    common = {"voucher": voucher, "paid_on": paid_on}
    return step_for_each("pay", file, common, data, principal=principal, as_json=as_json, dry_run=dry_run)
