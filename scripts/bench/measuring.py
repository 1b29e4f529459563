"""What the rows of the benchmark share: a ledger of their own, commands of `kejin` as whole processes with their cost,
medians and percentiles, the machine, and the form in which a row tells its figures."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import psutil
import psycopg

from ledger import codec
from ledger.server import share
from ledger.server.programs import binaries_folder

ROOT: Final = Path(__file__).resolve().parents[2]
KEJIN: Final = [sys.executable, "-m", "api"]


@dataclass(frozen=True, slots=True)
class Place:
    """A ledger of a benchmark's own, in a folder that is gone afterwards."""

    folder: Path
    address: str

    def kejin(
        self, *words: str, given: Path | None = None, refusals: bool = False, marks: Sequence[int] = ()
    ) -> Done:
        """Run `kejin` on this ledger as a process of its own. With `refusals` exit code 1 is as it should be; `marks`
        are the numbers of lines at which to note how far it is."""
        everything = [*KEJIN, *words, "--data", str(self.folder), "--json"]
        return run(everything, given, 1 if refusals else 0, self, marks)

    def query(self, statement: str) -> Any:
        """The rows of one statement."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def copied_out(self, statement: bytes = b"copy events to stdout") -> None:
        """Take what a COPY sends: the client's side of reading everything."""
        with psycopg.connect(self.address) as connection, connection.cursor().copy(statement) as copy:
            for _ in copy:
                pass

    def settle(self) -> None:
        """What autovacuum and the checkpointer would do some time later, done before anything is measured."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute("vacuum (analyze)")
            connection.execute("checkpoint")

    def server_seconds(self) -> float:
        """The processor time that PostgreSQL's processes have used so far."""
        with psycopg.connect(self.address) as connection:
            postmaster = psutil.Process(connection.info.backend_pid).parent()
        assert postmaster is not None
        total = 0.0
        for process in (postmaster, *postmaster.children()):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        ended = postmaster.cpu_times()
        return total + ended.children_user + ended.children_system


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """A new ledger on the embedded PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="kejin-bench-", ignore_cleanup_errors=True) as parent:
        folder = Path(parent) / "data"
        with share(folder) as server:
            yield Place(folder, server.address())


@contextlib.contextmanager
def recorded(commands: Iterable[Mapping[str, Any]]) -> Iterator[Place]:
    """A new ledger that recorded some commands, and has settled."""
    with place() as ours:
        with file_of(commands) as file:
            ours.kejin("run", "-", given=file, refusals=True)
        ours.settle()
        yield ours


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a process was when it had printed so many lines: seconds by the wall, those of the processor (its own and
    its children's, and PostgreSQL's)."""

    lines: int
    seconds: float
    own_seconds: float
    server_seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """A process that ended: what it printed, the seconds by the wall, those of the processor (its own and
    PostgreSQL's), its peak memory in MB, and for each MB of its output when it came."""

    output: bytes
    seconds: float
    own_seconds: float
    server_seconds: float
    peak_mb: float
    arrivals: Sequence[tuple[float, int]] = field(repr=False, default=())
    marks: Sequence[Mark] = ()

    @property
    def document(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.output)

    def seconds_at_line(self, number: int) -> float:
        """When so many lines of output were there."""
        return next(seconds for seconds, lines in self.arrivals if lines >= number)


def run(
    words: Sequence[str], given: Path | None, code_max: int, place_: Place, marks: Sequence[int] = ()
) -> Done:
    """Run a program to its end. Raises SystemExit for an exit code beyond `code_max`."""
    server_before = place_.server_seconds()
    arrivals: list[tuple[float, int]] = []
    marked, wanted = list[Mark](), sorted(marks, reverse=True)
    output, lines, peak_bytes, started = bytearray(), 0, 0, perf_counter()
    with contextlib.ExitStack() as stack:
        stdin = stack.enter_context(given.open("rb")) if given else subprocess.DEVNULL
        process = subprocess.Popen(words, stdin=stdin, stdout=subprocess.PIPE, cwd=ROOT)
        assert process.stdout is not None
        while chunk := os.read(process.stdout.fileno(), 1 << 20):
            lines += chunk.count(b"\n")
            arrivals.append((perf_counter() - started, lines))
            output += chunk
            peak_bytes = max(peak_bytes, _peak_bytes(process.pid))
            while wanted and lines >= wanted[-1]:
                wanted.pop()
                server_seconds = place_.server_seconds() - server_before
                seconds = perf_counter() - started
                marked.append(Mark(lines, seconds, _processor_seconds(process.pid), server_seconds))
        _, status, used = os.wait4(process.pid, 0)
    seconds = perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if not 0 <= process.returncode <= code_max:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    own = used.ru_utime + used.ru_stime
    server = place_.server_seconds() - server_before
    return Done(bytes(output), seconds, own, server, peak_bytes / 2**20, arrivals, marked)


