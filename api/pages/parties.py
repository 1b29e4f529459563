"""/parties and /parties/{uscc}: who takes part, and all that is recorded of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.service import asking
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import Content, Section, View, page
from api.service.parameters import text, uscc
from api.service.words import value_word
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf

_FOUND_MAX: Final = 200
_TITLES: Final[Mapping[str, tuple[str, str]]] = {
    "names": ("Names", "名称"),
    "caps": ("Caps", "累计上限"),
    "milestones": ("Milestones", "里程碑"),
    "grants": ("Grants", "补助与奖励"),
    "refused": ("Refused claims", "被拒申请"),
    "loans": ("Loans", "贷款"),
    "payouts": ("Guarantee payouts", "代偿"),
    "certificates": ("Certificates", "资质"),
    "mergers": ("Mergers and splits", "合并与分立"),
    "events": ("All its events", "全部事件"),
}


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The search and one party."""
    return [
        page(
            "parties",
            "/parties",
            "Parties by code or name.",
            "按代码或名称查找主体。",
            _search,
            parameters=(text("text", "Part of the code or a name. 代码或名称的一部分。", "某科技"),),
            template="parties.html",
        ),
        page(
            "party",
            "/parties/{uscc}",
            "A party in all its roles.",
            "主体的全部角色。",
            _party,
            parameters=(uscc("uscc", "The party's code. 统一社会信用代码。", "path"),),
        ),
    ]


def _search(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    found = asking.found_parties(store, as_of, given["text"] or "", _FOUND_MAX)
    rows = [{"name": p.name, "uscc": p.uscc, "kinds": [kind["kind"] for kind in p.kinds]} for p in found]
    note = ""
    if len(rows) == _FOUND_MAX:
        note = view.say(
            f"the first {_FOUND_MAX}; search for more of the name", f"仅列前 {_FOUND_MAX} 个；请细化名称"
        )
    return Content(
        view.say("Parties", "主体"), [Section("", rows, note)], extra={"text": given["text"] or ""}
    )


def _party(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    code = given["uscc"]
    known = asking.party(store, as_of, code)
    kinds = sorted(entry["kind"] for entry in known.kinds)
    report: dict[str, list[Any]] = {
        "names": known.names,
        "certificates": known.certificates,
        "mergers": known.mergers,
    }
    for kind in kinds:
        document = asking.party_document(store, as_of, code, kind)
        for name in _TITLES.keys() & document.keys():  # another role may have the same rows, and others
            rows = report.setdefault(name, [])
            report[name] = rows + [row for row in document[name] if row not in rows]
    report["events"] = [{"kind": kind, "tag": f"{kind}:{code}"} for kind in kinds]
    sections = [
        Section(view.say(*title), report[name]) for name, title in _TITLES.items() if report.get(name)
    ]
    return Content(
        known.name,
        sections,
        f"{code} · {', '.join(value_word(kind, view.language) or kind for kind in kinds)}",
    )
