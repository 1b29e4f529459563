"""The peers that bulk claims stand beside, measured in the same run: appends of events of the same size without caps,
keys or hashes, and the machine's yardstick, PostgreSQL's own pgbench.

UmaDB is left out with a note where its wheel does not fit the machine.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final

from eventsourcing.dcb.api import DCBEvent
from eventsourcing.dcb.postgres_tt import PostgresDCBRecorderTT
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from scripts.bench import umadb_server
from scripts.bench.measuring import Figures, Place, pgbench, place, timed

EVENTS_AT_ONCE: Final = 500
#: About what a grant has.
DATA_BYTES: Final = 700
PGBENCH_SECONDS: Final = 5


def measure(figures: Figures, beside: str, events: int, number: int) -> None:
    """One run of each peer."""
    made = events_of(min(events, 100_000))
    with place() as there, recorder(there) as (store, _):
        _, seconds = timed(lambda: _append(store.append, made))
        figures.add(
            f"events a second, eventsourcing, {EVENTS_AT_ONCE} an append", len(made) / seconds, "1/s", beside
        )
        figures.add("transactions a second, pgbench, 2 clients", _pgbench(there), "1/s", beside)
    if not umadb_server.is_installed():
        figures.note(umadb_server.LEFT_OUT)
        return
    with umadb_server.running() as (umadb, client):
        theirs = [umadb.Event(event_type=event.type, data=event.data, tags=event.tags) for event in made]
        _, seconds = timed(lambda: _append(client.append, theirs))
        figures.add(f"events a second, UmaDB, {EVENTS_AT_ONCE} an append", len(made) / seconds, "1/s", beside)


def events_of(count: int) -> list[DCBEvent]:
    """Events as large as grants, with the tags of a grant."""
    random = Random(7)
    data = random.randbytes(DATA_BYTES)
    return [
        DCBEvent(
            "LoanInterestGranted",
            data,
            [f"claim:C{n}", f"firm:{random.randrange(20_000)}", f"loan:L{n // 5}", f"round:R{n % 3}"],
        )
        for n in range(count)
    ]


@contextlib.contextmanager
def recorder(there: Place, connections: int = 2) -> Iterator[tuple[PostgresDCBRecorderTT, dict[str, str]]]:
    """The stock recorder of eventsourcing, with its tables, on the same kind of server; how it is reached."""
    reached = conninfo_to_dict(there.address)
    named = {name: str(reached.get(name, "")) for name in ("dbname", "host", "port", "user", "password")}
    datastore = PostgresDatastore(
        named["dbname"],
        named["host"],
        named["port"],
        named["user"],
        named["password"],
        pool_size=connections,
        max_overflow=connections,
    )
    try:
        store = PostgresDCBRecorderTT(datastore)
        store.create_table()
        yield store, named
    finally:
        datastore.close()


def _append(append: Callable[[Sequence[Any]], Any], made: Sequence[Any]) -> None:
    for first in range(0, len(made), EVENTS_AT_ONCE):
        append(made[first : first + EVENTS_AT_ONCE])


def _pgbench(there: Place) -> float:
    """Transactions of the kind of TPC-B, scale 10."""
    program = str(pgbench())
    subprocess.run([program, "-i", "-q", "-s", "10", there.address], check=True, capture_output=True)
    words = [program, "-c", "2", "-j", "2", "-T", str(PGBENCH_SECONDS), "-n", there.address]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found.group(1))
