"""A process that has imported the program once and forks for every command that it is asked to run.

What it forks is a process of its own like any other: its exit code, its three streams, its signals, its end. Only the
imports were made before. It is asked over a socket (see tests/cli/forked.py); it ends when the socket does.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import threading
from io import TextIOWrapper
from typing import Any, TextIO

LENGTH = 4
STREAMS = 3


def load(serving: bool) -> None:
    """Import what commands import; what the service needs as well only for it."""
    from api import cli

    names = [
        "api.main",
        "api.command_line",
        *(f"{cli.__name__}.{module.name}" for module in pkgutil.iter_modules(cli.__path__)),
    ]
    for name in [*names, "api.recording", "ledger.pipeline", *(["api.service.serving"] if serving else [])]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


class Zygote:
    """The loop: take a request, fork, tell how the child ended."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.selector = selectors.DefaultSelector()
        self.selector.register(channel, selectors.EVENT_READ)
        self.running: dict[int, tuple[int, socket.socket]] = {}  # by the descriptor of the process

    def loop(self) -> dict[str, Any] | None:
        """In a child what it shall run; None in this process, at the end."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.channel:
                    taken = self.take()
                    if taken is None:
                        return None
                    request, descriptors = taken
                    pid = os.fork()
                    if not pid:
                        self.become(request, descriptors)
                        return request
                    self.watch(pid, descriptors)
                else:
                    self.ended(key.fd)

    def take(self) -> tuple[dict[str, Any], list[int]] | None:
        """The next request with the streams of its process and the socket on which its end is told."""
        begun, descriptors, _, _ = socket.recv_fds(self.channel, LENGTH, STREAMS + 1)
        if not begun:
            return None
        with self.channel.makefile("rb", buffering=0) as stream:
            text = b""
            while len(text) < int.from_bytes(begun, "big"):
                text += stream.read(int.from_bytes(begun, "big") - len(text))
        return json.loads(text), descriptors

    def watch(self, pid: int, descriptors: list[int]) -> None:
        """Keep of a child what tells its end, and nothing else."""
        assert sys.platform == "linux"
        for descriptor in descriptors[:STREAMS]:
            os.close(descriptor)
        waiting = socket.socket(fileno=descriptors[STREAMS])
        waiting.sendall(pid.to_bytes(LENGTH, "big"))
        watched = os.pidfd_open(pid)
        self.selector.register(watched, selectors.EVENT_READ)
        self.running[watched] = (pid, waiting)

    def ended(self, watched: int) -> None:
        """Take leave of a child and tell how it ended."""
        pid, waiting = self.running.pop(watched)
        self.selector.unregister(watched)
        os.close(watched)
        _, status = os.waitpid(pid, 0)
        with waiting, contextlib.suppress(OSError):  # whoever asked may be gone
            waiting.sendall(status.to_bytes(LENGTH, "big"))

    def become(self, request: dict[str, Any], descriptors: list[int]) -> None:
        """In a child: nothing of this process stays open, and everything is as a new process finds it."""
        self.selector.close()
        self.channel.close()
        for watched, (_, waiting) in self.running.items():
            os.close(watched)
            waiting.close()
        for number, descriptor in enumerate(descriptors[:STREAMS]):
            os.dup2(descriptor, number)
        for descriptor in descriptors:
            os.close(descriptor)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            setattr(sys, name, opened(number, getattr(sys, name)))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv[1:] = request["arguments"]


def opened(number: int, like: TextIO) -> TextIO:
    """A standard stream as Python opens it, on what the descriptor is now."""
    assert isinstance(like, TextIOWrapper)
    return TextIOWrapper(
        open(number, "wb" if number else "rb", closefd=False),
        like.encoding,
        like.errors,
        line_buffering=like.line_buffering,
        write_through=like.write_through,
    )


def leave(code: Any) -> None:
    """End as Python does, but for taking its objects apart one by one, which costs more than most commands."""
    if not isinstance(code, int):
        sys.exit(code)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)
    os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the children, and for who asks
    load(serving=sys.argv[2] == "serving")
    if Zygote(socket.socket(fileno=int(sys.argv[1]))).loop() is not None:
        from api.main import main

        try:
            main()
        except SystemExit as end:
            leave(end.code)
