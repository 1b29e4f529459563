"""Row: bulk claims through `kejin run`, durable, each with key, caps on both clocks, postings, leaf and tree.

    python -m scripts.bench.bulk_claims [--events N] [--runs N]

Per run a new ledger: N commands of a programme (Zipf over firms, four of five are claims), then the next ones by a new
process, whose first 4,000 find nothing in memory (cold) and whose others do (warm). Beside them, in turn: the bare COPY
of the rows that were recorded into a table with the same indexes, and the peers of scripts/bench/append_peers.py.
"""

from __future__ import annotations

from itertools import islice

import psycopg

from scripts.bench import append_peers
from scripts.bench.measuring import Done, Figures, Place, arguments, file_of, place, timed
from scripts.bench.workload import commands

COLD_LINES = 4_000
WARM_LINES = 20_000

_COLUMNS = (
    "position, recorded_at, effective_on, type, tags, data, posting_accounts, posting_amounts, posting_days, principal,"
    " key, fingerprint, span, leaf"
)
_ALIKE = """
create table copied (like events including all);
create table copied_tags (like event_tags including all);
"""
_BULK = "commands a second, from empty"


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    figures = Figures("bulk_claims", options)
    for number in range(options.runs):
        with place() as ours:
            _ours(figures, ours, options.events)
            _copy(figures, ours)
        append_peers.measure(figures, _BULK, options.events, number)
    figures.tell()


def _ours(figures: Figures, ours: Place, events: int) -> None:
    made = commands(events + COLD_LINES + WARM_LINES)
    with file_of(islice(made, events)) as file:
        done = ours.kejin("run", "-", given=file, refusals=True)
    _tell(figures, "from empty", done, events, done.seconds)
    figures.add("peak memory of kejin run", done.peak_mb, "MB")
    _sizes(figures, ours)
    with file_of(made) as file:
        done = ours.kejin("run", "-", given=file, refusals=True)
    cold, end = done.seconds_at_line(COLD_LINES), done.seconds_at_line(COLD_LINES + WARM_LINES)
    figures.add("commands a second, cold state", COLD_LINES / cold, "1/s", _BULK)
    figures.add("commands a second, warm state", WARM_LINES / (end - cold), "1/s", _BULK)


def _tell(figures: Figures, what: str, done: Done, lines: int, seconds: float) -> None:
    figures.add(f"commands a second, {what}", lines / seconds, "1/s")
    figures.add(f"processor time of kejin, {what}", done.own_seconds / lines * 1e6, "µs a command")
    figures.add(f"processor time of PostgreSQL, {what}", done.server_seconds / lines * 1e6, "µs a command")


def _sizes(figures: Figures, ours: Place) -> None:
    """Bytes on disk per event, by table and index."""
    ((events, whole, log, log_indexes, tags, tag_indexes, accounts),) = ours.query(
        "select (select max(position) from events), pg_database_size(current_database()),"
        " pg_table_size('events'), pg_indexes_size('events'), pg_table_size('event_tags'),"
        " pg_indexes_size('event_tags'), pg_total_relation_size('accounts')"
    )
    parts = {
        "events": log,
        "indexes of events": log_indexes,
        "event_tags": tags,
        "index of event_tags": tag_indexes,
        "accounts": accounts,
    }
    figures.add("bytes on disk an event, the log", sum(parts.values()) / events, "B")
    for name, size in parts.items():
        figures.add(f"bytes on disk an event, {name}", size / events, "B", "bytes on disk an event, the log")
    figures.add("bytes on disk an event, whole database", whole / events, "B")


def _copy(figures: Figures, ours: Place) -> None:
    """The same rows, tags and indexes by COPY, made text before."""
    with psycopg.connect(ours.address) as connection:
        connection.execute(_ALIKE.encode())
        connection.commit()
        texts = []
        for table, columns in (("events", _COLUMNS), ("event_tags", "tag, position")):
            with connection.cursor().copy(f"copy {table} ({columns}) to stdout".encode()) as copy:
                texts.append(b"".join(copy))

        def write() -> None:
            targets = (("copied", _COLUMNS), ("copied_tags", "tag, position"))
            for (table, columns), text in zip(targets, texts, strict=True):
                with connection.cursor().copy(f"copy {table} ({columns}) from stdin".encode()) as copy:
                    copy.write(text)
            connection.commit()

        _, seconds = timed(write)
        ((rows,),) = connection.execute("select count(*) from copied").fetchall()
    figures.add("events a second, bare COPY of the same rows", rows / seconds, "1/s", _BULK)


if __name__ == "__main__":
    main()
