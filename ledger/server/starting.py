"""How a server is started: nobody's child, in a session of its own, found by its folder alone."""

from __future__ import annotations

import os
from pathlib import Path

from ledger.server.cluster import prepare
from ledger.server.errors import ServerError
from ledger.server.folder import Folder, name_of, open_file
from ledger.server.locks import locked_folder
from ledger.server.processes import Postmaster, settled
from ledger.server.programs import Programs, failure, programs_for
from ledger.server.sockets import PORT, make_sockets, remove_sockets

# On the command line: nothing may change these, or the server would not be found.
FIXED_SETTINGS = (
    "listen_addresses=",
    f"port={PORT}",
    "unix_socket_permissions=0700",
    "logging_collector=off",
)


def start(folder: Folder, binaries: Path | None) -> Postmaster:
    """Under the gate, nothing of an earlier server alive: make the cluster if there is none, and start it."""
    programs = programs_for(folder.path, binaries)
    prepare(folder, programs)
    log = open_file(folder, folder.log, os.O_APPEND)
    try:
        written = os.fstat(log).st_size
        sockets = _launch(folder, programs, log)
    finally:
        os.close(log)
    server = settled(folder)
    if server is None:
        remove_sockets(sockets)
        output = folder.log.read_bytes()[written:].decode(errors="replace")
        said_en, said_zh = failure("starting the server", "启动服务器", folder.path, output)
        raise ServerError(f"{said_en} (log: {folder.log})", f"{said_zh}（日志：{folder.log}）")
    return server


def _launch(folder: Folder, programs: Programs, log: int) -> Path:
    """Leave a server running that holds its cluster folder's lock. Returns the folder of its socket."""
    sockets = make_sockets(folder.cluster, programs.account)
    quoted = str(sockets).replace('"', '""')
    title = f"cluster_name={name_of(folder.cluster, folder.cluster.stat().st_uid)}"
    with locked_folder(folder.cluster) as cluster:
        command = [programs.program("postgres"), *programs.data_option(folder.cluster, cluster)]
        for setting in (*FIXED_SETTINGS, title, f'unix_socket_directories="{quoted}"'):
            command += ["-c", setting]
        # The shell ends at once, and with it our tie to the server: whoever stops it leaves us no zombie.
        programs.run(["/bin/sh", "-c", '"$@" &', "sh", *command], cluster, output=log)
    return sockets
