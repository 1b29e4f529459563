"""Why, what changed, what if, and samples, as commands: one document, tables in two languages, exit codes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.http.what_if import _TENTH as A_TENTH
from tests.cli.program import BANK, FIRM, OPENING, ROOT, Program, claim, draw
from tests.cli.test_contract import tamper
from tests.support import fresh_database


@pytest.fixture(scope="module")
def told(embedded_server: str) -> Iterator[Program]:
    """A round, a firm, a bank, a loan; a grant at 6 and a refusal at 7."""
    with fresh_database(embedded_server) as address:
        program = Program(address=address)
        program.record(*OPENING, claim())
        program.run(claim("C2", day="2023-04-01"))
        yield program


RATE = "SX-1.legs.interest_share.rate=2/5"


@pytest.fixture(scope="module")
def long_log(embedded_server: str) -> Iterator[Program]:
    """Some nine thousand loans: more than is read at once, and once more."""
    with fresh_database(embedded_server) as address:
        program = Program(address=address)
        program.record(*OPENING, *[draw(f"M{number}") for number in range(9_000)])
        yield program


def test_verify_decisions(told: Program, embedded_server: str) -> None:
    """A log that comes out as it was decided is ok; one that somebody changed exits 1 and names table and position."""
    assert told.ask("verify", "decisions")["ok"] is True
    with fresh_database(embedded_server) as address:
        program = Program(address=address)
        program.record(*OPENING, claim())
        changed = "replace(encode(data, 'escape'), '6000000', '7000000')::bytea"
        forged = f"update events set data = {changed} where position = 6"
        tamper(address, "alter table events disable trigger all", forged)
        answer = program("verify", "decisions", "--json")
        assert answer.code == 1
        (finding,) = answer.document["findings"]
        assert (finding["check"], finding["table"], finding["position"]) == ("decisions", "events", 6)
        assert any(f["check"] == "decisions" for f in program("verify", "--json").document["findings"])


@pytest.mark.parametrize("words", [("verify", "log"), ("verify", "decisions"), ("what-if", "--set", RATE)])
def test_long_work_says_how_far_it_is(long_log: Program, words: tuple[str, ...]) -> None:
    """On a terminal, and leaves nothing of it behind; elsewhere standard error stays empty."""
    ours, theirs = os.openpty()
    program = [*long_log.words(*words), "--json"]
    done = subprocess.run(
        program, cwd=ROOT, env=long_log.variables(), stdout=subprocess.PIPE, stderr=theirs, check=True
    )
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert "\r 4" in shown and " %\r" in shown
    assert shown.endswith("\r     \r")
    assert done.stdout.startswith(b"{")
    assert long_log(*words, "--json").err == ""


def test_explain_keeps_its_contract_beside_the_tree(told: Program) -> None:
    """The fields of old, a tree from the amount to the events, what it would be today; words in two languages."""
    answer = told.ask("explain", 6)
    assert (answer["position"], answer["amount_fen"]) == (6, 6_000_000)
    assert answer["tree"]["inputs"] and answer["today"]["amount_fen"] == 6_000_000
    assert "三" in told("explain", 7, KEJIN_LANG="zh").out.decode()
    shown = told("explain", 7).out.decode()
    assert "principal_cap" in shown
    assert "today" in shown
    assert "1 use, the last @6" in shown


def test_a_refusal_names_the_rules_that_decided_it_or_none(embedded_server: str) -> None:
    """An object either way: empty where a round is there already, whatever rulebook the command itself asked for."""
    with fresh_database(embedded_server) as address:
        program = Program(address=address)
        program.record(*OPENING, claim())
        again, capped = program.run({**OPENING[0], "key": "again"}, claim("C2", day="2023-04-01")).lines
        assert (again["code"], capped["code"]) == ("duplicate_round", "principal_cap_reached")
        assert program.ask("explain", again["positions"][0])["rulebook"] == {}
        assert program.ask("explain", capped["positions"][0])["rulebook"]["measure"] == OPENING[0]["rulebook"]
        shown = program("explain", again["positions"][0])
        assert (shown.code, "duplicate_round" in shown.out.decode()) == (0, True)


def test_reviews_are_told_in_words_and_room_that_came_back_is_no_use(embedded_server: str) -> None:
    """What experts said is no list of Python; of a cap used twice and freed once both are told."""
    decided = {"decided_fen": 1_000_000, "document": "文-1", "reviews": [
        {"kind": kind, "passed": True, "document": f"审-{kind}", "on": "2024-06-01"} for kind in ("expert", "onsite")
    ]}  # fmt: skip
    void = {"command": "void", "claim": "C1", "reason": "错", "effective_on": "2024-07-01"}
    grant = {"command": "claim-risk-compensation", "claim": "R1", "round": "R1", "payee": BANK, **decided}
    with fresh_database(embedded_server) as address:
        program = Program(address=address)
        program.record(*OPENING, claim(), void, claim("C2"))
        refused, granted = program.run(
            claim("C3", day="2023-04-01"), {**grant, "effective_on": "2024-07-03"}
        ).lines
        assert (refused["positions"], refused["code"]) == ([9], "principal_cap_reached")
        assert granted["outcome"] == "accepted"
        english, chinese = (program("explain", 10, KEJIN_LANG=lang).out.decode() for lang in ("en", "zh"))
        assert (
            "reviews document 审-expert, kind expert, on 2024-06-01, passed yes; document 审-onsite"
            in english
        )
        assert "passed 是" in chinese
        english, chinese = (program("explain", 9, KEJIN_LANG=lang).out.decode() for lang in ("en", "zh"))
        assert "2 uses, freed once, the last @6" in english
        assert "共使用 2 次，释放 1 次，最近 @6" in chinese
        found = {
            cap["part"]: (cap["uses"], cap["freed"]) for cap in program.ask("explain", 9)["tree"]["caps"]
        }
        assert set(found.values()) == {(2, 1)}


def test_what_has_nothing_to_explain_is_told_in_either_language(told: Program) -> None:
    """A fact computed no amount: one line, all of it in the reader's language."""
    english, chinese = told("explain", 5), told("explain", 5, KEJIN_LANG="zh")
    assert (english.code, chinese.code) == (2, 2)
    assert english.complaint == "position 5 is a LoanDrawn: it computed no amount; name a claim's event"
    assert chinese.complaint == "第 5 条为 LoanDrawn，未计算金额；请给出申请的事件序号"


