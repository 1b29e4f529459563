"""Processes of our own beside this one: each begins with plain values, and is told to end with its parent."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

# What it works on comes by its input, not by its arguments: an address may hold a password.
_PROGRAM: Final = """
import importlib, json, sys
told = json.loads(sys.stdin.buffer.readline())
sys.path[:] = told.pop("path")
importlib.import_module(told.pop("module")).main(**told)
"""


def start(module: str, stdout: int, **told: Any) -> subprocess.Popen[bytes]:
    """Start a process that calls `main(**told)` of a module. Its input stays open: its end is what tells it to end.

    Raises OSError where there is no process to be had.
    """
    child = subprocess.Popen(
        # -P: nothing of the folder that somebody happens to stand in is taken for a module.
        [sys.executable, "-P", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=stdout,
        start_new_session=True,  # a terminal's Ctrl-C is for the parent, which ends it
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps({"path": sys.path, "module": module, **told}).encode() + b"\n")
    child.stdin.flush()
    return child
