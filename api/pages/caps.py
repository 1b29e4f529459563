"""/caps and /milestones: use and room of every cap; each bank's climb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.service import asking
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import Content, Section, View, page
from api.service.parameters import text, uscc
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """Two lists, and who is near a cap."""

    def caps(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
        after, party = given["after"] or "", given["party"]
        rows, following = asking.cap_page(store, as_of, party, after, limits.page_rows)
        more = None if following is None else {"after": following, "party": party}
        return Content(view.say("Cumulative caps", "累计上限"), [Section("", rows)], more=more)

    return [
        page(
            "caps",
            "/caps",
            "Every cap: limit, use, room.",
            "累计上限：限额、已用、剩余。",
            caps,
            parameters=(
                uscc("party", "Only this party's caps. 仅该主体。"),
                text("after", "Where the page before ended. 上一页末行。", "shanxi.loan_interest.firm/…"),
            ),
        ),
        page("near-caps", "/near-caps", "Firms near a cap.", "接近上限的企业。", _near),
        page("milestones", "/milestones", "Each bank's climb.", "各银行里程碑。", _milestones),
    ]


def _near(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    title = view.say("Firms at 80, 90 and 100 % of a cap", "达到上限 80%、90%、100% 的企业")
    rows = [{"party": row["key"], **row} for row in asking.WHOLE_REPORTS["near-caps"](store, as_of)]
    return Content(title, [Section("", rows)])


def _milestones(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    return Content(
        view.say("Milestones of exclusive credit", "专项信贷里程碑"),
        [Section("", asking.milestone_rows(store, as_of, None))],
    )
