"""Row: `kejin rebuild`, all projections from the log alone, the whole process; and `kejin verify log`.

    python -m scripts.bench.rebuild [--events N] [--runs N]

Beside the rebuild the stock projection runner of `eventsourcing`, which counts events; beside the verification a bare
COPY of the log to the client.
"""

from __future__ import annotations

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner

from scripts.bench import append_peers
from scripts.bench.measuring import Figures, Place, arguments, place, recorded, timed
from scripts.bench.workload import commands

RUNNER_EVENTS = 3_000
_REBUILT = "events a second, kejin rebuild"
_VERIFIED = "events a second, kejin verify log"


class Thing(Aggregate):
    """An aggregate that only grows."""

    @event("Touched")
    def touch(self) -> None:
        """One more event."""


class Things(Application):  # type: ignore[type-arg]  # ids as the library's default has them
    """The application whose events the stock runner projects."""


class Counted(PostgresTrackingRecorder):
    """A view that keeps nothing but how far it is."""

    def count(self, tracking: Tracking) -> None:
        """Take in one event."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)


class Counting(Projection[Counted]):
    """The projection over it."""

    name = "counting"
    topics = ()

    def process_event(self, domain_event: object, tracking: Tracking) -> None:
        """Take in one event."""
        self.view.count(tracking)


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    figures = Figures("rebuild", options)
    with recorded(commands(options.events - 1)) as ours:
        for _ in range(options.runs):
            measure_rebuild(figures, ours)
            with place() as there:
                figures.add("events a second, eventsourcing's runner", _stock_runner(there), "1/s", _REBUILT)
            measure_verification(figures, ours)
    figures.tell()


def measure_rebuild(figures: Figures, ours: Place) -> None:
    """Rebuild all projections once."""
    rebuilt = ours.kejin("rebuild").document
    figures.add(_REBUILT, rebuilt["events"] / rebuilt["seconds"], "1/s")


def measure_verification(figures: Figures, ours: Place) -> None:
    """Verify the log, and copy it, once each."""
    done = ours.kejin("verify", "log")
    events = done.document["events"]
    figures.add(_VERIFIED, events / done.seconds, "1/s")
    copied = timed(ours.copied_out)[1]
    figures.add("events a second, bare COPY to the client", events / copied, "1/s", _VERIFIED)


def _stock_runner(there: Place) -> float:
    """Events a second that the stock runner projects."""
    with append_peers.recorder(there) as (_, named):
        environment = {"PERSISTENCE_MODULE": "eventsourcing.postgres"}
        environment |= {f"POSTGRES_{name.upper()}": value for name, value in named.items()}
        environment["POSTGRES_PASSWORD"] = named["password"] or "-"
        application = Things(env=environment)
        thing = Thing()
        for _ in range(RUNNER_EVENTS - 1):
            thing.touch()
        application.save(thing)
        last = application.recorder.max_notification_id()

        def project() -> None:
            with ProjectionRunner(
                application_class=Things, projection_class=Counting, view_class=Counted, env=environment
            ) as runner:
                runner.wait(last, timeout=300)

        _, seconds = timed(project)
        application.close()
    return RUNNER_EVENTS / seconds


if __name__ == "__main__":
    main()
