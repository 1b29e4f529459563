"""Lists of claims, checks before the notice, and reports for people, as real processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest

from api.cli.commands import example
from api.printing import print_table
from api.service.words import word
from ledger import commands
from ledger.catalogue import catalogue
from tests.cli.program import BANK, FIRM, OPENING, OTHER_FIRM, Program, claim, draw, register

CLAIMS = ("C1", "C2", "C3")


@pytest.fixture
def kejin(database: str) -> Program:
    """The program on a ledger with three decided claims of two firms."""
    program = Program(database)
    program.record(
        *OPENING,
        register(OTHER_FIRM, "firm"),
        draw("L2", firm=OTHER_FIRM),
        draw("L3", firm=OTHER_FIRM, principal_fen=10**9),
        claim("C1", slips=[{"number": "S1", "amount_fen": 1}]),
        claim("C2", loan="L2"),
        claim("C3", loan="L3", interest_paid_fen=50_000_000),
    )
    return program


def _list(folder: Path, *lines: str) -> Path:
    file = folder / "list"
    file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return file


def test_a_list_is_publicised_and_the_same_list_then_paid(kejin: Program, tmp_path: Path) -> None:
    """Ids a line, options for all, own fields where a line has them; the same file again is repeated."""
    file = _list(tmp_path, "C1", '{"claim": "C2"}', "C3")
    common = ("--notice", "N1", "--effective-on", "2024-09-01", "--json")
    noticed = kejin("publicise", file, *common)
    assert [line["outcome"] for line in noticed.lines] == ["accepted"] * 3
    assert [line["outcome"] for line in kejin("publicise", file, *common).lines] == ["repeated"] * 3
    paid = kejin("pay", file, "--voucher", "V1", "--paid-on", "2024-10-01", "--as", "cashier", "--json")
    assert [line["outcome"] for line in paid.lines] == ["accepted"] * 3
    assert paid.code == 0
    last = kejin.events("--type", "GrantPaid")[-1]
    assert (last["principal"], last["data"]["voucher"], last["effective_on"]) == (
        "cashier",
        "V1",
        "2024-10-01",
    )


def test_a_bad_line_of_a_list_harms_no_other(kejin: Program, tmp_path: Path) -> None:
    """An id that is none is invalid, an unknown one refused; the exit code is that of run."""
    file = _list(tmp_path, "C1", "not an id", "nobody")
    answer = kejin("hold", file, "--reason", "query", "--json")
    assert [line["outcome"] for line in answer.lines] == ["accepted", "invalid", "refused"]
    assert answer.code == 2
    assert kejin("hold", _list(tmp_path, "nobody"), "--reason", "again", "--json").code == 1


@pytest.mark.parametrize("command", ["void", "hold"])
def test_a_list_does_one_thing(kejin: Program, tmp_path: Path, command: str) -> None:
    """A line of a list that names a command, be it the list's own, is invalid and records nothing."""
    before = kejin.events()
    line = json.dumps({"command": command, "claim": "C1", "reason": "x"})
    answer = kejin("hold", _list(tmp_path, line), "--reason", "query", "--json")
    assert (answer.code, [line["outcome"] for line in answer.lines]) == (2, ["invalid"])
    assert "kejin run" in answer.complaint
    assert kejin.events() == before


def test_a_check_of_what_was_recorded_before_answers_from_the_ledger(kejin: Program, tmp_path: Path) -> None:
    """A list that was run already is checked like any other: what its claims were granted, what the round has."""
    lines = (claim("C2", loan="L2"), claim("C3", loan="L3", interest_paid_fen=50_000_000))
    answer = kejin("check", _list(tmp_path, *(json.dumps(line) for line in lines)), "--json")
    assert answer.code == 0
    (total,) = answer.document["totals"]
    assert total["count"] == 2
    (round_,) = answer.document["rounds"]
    available = kejin.ask("balance", f"public/round/{round_['round']}/available")
    assert round_["left_fen"] == available["balance_fen"]


