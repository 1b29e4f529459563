"""A peer, UmaDB: a server of its own in a folder that is gone afterwards. `make bench` installs it where it fits."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, Final

STARTING_SECONDS_MAX: Final = 20.0
LEFT_OUT: Final = "UmaDB is not installed: left out"


def is_installed() -> bool:
    """Whether there is such a peer."""
    return importlib.util.find_spec("umadb") is not None


@contextlib.contextmanager
def running() -> Iterator[tuple[Any, Any]]:
    """Its module, and a client of a new server."""
    umadb: Any = importlib.import_module("umadb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="kejin-bench-") as folder:
        words = [sys.executable, "-c", "from umadb.umadb_server_cli import main; main()"]
        options = ["--listen", f"127.0.0.1:{port}", "--db-path", folder]
        process = subprocess.Popen([*words, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield umadb, _connected(umadb, port, process)
        finally:
            process.terminate()
            process.wait()


def _connected(umadb: Any, port: int, process: subprocess.Popen[bytes]) -> Any:
    deadline = time.monotonic() + STARTING_SECONDS_MAX
    while True:
        try:
            client = umadb.Client(f"http://127.0.0.1:{port}")
            client.head()
        except Exception:  # whatever its transport raises while the server starts
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.1)
        else:
            return client
