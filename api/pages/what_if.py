"""/what-if: who would have got more or less under other rules, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.service import asking
from api.service.limits import Limits
from api.service.operations import Operation, Parameter
from api.service.pages import Content, Section, View, walking_page
from api.service.walking import Walk
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf

_TEXT_LENGTH_MAX: Final = 4_000


def _lines(text: str) -> list[str]:
    if len(text) > _TEXT_LENGTH_MAX or "\0" in text:
        raise ValueError(text)
    return [line.strip() for line in text.splitlines() if line.strip()]


_SETTINGS: Final = Parameter(
    "settings",
    "query",
    {"type": "string", "maxLength": _TEXT_LENGTH_MAX},
    _lines,
    "Other values of rules, one a line. 规则设定，每行一项。",
    f"lines of CLAUSE.PATH=VALUE, at most {_TEXT_LENGTH_MAX} characters",
    f"每行一项 条款.路径=值，至多 {_TEXT_LENGTH_MAX} 个字符",
    "SX-1.legs.interest_share.rate=1/4",
)


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """What can be set, and what would have become of the claims."""
    return [
        walking_page(
            "what-if",
            "/what-if",
            "Who would have got more or less under other rules.",
            "规则推演。",
            _what_if,
            (_SETTINGS,),
            "what_if.html",
            asks="settings",
            is_dated=False,
        )
    ]


def _what_if(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View, walk: Walk) -> Content:
    settings = given["settings"] or []
    sections = []
    if settings:
        sections = _found(asking.supposed(store, as_of, walk, settings, ()), view)
    sections.append(
        Section(
            view.say("What can be set, and its present value", "可设定的参数及现值"),
            asking.rule_rows(store, as_of),
        )
    )
    told = view.say(
        "The recorded claims are decided again under other rules, in memory; nothing is written.",
        "在内存中以其他规则重新决定已登记的申请；不写入任何内容。",
    )
    title = view.say("What if other rules had decided", "规则推演")
    return Content(title, sections, told, extra={"settings": "\n".join(settings)})


def _found(found: Mapping[str, Any], view: View) -> list[Section]:
    """The sums first, then by cause, by payee and claim by claim."""
    sums = {name: found[name] for name in ("then_fen", "now_fen", "difference_fen", "first_parting")}
    claims = [
        {
            **{name: row[name] for name in ("claim", "position", "round", "payee", "then_fen", "now_fen")},
            "difference_fen": row["difference_fen"],
            "refused_then": row["then"]["code"],
            "refused_now": row["now"]["code"],
            "clause": row["clause"],
            "causes": [cause["cause"] for cause in row["causes"]],
            "parted_at": row["parted_at"],
        }
        for row in found["claims"]
    ]
    titled = (
        (view.say("By cause", "按原因"), found["causes"]),
        (view.say("By payee", "按收款方"), found["payees"]),
        (view.say("Claim by claim", "逐笔申请"), claims),
        (view.say("Other commands that come out otherwise", "结果不同的其他命令"), _steps(found, view)),
    )
    return [
        Section(view.say("Granted and not taken back", "有效补助"), [sums]),
        *[Section(title, rows) for title, rows in titled if rows],
    ]


def _steps(found: Mapping[str, Any], view: View) -> list[dict[str, Any]]:
    """Commands that come out otherwise, in words: an event's type, and the code of a refusal in brackets."""

    def told(step: str) -> str:
        event, _, code = step.partition(" (")
        return view.value(event) + (f" ({view.value(code.removesuffix(')'))})" if code else "")

    return [{**row, "then": told(row["then"]), "now": told(row["now"])} for row in found["other_steps"]]