def test_a_check_tells_refusals_cuts_totals_and_what_is_left_and_writes_nothing(
    kejin: Program, tmp_path: Path
) -> None:
    """The whole list before the notice: later lines stand on earlier ones, and the log stays as it was."""
    before = kejin.events()
    period: dict[str, Any] = {
        "period_from": "2024-01-01",
        "period_to": "2024-03-31",
        "effective_on": "2024-08-01",
    }
    lines = [
        claim("D1", **period),  # the principal cap of L1 is used up
        claim("D2", loan="L3", **{**period, "interest_paid_fen": 40_000_000}),  # the firm's cap
        {"command": "claim-loan-interest", "claim": "D3"},
    ]
    answer = kejin("check", _list(tmp_path, *(json.dumps(line) for line in lines)), "--json")
    document: dict[str, Any] = answer.document
    assert answer.code == 2
    assert [row["line"] for row in document["invalid"]] == [3]
    assert {row["claim"]: row["code"] for row in document["refused"]} == {
        "D1": "principal_cap_reached",
        "D2": "firm_cap_reached",
    }
    assert kejin.events() == before
    available = kejin.ask("balance", f"public/round/{OPENING[0]['round']}/available")["balance_fen"]
    smaller: dict[str, Any] = {**period, "interest_paid_fen": 2_000}
    fresh = draw("L9", principal_fen=10**9)
    good = [fresh, claim("E1", loan="L9", **smaller), claim("E2", loan="L9", **smaller)]
    answer = kejin("check", _list(tmp_path, *(json.dumps(line) for line in good)), "--json")
    assert [row["code"] for row in answer.document["refused"]] == ["duplicate_claim"]
    assert answer.document["rounds"][0]["wanted_fen"] == 1_000
    assert answer.document["rounds"][0]["left_fen"] == available - 1_000


def test_a_round_reports_what_was_refused_of_an_instrument_without_a_grant(kejin: Program) -> None:
    """Also before its first grant, and when its only one was voided."""
    opening = {**OPENING[0], "round": "Q", "budget_fen": 1}
    kejin.record(opening)
    assert kejin.run(claim("Q1", round="Q")).lines[0]["outcome"] == "refused"
    (row,) = kejin.ask("report", "round", "Q")["instruments"]
    assert (row["instrument"], row["grants"], row["payees"], row["refused"]) == ("loan_interest", 0, 0, 1)


def test_a_round_reports_its_money_by_instrument_and_control_totals_that_do_not_tie(kejin: Program) -> None:
    """Appropriated = available + committed + paid + recovered + returned; a difference is shown, never forced."""
    round_id = OPENING[0]["round"]
    kejin.record({"command": "assert-control-total", "round": round_id, "count": 5, "source": "a newspaper"})
    report = kejin.ask("report", "round", round_id)
    parts = ("available_fen", "committed_fen", "paid_net_fen", "recovered_fen", "returned_fen")
    assert report["appropriated_fen"] == sum(report[part] for part in parts) == OPENING[0]["budget_fen"]
    (instrument,) = report["instruments"]
    assert (instrument["instrument"], instrument["grants"], instrument["payees"]) == ("loan_interest", 3, 2)
    assert instrument["granted_fen"] == report["committed_fen"]
    (total,) = report["control_totals"]
    assert (total["asserted_count"], total["ledger_count"], total["difference_count"]) == (5, 3, -2)
    assert not total["ties"]
    assert "UNRECONCILED" in kejin("report", "round", round_id).out.decode()


def test_a_firm_reports_loans_grants_caps_and_refusals_and_near_caps_names_it(kejin: Program) -> None:
    """What compliance asks of one firm, and which firms are at 80, 90 and 100 % of a cap."""
    report = kejin.ask("report", "firm", OTHER_FIRM)
    assert [row["claim"] for row in report["grants"]] == ["C2", "C3"]
    assert {row["loan"] for row in report["loans"]} == {"L2", "L3"}
    assert any(row["key"] == OTHER_FIRM and row["room_fen"] == 0 for row in report["caps"])
    (near,) = kejin.ask("report", "near-caps")
    assert (near["key"], near["level_percent"]) == (OTHER_FIRM, 100)
    assert kejin.ask("report", "firm", FIRM)["names"][0]["name"]