def _processor_seconds(process_id: int) -> float:
    """What a process and its children have used so far."""
    parent = psutil.Process(process_id)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def _peak_bytes(process_id: int) -> int:
    """The most memory that a process has had so far; what wait() tells begins with the memory of its parent."""
    with contextlib.suppress(OSError):
        for line in (
            Path(f"/proc/{process_id}/status").read_text(encoding="ascii", errors="replace").splitlines()
        ):
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(process_id).memory_info().rss)
    return 0


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What a piece of work gives, and the seconds that it takes."""
    started = perf_counter()
    result = work()
    return result, perf_counter() - started


@contextlib.contextmanager
def file_of(commands: Iterable[Mapping[str, Any]]) -> Iterator[Path]:
    """A file of commands as `kejin run` reads them."""
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
        file.writelines(codec.canonical(command) + b"\n" for command in commands)
        file.flush()
        yield Path(file.name)


def pgbench() -> Path:
    """PostgreSQL's own benchmark, of the embedded server."""
    return binaries_folder(None) / "pgbench"


def percentile(values: Sequence[float], share_: float) -> float:
    """The value that `share_` (0 to 1) of the values do not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share_ * len(ordered)))]


def machine(address: str) -> dict[str, Any]:
    """What the figures were measured on."""
    with psycopg.connect(address, autocommit=True) as connection:
        shown = {
            name: str(connection.execute(f"show {name}".encode()).fetchone()[0])  # type: ignore[index]
            for name in ("server_version", "fsync", "synchronous_commit", "shared_buffers", "max_wal_size")
        }
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(terse=True),
        "processor": _processor(),
        "python": platform.python_version(),
        "postgresql": shown.pop("server_version"),
        **shown,
        "load_before": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


# --- how a row tells its figures --------------------------------------------------------------------------------


@dataclass(slots=True)
class Figure:
    """One line of the table: several runs of one thing. `beside` names the figure that it is compared with."""

    name: str
    unit: str
    runs: list[float] = field(default_factory=list)
    beside: str | None = None

    def document(self, others: Mapping[str, Figure]) -> dict[str, Any]:
        """The median, the spread, each run, and the ratio to the figure beside it."""
        told: dict[str, Any] = {
            "name": self.name,
            "unit": self.unit,
            "median": rounded(statistics.median(self.runs)),
            "least": rounded(min(self.runs)),
            "most": rounded(max(self.runs)),
            "runs": [rounded(value) for value in self.runs],
        }
        if self.beside is not None and self.beside in others and others[self.beside].runs:
            told["beside"] = self.beside
            told["ratio"] = rounded(
                statistics.median(self.runs) / (statistics.median(others[self.beside].runs) or float("nan"))
            )
        return told


class Figures:
    """The figures of one row, as they are measured."""

    def __init__(self, row: str, options: argparse.Namespace) -> None:
        self.row = row
        self._options = options
        self._figures: dict[str, Figure] = {}
        self._notes: list[str] = []

    def add(self, name: str, value: float, unit: str, beside: str | None = None) -> None:
        """One run of a figure."""
        self._figures.setdefault(name, Figure(name, unit, [], beside)).runs.append(value)

    def note(self, line: str) -> None:
        """What a reader should know, e.g. that a peer is not installed."""
        if line not in self._notes:
            self._notes.append(line)

    def document(self, **more: Any) -> dict[str, Any]:
        """The row as it is told."""
        return {
            "row": self.row,
            "events": self._options.events,
            "runs": self._options.runs,
            "figures": [figure.document(self._figures) for figure in self._figures.values()],
            "notes": self._notes,
            **more,
        }

    def tell(self, **more: Any) -> None:
        """Print the row as one JSON document."""
        print(json.dumps(self.document(**more), ensure_ascii=False))


def rounded(value: float) -> float:
    """Three digits that count."""
    return float(f"{value:.3g}") if abs(value) < 1000 else round(value)


def arguments(about: str, events: int = 100_000, runs: int = 3) -> argparse.Namespace:
    """The options that every row takes."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=events)
    parser.add_argument("--runs", type=int, default=runs)
    return parser.parse_args()
