"""A limit on everything that a client can make large."""

from __future__ import annotations

from dataclasses import dataclass

from api.intake import LINE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server takes at most. Over a limit the answer is 413, 422, 429 or 503, never a failure."""

    body_bytes_max: int = LINE_BYTES_MAX  # of one command
    batch_bytes_max: int = 256 * 2**20
    batch_lines_max: int = 200_000
    query_bytes_max: int = 8_192
    page_rows: int = 100
    page_rows_max: int = 1_000
    requests_max: int = 4_096  # waiting and at work; more are answered 503 at once
    batches_max: int = 8  # at work; more wait, but not for ever
    walks_max: int = 256  # waiting to go through the whole log
    batch_wait_seconds_max: float = 30.0
    streams_max: int = 512
    turn_commands_max: int = 4_000
    kept_extracts_bytes_max: int = 64 * 2**20  # of pages that balances were read from
    quick_seconds_max: float = 10.0  # of one statement of a quick read
    slow_seconds_max: float = 60.0  # of a list or a report
    check_seconds_max: float = 900.0  # of a verification
    behind_seconds_max: float = 10.0  # to wait for the projections
    body_seconds_max: float = 60.0  # between two pieces of a body
    retry_seconds: int = 1  # what Retry-After says
