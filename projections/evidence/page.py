"""The page of a pack: what an auditor reads and prints, in Chinese and English. No script, nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ledger import codec
from ledger.events import StoredEvent
from ledger.money import format_fen
from ledger.notes import Checkpoint
from ledger.refusals import detail
from ledger.stored import NO_COMMAND
from projections.envelopes import instant
from projections.evidence.subjects import Subject

_STYLE: Final = """
body { font: 15px/1.5 "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif;
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #999; }
h3 { font-size: 1rem; margin-bottom: .3rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; } caption { text-align: left; color: #555; }
th, td { border: 1px solid #bbb; padding: .2rem .5rem; text-align: left; vertical-align: top; }
th { background: #f0f0f0; } td.sum { text-align: right; white-space: nowrap; }
code, .hash { font: 13px/1.4 monospace; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } h2, h3 { break-after: avoid; }
  tr { break-inside: avoid; } }
"""
_KINDS: Final = {"event": "事件 Event", "claim": "申请 Claim", "firm": "企业 Firm", "bank": "银行 Bank"}
_FIGURES: Final = {
    "limit_fen": "限额 limit",
    "used_fen": "已用 used",
    "settled_fen": "其中已付 paid",
    "room_fen": "剩余 room",
    "mark_fen": "标志 mark",
}


def page(subject: Subject, document: Mapping[str, Any], state: Checkpoint) -> str:
    """The whole page as HTML."""
    named = " ".join(str(value) for name, value in subject.named.items() if name != "kind")
    title = f"{_KINDS[subject.named['kind']]} {named}"
    own = [event for event in subject.events if subject.own(event)]
    others = [event for event in subject.events if not subject.own(event)]
    parts = [
        f"<h1>证据包 Evidence pack · {_text(title)}</h1>",
        _summary(subject, document, state),
        "<h2>事件 Events</h2>",
        _events(own),
        *_computations(own),
        *_states(document["states"]),
        *(["<h2>所依据的事件 What it rests on</h2>", _events(others)] if others else []),
        *_rules(subject.events),
        _how_to_check(document, state),
    ]
    head = f'<meta charset="utf-8"><title>{_text(title)}</title><style>{_STYLE}</style>'
    return (
        f'<!doctype html>\n<html lang="zh-CN"><head>{head}</head>\n<body>\n'
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], sums: Iterable[int] = ()) -> str:
    """A table; the cells are HTML, `sums` are the columns of amounts."""
    right = set(sums)
    head = "".join(f"<th>{_text(heading)}</th>" for heading in headings)
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{' class=sum' * (i in right)}>{cell}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _summary(subject: Subject, document: Mapping[str, Any], state: Checkpoint) -> str:
    lines = [
        f"账本 Ledger: <code>{_text(state.origin)}</code>",
        f"所知截至第 {subject.until} 条；日志共 {state.size} 条 As known at position {subject.until} of {state.size}",
    ]
    if document["complete"]:
        en = "Complete: these are all its events up to there, none left out."
        lines.append(f"<strong>完整：截至该处的全部事件，无遗漏。{en}</strong>")
    else:
        en = "Others of its events may be missing: only the pack of a firm or a bank shows that it has all."
        lines.append(f"未证明完整：仅企业或银行的证据包可证明无遗漏。{en}")
    return "<p>" + "<br>".join(lines) + "</p>"


def _data(event: StoredEvent) -> Mapping[str, Any]:
    return codec.parse_object(event.data) if event.span != NO_COMMAND else {}


def _events(events: Sequence[StoredEvent]) -> str:
    headings = [
        "序号 position",
        "业务日期 effective",
        "记录时间 recorded",
        "类型 type",
        "内容 content",
        "经办 by",
    ]
    rows = [
        [
            str(event.position),
            event.effective_on,
            instant(event.recorded_at),
            _text(event.type),
            _content(_data(event)),
            _text(event.principal),
        ]
        for event in events
    ]
    return _table(headings, rows)


_LONG: Final = ("content", "legs", "inputs", "reading", "rulebook", "instrument", "awards", "arithmetic")


def _content(data: Mapping[str, Any]) -> str:
    """The fields of an event; what has a place of its own on the page is left out. A refusal says why."""
    lines = [f"{_text(name)}: {_value(name, value)}" for name, value in data.items() if name not in _LONG]
    if "arithmetic" in data:
        lines += [_text(detail(data["code"], data["arithmetic"], language)) for language in ("zh", "en")]
    return "<br>".join(lines)


def _value(name: str, value: Any) -> str:
    return format_fen(value) if name.endswith("_fen") and type(value) is int else _text(value)


def _computations(events: Iterable[StoredEvent]) -> Iterator[str]:
    """Each decision's figures: which one bound, and on what it rests."""
    for event in events:
        data = _data(event)
        if "legs" not in data:
            continue
        amount = format_fen(data["amount_fen"]) if "amount_fen" in data else _text(data.get("code", ""))
        yield f"<h3>计算 Computation @{event.position}: {amount}</h3>"
        rows = [
            [_text(leg["clause"]), _text(leg["part"]), _exact(leg), "◀" if leg["binding"] else ""]
            for leg in data["legs"]
        ]
        yield _table(["条款 clause", "计算项 leg", "数额 value", "起决定作用 binding"], rows, (2,))
        for title, name in (
            ("依据 inputs", "inputs"),
            ("解读 reading", "reading"),
            ("规则 rules", "rulebook"),
        ):
            shown = ", ".join(f"{_text(k)} {_value(k, v)}" for k, v in data.get(name, {}).items())
            yield f"<p>{title}: {shown}</p>"


def _exact(leg: Mapping[str, Any]) -> str:
    exact = f" ({_text(leg['exact_fen'])} 分 fen)" if "exact_fen" in leg else ""
    return format_fen(leg["value_fen"]) + exact


def _states(states: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not states:
        return
    yield "<h2>上限与标志的前后 Caps and marks, before and after</h2>"
    rows = [
        [
            f"@{state['position']}",
            f"<code>{_text(state['account'])}</code>",
            *(
                "<br>".join(f"{_FIGURES[n]} {format_fen(v)}" for n, v in state[when].items())
                for when in ("before", "after")
            ),
        ]
        for state in states
    ]
    yield _table(["事件 event", "账户 account", "之前 before", "之后 after"], rows)


def _rules(events: Iterable[StoredEvent]) -> Iterator[str]:
    """The texts of the rules, as the log adopted them."""
    for event in events:
        if event.type != "RulebookAdopted" or not event.span:
            continue
        data = _data(event)
        content = data["content"]
        title = content.get("title", {"zh": content["id"]})
        yield f"<h2>规则 Rules: {' '.join(_text(title[name]) for name in ('zh', 'en') if name in title)}</h2>"
        sha256 = f"SHA-256 <span class=hash>{_text(data['sha256'])}</span>"
        yield f"<p>@{event.position}, {_text(data['rulebook'])}, {sha256}</p>"
        for clause in content.get("clauses", ()):
            for language in ("zh", "en"):
                text = clause.get("text", {}).get(language)
                if text:
                    yield f"<p><strong>{_text(clause['id'])}</strong> {_text(text)}</p>"


def _how_to_check(document: Mapping[str, Any], state: Checkpoint) -> str:
    key, root = _text(document["key"]), state.root.hex()
    return f"""<h2>如何核验 How to check</h2>
<p>本页只供阅读；证明在同一压缩包内。公钥或检查点须另行取得（例如从审计机关留存的副本），然后运行
This page is for reading; the proof is in the same zip. Get the public key or a checkpoint from
somewhere else, then run</p>
<p><code>python kejin-verify.py PACK.zip --key KEY</code></p>
<p>签名公钥 Signed with <span class=hash>{key}</span><br>根哈希 Root <span class=hash>{root}</span></p>"""
