"""kejin database: the address of the database in use."""

from __future__ import annotations

from typing import Annotated

import typer

from api.language import say
from api.printing import print_json
from api.problems import Problem
from api.session import Data, Json, database_address, tell_who_is_waited_for
from ledger.server import default_data_dir, share, stay
from ledger.server import stop as stop_server
from ledger.store import Store


def command(
    stop: Annotated[bool, typer.Option("--stop", help="Stop the embedded server. 停止内置数据库。")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print the owner's libpq address of the database in use, one line. 打印数据库地址。

    Starts the embedded server, which then stays until `kejin database --stop`.
    """
    tell_who_is_waited_for()
    address = None if data else database_address()
    folder = data or default_data_dir()
    if stop:
        if address is not None:
            raise Problem(
                say(
                    "KEJIN_DATABASE_URL names a server that is not ours to stop; name a folder with --data",
                    "KEJIN_DATABASE_URL 指向的服务器不由本程序停止；请用 --data 指明文件夹",
                )
            )
        _report_stop(stop_server(folder), as_json)
        return
    if address is None:
        with share(folder) as server:
            address = server.address()
            Store.open(address).close()
            stay(folder)
    else:
        Store.open(address).close()
    if as_json:
        print_json({"address": address})
    else:
        print(address)


def _report_stop(stopped: bool, as_json: bool) -> None:
    if as_json:
        print_json({"stopped": stopped})
    else:
        print(say("stopped", "已停止") if stopped else say("no server was running", "没有正在运行的服务器"))
