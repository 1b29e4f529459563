"""Row: what peers do beside our single claims: one event under an append condition, read before it, from 8 threads.

The stock recorder of the library eventsourcing on the same PostgreSQL, in process; it checks no caps, keys or
postings. For UmaDB see peer_umadb.py.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eventsourcing.dcb.api import DCBAppendCondition, DCBEvent, DCBQuery, DCBQueryItem, DCBRecorder
from eventsourcing.dcb.postgres_tt import PostgresDCBRecorderTT
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from ledger.server import share
from scripts.bench.servers import arguments, report

_THREADS = 8


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", events=2_000, connections=_THREADS)
    with _datastore() as datastore:
        recorder = PostgresDCBRecorderTT(datastore)
        recorder.create_table()
        runs = [_run(recorder, options.events, number) for number in range(options.runs)]
    report("peer_eventsourcing_dcb", options, runs)


@contextlib.contextmanager
def _datastore() -> Iterator[PostgresDatastore]:
    """The library's own, on an embedded PostgreSQL with our settings."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kejin-bench-"))
        address = conninfo_to_dict(stack.enter_context(share(Path(folder) / "data")).address())
        names = ("dbname", "host", "port", "user")
        yield stack.enter_context(
            PostgresDatastore(
                **{name: str(address[name]) for name in names},  # type: ignore[arg-type]
                password="",
                pool_size=_THREADS,
                max_overflow=_THREADS,
            )
        )


def _run(recorder: DCBRecorder, count: int, number: int) -> dict[str, Any]:
    left = iter(range(count))
    guard = threading.Lock()

    def work() -> None:
        while True:
            with guard:
                one = next(left, None)
            if one is None:
                return
            _append(recorder, f"claim:{number}-{one}")

    return {"requests": count, "per_second": round(count / _seconds(work))}


def _append(recorder: DCBRecorder, tag: str) -> None:
    """Look for the claim, then append it unless somebody else did meanwhile."""
    query = DCBQuery(items=[DCBQueryItem(tags=[tag])])
    found = recorder.read(query)
    list(found)
    event = DCBEvent(
        type="LoanInterestGranted", data=b"x" * 400, tags=[tag, "round:R1", "firm:F1", "loan:L1"]
    )
    recorder.append([event], DCBAppendCondition(fail_if_events_match=query, after=found.head))


def _seconds(work: Callable[[], None]) -> float:
    threads = [threading.Thread(target=work) for _ in range(_THREADS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
