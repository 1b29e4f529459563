"""What a check reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold: which check, where, what."""

    check: str
    detail: str
    table: str | None = None
    position: int | None = None

    def document(self) -> dict[str, Any]:
        """The finding as JSON (design §5)."""
        shown: dict[str, Any] = {"check": self.check}
        if self.table is not None:
            shown["table"] = self.table
        if self.position is not None:
            shown["position"] = self.position
        return {**shown, "detail": self.detail}


@dataclass(slots=True)
class Report:
    """Findings are faults; notices are facts worth knowing, such as a cap passed by later knowledge."""

    events: int = 0
    root: str = ""
    findings: list[Finding] = field(default_factory=list)
    notices: list[Finding] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Take in what another check found."""
        self.findings += other.findings
        self.notices += other.notices

    def document(self) -> dict[str, Any]:
        """The report as JSON (design §5)."""
        return {
            "ok": not self.findings,
            "events": self.events,
            "root": self.root,
            "findings": [finding.document() for finding in self.findings],
            "notices": [notice.document() for notice in self.notices],
        }
