"""The peers that single claims stand beside: one event under an append condition, read before it, from 8 threads. They
check no caps, keys or postings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from eventsourcing.dcb.api import DCBAppendCondition, DCBEvent, DCBQuery, DCBQueryItem, DCBRecorder

from scripts.bench import umadb_server
from scripts.bench.append_peers import recorder
from scripts.bench.measuring import Figures, place, timed

THREADS: Final = 8
COUNT: Final = 2_000
_TYPE: Final = "LoanInterestGranted"
_DATA: Final = b"x" * 400
_OTHER_TAGS: Final = ["round:R1", "firm:F1", "loan:L1"]


def measure(figures: Figures, beside: str) -> None:
    """One run of each peer."""
    with place() as there, recorder(there, connections=THREADS) as (store, _):
        seconds = _each(lambda tag: _append(store, tag))
        figures.add("events a second, eventsourcing, one an append", COUNT / seconds, "1/s", beside)
    if not umadb_server.is_installed():
        figures.note(umadb_server.LEFT_OUT)
        return
    with umadb_server.running() as (umadb, client):
        seconds = _each(lambda tag: _append_to_umadb(umadb, client, tag))
        figures.add("events a second, UmaDB, one an append", COUNT / seconds, "1/s", beside)


def _append(store: DCBRecorder, tag: str) -> None:
    """Look for the claim, then append it unless somebody else did meanwhile."""
    query = DCBQuery(items=[DCBQueryItem(tags=[tag])])
    found = store.read(query)
    list(found)
    event = DCBEvent(type=_TYPE, data=_DATA, tags=[tag, *_OTHER_TAGS])
    store.append([event], DCBAppendCondition(fail_if_events_match=query, after=found.head))


def _append_to_umadb(umadb: Any, client: Any, tag: str) -> None:
    query = umadb.Query([umadb.QueryItem(tags=[tag])])
    list(client.read(query))
    client.append([umadb.Event(_TYPE, _DATA, [tag, *_OTHER_TAGS])], umadb.AppendCondition(query))


def _each(append: Callable[[str], None]) -> float:
    """The seconds that all appends take."""
    left, guard = iter(range(COUNT)), threading.Lock()

    def work() -> None:
        while True:
            with guard:
                one = next(left, None)
            if one is None:
                return
            append(f"claim:{one}")

    def run() -> None:
        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return timed(run)[1]
