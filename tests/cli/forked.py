"""Commands as real processes that do not pay for their imports again: forked by one that has made them."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.cli.zygote import LENGTH

ROOT = Path(__file__).resolve().parents[2]
PIPES = slice(10, 16)  # among the arguments of Popen._execute_child: the two ends of each stream
CAN_FORK = sys.platform == "linux"  # elsewhere every command makes its imports


class Zygote:
    """The process that forks, and the socket to it."""

    def __init__(self, environment: Mapping[str, str], serving: bool) -> None:
        self.environment = dict(environment)
        self.lock = threading.Lock()
        self.channel, theirs = socket.socketpair()
        with theirs:
            number = str(theirs.fileno())
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.cli.zygote", number, "serving" if serving else "commands"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
                env=self.environment,
                pass_fds=[theirs.fileno()],
            )

    def fork(self, request: dict[str, Any], descriptors: Sequence[int]) -> None:
        """Ask for a process with these streams; its beginning and end are told on the last of the descriptors."""
        text = json.dumps(request).encode()
        with self.lock:
            socket.send_fds(self.channel, [len(text).to_bytes(LENGTH, "big")], descriptors)
            self.channel.sendall(text)

    def close(self) -> None:
        """End it."""
        self.channel.close()
        self.process.wait()


class Forked(subprocess.Popen[bytes]):
    """A running command that a zygote forked; in everything else like any process that was started."""

    def __init__(
        self, zygote: Zygote, arguments: Sequence[str], streams: Mapping[str, Any], **request: Any
    ) -> None:
        self._zygote = zygote
        self._request = {**request, "arguments": list(arguments)}
        self._ends = threading.Lock()
        super().__init__(list(arguments), **streams)

    def _execute_child(self, *how: Any) -> None:
        theirs = [how[PIPES][0], how[PIPES][3], how[PIPES][5]]
        own = [number if end == -1 else end for number, end in enumerate(theirs)]
        self._told, told = socket.socketpair()
        try:
            with told:
                self._zygote.fork(self._request, [*own, told.fileno()])
            begun = self._told.recv(LENGTH, socket.MSG_WAITALL)
        finally:
            self._close_pipe_fds(*how[PIPES])  # type: ignore[attr-defined]
        if not begun:
            raise ChildProcessError("the process that forks is gone")
        self.pid = int.from_bytes(begun, "big")
        self._child_created = True

    def _internal_poll(self, _deadstate: int | None = None, **_: Any) -> int | None:
        if self._told.fileno() < 0:  # nobody waited for it, and it is looked at when another begins
            return _deadstate
        return self._ended(0)

    def _wait(self, timeout: float | None) -> int:
        code = self._ended(timeout)
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code

    def _ended(self, timeout: float | None) -> int | None:
        code: int | None = self.returncode
        if code is not None:
            return code
        waiting = select.poll()
        waiting.register(self._told, select.POLLIN)
        if waiting.poll(None if timeout is None else timeout * 1000):
            with self._ends:
                if self.returncode is None:
                    status = self._told.recv(LENGTH, socket.MSG_WAITALL)
                    if not status:
                        raise ChildProcessError("the process that forks is gone")
                    self.returncode = os.waitstatus_to_exitcode(int.from_bytes(status, "big"))
        return self.returncode


_zygotes: dict[bool, Zygote] = {}
_lock = threading.Lock()


def plain_environment() -> dict[str, str]:
    """The tester's own environment without its languages, its ledgers and what it says to Python."""
    foreign = ("KEJIN_", "LC_", "LANG", "PG", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def close() -> None:
    """End the processes that fork."""
    while _zygotes:
        _zygotes.popitem()[1].close()


def start(
    arguments: Sequence[str], environment: dict[str, str], folder: Path = ROOT, **streams: Any
) -> subprocess.Popen[bytes]:
    """`kejin` with arguments, running: forked, unless it is told something that matters before its imports."""
    serving = arguments[0:1] == ["serve"]
    with _lock:
        if CAN_FORK and serving not in _zygotes:
            _zygotes[serving] = Zygote(plain_environment(), serving)
        zygote = _zygotes.get(serving)
    if zygote is None or matters_before_imports(environment, zygote.environment):
        words = [sys.executable, "-m", "api", *arguments]
        return subprocess.Popen(words, cwd=folder, env=environment, **streams)
    return Forked(zygote, arguments, streams, folder=str(folder), environment=environment)


def matters_before_imports(environment: dict[str, str], other: dict[str, str]) -> bool:
    """Whether two environments differ in more than what commands look at when they run."""
    names = {name for name, _ in environment.items() ^ other.items()} - {"PYTEST_CURRENT_TEST"}
    return any(name == "KEJIN_PURE" or not name.startswith("KEJIN_") for name in names)
