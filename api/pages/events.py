"""/events, /events/{position} and /claims/{claim}: the log, one event with why, a claim's life."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.service import asking
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import Content, Section, View, page
from api.service.parameters import identifier, position, text
from api.service.problems import HttpProblem
from api.service.words import value_word
from ledger.catalogue import Catalogue
from ledger.refusals import CODES, detail
from ledger.store import Store
from projections.clocks import AsOf

_ROWS: Final = 100


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """Three pages."""
    return [
        page(
            "events",
            "/events",
            "The events in order.",
            "按序列出事件。",
            _events,
            parameters=(
                position("after", "Only later positions. 仅此序号之后。", least=0),
                text("tag", "e.g. firm:<uscc>, loan:<id>. 标签。", "loan:L1"),
                text("type", "e.g. LoanInterestGranted. 类型。", "LoanDrawn"),
            ),
            projected=False,
            template="events.html",
        ),
        page(
            "event",
            "/events/{position}",
            "One event, whole, and why.",
            "单条事件及其理由。",
            _event,
            parameters=(position("position", "The event's position. 事件序号。", "path", example=5),),
            template="event.html",
        ),
        page(
            "claim",
            "/claims/{claim}",
            "A claim's life.",
            "申请的全过程。",
            _claim,
            parameters=(identifier("claim", "The claim's id. 申请编号。", "2024-0001"),),
        ),
    ]


def _events(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    after = given["after"] or 0
    found = asking.events(store, after, as_of.known_position, _ROWS, given["tag"], given["type"], as_of.on)
    more = None
    if len(found) == _ROWS:
        more = {"after": found[-1]["position"], "tag": given["tag"], "type": given["type"]}
    filters = {"tag": given["tag"] or "", "type": given["type"] or "", "after": given["after"]}
    return Content(view.say("Events", "事件"), [Section("", _rows(found))], more=more, extra=filters)


def _rows(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "position": event["position"],
            "effective_on": event["effective_on"],
            "type": event["type"],
            "amount_fen": _amount(event),
            "tags": event["tags"],
            "principal": event["principal"],
            "recorded_at": event["recorded_at"],
        }
        for event in events
    ]


def _amount(event: Mapping[str, Any]) -> int | None:
    """What an event is about, where it is about one amount."""
    data = event["data"] if isinstance(event["data"], dict) else {}
    found = [data.get(name) for name in ("amount_fen", "principal_fen", "budget_fen", "total_fen")]
    return next((fen for fen in found if type(fen) is int), None)


def _event(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    event = dict(asking.event(store, as_of, given["position"]))
    data, postings = event.pop("data"), event.pop("postings")
    try:
        explained: dict[str, Any] | None = asking.explanation(store, as_of, given["position"])
    except HttpProblem as problem:
        if problem.code != "nothing_to_explain":
            raise
        explained = None
    refused = ""
    if isinstance(data, dict) and data.get("code") in CODES:
        refused = detail(data["code"], data["arithmetic"], view.language)
    told = data if isinstance(data, dict) else {"data": data}
    clauses = _clauses(told, view)
    if clauses:  # the whole text would fill pages
        told = {name: value for name, value in told.items() if name != "content"}
    if explained is not None:
        told = {name: value for name, value in told.items() if name != "legs"}  # which stand there
    sections = [
        Section(view.say("What was recorded", "记录内容"), _plain(told)),
        Section(view.say("What it moved", "过账"), postings),
        *[Section(view.word(name), value) for name, value in told.items() if _is_nested(value)],
        Section(view.say("Clauses", "条款"), clauses),
        Section(view.say("How it was recorded", "记录方式"), event),
    ]
    called = value_word(event["type"], view.language)
    return Content(
        event["type"] if called is None else f"{called} {event['type']}",
        [one for one in sections if one.rows],
        view.say(
            f"position {event['position']} · effective on {event['effective_on']}",
            f"第 {event['position']} 条 · 业务日期 {event['effective_on']}",
        ),
        extra={"explained": explained, "refused": refused},
    )


def _clauses(told: Mapping[str, Any], view: View) -> list[dict[str, Any]]:
    """What the clauses of an adopted rulebook say in own words, and where they come from."""
    content = told.get("content")
    found = content.get("clauses") if isinstance(content, dict) and "sha256" in told else None
    return [
        {
            "clause": clause.get("id"),
            **{name: _in(clause.get(name), view) for name in ("title", "text", "source")},
        }
        for clause in (found if isinstance(found, list) else [])
        if isinstance(clause, dict)
    ]


def _in(words: Any, view: View) -> str | None:
    return words.get(view.language) if isinstance(words, dict) else None


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict) for v in value))


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if not _is_nested(value)}


def _claim(store: Store, as_of: AsOf, given: Mapping[str, Any], view: View) -> Content:
    name = given["claim"]
    found = asking.events(store, 0, as_of.known_position, _ROWS, f"claim:{name}", None, as_of.on)
    decided = next((one for one in found if "legs" in one["data"] or one["type"] == "ClaimRefused"), None)
    if decided is None:
        raise HttpProblem("not_known", f"no claim {name!r} is known then", f"当时没有申请 {name!r}")
    shown = (
        "instrument",
        "round",
        "payee",
        "loan",
        "bank",
        "product",
        "payout",
        "amount_fen",
        "code",
        "clause",
    )
    facts = {key: decided["data"][key] for key in shown if key in decided["data"]}
    note = ""
    if len(found) == _ROWS:
        note = view.say(f"the first {_ROWS}; all are among the events", f"仅列前 {_ROWS} 条；全部见事件")
    return Content(
        f"{view.word('claim')} {name}",
        [
            Section(view.say("Decided", "决定"), {**facts, "position": decided["position"]}),
            Section(view.say("Its life", "全过程"), _rows(found), note),
            Section("", {"tag": f"claim:{name}"}),
        ],
    )
