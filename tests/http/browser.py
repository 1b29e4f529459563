"""A real browser: Chromium without a window, told what to do over the pipe of its DevTools protocol."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.cli.program import PATIENCE_SECONDS

PROGRAM: Final = shutil.which("chromium")
#: Without a window, alone with its own folder, and (the tests may run as root) without its own sandbox.
_OPTIONS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--window-size=1280,1000",
    "--remote-debugging-pipe",
)


class Browser:
    """One tab. `complaints` are what its console said was wrong: blocked styles, failed requests, script errors."""

    def __init__(self, to: int, given: int) -> None:
        self._to, self._from = os.fdopen(to, "wb", buffering=0), os.fdopen(given, "rb")
        self._asked, self._session = 0, ""
        self._loads = 0
        self.complaints: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._ask(f"{domain}.enable")

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._asked += 1
        message: dict[str, Any] = {"id": self._asked, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._asked:
                assert "error" not in answer, (method, answer)
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        """The next message; what concerns us of events is noted."""
        message = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            assert byte, "the browser has ended"
            message += byte
        told: dict[str, Any] = json.loads(message)
        if told.get("method") == "Page.loadEventFired":
            self._loads += 1
        elif told.get("method") == "Log.entryAdded" and told["params"]["entry"]["level"] in (
            "warning",
            "error",
        ):
            self.complaints.append(told["params"]["entry"]["text"])
        elif told.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(told["params"]["exceptionDetails"]))
        return told

    def _leave(self, begin: Callable[[], object]) -> None:
        """Do what leads to another page, and wait until that is loaded: a load may also be that of the page before."""
        self.run("window.isLeft = true")
        loads = self._loads
        begin()
        while True:
            while self._loads == loads:
                self._next()
            loads = self._loads
            if self.run("window.isLeft") is None:
                return

    def open(self, address: str) -> None:
        """Go to an address, and wait until it is there."""
        self._leave(lambda: self._ask("Page.navigate", url=address))

    def print(self, wide: int) -> None:
        """Show the page as it is printed, on paper of so many pixels across."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=wide, height=700, deviceScaleFactor=1, mobile=False
        )
        self._ask("Emulation.setEmulatedMedia", media="print")

    def run(self, script: str) -> Any:
        """The value of an expression on the page."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, (script, answer)
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """Click on the first element of a selector, and wait for the page that it leads to."""
        self._leave(lambda: self.run(f"document.querySelector({json.dumps(selector)}).click()"))

    def follow(self, words: str) -> None:
        """Click on the first link that says so."""
        found = f"[...document.links].find(a => a.textContent.trim() === {json.dumps(words)})"
        self._leave(lambda: self.run(f"{found}.click()"))

    def type(self, **fields: str) -> None:
        """Fill in fields of the page by name."""
        for name, value in fields.items():
            self.run(f'document.getElementsByName("{name}")[0].value = {json.dumps(value)}')

    @property
    def path(self) -> str:
        """Where it is."""
        path: str = self.run("location.pathname")
        return path

    @property
    def text(self) -> str:
        """What a person reads on the page."""
        text: str = self.run("document.body.innerText")
        return text


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are none of the descriptors that Chromium takes."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """A browser for the time of a block; one that does not answer is killed."""
    assert PROGRAM
    (to_read, to), (given, given_write) = _pipe(), _pipe()
    # Chromium reads from descriptor 3 and writes to 4. (A plain sh knows numbers of one digit only.)
    shell = f'exec "$@" 3<&{to_read} 4>&{given_write} {to_read}<&- {given_write}>&-'
    process = subprocess.Popen(
        ("bash", "-c", shell, "bash", PROGRAM, *_OPTIONS, f"--user-data-dir={folder}"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(to_read, given_write),
    )
    os.close(to_read)
    os.close(given_write)
    hangs = threading.Timer(PATIENCE_SECONDS, process.kill)
    hangs.start()
    try:
        yield Browser(to, given)
    finally:
        hangs.cancel()
        process.kill()
        process.wait()
