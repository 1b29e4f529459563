"""Other rules to try: single parameters of adopted rulebooks set to another value, or a whole foreign rulebook. Pure.

A setting is spelled `CLAUSE.PATH=VALUE`, e.g. `SX-1.caps.firm_cap.limit.amount_fen=30000000`. It changes the measure
and every call that states the same parameter; `DOCUMENT:CLAUSE.PATH=VALUE` changes one of them alone.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from ledger.bilingual import Bilingual
from ledger.dates import is_day
from ledger.money import MAX_FEN
from ledger.rulebook.clauses import dates_limit
from ledger.rulebook.forms import READINGS, WINDOWS, UnusableRulebook, check_document
from ledger.rulebook.library import read_toml
from ledger.rulebook.shapes import is_rate
from ledger.subjects.loans import SECURITIES

Content = Mapping[str, Any]

#: Words that a parameter may take besides its present one.
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "window": WINDOWS,
    "interest_year": READINGS["A8"],
    "recovery_restores": READINGS["A13"],
    "reset": READINGS["A16"],
    "first_reach": READINGS["A18"],
    "after_default": READINGS["A25"],
}
#: What holds a rulebook together: another value would be another rule, which a rulebook of its own may state.
_FIXED: Final = ("part", "shape", "of", "key", "name", "refusal", "dated_by", "ratio")


class UnusableSetting(Bilingual):
    """A setting that cannot be read or changes nothing that exists."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a clause in a document, with its present value. `path` begins with the clause."""

    document: str
    path: tuple[str, ...]
    value: Any

    @property
    def name(self) -> str:
        """As a setting spells it."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter set to a value; in one document, or where it is None in every one that states it."""

    document: str | None
    path: tuple[str, ...]
    value: Any

    def __str__(self) -> str:
        value = ",".join(self.value) if isinstance(self.value, list) else self.value
        return (f"{self.document}:" if self.document else "") + f"{'.'.join(self.path)}={value}"


def parameters(contents: Iterable[Content]) -> list[Parameter]:
    """Every parameter of the documents that can be set: not the date of a cap that a fact dates."""
    contents = list(contents)
    dated = {(content["id"], *cap) for content in contents for cap in _dated_by_facts(content)}
    return [
        Parameter(content["id"], path, value)
        for content in contents
        for path, value in _parameters(content)
        if not dated & {(document, *path) for document in (content["id"], content.get("measure"))}
    ]


def _dated_by_facts(content: Content) -> Iterator[tuple[str, ...]]:
    """Of each cap whose limit a fact's date gives, the path of the date that it does not use."""
    for clause in content.get("clauses", ()):
        for cap in clause.get("caps", ()):
            if "dated_by" in cap:
                yield clause["id"], "caps", cap["part"], "effective_from"


def _parameters(content: Content) -> Iterator[tuple[tuple[str, ...], Any]]:
    for clause in content.get("clauses", ()):
        where = (clause["id"],)
        for section in ("terms", "reading"):
            yield from _leaves((*where, section), clause.get(section, {}))
        for section in ("legs", "caps"):
            for entry in clause.get(section, ()):
                dated = section == "caps" and dates_limit(content, entry)
                own = {"effective_from": content["effective_from"]} if dated else {}
                yield from _leaves((*where, section, entry["part"]), {**own, **entry})


