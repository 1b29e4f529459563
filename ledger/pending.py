"""An event about to be appended by whoever decides nothing: the recorder, a new key. Pure."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from ledger import codec
from ledger.dates import Day
from ledger.events import Posting
from ledger.plain import Plain


@mypyc_attr(acyclic=True)
class PendingEvent(Plain):
    """An event about to be appended: everything but position and time."""

    __slots__ = (
        "data",
        "effective_on",
        "fingerprint",
        "key",
        "postings",
        "principal",
        "span",
        "tags",
        "type",
    )

    def __init__(
        self,
        type: str,  # noqa: A002 - the field's name
        effective_on: Day,
        tags: tuple[str, ...],
        data: bytes,
        postings: tuple[Posting, ...] = (),
        key: str | None = None,
        fingerprint: bytes | None = None,
        span: int = 1,
        principal: str | None = None,
    ) -> None:
        self.type: Final = type
        self.effective_on: Final = effective_on
        self.tags: Final = tags
        self.data: Final = data
        self.postings: Final = postings
        self.key: Final = key
        self.fingerprint: Final = fingerprint
        self.span: Final = span
        self.principal: Final = principal  # None: the turn's own

    def body(self, principal: str) -> bytes:
        """What its leaf covers but for position and time; `principal` is whose it is unless it names its own. Raises
        ValueError: a field holds U+0000."""
        texts = (self.effective_on, self.type, principal, self.principal or "", self.key or "", *self.tags)
        lines = [text for line in self.postings for text in (line.account, line.effective_on)]
        if any("\0" in text for text in (*texts, *lines)):
            raise ValueError("a field of an event holds U+0000")
        return codec.body(
            self.effective_on,
            self.type,
            self.tags,
            self.postings,
            self.principal or principal,
            self.key,
            self.fingerprint.hex() if self.fingerprint else "-",
            self.span,
            self.data,
        )
