"""kejin serve: the HTTP API."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from api.language import say
from api.printing import print_json
from api.problems import Problem
from api.recording import Principal
from api.session import Data, Json, database_address

_PORT: Final = 8800


def command(
    host: Annotated[str, typer.Option("--host", help="Address to listen on. 监听地址。")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes a free one. 端口；0 为任意空闲端口。")
    ] = _PORT,
    principal: Principal = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Serve the ledger over HTTP until a signal; on loopback unless --host says otherwise. 启动 HTTP 服务。

    Without tokens whoever reaches the loopback address may do everything, and acts as --as; another address is
    refused. With tokens (kejin token) every request needs one. Prints its address when it is ready; logs are JSON
    lines on standard error. /openapi.json describes everything.
    """
    from api.recording import acting_name
    from api.service.database import Database
    from api.service.limits import Limits
    from api.service.logs import LogLines, take_over
    from api.service.service import Service
    from api.service.serving import is_loopback, listening_socket, serve
    from ledger.catalogue import catalogue
    from ledger.server import default_data_dir

    acting = acting_name(principal)
    address = None if data else database_address()
    database = Database(address, None if address else data or default_data_dir())
    with database.listener() as store:
        from api.tokens import all_tokens

        open_to_all = not all_tokens(store)
    if open_to_all and not is_loopback(host):
        raise Problem(
            say(
                f"{host} is not a loopback address and there are no tokens; make some with kejin token first",
                f"{host} 不是本机回环地址，且尚无令牌；请先用 kejin token 生成",
            )
        )
    try:
        bound = listening_socket(host, port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Problem(
            say(f"cannot listen on {host}:{port}: {reason}", f"无法监听 {host}:{port}：{reason}")
        ) from None
    lines = LogLines()
    take_over(lines)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{bound.getsockname()[1]}"
    service = Service(database, catalogue(), acting, Limits(), lines)
    if as_json:
        print_json({"address": url})
    else:
        print(url, flush=True)
    lines.add("info", "serving", address=url, tokens=not open_to_all)
    try:
        serve(service, bound)
    finally:
        database.close()
        lines.add("info", "stopped")
        lines.close()