def test_explain_as_known_at_a_position_is_what_http_tells(told: Program) -> None:
    """What the claim would be "today" is as known then: nothing of what was recorded since."""
    then, now = (told.ask("explain", 6, *known) for known in (("--known-position", 6), ()))
    assert then["today"]["known_position"] == 6 < now["today"]["known_position"]
    assert {**then, "today": None} == {**now, "today": None}


def test_diff_between_two_positions(told: Program) -> None:
    """The line of the grant alone makes up what became less available."""
    answer = told.ask("diff", "public/round/R1/available", "--from-position", 5)
    assert answer["difference_fen"] == -6_000_000
    assert [(line["position"], line["amount_fen"]) for line in answer["lines"]] == [(6, -6_000_000)]
    assert "@6" in told("diff", "round", "R1", "--from-position", 5, KEJIN_LANG="zh").out.decode()


def test_diff_between_two_instants(told: Program) -> None:
    """What was known at an instant is a position: the same answer as by that."""
    words = ("diff", "public/round/R1/available")
    known = told.events()[4]["recorded_at"]
    position = told.ask("balance", "public/treasury", "--known-at", known)["known_position"]
    by_instant = told.ask(*words, "--from-known-at", known)
    assert by_instant == told.ask(*words, "--from-position", position)
    assert told.ask(*words, "--to-known-at", known) == told.ask(*words, "--to-position", position)


def test_what_if_writes_nothing(told: Program) -> None:
    """Another rate changes what would have been granted, and the log has as many events as before."""
    before = len(told.events())
    answer = told.ask("what-if", "--set", "SX-1.legs.interest_share.rate=1/4")
    assert answer["settings"] == ["SX-1.legs.interest_share.rate=1/4"]
    assert answer["difference_fen"] == -3_000_000 + 3_000_000
    assert len(told.events()) == before
    assert (
        "SX-1" in told("what-if", "--set", "SX-1.legs.interest_share.rate=1/4", KEJIN_LANG="zh").out.decode()
    )
    listed = told.ask("what-if", "--list")
    assert {"document": "shanxi-2022", "set": "SX-1.legs.interest_share.rate", "value": "1/2"} in listed


