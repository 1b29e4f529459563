"""/proof: the root of the log, the newest signed checkpoint, and how to check both without us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.service import asking
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import Content, Section, View, page
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """One page."""
    return [page("proof", "/proof", "What can be checked.", "可核验的内容。", _proof, template="proof.html")]


def _proof(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    found = asking.checkpoint(store, as_of)
    note = found.pop("note")
    return Content(view.say("Proof", "证明"), [Section("", found)], extra={"note": note or ""})
