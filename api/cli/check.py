"""kejin check: a whole list before the notice: who would hit which cap or rule, without writing."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from api.language import language, say
from api.printing import print_json, print_table
from api.recording import File, Principal, Sent, submit_file
from api.session import Data, Json
from ledger.catalogue import Catalogue
from ledger.commands import InvalidCommand
from ledger.money import format_fen
from ledger.rehearsal import Rehearsal
from ledger.store import Store


def command(
    file: File,
    principal: Principal = None,
    data: Data = None,
    as_json: Json = False,
) -> int:
    """Check a whole list before the notice, writing nothing. 公示前核对整份名单，不写入。

    The file is one for kejin run. Shows who would be refused by which rule, whose amount a cap would cut, the
    totals by instrument, and what each round would have left. Exit code as of kejin run.
    """
    checked = _Checked()
    for sent, _, _ in submit_file(file, data, principal, checked.begin):
        for item in sent:
            checked.add(item)
    document = checked.document()
    if as_json:
        print_json(document)
    else:
        _show(document)
    return 2 if document["invalid"] else (1 if document["refused"] else 0)


class _Checked:
    """What a dry run of the whole list shows."""

    def __init__(self) -> None:
        self._rehearsal: Rehearsal
        self._lines = 0
        self._refused: list[dict[str, Any]] = []
        self._invalid: list[dict[str, Any]] = []
        self._cut: list[dict[str, Any]] = []
        self._totals: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])

    def begin(self, store: Store, known: Catalogue, acting: str) -> Rehearsal:
        """Begin the dry run of the list."""
        self._rehearsal = Rehearsal(store, known)
        return self._rehearsal

    def add(self, sent: Sent) -> None:
        """Take in one line."""
        number, item, outcome = sent
        self._lines += 1
        if isinstance(item, InvalidCommand) or outcome is None:
            problem = (
                item.problem_zh if isinstance(item, InvalidCommand) and language() == "zh" else str(item)
            )
            self._invalid.append({"line": number, "detail": problem})
            return
        about = {"line": number, "command": item.name, "claim": item.fields.get("claim")}
        if outcome.refused:
            shown = outcome.document(language())
            named = {name: shown.get(name) for name in ("code", "clause", "detail")}
            self._refused.append({**about, "payee": outcome.data.get("payee"), **named})
        elif outcome.amount_fen is not None and "legs" in outcome.data:
            self._grant(about, outcome.data)

    def _grant(self, about: dict[str, Any], data: Any) -> None:
        self._rehearsal.watch(data["round"])
        total = self._totals[data["round"], data["instrument"]]
        total[0] += 1
        total[1] += data["amount_fen"]
        legs = data["legs"]
        bound = next(leg for leg in legs if leg["binding"])
        if bound is not legs[0]:
            first_fen = legs[0]["value_fen"]
            cut = {"by": bound["part"], "clause": bound["clause"], "before_fen": first_fen}
            self._cut.append({**about, "payee": data["payee"], **cut, "amount_fen": data["amount_fen"]})

    def document(self) -> dict[str, Any]:
        """The check as JSON. `left_fen` is what each round would have left after the whole list."""
        return {
            "lines": self._lines,
            "invalid": self._invalid,
            "refused": self._refused,
            "cut": self._cut,
            "totals": [
                {"round": round_id, "instrument": instrument, "count": count, "amount_fen": amount_fen}
                for (round_id, instrument), (count, amount_fen) in sorted(self._totals.items())
            ],
            "rounds": [
                {
                    "round": round_id,
                    "wanted_fen": sum(fen for (r, _), (_, fen) in self._totals.items() if r == round_id),
                    "left_fen": self._rehearsal.available_fen(round_id),
                }
                for round_id in sorted({round_id for round_id, _ in self._totals})
            ],
        }


def _show(document: dict[str, Any]) -> None:
    for line in document["invalid"]:
        print(
            say(
                f"line {line['line']} is invalid: {line['detail']}",
                f"第 {line['line']} 行无效：{line['detail']}",
            )
        )
    if document["refused"]:
        print(say("would be refused", "将被拒绝"))
        print_table(
            [
                say("line", "行"),
                say("claim", "申请"),
                say("payee", "收款方"),
                say("code", "代码"),
                say("why", "原因"),
            ],
            [
                [str(r["line"]), r["claim"] or r["command"], r["payee"] or "", r["code"], r["detail"]]
                for r in document["refused"]
            ],
        )
    if document["cut"]:
        print(say("would be cut by a cap", "将受上限削减"))
        print_table(
            [
                say("claim", "申请"),
                say("payee", "收款方"),
                say("by", "上限"),
                say("from", "原应"),
                say("to", "核减后"),
            ],
            [
                [
                    c["claim"],
                    c["payee"],
                    f"{c['clause']} {c['by']}",
                    format_fen(c["before_fen"]),
                    format_fen(c["amount_fen"]),
                ]
                for c in document["cut"]
            ],
            right=(3, 4),
        )
    print_table(
        [say("round", "轮次"), say("instrument", "工具"), say("count", "笔数"), say("total", "合计")],
        [
            [total["round"], total["instrument"], str(total["count"]), format_fen(total["amount_fen"])]
            for total in document["totals"]
        ],
        right=(2, 3),
    )
    print_table(
        [say("round", "轮次"), say("would grant", "拟决定"), say("left in the round", "轮次剩余")],
        [[r["round"], format_fen(r["wanted_fen"]), format_fen(r["left_fen"])] for r in document["rounds"]],
        right=(1, 2),
    )
    print(
        say(f"{document['lines']} lines checked, nothing written", f"已核对 {document['lines']} 行，未写入")
    )
