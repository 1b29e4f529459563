"""Metrics for Prometheus: commits, batch sizes, refusals by code, latency, lag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ledger.outcomes import Outcome

MEDIA_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000, 2_000, 4_000)


class Metrics:
    """The figures of one server process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self._commits = Counter("kejin_commits", "Turns of the writer that were committed", registry=registry)
        self._turn_seconds = Histogram(
            "kejin_turn_seconds", "Seconds of a turn of the writer", buckets=_SECONDS, registry=registry
        )
        self._turn_commands = Histogram(
            "kejin_turn_commands", "Commands of a turn of the writer", buckets=_SIZES, registry=registry
        )
        self._outcomes = Counter("kejin_outcomes", "Commands by outcome", ["outcome"], registry=registry)
        self._refusals = Counter("kejin_refusals", "Refused commands by code", ["code"], registry=registry)
        self._requests = Histogram(
            "kejin_request_seconds",
            "Seconds of a request, by operation and status",
            ["operation", "status"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._of_requests: dict[tuple[str, int], Histogram] = {}  # those above, by operation and status
        self.in_flight = Gauge("kejin_requests_in_flight", "Requests at work or waiting", registry=registry)
        self.waiting = Gauge("kejin_commands_waiting", "Requests that wait for the writer", registry=registry)
        self.streams = Gauge("kejin_streams", "Open event streams", registry=registry)
        self.position = Gauge("kejin_position", "The newest position of the log", registry=registry)
        self.lag = Gauge(
            "kejin_projection_lag_events", "Events that a projection lacks", ["projection"], registry=registry
        )

    def committed(self, commands: int, seconds: float, outcomes: Sequence[Outcome]) -> None:
        """A turn of the writer was committed."""
        self._commits.inc()
        self._turn_seconds.observe(seconds)
        self._turn_commands.observe(commands)
        counts: dict[str, int] = {}
        for outcome in outcomes:
            counts[outcome.outcome] = counts.get(outcome.outcome, 0) + 1
            if outcome.code is not None and outcome.outcome == "refused":
                self._refusals.labels(outcome.code).inc()
        for name, count in counts.items():
            self._outcomes.labels(name).inc(count)

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """A request was answered."""
        found = self._of_requests.get((operation, status))
        if found is None:
            found = self._of_requests[operation, status] = self._requests.labels(operation, str(status))
        found.observe(seconds)

    def text(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self.registry)
