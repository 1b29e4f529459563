"""Keeping: signs the log and brings the projections near its end, while a server runs, in a process of its own.

Both take processor time in bursts, and what answers requests has one interpreter: within it they cost every hundredth
client half of its wait. Of several servers on one ledger one keeps; when it ends, another one does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import psycopg

from api import children, interrupts
from api.language import write_utf8
from api.problems import Problem
from api.service.asking import Projected
from api.service.database import Database
from api.service.limits import Limits
from api.service.listening import Listener
from api.service.logs import LogLines, take_over
from api.signing import Signing
from ledger.connection import StoreError
from ledger.server import ServerError
from ledger.sql import load
from ledger.store import Store

#: The advisory lock of the one that keeps, on the ledger's own database.
KEEPER_LOCK: Final = 0x6B656A696E05

_QUERIES: Final = load("api", "queries.sql")
#: Clients wait for what answers them, nobody for this.
_NICENESS: Final = 5
#: So long after it ended another one is started; longer and longer while each ends soon after its start.
_RESTART_SECONDS: Final = 1.0
_RESTART_SECONDS_MAX: Final = 60.0
_ENDING_SECONDS_MAX: Final = 10.0
#: Under load the projections follow this often, or when a read asks for more: what half as many events change is more
#: than half of what all of them change. At rest they follow at once.
_PROJECT_SECONDS: Final = 2.0
_log = logging.getLogger("kejin.keeper")


class Keeper:
    """The process, as its server sees it: started, started again where it ended, ended with the server."""

    def __init__(self, address: str | None, folder: Path | None) -> None:
        """Of the ledger at an address, else of a data folder."""
        self._told = {"address": address, "folder": None if folder is None else str(folder)}
        self._child: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kejin-keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End: what was recorded is signed first, or else a line of the log says so."""
        with self._guard:
            self._stopping.set()
            try:
                if self._child is None or self._child.poll() is not None:
                    self._child = self._started()  # which signs, and ends
                code: int | str = _ended(self._child)
            except OSError as error:  # no process to be had
                code = str(error)
        if code:
            _log.warning(
                "what was recorded last may not be signed: the process that signs ended with %s", code
            )
        self._thread.join()

    def _run(self) -> None:
        wait_seconds = _RESTART_SECONDS / 2
        while not self._stopping.is_set():
            started, code = time.monotonic(), self._lived()
            if code and not self._stopping.is_set():
                _log.warning(
                    "the process that signs and projects ended with %s: another one is started", code
                )
            is_lasting = time.monotonic() - started > _RESTART_SECONDS_MAX
            wait_seconds = _RESTART_SECONDS if is_lasting else min(2 * wait_seconds, _RESTART_SECONDS_MAX)
            self._stopping.wait(wait_seconds)

    def _lived(self) -> int | str:
        """Start the process and wait until it ends: with what."""
        try:
            with self._guard:
                if self._stopping.is_set():
                    return 0
                child = self._child = self._started()
        except OSError as error:  # no process to be had
            return str(error)
        return child.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        return children.start(__name__, subprocess.DEVNULL, **self._told)


def _ended(child: subprocess.Popen[bytes]) -> int:
    """End a process; its exit code. One that does not end in time is killed."""
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it ended before
        child.stdin.close()
    try:
        return child.wait(_ENDING_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


# --- the process itself ------------------------------------------------------------------------------------------


def main(address: str | None, folder: str | None) -> None:
    """Keep until the input ends, which it does with the parent."""
    interrupts.ignore()  # also where a whole group of processes is told to end
    write_utf8()
    lines = LogLines()
    take_over(lines)
    try:
        # It restarts nothing: what it started would have its priority.
        database = Database(address, None if folder is None else Path(folder), restarts=False)
    except (StoreError, ServerError) as error:
        _log.warning("%s", error)
        lines.close()
        sys.exit(1)  # its parent starts another one
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    keeping = _Keeping(database, lines)
    listener = Listener("keeper", database.listener, keeping.heard, keeping.passed)
    listener.start()
    try:
        sys.stdin.buffer.read()
        late = threading.Timer(_ENDING_SECONDS_MAX, os._exit, (1,))  # a parent that was killed cannot end it
        late.daemon = True
        late.start()
        listener.stop()
        keeping.close()
    finally:
        database.close()
        lines.close()


class _Keeping:
    """What is done when the log is at rest, and under load now and then. In the thread of a listener."""

    def __init__(self, database: Database, lines: LogLines) -> None:
        self._database = database
        self._lines = lines
        self._projected = Projected(Limits().behind_seconds_max)
        self._signing: Signing | None = None
        self._leads = False
        # Up to which position, and whether what the next signer goes on from was kept.
        self._signed = (0, True)
        self._projected_at = time.monotonic()

    def heard(self, store: Store, channels: frozenset[str]) -> None:
        """A new connection has no lock; what was signed over another one is looked at again."""
        if channels == Listener.CHANNELS:
            self._leads, self._signed = False, (0, True)
            self._signing = self._signer(store)

    def passed(self, store: Store, at_rest: bool) -> None:
        """Sign the log, bring the projections near it: if nobody else does."""
        signing = self._signing
        if signing is not None and signing.is_active:
            self._leads = self._leads or _asked(store, "lead")
            if not self._leads:
                return
        elif self._leads:  # whoever can sign is to lead
            self._leads = not _asked(store, "release_lock")
        head = store.head().position
        if signing is not None and self._signed not in ((head, True), (head, at_rest)):
            signing.committed(at_rest=at_rest)
            self._signed = (head, at_rest)
        if at_rest or time.monotonic() - self._projected_at >= _PROJECT_SECONDS:
            self._projected.ensure(store, head)
            self._projected_at = time.monotonic()

    def close(self) -> None:
        """Sign what was recorded last."""
        self._projected.close()
        try:
            with self._database.listener() as store:
                signing = self._signer(store)
                if signing is not None:
                    signing.committed(at_rest=True)
        except (psycopg.Error, StoreError, ServerError) as error:
            _log.warning("what was recorded last is not signed: %s", error)

    def _signer(self, store: Store) -> Signing | None:
        """Whoever signs checkpoints of what is recorded; a key that cannot be used stops nothing else."""
        try:
            return Signing(store, self._database.folder)
        except Problem as problem:
            self._lines.add("warning", "not_signing", reason=str(problem))
            return None


def _asked(store: Store, name: str) -> bool:
    row = store.connection.execute(_QUERIES[name], {"lock": KEEPER_LOCK}).fetchone()
    return row is not None and bool(row[0])
