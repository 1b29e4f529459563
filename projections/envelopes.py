"""The envelope of an event: every stored field, for readers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ledger import codec
from ledger.events import StoredEvent


def instant(moment: datetime) -> str:
    """An instant as RFC 3339 in UTC, to the microsecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def envelope(event: StoredEvent) -> dict[str, Any]:
    """An event as JSON: design §5, plus postings, principal, key, and the span of its command."""
    return {
        "position": event.position,
        "recorded_at": instant(event.recorded_at),
        "effective_on": event.effective_on,
        "type": event.type,
        "tags": list(event.tags),
        "data": _data(event),
        "postings": [
            {"account": p.account, "amount_fen": p.amount_fen, "effective_on": p.effective_on}
            for p in event.postings
        ],
        "principal": event.principal,
        "key": event.key,
        "fingerprint": event.fingerprint.hex() if event.fingerprint else None,
        "span": event.span,
        "leaf": event.leaf.hex(),
    }


def _data(event: StoredEvent) -> Any:
    """The decided data; of another recorder's event, which may hold anything, the bytes."""
    if event.span == 0:
        return {"bytes": event.data.hex()}
    return codec.parse_object(event.data)
