"""The proof of every cap over all history on both clocks: `kejin verify caps`, the whole process.

    python -m scripts.bench.cap_proof [--events N] [--runs N]

Two ledgers of N events each: a programme of many firms, recorded by `kejin run`; and one where three tenths of the
events fall on one key, granted and voided on dates in any order. Beside each the bare COPY of the columns that the
proof rests on. Prints one JSON document; times are medians, in seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any, Final

import psycopg

from ledger import accounts, codec
from ledger.copying import PendingEvent
from ledger.events import Posting
from ledger.server import share
from ledger.store import Store
from scripts.bench.workload import code, commands

KEJIN: Final = Path(sys.executable).with_name("kejin")
BUSY_SHARE: Final = 0.3
CAP: Final = "shanxi.loan_interest.firm"
LIMIT_FEN: Final = 1_000_000  # small: what is granted in all must pass it many times over
BATCH_EVENTS: Final = 20_000
OPENED_ON: Final = "2022-01-01"
DAYS: Final = tuple((date(2022, 1, 1) + timedelta(number)).isoformat() for number in range(1461))

_COPY: Final = (
    b"copy (select position, effective_on, posting_accounts, posting_amounts, posting_days from events"
    b" order by position) to stdout"
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    ledgers = {"many_firms": record_programme, "one_busy_key": record_busy_key}
    measured = {name: measure(record, chosen.events, chosen.runs) for name, record in ledgers.items()}
    print(json.dumps({"benchmark": "cap_proof", "cores": os.cpu_count(), "runs": chosen.runs, **measured}))


def measure(record: Callable[[Path, str, int], None], events: int, runs: int) -> dict[str, Any]:
    """Record a ledger in a folder that is gone afterwards, prove its caps and copy its columns several times."""
    with tempfile.TemporaryDirectory(prefix="kejin-bench-") as parent:
        folder = Path(parent) / "data"
        with share(folder) as server:
            record(folder, server.address(), events)
            settle(server.address())
            proofs: list[float] = []
            copies: list[float] = []
            report: dict[str, Any] = {}
            for _ in range(runs):
                report, seconds = _timed(lambda: _prove(folder))
                proofs.append(seconds)
                copies.append(_timed(lambda: _copy(server.address()))[1])
    seconds = statistics.median(proofs)
    return {
        "events": report["events"],
        "ok": report["ok"],
        "seconds": round(seconds, 3),
        "events_per_second": round(report["events"] / seconds),
        "copy_seconds": round(statistics.median(copies), 3),
    }


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = perf_counter()
    result = work()
    return result, perf_counter() - started


def _prove(folder: Path) -> Any:
    done = subprocess.run(
        [str(KEJIN), "verify", "caps", "--data", str(folder), "--json"], stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def _copy(address: str) -> None:
    with psycopg.connect(address) as connection, connection.cursor().copy(_COPY) as copy:
        for _ in copy:
            pass


def settle(address: str) -> None:
    """What autovacuum and the checkpointer would do some time later, done before anything is measured."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("vacuum (analyze) events, accounts")
        connection.execute("checkpoint")


# --- the ledgers --------------------------------------------------------------------------------------


def record_programme(folder: Path, _address: str, events: int) -> None:
    """A programme of many firms, decided by the ledger."""
    with tempfile.TemporaryFile() as lines:
        # The first round adopts its rulebook, which is an event of its own.
        lines.writelines(codec.canonical(command) + b"\n" for command in commands(events - 1))
        lines.seek(0)
        run = [str(KEJIN), "run", "-", "--data", str(folder), "--json"]
        done = subprocess.run(run, stdin=lines, stdout=subprocess.DEVNULL, check=False)
    if done.returncode > 1:  # 1: some are refused, as they should be
        raise SystemExit(f"kejin run ended with {done.returncode}")


def record_busy_key(_folder: Path, address: str, events: int) -> None:
    """Postings made up for the occasion: what matters is how they lie, not who decided them."""
    made = busy_key(events, Random(7))
    with Store.open(address, by_index=True) as store:
        while batch := list(islice(made, BATCH_EVENTS)):
            with store.turn() as turn:
                turn.append(batch, "bench")


def busy_key(events: int, random: Random) -> Iterator[PendingEvent]:
    """Grants and voids of one firm among grants of many others, all within their caps on both clocks: grants on any
    day of four years, each voided on its own day again, far more in total than the limit."""
    available = accounts.available("R")
    treasury = Posting(accounts.TREASURY, -(10**14), OPENED_ON)
    yield _event("RoundOpened", OPENED_ON, treasury, Posting(available, 10**14, OPENED_ON))
    busy, standing, used_fen = code(0, "91"), list[tuple[str, int]](), 0
    yield _event("LimitGiven", OPENED_ON, Posting(accounts.limit(CAP, busy), LIMIT_FEN, OPENED_ON))
    for number in range(2, events):
        day, fen = random.choice(DAYS), random.randrange(1, 1000)
        if random.random() >= BUSY_SHARE:
            other = code(number, "91")
            given = Posting(accounts.limit(CAP, other), LIMIT_FEN, OPENED_ON)
            yield _event("LoanInterestGranted", day, *_grant(other, fen, day), given)
        elif standing and (used_fen + fen > LIMIT_FEN or random.random() < 0.45):
            day, fen = standing.pop(random.randrange(len(standing)))
            used_fen -= fen
            yield _event("GrantVoided", day, *_grant(busy, -fen, day))
        else:
            standing.append((day, fen))
            used_fen += fen
            yield _event("LoanInterestGranted", day, *_grant(busy, fen, day))


def _grant(firm: str, fen: int, day: str) -> tuple[Posting, ...]:
    return (
        Posting(accounts.available("R"), -fen, day),
        Posting(accounts.committed("R"), fen, day),
        Posting(accounts.quota(CAP, firm), fen, day),
    )


def _event(kind: str, on: str, *postings: Posting) -> PendingEvent:
    return PendingEvent(kind, on, (), b"{}", postings)


if __name__ == "__main__":
    main()
