"""The form of a rulebook: what may stand in a document, and that nothing else does. Pure.

A rulebook may come from elsewhere, and what it says is decided by: a number that is none, a word that no code carries
out, a name that nobody reads would make it say something else than it seems to.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ledger.bilingual import Bilingual
from ledger.commands import ID
from ledger.dates import is_day
from ledger.money import MAX_FEN, is_amount
from ledger.refusals import CODES
from ledger.rulebook.shapes import is_rate

KEY_KINDS: Final = ("firm", "loan", "bank", "product", "round", "year", "programme")
WINDOWS: Final = ("lifetime", "round", "year")
LAYERS: Final = ("measure", "call")

#: The values of each reading that are built (see ARCHITECTURE.md, "Readings").
READINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "A1": WINDOWS,
    "A2": ("interest_only",),
    "A3": ("uscc",),
    "A4": ("principal_drawn",),
    "A7": ("interest_paid",),
    "A8": ("any", "previous"),
    "A10": ("legs_caps_budget",),
    "A11": ("down_once",),
    "A12": ("at_decision",),
    "A13": ("error", "error+misconduct"),
    "A15": ("certified_year_end",),
    "A16": ("none", "year"),
    "A17": ("high_water_mark",),
    "A18": ("once", "each"),
    "A19": ("reaching_includes",),
    "A20": ("undo_and_decide_again",),
    "A21": ("applying_branch",),
    "A23": ("decided_by_people",),
    "A24": ("people_decide",),
    "A25": ("refuse", "pay"),
    "A28": ("refuse",),
}


class UnusableRulebook(Bilingual):
    """A rulebook document that cannot be decided with: which document, which clause, which field, what is wrong."""


class Form(NamedTuple):
    """What a value has to be, and how people are told."""

    fits: Callable[[Any], bool]
    en: str
    zh: str


def one_of(*words: str) -> Form:
    """One of a few words."""
    listed = ", ".join(words)
    return Form(
        lambda value: isinstance(value, str) and value in words, f"one of {listed}", f"以下之一：{listed}"
    )


def some_of(*words: str) -> Form:
    """A list of some of a few words, each once."""
    listed = ", ".join(words)
    return Form(
        lambda value: _are_some(value, words),
        f"a list of some of {listed}",
        f"由下列各项组成的列表：{listed}",
    )


def _are_some(value: Any, words: Collection[str]) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(word, str) and word in words for word in value) and len(set(value)) == len(value)


def whole(least: int) -> Form:
    """A whole number from `least` on, such as money in fen."""
    return Form(
        lambda value: is_amount(value, least),
        f"a whole number from {least} to {MAX_FEN} (money in fen)",
        f"{least} 至 {MAX_FEN} 的整数（金额以分计）",
    )


TEXT: Final = Form(lambda value: isinstance(value, str) and bool(value.strip()), "a text", "文本")
IDENTIFIER: Final = Form(
    ID.accepts,
    "1 to 64 letters, digits, CJK or . _ -",
    "1 至 64 个字母、数字、汉字或 . _ -",
)
DAY: Final = Form(
    lambda value: isinstance(value, str) and is_day(value),
    'a real date as a text, "YYYY-MM-DD"',
    '真实日期文本 "YYYY-MM-DD"',
)
RATE: Final = Form(is_rate, 'a fraction as a text, such as "1/2" or "0.03"', '分数文本，例如 "1/2" 或 "0.03"')
_VERSION: Final = Form(
    lambda value: is_amount(value) or (isinstance(value, str) and bool(value.strip())),
    "a number or a text",
    "数字或文本",
)
_TABLE: Final = Form(lambda value: isinstance(value, dict), "a table", "表")
_TABLES: Final = Form(
    lambda value: isinstance(value, list) and all(isinstance(entry, dict) for entry in value),
    "a list of tables",
    "表的列表",
)
_WORDS: Final = Form(
    lambda value: (
        isinstance(value, dict) and value.keys() <= {"zh", "en"} and all(map(TEXT.fits, value.values()))
    ),
    "a table of texts zh and en",
    "含文本 zh、en 的表",
)

_BOTH: Final[Mapping[str, Form]] = {
    "id": IDENTIFIER,
    "layer": one_of(*LAYERS),
    "version": _VERSION,
    "effective_from": DAY,
    "title": _WORDS,
    "source": _WORDS,
    "clauses": _TABLES,
}
_DOCUMENTS: Final[Mapping[str, Mapping[str, Form]]] = {
    "measure": {**_BOTH, "programme": IDENTIFIER},
    "call": {**_BOTH, "measure": IDENTIFIER},
}
_SAID: Final[Mapping[str, tuple[str, ...]]] = {
    "measure": ("id", "version", "effective_from", "programme", "clauses"),
    "call": ("id", "version", "effective_from", "measure"),
}
_CLAUSE: Final[Mapping[str, Form]] = {
    "id": IDENTIFIER,
    "title": _WORDS,
    "text": _WORDS,
    "terms": _TABLE,
    "legs": _TABLES,
    "caps": _TABLES,
    "reading": _TABLE,
}
#: What every clause may say, whatever its instrument. More belongs to instruments (see ledger/grants.py).
TERMS: Final[Mapping[str, Form]] = {
    "rounding_unit_fen": whole(1),
    "recovery_restores": one_of(*READINGS["A13"]),
    "budget_short": one_of(*READINGS["A28"]),
    "quality": TEXT,
}
SHAPES: Final[Mapping[str, Mapping[str, Form]]] = {
    "share": {"of": TEXT, "rate": RATE},
    "points": {"of": TEXT, "rate": RATE, "year_days": whole(1)},
    "fixed": {"amount_fen": whole(0)},
    "ladder": {
        "of": TEXT,
        "step_fen": whole(1),
        "first_fen": whole(0),
        "further_fen": whole(0),
        "first_reach": one_of(*READINGS["A18"]),
    },
}
_SHAPE: Final[Mapping[str, Form]] = {"shape": one_of(*SHAPES)}
_CAP: Final[Mapping[str, Form]] = {
    "part": IDENTIFIER,
    "name": IDENTIFIER,
    "key": some_of(*KEY_KINDS),
    "window": one_of(*WINDOWS),
    "limit": _TABLE,
    "dated_by": IDENTIFIER,
    "effective_from": DAY,
    "refusal": one_of(*CODES),
}
_CAP_SAID: Final = ("part", "key", "limit", "effective_from", "refusal")


class Checked:
    """Where in the rulebooks something stands that is being checked. With `by_reading` a value may still be the code of
    a reading, which is looked up once the call lies over its measure."""

    def __init__(self, en: str, zh: str, *, by_reading: bool = False) -> None:
        self._en, self._zh, self._by_reading = en, zh, by_reading

    def wrong(self, en: str, zh: str) -> UnusableRulebook:
        """What is wrong there."""
        return UnusableRulebook(f"{self._en}: {en}", f"{self._zh}：{zh}")

    def clause(self, clause_id: str) -> Checked:
        """A clause in it."""
        return Checked(f"{self._en}: {clause_id}", f"{self._zh}：{clause_id}", by_reading=self._by_reading)

    def value(self, field: str, value: Any, form: Form) -> None:
        """One field has to be of a form. Raises UnusableRulebook."""
        if form.fits(value) or (self._by_reading and isinstance(value, str) and value in READINGS):
            return
        shown = reprlib.repr(value)
        raise self.wrong(
            f"{field} has to be {form.en}, not {shown}", f"{field} 应为{form.zh}，不能是 {shown}"
        )

    def table(
        self, prefix: str, table: Mapping[str, Any], forms: Mapping[str, Form], said: Sequence[str] = ()
    ) -> None:
        """A table holds `said`, of `forms` what it likes, and nothing else. Raises UnusableRulebook."""
        for name, value in table.items():
            if name not in forms:
                shown, listed = reprlib.repr(prefix + name), ", ".join(forms)
                raise self.wrong(
                    f"there is no {shown}; there are {listed}", f"没有 {shown}；可用的有 {listed}"
                )
            self.value(prefix + name, value, forms[name])
        self.said(prefix, table, {name: forms[name] for name in said})

    def said(self, prefix: str, table: Mapping[str, Any], forms: Mapping[str, Form]) -> None:
        """A table holds all these. Raises UnusableRulebook."""
        for name, form in forms.items():
            if name not in table:
                raise self.wrong(f"{prefix}{name} is missing, {form.en}", f"缺少 {prefix}{name}（{form.zh}）")

    def once(self, field: str, names: Sequence[str]) -> None:
        """No name stands twice. Raises UnusableRulebook."""
        for i, name in enumerate(names):
            if name in names[:i]:
                raise self.wrong(f"{field} {name} stands there twice", f"{field} {name} 出现两次")


def check_document(content: Mapping[str, Any]) -> None:
    """A measure or a call by itself, as far as it can be judged without the other. Raises UnusableRulebook."""
    known = IDENTIFIER.fits(content.get("id"))
    at = (
        Checked(content["id"], content["id"], by_reading=True)
        if known
        else Checked("the rulebook", "规则文件")
    )
    at.value("id", content.get("id"), IDENTIFIER)
    at.value("layer", content.get("layer"), one_of(*LAYERS))
    layer = content["layer"]
    at.table("", content, _DOCUMENTS[layer], _SAID[layer])
    clauses = content.get("clauses", [])
    own = {"instrument": IDENTIFIER} if layer == "measure" else {}
    for clause in clauses:
        at.value("the id of a clause", clause.get("id"), IDENTIFIER)
        _check_clause(at.clause(clause["id"]), clause, {**_CLAUSE, **own}, tuple(own))
    at.once("clause", [clause["id"] for clause in clauses])
    at.once("instrument", [clause["instrument"] for clause in clauses if own])


def _check_clause(
    at: Checked, clause: Mapping[str, Any], forms: Mapping[str, Form], said: Sequence[str]
) -> None:
    """A clause as its document states it."""
    at.table("", clause, forms, said)
    check_readings(at, clause.get("reading", {}))
    for section in ("legs", "caps"):
        entries = clause.get(section, [])
        for entry in entries:
            at.value(f"the part of one of {section}", entry.get("part"), IDENTIFIER)
        at.once(f"{section} part", [entry["part"] for entry in entries])
    for cap in clause.get("caps", []):
        at.table(f"caps.{cap['part']}.", cap, _CAP)
    for name, value in clause.get("terms", {}).items():
        if name in TERMS:
            at.value(f"terms.{name}", value, TERMS[name])


def check_readings(at: Checked, reading: Mapping[str, Any]) -> None:
    """Every reading is one that is built. Raises UnusableRulebook."""
    at.table("reading.", reading, {code: one_of(*values) for code, values in READINGS.items()})


def check_shape(at: Checked, prefix: str, parameters: Mapping[str, Any], beside: Mapping[str, Form]) -> None:
    """A shape with all its parameters, and what may stand `beside` them. Raises UnusableRulebook."""
    at.said(prefix, parameters, _SHAPE)
    at.value(f"{prefix}shape", parameters["shape"], _SHAPE["shape"])
    own = SHAPES[parameters["shape"]]
    at.table(prefix, parameters, {**beside, **_SHAPE, **own}, tuple(own))


def check_leg(at: Checked, leg: Mapping[str, Any]) -> None:
    """A leg as it stands after the call. Raises UnusableRulebook."""
    check_shape(at, f"legs.{leg['part']}.", leg, {"part": IDENTIFIER})


def check_cap(at: Checked, cap: Mapping[str, Any]) -> None:
    """A cap as it stands after the call. Raises UnusableRulebook."""
    prefix = f"caps.{cap['part']}."
    at.table(prefix, cap, _CAP, _CAP_SAID)
    check_shape(at, f"{prefix}limit.", cap["limit"], {})
    window = cap.get("window", WINDOWS[0])
    at.once(f"{prefix}key", [*cap["key"], *([] if window == WINDOWS[0] else [window])])
