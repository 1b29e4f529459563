"""Row: the proof of every cap over all history on both clocks, `kejin verify caps`, the whole process.

    python -m scripts.bench.cap_proof [--events N] [--runs N]

Two ledgers of N events each: a programme of many firms, recorded by `kejin run`; and one where three tenths of the
events fall on one key, granted and voided on dates in any order. Beside each the bare COPY of the columns that the
proof rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import islice
from random import Random
from typing import Final

from ledger import accounts
from ledger.events import Posting
from ledger.pending import PendingEvent
from ledger.store import Store
from scripts.bench.measuring import Figures, Place, arguments, file_of, place, timed
from scripts.bench.workload import code, commands

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
    options = arguments(__doc__ or "", runs=5)
    figures = Figures("cap_proof", options)
    for name, record in (("many firms", record_programme), ("one busy key", record_busy_key)):
        measure(figures, name, record, options.events, options.runs)
    figures.tell()


def measure(
    figures: Figures, name: str, record: Callable[[Place, int], None], events: int, runs: int
) -> None:
    """Record a ledger, and measure."""
    with place() as ours:
        record(ours, events)
        ours.settle()
        prove(figures, ours, name, events, runs)


def prove(figures: Figures, ours: Place, name: str, events: int, runs: int) -> None:
    """Prove the caps of a ledger and copy its columns several times."""
    copied = f"seconds of a COPY of the columns, {name}"
    for _ in range(runs):
        proof = ours.kejin("verify", "caps")
        if not proof.document["ok"] or proof.document["events"] != events:
            raise SystemExit(f"the proof of {name} says {proof.document}")
        figures.add(f"seconds of a proof, {name}", proof.seconds, "s", copied)
        figures.add(copied, timed(lambda: ours.copied_out(_COPY))[1], "s")


# --- the ledgers --------------------------------------------------------------------------------------


def record_programme(ours: Place, events: int) -> None:
    """A programme of many firms, decided by the ledger."""
    # The first round adopts its rulebook, which is an event of its own.
    with file_of(commands(events - 1)) as file:
        ours.kejin("run", "-", given=file, refusals=True)


def record_busy_key(ours: Place, events: int) -> None:
    """Postings made up for the occasion: what matters is how they lie, not who decided them."""
    made = busy_key(events, Random(7))
    with Store.open(ours.address, by_index=True) as store:
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