def test_settings_beside_a_foreign_rulebook_are_of_its_clauses(told: Program, tmp_path: Path) -> None:
    """--list shows them; one of a clause that is not in use any more is one line, in two languages, exit 2."""
    (file := tmp_path / "other.toml").write_text(A_TENTH, "utf-8")
    listed = told.ask("what-if", "--rulebook", file, "--list")
    assert {"document": "shanxi-2022", "set": "O-1.legs.share.rate", "value": "1/10"} in listed
    half = told.ask("what-if", "--rulebook", file, "--set", "O-1.legs.share.rate=1/2")
    assert half["settings"] == ["O-1.legs.share.rate=1/2"]
    assert half["now_fen"] > told.ask("what-if", "--rulebook", file)["now_fen"]
    for words, zh in ((("--set", RATE), "已不在用"), (("--rulebook", file), "只给出其中一份")):
        answer = told("what-if", "--rulebook", file, *words)
        assert (answer.code, answer.out) == (2, b"")
        assert answer.complaint
        assert zh in told("what-if", "--rulebook", file, *words, KEJIN_LANG="zh").complaint


def test_sample_keeps_its_seed(told: Program) -> None:
    """A new seed is in the answer; with it the same claims are drawn again."""
    first = told.ask("sample", "--by", "amount", "--size", 1)
    again = told.ask("sample", "--by", "amount", "--size", 1, "--seed", first["seed"])
    assert first == again
    assert first["claims"][0]["positions"] == [5, 6]
    assert first["seed"] in told("sample", "--seed", first["seed"], KEJIN_LANG="zh").out.decode()


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "99"),
        ("explain", "7", "--known-position", "6"),
        ("explain", "1", "--known-position", "99"),
        ("diff", "public/treasury", "--from-position", "99"),
        ("diff", "public/treasury", "--to-position", "0"),
        ("what-if", "--list", "--known-position", "99"),
        ("sample", "--known-position", "0"),
    ],
    ids=" ".join,
)
def test_what_is_beyond_the_log_is_not_known(words: tuple[str, ...], told: Program) -> None:
    """A position that is not there is not_known, exit 2, one line."""
    answer = told(*words, "--json")
    assert (answer.code, answer.out) == (2, b"")
    assert answer.complaint.startswith("not_known: ")


@pytest.mark.parametrize(
    "words",
    [
        ("diff", "nonsense"),
        ("diff", "firm"),
        ("diff", "firm", "123"),
        ("diff", "public/treasury", "--to-on", "2024-02-30"),
        ("diff", "round", "nope"),
        ("diff", "round", "R1", "--from-position", "1", "--to-position", "1"),
        ("diff", "public/treasury", "--from-position", "1", "--from-known-at", "2026-01-01T00:00:00Z"),
        ("diff", "public/treasury", "--to-known-at", "yesterday"),
        ("diff", "firm", "91110000101623741K"),
        ("diff", "bank", "91110000101623741K"),
        ("what-if",),
        ("what-if", "--set", "SX-1.reading.A1=decade"),
        ("what-if", "--rulebook", "/nowhere.toml"),
        ("what-if", "--rulebook", __file__),
        ("sample", "--by", "luck"),
        ("what-if", "--set", "SX-1.reading.A1=round", "--set", "SX-1.reading.A1=year"),
        ("sample", "--round", "nope"),
        ("sample", "--round", "R1", "--known-position", "1"),
        ("sample", "--size", "0"),
        ("sample", "--seed", ""),
    ],
    ids=" ".join,
)
def test_what_cannot_be_used_is_one_clear_line(words: tuple[str, ...], told: Program) -> None:
    """Unusable words exit 2 with one line on standard error, in Chinese too."""
    answer = told(*words, "--json")
    assert (answer.code, answer.out) == (2, b"")
    assert answer.complaint
    assert told(*words, KEJIN_LANG="zh").complaint


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("diff", "public/treasury", "--from-on", "2024-13-01"), "--from-on"),
        (("diff", "public/treasury", "--to-on", "2024-13-01"), "--to-on"),
        (("statement", "public/treasury", "--from", "2024-02-30"), "--from"),
        (("statement", "public/treasury", "--from", "2024-02-01", "--to", "2024-02-30"), "--to"),
        (("sample", "--on", "2024-02-30"), "--on"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_an_unreal_date_is_told_by_its_own_option(words: tuple[str, ...], option: str, told: Program) -> None:
    """The complaint names the option that the person wrote."""
    answer = told(*words)
    assert answer.code == 2
    assert answer.complaint.startswith(f"{option} '2024-")
    assert told(*words, KEJIN_LANG="zh").complaint.startswith(f"{option} '2024-")


def test_what_there_is_but_moved_nothing_is_no_error(told: Program) -> None:
    """A party with no account, and a round with no grant, have an empty answer: they exist."""
    assert told.ask("diff", "bank", FIRM)["lines"] == []
    assert told.ask("sample", "--round", "R1", "--known-position", "2")["claims"] == []
