"""kejin verify: recompute from the log what must hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from api.language import say
from api.outside import outside_of
from api.printing import print_json, show_progress
from api.problems import Problem, database_reason
from api.session import Data, Json, database_address, share_server
from ledger.connection import CannotConnect, StoreError
from ledger.store import Store
from projections.verification import CHECKS, run
from projections.verification.checkpoints import Outside
from projections.verification.report import Finding, Report


def command(
    check: Annotated[
        str, typer.Argument(metavar="CHECK", help=f"{', '.join(CHECKS)} or all (the default).")
    ] = "all",
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint", metavar="FILE", help="A checkpoint held outside; may be repeated. 外部检查点。"
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="KEY", help="The public key to trust: its text, or a file with it. 公钥。"
        ),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> int:
    """Check the ledger from its own bytes; exit 1 on any finding. 校验账本；发现问题则退出码为 1。

    log: positions, times, keys, every leaf, and the root of all against the newest signed checkpoint and those given.
    tables: tags, accounts, day sums and the signed index of parties against the log.
    books: every event's lines sum to zero in each double-entry book.
    caps: no cap was passed, for any business date, as known at the end of any event. A cap that only later
    knowledge or a merger passed is a notice.
    decisions: every event is what its command gives, decided again from the commands and the adopted rulebooks.
    projections: what the tables for readers hold is what the log says, folded anew and by independent means.
    Nothing is repaired.
    """
    if check != "all" and check not in CHECKS:
        raise Problem(
            say(
                f"no check {check!r}; there are {', '.join(CHECKS)} and all",
                f"没有 {check!r} 这项校验；可用 {', '.join(CHECKS)} 与 all",
            )
        )
    names = list(CHECKS) if check == "all" else [check]
    address = None if data else database_address()
    outside = outside_of(data, checkpoint or [], key)
    if address is not None:
        report = _verify(address, names, outside, as_json)
    else:
        with share_server(data) as server:
            report = _verify(server.address(), names, outside, as_json)
    if as_json:
        print_json(report.document())
    else:
        _show(report)
    return 1 if report.findings else 0


def _verify(address: str, names: list[str], outside: Outside, quiet: bool) -> Report:
    """The report. A database that no command could use for what it holds is a finding, not a failure of the check; one
    that cannot be reached, or is lost on the way, says nothing about the ledger.

    Raises CannotConnect, psycopg.OperationalError.
    """
    try:
        with Store.open(address) as store:
            return run(store, names, lambda name: _announce(name, quiet), outside, show_progress)
    except CannotConnect:
        raise
    except StoreError as error:
        return Report(findings=[Finding("log", say(str(error), error.zh))])
    except psycopg.OperationalError:
        raise
    except (psycopg.Error, LookupError, ValueError) as error:
        what = database_reason(error) if isinstance(error, psycopg.Error) else repr(error)
        return Report(findings=[Finding("log", f"the log cannot be read: {what}", "events")])


def _announce(name: str, quiet: bool) -> None:
    if not quiet and sys.stderr.isatty():
        print(say(f"checking {name} …", f"正在校验 {name} …"), file=sys.stderr)


def _show(report: Report) -> None:
    for title, found in ((say("finding", "问题"), report.findings), (say("notice", "提示"), report.notices)):
        for one in found:
            where = " ".join(str(part) for part in (one.table, one.position and f"@{one.position}") if part)
            print(f"{title}  {one.check}  {where}  {one.detail}")
    verdict = (
        say("everything holds", "全部成立")
        if not report.findings
        else say(f"{len(report.findings)} findings", f"{len(report.findings)} 项问题")
    )
    print(say(f"{report.events:,} events, {verdict}", f"{report.events:,} 条事件，{verdict}"))
    if report.root:
        print(say(f"root {report.root}", f"根哈希 {report.root}"))
