"""Golden cases by clause, in `tests/golden/*.toml`, and how to run one against any program.

A file has `[setup]` (named lists of commands) and `[[case]]` tables. A case is what was there (`setup`,
`given`), one command (`when`) and what follows (`then`): `outcome`, and where they apply `code`, `clause`,
`amount_fen`, `first`, `positions`, `balances`, `caps`, `milestones`. A command that was there must have been
accepted, or says `refused = "<code>"`.

Whoever runs the commands gives each its own default key, as the lines of one file have: two equal facts
in one case are two facts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

FOLDER = Path(__file__).parent / "golden"

Command = dict[str, Any]
Row = Mapping[str, Any]
Submit = Callable[[Command], Row]  # a command to its outcome line, as `kejin run` answers it


class Queries(Protocol):
    """The reads that a case may ask for; rows have the field names of `kejin caps` and `kejin milestones`."""

    def balance(self, account: str, on: str | None, known_position: int | None) -> int: ...

    def caps(self, on: str | None, known_position: int | None) -> list[Row]: ...

    def milestones(self, known_position: int | None) -> list[Row]: ...


@dataclass(frozen=True)
class Case:
    """One golden case; `given` holds the commands of its set-up too."""

    file: str
    title_zh: str
    title_en: str
    clause: str
    today: str
    given: tuple[Command, ...]
    when: Command
    then: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.file}: {self.title_en}"


def cases() -> Iterator[Case]:
    """Every case of every file, in order."""
    for path in sorted(FOLDER.glob("*.toml")):
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        setups = document.get("setup", {})
        for table in document["case"]:
            names = table.pop("setup", [])
            given = [command for name in names for command in setups[name]] + table.pop("given", [])
            yield Case(file=path.stem, given=tuple(given), **table)


def run_case(case: Case, submit: Submit, queries: Queries) -> None:
    """Submit what was given, then the command, and check all that the case expects."""
    for command in case.given:
        fields = dict(command)
        code = fields.pop("refused", None)
        expected = {"outcome": "refused", "code": code} if code else {"outcome": "accepted"}
        check(f"{case}: given {fields}", expected, submit(fields), ("outcome", "code"))
    answer = submit(dict(case.when))
    check(f"{case}: answer", case.then, answer, ("outcome", "code", "amount_fen"))
    named = [name for name in ("clause", "first", "positions") if name in case.then]
    check(f"{case}: answer", case.then, {"positions": [], **answer}, tuple(named))
    if "warnings" in case.then:
        check(f"{case}: answer", case.then, {"warnings": [], **answer}, ("warnings",))
    check_reads(case, queries)


def check_reads(case: Case, queries: Queries) -> None:
    for wanted in case.then.get("balances", []):
        balance_fen = queries.balance(wanted["account"], wanted.get("on"), wanted.get("known_position"))
        check(f"{case}: {wanted}", wanted, {"balance_fen": balance_fen}, ("balance_fen",))
    for wanted in case.then.get("caps", []):
        rows = queries.caps(wanted.get("on"), wanted.get("known_position"))
        check_row(f"{case}: cap", wanted, rows, ("key",))
    for wanted in case.then.get("milestones", []):
        rows = queries.milestones(wanted.get("known_position"))
        check_row(f"{case}: milestone", wanted, rows, ("bank", "product"))


def check_row(what: str, wanted: Row, rows: list[Row], key: tuple[str, ...]) -> None:
    """Exactly one row has the key, and every other field that the case names agrees."""
    found = [row for row in rows if all(row[name] == wanted[name] for name in key)]
    assert len(found) == 1, f"{what} {[wanted[name] for name in key]}: {len(found)} rows"
    names = [name for name in wanted if name not in ("on", "known_position")]
    check(f"{what} {dict(wanted)}", wanted, found[0], tuple(names))


def check(what: str, wanted: Row, found: Row, names: tuple[str, ...]) -> None:
    expected = {name: wanted.get(name) for name in names}
    actual = {name: found.get(name) for name in names}
    assert actual == expected, f"{what}\nexpected {expected}\nfound    {actual}"
