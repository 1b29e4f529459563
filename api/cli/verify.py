"""kejin verify: recompute from the log what must hold."""

from __future__ import annotations

import sys
from typing import Annotated

import psycopg
import typer

from api.language import say
from api.printing import print_json
from api.problems import Problem, database_problem
from api.session import Data, Json, database_address, share_server
from ledger.connection import StoreError, connect
from ledger.store import Store
from projections.verification import CHECKS, run
from projections.verification.report import Finding, Report


def command(
    check: Annotated[
        str, typer.Argument(metavar="CHECK", help=f"{', '.join(CHECKS)} or all (the default).")
    ] = "all",
    data: Data = None,
    as_json: Json = False,
) -> int:
    """Check the ledger from its own bytes; exit 1 on any finding. 校验账本；发现问题则退出码为 1。

    log: positions, times, every leaf, tags, accounts, keys and day sums against the log.
    books: every event's lines sum to zero in each double-entry book.
    caps: no cap was passed, for any business date, as known at the end of any event. A cap that only later
    knowledge or a merger passed is a notice.
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
    if address is not None:
        report = _verify(address, names, as_json)
    else:
        with share_server(data) as server:
            report = _verify(server.address(), names, as_json)
    if as_json:
        print_json(report.document())
    else:
        _show(report)
    return 1 if report.findings else 0


def _verify(address: str, names: list[str], quiet: bool) -> Report:
    """The report; a database that no command could use is a finding, not a failure of the check."""
    try:
        connect(address).close()
    except StoreError as error:
        raise Problem(say(str(error), error.zh)) from None
    try:
        with Store.open(address) as store:
            return run(store, names, started=lambda name: _announce(name, quiet))
    except StoreError as error:
        return Report(findings=[Finding("log", say(str(error), error.zh))])
    except psycopg.OperationalError:
        raise
    except (psycopg.Error, LookupError, ValueError) as error:
        what = str(database_problem(error)) if isinstance(error, psycopg.Error) else repr(error)
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
