"""The process that writes while a long `kejin run` decides: started beside it, ends with it."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import psycopg

from api import interrupts
from api.language import write_utf8
from api.session import tell_who_is_waited_for
from api.signing import begun
from ledger import patience
from ledger.appending import ProcessAppender, serve
from ledger.connection import StoreError
from ledger.store import Store

# What it works on comes by its input, not by its arguments: an address may hold a password.
_PROGRAM: Final = """
import json, sys
told = json.loads(sys.stdin.buffer.readline())
sys.path[:] = told.pop("path")
from api.appending import main
main(**told)
"""


def start(address: str, data: Path | None, principal: str, *, sign: bool) -> ProcessAppender:
    """Start the process: it appends to the ledger at `address` as `principal`, and signs with the ledger's own key."""
    told = {
        "path": sys.path,
        "address": address,
        "data": None if data is None else str(data),
        "principal": principal,
        "sign": sign,
        "tell": patience.tell is not None,
    }
    child = subprocess.Popen(
        # -P: nothing of the folder that somebody happens to stand in is taken for a module.
        [sys.executable, "-P", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # a terminal's Ctrl-C is for the parent, which ends it
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(told).encode() + b"\n")
    child.stdin.flush()
    return ProcessAppender(child)


def main(**told: Any) -> None:
    """The process itself."""
    # It ends with its parent, at the end of its input, also where a whole group of processes is told to end.
    interrupts.ignore()
    write_utf8()
    if told["tell"]:
        tell_who_is_waited_for()
    logging.getLogger("psycopg").addHandler(logging.NullHandler())  # its parent says what went wrong
    gc.disable()  # as in its parent
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever is printed must not come among the answers
    data = None if told["data"] is None else Path(told["data"])
    try:
        with Store.open(told["address"], by_index=True) as store:
            signing = begun(store, data) if told["sign"] else None
            sign = None if signing is None else (lambda at_rest: signing.committed(at_rest=at_rest))
            serve(store, told["principal"], sign, sys.stdin.buffer, answers)
    except (StoreError, psycopg.Error, BrokenPipeError):
        # Its parent sees it end, goes on by itself, and says in its one line what it meets there; or it is gone.
        sys.exit(1)
