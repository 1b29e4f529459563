"""The process that writes while a long `kejin run` decides: started beside it, ends with it."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from api import children, interrupts
from api.language import write_utf8
from api.session import tell_who_is_waited_for
from api.signing import begun
from ledger import patience
from ledger.appending import ProcessAppender, serve
from ledger.connection import StoreError
from ledger.store import Store


def start(address: str, data: Path | None, *, sign: bool) -> ProcessAppender:
    """Start the process: it appends to the ledger at `address`, and signs with the ledger's own key."""
    child = children.start(
        __name__,
        subprocess.PIPE,
        address=address,
        data=None if data is None else str(data),
        sign=sign,
        tell=patience.tell is not None,
    )
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
            serve(store, sign, sys.stdin.buffer, answers)
    except (StoreError, psycopg.Error, BrokenPipeError):
        # Its parent sees it end, goes on by itself, and says in its one line what it meets there; or it is gone.
        sys.exit(1)