def _leaves(where: tuple[str, ...], values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves((*where, name), value)
        elif name not in _FIXED and not _is_reading(value):
            yield (*where, name), value


def _is_reading(value: Any) -> bool:
    """Whether a value only points to a reading of the clause, which is what to set."""
    return isinstance(value, str) and value[:1] == "A" and value[1:].isdigit()


def read_setting(text: str, contents: Sequence[Content], replaced: Sequence[Content] = ()) -> Setting:
    """A setting given by a person, for the documents in use; `replaced` are those that were, before foreign rulebooks
    were laid over them. Raises UnusableSetting."""
    name, equals, value = text.partition("=")
    document, colon, path = name.partition(":")
    if not colon:
        document, path = "", name
    if not equals or not path:
        raise UnusableSetting(
            f"setting {text!r}: write CLAUSE.PATH=VALUE, e.g. SX-1.caps.firm_cap.limit.amount_fen=30000000",
            f"设定 {text!r}：写作 条款.路径=值，例如 SX-1.caps.firm_cap.limit.amount_fen=30000000",
        )
    if not contents:
        raise UnusableSetting(
            f"setting {text!r}: no round was opened yet, so no rulebook is adopted and nothing can be set",
            f"设定 {text!r}：尚未开立轮次，未采用任何规则，无可设参数",
        )
    names = [content["id"] for content in contents]
    if document and document not in names:
        listed = ", ".join(dict.fromkeys(names))
        raise UnusableSetting(
            f"setting {text!r}: no rulebook {document!r} was adopted; there are {listed}",
            f"设定 {text!r}：未采用过 {document!r}；已采用的有 {listed}",
        )
    known = [p for p in parameters(contents) if p.name == path.strip()]
    own = [p for p in known if p.document == document] or known
    if not own:
        gone = any(p.name == path.strip() for p in parameters(replaced))
        raise _unknown(text, path, parameters(contents), gone=gone)
    return Setting(document or None, own[0].path, _read_value(text, own[0], value.strip()))


def read_settings(
    texts: Iterable[str], contents: Sequence[Content], replaced: Sequence[Content] = ()
) -> list[Setting]:
    """Settings given by a person, as `read_setting`. Raises UnusableSetting, also where two set one parameter to
    different values."""
    stated = [(p.document, p.path) for p in parameters(contents)]
    chosen: list[Setting] = []
    values: dict[tuple[str, tuple[str, ...]], tuple[str, Any]] = {}
    for text in texts:
        setting = read_setting(text, contents, replaced)
        document, path = setting.document, setting.path
        for place in [(document, path)] if document else [place for place in stated if place[1] == path]:
            first, value = values.setdefault(place, (text, setting.value))
            if value != setting.value:
                raise UnusableSetting(
                    f"{first!r} and {text!r} set one parameter of {place[0]} to different values; give it once",
                    f"{first!r} 与 {text!r} 将 {place[0]} 的同一参数设为不同的值；请只给出一次",
                )
        chosen.append(setting)
    return chosen


def _unknown(text: str, path: str, known: list[Parameter], *, gone: bool) -> UnusableSetting:
    clause = path.partition(".")[0]
    near = [p for p in known if p.path[0] == clause] or known
    listed = ", ".join(dict.fromkeys(p.name for p in near))
    if gone:
        return UnusableSetting(
            f"setting {text!r}: {path!r} is not in use, another rulebook stands in its place; there are {listed}",
            f"设定 {text!r}：{path!r} 已不在用，为另一规则所取代；可设的有 {listed}",
        )
    return UnusableSetting(
        f"setting {text!r}: there is no parameter {path!r}; there are {listed}",
        f"设定 {text!r}：没有参数 {path!r}；可设的有 {listed}",
    )


def _read_value(text: str, parameter: Parameter, value: str) -> Any:
    """The value in the form of the present one. Raises UnusableSetting."""
    name, present = parameter.path[-1], parameter.value
    if isinstance(present, bool):
        return _word(text, value, ("true", "false")) == "true"
    if isinstance(present, int):
        return _integer(text, name, value)
    if isinstance(present, list):
        allowed = SECURITIES if name == "securities" else tuple(present)
        return [_word(text, word.strip(), allowed) for word in value.split(",")]
    if name == "rate":
        return _rate(text, value)
    if name == "effective_from":
        if not is_day(value):
            raise _unfit(text, "a real date YYYY-MM-DD", "真实日期 YYYY-MM-DD")
        return value
    if parameter.path[1] == "reading":
        return _word(text, value, READINGS.get(name, (str(present),)))
    return _word(text, value, _WORDS.get(name, (str(present),)))


def _integer(text: str, name: str, value: str) -> int:
    least = 1 if name in ("step_fen", "rounding_unit_fen", "year_days") else 0
    digits = value.replace("_", "").replace(",", "")
    fits = digits.isascii() and digits.isdigit() and len(digits) <= len(str(MAX_FEN))
    if not fits or not least <= int(digits) <= MAX_FEN:
        raise _unfit(
            text, f"a whole number from {least} (money in fen)", f"不小于 {least} 的整数（金额以分计）"
        )
    return int(digits)


def _rate(text: str, value: str) -> str:
    if not is_rate(value):
        raise _unfit(text, "a fraction such as 1/2 or 0.03", "分数，例如 1/2 或 0.03")
    return str(Fraction(value))


def _word(text: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        listed = ", ".join(allowed)
        raise _unfit(text, f"one of {listed}", f"以下之一：{listed}")
    return value


def _unfit(text: str, wanted_en: str, wanted_zh: str) -> UnusableSetting:
    return UnusableSetting(f"setting {text!r}: it wants {wanted_en}", f"设定 {text!r}：应为{wanted_zh}")


# --- foreign rulebooks --------------------------------------------------------------------------------

#: A rulebook is a few pages of text. Reading TOML takes time with the square of a dotted key, which stands on one line.
RULEBOOK_LENGTH_MAX: Final = 65_536
_LINE_LENGTH_MAX: Final = 4_000


def read_rulebook(text: str) -> Content:
    """A foreign rulebook from TOML text, as far as it can be judged by itself. Raises UnusableSetting."""
    if len(text) > RULEBOOK_LENGTH_MAX or any(len(line) > _LINE_LENGTH_MAX for line in text.splitlines()):
        raise UnusableSetting(
            f"a rulebook has at most {RULEBOOK_LENGTH_MAX} characters, a line of it {_LINE_LENGTH_MAX}",
            f"规则文件至多 {RULEBOOK_LENGTH_MAX} 个字符，每行至多 {_LINE_LENGTH_MAX} 个",
        )
    try:
        content = read_toml(text)
    except (ValueError, RecursionError) as error:  # also digits without end, and brackets
        raise UnusableSetting(f"the rulebook is no TOML: {error}", f"规则文件不是 TOML：{error}") from None
    try:
        check_document(content)
    except UnusableRulebook as error:
        raise UnusableSetting(str(error), error.zh) from None
    return content


# --- changed documents --------------------------------------------------------------------------------


def with_settings(content: Content, settings: Sequence[Setting]) -> Content:
    """A document with the settings that concern it."""
    # What it states by itself: a setting of this document alone is not undone by one of every document.
    stated = {path for path, _ in _parameters(content)}
    for setting in settings:
        if content["id"] == setting.document or (setting.document is None and setting.path in stated):
            content = _set(content, setting)
    return content


def _set(content: Content, setting: Setting) -> Content:
    clause_id, section, *path = setting.path
    changed: dict[str, Any] = copy.deepcopy(dict(content))
    clauses = changed.setdefault("clauses", [])
    clause = next((c for c in clauses if c["id"] == clause_id), None)
    if clause is None:
        clause = {"id": clause_id}
        clauses.append(clause)
    if section in ("legs", "caps"):
        part, *path = path
        entries = clause.setdefault(section, [])
        place = next((entry for entry in entries if entry["part"] == part), None)
        if place is None:
            place = {"part": part}
            entries.append(place)
    else:
        place = clause.setdefault(section, {})
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = setting.value
    return changed


def with_rulebooks(content: Content, others: Sequence[Content], adopted: Collection[str]) -> Content:
    """A document as it is once other rulebooks are laid over it. One of the same id takes its place; another measure
    takes the place of every measure, and the calls, which narrow a text that is not there any more, narrow nothing."""
    own = next((other for other in others if other["id"] == content["id"]), None)
    if own is not None:
        return own
    foreign = next((other for other in others if other["id"] not in adopted), None)
    if foreign is None:
        return content
    if content["layer"] == "measure":
        return {**foreign, "id": content["id"]}
    return {**content, "clauses": []}


def check_places(contents: Iterable[Content], others: Sequence[Content]) -> None:
    """Whether each of other rulebooks takes a place, and no place is taken twice. Raises UnusableSetting."""
    adopted = {content["id"]: content["layer"] for content in contents}
    for other in others:
        _check_place(other, adopted)
    for name, layer in adopted.items():
        takers = [other["id"] for other in others if _takes(other, name, layer, adopted)]
        if len(takers) > 1:
            listed = ", ".join(takers)
            raise UnusableSetting(
                f"{len(takers)} rulebooks would take the place of {name}: {listed}; give one of them",
                f"有 {len(takers)} 份规则将取代 {name}：{listed}；请只给出其中一份",
            )


def _check_place(other: Content, adopted: Mapping[str, str]) -> None:
    name, layer = other["id"], other["layer"]
    if adopted.get(name, layer) != layer:
        raise UnusableSetting(
            f"{name}: it was adopted as a {adopted[name]}, so a {layer} cannot take its place",
            f"{name}：已采用的是 {adopted[name]}，不能由 {layer} 取代",
        )
    if layer == "call" and name not in adopted:
        listed = ", ".join(sorted(adopted))
        raise UnusableSetting(
            f"no round was opened under the call {name}; adopted are {listed}",
            f"没有轮次依据通知 {name} 开立；已采用的有 {listed}",
        )


def _takes(other: Content, name: str, layer: str, adopted: Collection[str]) -> bool:
    """Whether a rulebook takes the place of an adopted one: of the same id, or as a measure of none of any measure."""
    return other["id"] == name or (layer == "measure" and other["id"] not in adopted)