@pytest.mark.parametrize("words", [("near-caps",), ("round", "R1"), ("portfolio",), ("firm", OTHER_FIRM)])
def test_no_figure_is_folded_in_a_narrow_terminal(kejin: Program, words: tuple[str, ...]) -> None:
    """Whatever the width of a terminal, every amount of the table in a pipe stands whole on one line."""
    whole = kejin("report", *words).out.decode()
    amounts = set(re.findall(r"[0-9][0-9,.]* 万?元", whole))
    assert amounts
    ours, theirs = os.openpty()
    try:
        process = kejin.launch(
            ("report", *words), {"COLUMNS": "40"}, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    finally:
        os.close(ours)
    assert process.wait() == 0
    assert amounts <= set(re.findall(r"[0-9][0-9,.]* 万?元", shown.decode()))


def test_nothing_of_a_table_is_cut_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random tables in a terminal of 80 columns: every amount is there whole, any other cell in pieces at most."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    chance = Random(7)
    for _ in range(200):
        columns = chance.randrange(4, 14)
        right = {n for n in range(columns) if chance.random() < 0.7}
        row = [
            f"{chance.randrange(10 ** chance.randrange(1, 16)):,}.{number:02d} 元"
            if number in right
            else "甲公司" * chance.randrange(6)
            for number in range(columns)
        ]
        print_table([f"heading {n}" for n in range(columns)], [row], right)
        shown = capsys.readouterr().out
        assert all(row[number] in shown for number in right), (row, shown)
        assert shown.count("司") == sum(cell.count("司") for cell in row)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # its other end was closed
        return b""


def test_tables_are_in_the_readers_language(kejin: Program) -> None:
    """In Chinese no heading is the name of a member."""
    for words, name in ((("firm", FIRM), "outstanding_fen"), (("duties",), "entered_and_decided")):
        shown = kejin("report", *words, KEJIN_LANG="zh").out.decode()
        assert word(name, "zh") in shown
        assert name.removesuffix("_fen") not in shown


def test_a_name_cannot_turn_what_stands_beside_it(kejin: Program) -> None:
    """Signs that nobody sees are shown by their numbers."""
    hidden = register("91110000600037341L", "bank", name="\u202e行银甲\u200b")
    kejin.record(hidden, draw("L9", bank=hidden["uscc"]))
    shown = kejin("report", "portfolio").out.decode()
    assert "\\u202e行银甲\\u200b" in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_a_list_in_another_encoding_says_what_to_do(kejin: Program, tmp_path: Path, encoding: str) -> None:
    """In the reader's language, and without a word of JSON, which a list of ids is not."""
    file = tmp_path / "list"
    file.write_bytes("申请一\n".encode(encoding))
    answer = kejin("publicise", file, "--notice", "N", KEJIN_LANG="zh")
    assert answer.code == 2
    assert "UTF-8" in answer.out.decode()
    assert "JSON" not in answer.out.decode() + answer.err
    assert "codec" not in answer.out.decode() + answer.err


def test_the_portfolio_reports_loans_by_bank_and_the_credit_on_each_public_yuan(kejin: Program) -> None:
    """Lent, defaulted, lost per bank and in all, on both clocks, with rates and leverage; a table for people."""
    lent_fen = sum(_lent(kejin))
    before = kejin.events()[-1]["position"]
    kejin.record(
        {"command": "report-default", "loan": "L3", "outstanding_fen": 10**8, "defaulted_on": "2024-12-01"},
        {
            "command": "report-loss",
            "loan": "L3",
            "loss_fen": 10**7,
            "document": "D",
            "effective_on": "2025-01-01",
        },
    )
    report = kejin.ask("report", "portfolio")
    (bank,) = report["banks"]
    assert (bank["bank"], bank["loans"], bank["lent_fen"]) == (BANK, 3, lent_fen)
    assert (bank["defaults"], bank["defaulted_fen"], bank["lost_fen"]) == (1, 10**8, 10**7)
    assert (bank["outstanding_fen"], bank["in_default_fen"]) == (lent_fen - 10**7, 10**8 - 10**7)
    assert bank["loss_rate"] == f"0.{10**7 * 10_000 // lent_fen:04}"
    assert {n: v for n, v in report["total"].items() if n != "bank"}.items() <= bank.items()
    granted_fen = report["public"]["granted_fen"]
    times = lent_fen * 10_000 // granted_fen
    assert report["public"]["lent_per_granted"] == f"{times // 10_000}.{times % 10_000:04}"
    assert report["public"]["lent_per_paid"] is None
    earlier = kejin.ask("report", "portfolio", "--known-position", before)["total"]
    on_the_day = kejin.ask("report", "portfolio", "--on", "2024-12-01")["total"]
    assert (earlier["defaults"], on_the_day["defaults"], on_the_day["lost_fen"]) == (0, 1, 0)
    assert "loss rate" in kejin("report", "portfolio").out.decode()


def _lent(kejin: Program) -> list[int]:
    return [event["data"]["principal_fen"] for event in kejin.events("--type", "LoanDrawn")]


def test_a_banks_ladder_says_what_its_mark_rests_on_and_what_is_missing(kejin: Program) -> None:
    """The award with its certificate, the certified totals, the total of the next award; a table for people."""
    yi = 10**10
    certify: dict[str, Any] = {"command": "certify-credit", "bank": BANK, "product": "P"}
    award = {"command": "claim-credit-award", "claim": "A1", "round": OPENING[0]["round"], "bank": BANK}
    kejin.record(
        {**certify, "year": 2023, "total_fen": 18 * yi // 10, "certificate": "Z1"},
        {**award, "product": "P", "year": 2023},
        {**certify, "year": 2024, "total_fen": 19 * yi // 10, "certificate": "Z2"},
    )
    position = kejin.events("--type", "CreditCertified")[0]["position"]
    report = kejin.ask("report", "milestones", BANK)
    (product,) = report["products"]
    assert (report["bank"], product["product"], product["mark"]) == (BANK, "P", 1)
    assert (product["next_at_fen"], product["missing_fen"]) == (2 * yi, yi // 10)
    (granted,) = product["awards"]
    assert (granted["claim"], granted["certified_at"], granted["reached"]) == ("A1", position, 1)
    assert product["awarded_fen"] == granted["amount_fen"]
    assert [entry["year"] for entry in product["certified"]] == [2023, 2024]
    assert "A1" in kejin("report", "milestones", BANK).out.decode()
    assert kejin.ask("report", "milestones", BANK, "--known-position", position)["products"][0]["mark"] == 0


def test_duties_and_duplicates_show_who_did_what_and_what_was_paid_twice(
    kejin: Program, tmp_path: Path
) -> None:
    """Who entered, publicised and paid each claim; the same payee or voucher paid twice."""
    file = _list(tmp_path, "C2", "C3")
    kejin("publicise", file, "--notice", "N", "--effective-on", "2024-09-01", "--as", "ann")
    kejin("pay", file, "--voucher", "V", "--paid-on", "2024-10-01", "--as", "bob")
    duties = {row["claim"]: row for row in kejin.ask("report", "duties")}
    assert duties["C2"]["publicised"] == ["ann"]
    assert duties["C2"]["paid"] == ["bob"]
    assert duties["C1"]["paid"] == []
    found = {(row["same"], tuple(row["claims"])) for row in kejin.ask("report", "duplicates")}
    assert ("payee", ("C2", "C3")) in found
    assert ("voucher", ("C2", "C3")) in found


@pytest.mark.parametrize(
    "words",
    [
        *(("nope",), ("round",), ("near-caps", "x"), ("round", "nope"), ("firm", "x")),
        *(("milestones",), ("milestones", FIRM), ("portfolio", "x")),
    ],
)
def test_a_report_that_cannot_be_is_one_clear_line(kejin: Program, words: tuple[str, ...]) -> None:
    """An unknown report, a missing or superfluous id, an unknown round or party: exit 2, one line."""
    answer = kejin("report", *words)
    assert (answer.code, answer.out) == (2, b"")
    assert answer.complaint


def test_commands_lists_every_command_and_explains_one(kejin: Program) -> None:
    """`kejin commands` teaches what `kejin run` takes, from the same registry."""
    listed = kejin.ask("commands")
    assert len(listed) == 32
    (one,) = kejin.ask("commands", "draw-loan")
    assert [field["name"] for field in one["fields"]][:2] == ["loan", "firm"]
    assert kejin("commands", "draw-laon").code == 2


@pytest.mark.parametrize("name", catalogue().specs)
def test_every_example_is_a_well_formed_command(name: str) -> None:
    """What `kejin commands NAME` shows to copy is a command that `kejin run` takes."""
    specs = catalogue().specs
    assert commands.read(example(specs[name]), specs, "2026-06-30").name == name
