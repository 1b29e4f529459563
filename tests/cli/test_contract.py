"""What others rely on (design §5): every command as a real process on real PostgreSQL."""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cli.program import (
    BANK,
    FIRM,
    GUARANTOR,
    OPENING,
    OTHER_BANK,
    OTHER_FIRM,
    Answer,
    Line,
    Program,
    certify,
    claim,
    data_folder,
    draw,
    ndjson,
    next_line,
    open_round,
    pay,
    publicise,
    register,
    repay,
)
from tests.support import fresh_database

OUTCOME_FIELDS = {
    *("line", "outcome", "positions", "amount_fen"),
    *("code", "clause", "detail", "warnings", "first"),
}
DRAW_EXAMPLE = (
    '{"command": "draw-loan", "loan": "L1", "firm": "91350100M000100Y43", "bank": "91110108551385082Q",'
    ' "principal_fen": 200000000, "drawn_on": "2023-03-01", "security": "credit"}'
)
CLAIM_EXAMPLE = (
    '{"command": "claim-loan-interest", "claim": "2024-0001", "round": "shanxi-2024", "loan": "L1",'
    ' "interest_paid_fen": 12000000, "period_from": "2023-03-01", "period_to": "2023-12-31",'
    ' "effective_on": "2024-07-01"}'
)


@pytest.fixture
def kejin(database: str) -> Program:
    """The program on a new ledger."""
    return Program(database)


#: What the reads below are asked about: a grant paid, one decided, one refused; an award; twelve commands.
HISTORY: tuple[Line, ...] = (
    *OPENING,  # positions 1 to 5
    claim("C1", 12_000_000),  # 6: 60,000 yuan, the whole principal cap
    publicise("C1"),  # 7
    pay("C1"),  # 8
    claim("C2", 100, "2023-04-01"),  # 9: refused, principal_cap_reached
    draw("L2", 500_000_000),  # 10
    claim("C3", 4_000_000, "2023-05-01", loan="L2", effective_on="2024-10-01"),  # 11: 20,000 yuan
    certify(18_000_000_000),  # 12: 1.8 亿
    {
        "command": "claim-credit-award",
        "claim": "C4",
        "round": "R1",
        "bank": BANK,
        "product": "科创贷",
        "year": 2023,
        "effective_on": "2024-11-01",
    },  # 13
)


@pytest.fixture(scope="module")
def told(embedded_server: str) -> Iterator[Program]:
    """The program on a ledger that holds HISTORY and is only read."""
    with fresh_database(embedded_server) as address:
        program = Program(address)
        answer = program.run(*HISTORY)
        assert answer.code == 1, answer
        assert [line["outcome"] for line in answer.lines].count("refused") == 1
        yield program


def outcomes(answer: Answer) -> list[tuple[int, str, list[int]]]:
    """Line number, outcome and positions of each outcome."""
    return [(line["line"], line["outcome"], line["positions"]) for line in answer.lines]


# --- run ----------------------------------------------------------------------------------------------


def test_the_two_example_lines_have_the_documented_outcomes(kejin: Program) -> None:
    """The design's example, on a ledger of seven events, is answered as the design prints it."""
    kinds = ((FIRM, "firm"), (BANK, "bank"), (OTHER_FIRM, "firm"), (OTHER_BANK, "bank"), (GUARANTOR, "bank"))
    kejin.record(open_round("shanxi-2024"), *(register(uscc, kind) for uscc, kind in kinds))
    answer = kejin.run(DRAW_EXAMPLE, CLAIM_EXAMPLE)
    assert (answer.code, answer.err) == (0, "")
    assert answer.lines == [
        {"line": 1, "outcome": "accepted", "positions": [8]},
        {"line": 2, "outcome": "accepted", "positions": [9], "amount_fen": 6000000},
    ]


def test_every_line_has_one_outcome_in_order_and_blank_ones_count(kejin: Program) -> None:
    """Blank lines are skipped and counted; one bad line harms no other; a last line needs no line end."""
    given = (
        ndjson("", open_round(), "   ", "\t", "{}", register(), "")
        + json.dumps(register(BANK, "bank")).encode()
    )
    answer = kejin("run", "-", "--json", given=given)
    assert outcomes(answer) == [
        (2, "accepted", [1, 2]),
        (5, "invalid", []),
        (6, "accepted", [3]),
        (8, "accepted", [4]),
    ]
    assert answer.code == 2
    assert all(set(line) <= OUTCOME_FIELDS for line in answer.lines)
    assert answer.complaint.startswith("1 of 4 lines invalid; line 5: ")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([], 0),
        (["", " "], 0),
        ([open_round()], 0),
        ([open_round(), claim()], 1),
        ([open_round(), "{}"], 2),
        ([claim(), "{}", open_round()], 2),
    ],
    ids=["no line", "blank lines", "accepted", "refused", "invalid", "refused and invalid"],
)
def test_the_exit_code_is_that_of_the_worst_line(
    kejin: Program, lines: list[Line | str | bytes], code: int
) -> None:
    """2 if any line was invalid, else 1 if any was refused, else 0; a repeated one counts as its first."""
    assert kejin.run(*lines, options=["--dry-run"]).code == code
    assert kejin.run(*lines).code == code
    assert kejin.run(*lines).code == code


def test_a_repeated_line_shows_its_first_outcome(told: Program) -> None:
    """Repeated is an outcome of its own, with the positions, amount, code, clause and detail of the first."""
    answer = told.run(HISTORY[4], HISTORY[7], HISTORY[0])
    granted, refused, opened = answer.lines
    assert granted == {
        "line": 1,
        "outcome": "repeated",
        "positions": [6],
        "amount_fen": 6_000_000,
        "first": "accepted",
    }
    assert opened == {"line": 3, "outcome": "repeated", "positions": [1, 2], "first": "accepted"}
    detail = refused.pop("detail")
    assert refused == {
        "line": 2,
        "outcome": "repeated",
        "positions": [9],
        "first": "refused",
        "code": "principal_cap_reached",
        "clause": "SX-1",
    }
    assert detail
    assert answer.code == 1
    assert told.run(HISTORY[4]).code == 0
    assert len(told.events()) == 13


def test_a_used_key_with_other_fields_is_refused_and_writes_nothing(kejin: Program) -> None:
    """The same key, given or by default, with other fields is key_reused: no position, no event."""
    kejin.record(*OPENING, repay(key="K"))
    before = kejin.events()
    changed = (
        draw(principal_fen=1),
        repay(amount_fen=101, key="K"),
        register(FIRM, name="另名"),
        publicise(key="K"),
    )
    answer = kejin.run(*changed)
    assert answer.code == 1
    assert [(line["outcome"], line["positions"], line["code"]) for line in answer.lines] == [
        ("refused", [], "key_reused")
    ] * 4
    assert kejin.run(repay(key="K"), draw(key="L1-again")).lines == [
        {"line": 1, "outcome": "repeated", "positions": [6], "first": "accepted"},
        {
            "line": 2,
            "outcome": "refused",
            "positions": [7],
            "code": "duplicate_loan",
            "detail": "loan L1 exists already",
        },
    ]
    assert kejin.events()[:6] == before


def test_the_same_file_again_is_repeated_and_another_file_is_not(kejin: Program, tmp_path: Path) -> None:
    """Commands that make no thing are known by the input up to their line: twice in one file are two facts,
    the same file (or a longer one that begins with it) is repeated, another file is not."""
    kejin.record(*OPENING)
    file, other = tmp_path / "repayments", tmp_path / "others"
    file.write_bytes(ndjson(repay(), repay()))
    other.write_bytes(ndjson("", repay(), repay()))
    first = kejin("run", file, "--json")
    assert outcomes(first) == [(1, "accepted", [6]), (2, "accepted", [7])]
    assert outcomes(kejin("run", file, "--json")) == [(1, "repeated", [6]), (2, "repeated", [7])]
    longer = kejin("run", "-", "--json", given=file.read_bytes() + ndjson(repay()))
    assert outcomes(longer) == [(1, "repeated", [6]), (2, "repeated", [7]), (3, "accepted", [8])]
    assert outcomes(kejin("run", other, "--json")) == [(2, "accepted", [9]), (3, "accepted", [10])]


def test_a_dry_run_writes_nothing_and_sees_the_lines_before(kejin: Program) -> None:
    """A dry run answers as the real one would, without positions, and leaves the ledger as it was."""
    lines: list[Line | str | bytes] = [*HISTORY, "{}", claim("C9", loan="L9")]
    dry = kejin.run(*lines, options=["--dry-run"])
    assert kejin.events() == []
    real = kejin.run(*lines)
    assert dry.lines == [{**line, "positions": []} for line in real.lines]
    assert dry.code == real.code == 2


def test_a_dry_run_sees_the_lines_before_however_slowly_they_come(kejin: Program) -> None:
    """A line of a dry run stands on all earlier lines of the same input, also where they came in other batches."""
    process = kejin.start("run", "-", "--json", "--dry-run")
    assert process.stdin and process.stdout
    process.stdin.write(ndjson(open_round()))
    process.stdin.flush()
    assert next_line(process)["outcome"] == "accepted"
    answer = kejin.finish(process, ndjson(*OPENING[1:], claim()))
    assert [line["outcome"] for line in answer.lines] == ["accepted"] * 4


def test_a_repetition_within_a_dry_run_has_no_positions(kejin: Program) -> None:
    """Nothing that a dry run decided has a position, nor has its repetition."""
    answer = kejin.run(open_round(), open_round(), options=["--dry-run"])
    assert outcomes(answer) == [(1, "accepted", []), (2, "repeated", [])]


def test_who_acts_is_bound_into_the_events(kejin: Program) -> None:
    """--as stands in every event of that run (else the system's user does), and a repetition changes no event."""
    kejin.run(open_round(), register(), options=["--as", "王 审计"])
    kejin.run(open_round(), register(), register(BANK, "bank"))
    events = kejin.events()
    assert [event["principal"] for event in events] == ["王 审计"] * 3 + [getpass.getuser()]
    assert len({event["leaf"] for event in events}) == 4


def test_the_principal_is_covered_by_the_leaf(embedded_server: str) -> None:
    """A principal that was changed afterwards is found by verify log."""
    with fresh_database(embedded_server) as address:
        kejin = Program(address)
        kejin.run(open_round(), options=["--as", "one"])
        tamper(address, "update events set principal = 'two' where position = 2")
        answer = kejin("verify", "log", "--json")
        assert answer.code == 1
        assert [finding["position"] for finding in answer.document["findings"]] == [2]


def test_a_confirmed_check_digit_is_accepted_with_a_warning(kejin: Program) -> None:
    """An accepted command may carry warnings, also when it is repeated."""
    wrong = FIRM[:17] + "4"
    refused, accepted, again = kejin.run(
        register(wrong, key="a"), register(wrong, confirm_uscc=True), register(wrong, confirm_uscc=True)
    ).lines
    assert (refused["outcome"], refused["code"]) == ("refused", "uscc_check_digit")
    assert accepted == {
        "line": 2,
        "outcome": "accepted",
        "positions": [2],
        "warnings": ["uscc_check_digit_confirmed"],
    }
    assert again["warnings"] == ["uscc_check_digit_confirmed"]
    assert (again["outcome"], again["first"]) == ("repeated", "accepted")


# --- reads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "options", "balance_fen"),
    [
        ("public/treasury", (), -100_000_000),
        ("public/round/R1/available", (), 72_000_000),
        ("public/round/R1/available", ("--on", "2024-06-30"), 100_000_000),
        ("public/round/R1/available", ("--known-position", "6"), 94_000_000),
        ("public/round/R1/available", ("--known-position", "6", "--on", "2023-12-31"), 0),
        ("public/round/R1/committed", (), 22_000_000),
        ("public/round/R1/", (), 94_000_000),
        (f"public/paid/loan_interest/{FIRM}/R1", (), 6_000_000),
        (f"public/paid/loan_interest/{FIRM}/R1", ("--on", "2024-08-31"), 0),
        ("public/paid/", (), 6_000_000),
        ("public/", (), 0),
        ("private/", (), 0),
        ("private/loan/L1/outstanding", (), 200_000_000),
        (f"quota/shanxi.loan_interest.firm/{FIRM}", (), 8_000_000),
        ("public/round/never-opened/available", (), 0),
    ],
)  # fmt: skip
def test_balance(told: Program, account: str, options: tuple[str, ...], balance_fen: int) -> None:
    """A balance on both clocks; a trailing / sums the subtree; never posted to is 0."""
    answer = told.ask("balance", account, *options)
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert answer == {
        "account": account,
        "on": given.get("--on"),
        "known_position": int(given.get("--known-position", 13)),
        "balance_fen": balance_fen,
    }


@pytest.mark.parametrize(
    "path", ["", "/", "public", "public/treasury/x", "nope/x", "public//available", "quota"]
)
def test_a_path_of_no_known_shape_is_an_error(told: Program, path: str) -> None:
    """What cannot be an account is unusable input, not 0."""
    answer = told("balance", path, "--json")
    assert (answer.code, answer.out) == (2, b"")
    assert repr(path) in answer.complaint


FIRM_CAP = {"cap": "shanxi.loan_interest.firm", "key": FIRM, "party": FIRM, "clause": "SX-1"}
LOAN_CAP = {"cap": "shanxi.loan_interest.loan", "key": "L1", "party": FIRM, "clause": "SX-1"}


def cap_row(cap: dict[str, str], limit: int, consumed: int, reserved: int, room: int) -> dict[str, Any]:
    """A row of `kejin caps`."""
    amounts = {"limit_fen": limit, "consumed_fen": consumed, "reserved_fen": reserved, "room_fen": room}
    return {**cap, **amounts}


def test_caps(told: Program) -> None:
    """One row per cap and key: limit, consumed, the unpaid part of it, room, whose, by which clause."""
    firm = cap_row(FIRM_CAP, 20_000_000, 8_000_000, 2_000_000, 12_000_000)
    second = cap_row({**LOAN_CAP, "key": "L2"}, 15_000_000, 2_000_000, 2_000_000, 13_000_000)
    assert told.ask("caps") == [firm, cap_row(LOAN_CAP, 6_000_000, 6_000_000, 0, 0), second]
    assert told.ask("caps", "--party", FIRM) == told.ask("caps")
    assert told.ask("caps", "--party", OTHER_FIRM) == []
    assert told.ask("caps", "--known-position", 6) == [
        cap_row(FIRM_CAP, 20_000_000, 6_000_000, 6_000_000, 14_000_000),
        cap_row(LOAN_CAP, 6_000_000, 6_000_000, 6_000_000, 0),
    ]
    assert told.ask("caps", "--known-position", 5) == []
    early = told.ask("caps", "--on", "2024-06-30", "--party", FIRM)
    assert early[0] == cap_row(FIRM_CAP, 20_000_000, 0, 0, 12_000_000), "room looks at every later day"
    assert told.ask("caps", "--on", "2021-12-31")[0] == cap_row(FIRM_CAP, 0, 0, 0, 0)


def test_milestones(told: Program) -> None:
    """Per bank and product: the mark in whole 亿, what was awarded, the total of the next award."""
    row = {
        "bank": BANK,
        "product": "科创贷",
        "mark": 1,
        "awarded_fen": 20_000_000,
        "next_at_fen": 20_000_000_000,
    }
    assert told.ask("milestones") == [row]
    assert told.ask("milestones", "--bank", BANK) == [row]
    assert told.ask("milestones", "--bank", OTHER_BANK) == []
    before = {**row, "mark": 0, "awarded_fen": 0, "next_at_fen": 10_000_000_000}
    assert told.ask("milestones", "--known-position", 12) == [before]
    assert told.ask("milestones", "--known-position", 11) == []


def test_events(told: Program) -> None:
    """NDJSON of envelopes in the order of positions, with the documented fields and filters."""
    events = told.events()
    assert [event["position"] for event in events] == list(range(1, 14))
    for event in events:
        documented = {"position", "recorded_at", "effective_on", "type", "tags", "data", "postings", "leaf"}
        assert documented <= set(event)
        assert datetime.fromisoformat(event["recorded_at"]).tzinfo is not None
    assert [event["recorded_at"] for event in events] == sorted(event["recorded_at"] for event in events)
    granted = events[5]
    assert (granted["type"], granted["effective_on"]) == ("LoanInterestGranted", "2024-07-01")
    assert {"claim:C1", "round:R1", "loan:L1", f"firm:{FIRM}"} <= set(granted["tags"])
    named = {name: granted["data"][name] for name in ("claim", "round", "instrument", "payee", "amount_fen")}
    assert named == {
        "claim": "C1",
        "round": "R1",
        "instrument": "loan_interest",
        "payee": FIRM,
        "amount_fen": 6_000_000,
    }
    for step in events[6:8]:
        assert step["data"]["claim"] == "C1"
    assert told.events("--after", 4, "--until", 6) == events[4:6]
    assert told.events("--tag", "claim:C1") == events[5:8]
    assert told.events("--type", "ClaimRefused") == [events[8]]
    assert told.events("--tag", "loan:L1", "--type", "LoanDrawn", "--after", 4) == [events[4]]
    assert told.events("--after", 13) == told.events("--until", 0) == told.events("--tag", "x:y") == []
    assert told.events("--until", 99) == events


def test_explain_a_grant(told: Program) -> None:
    """Why this amount: each leg with its clause, value and which one bound; reading, rulebook, inputs."""
    answer = told.ask("explain", 11)
    assert {"position", "amount_fen", "legs", "reading", "rulebook", "inputs"} <= set(answer)
    assert (answer["position"], answer["amount_fen"]) == (11, 2_000_000)
    assert [(leg["clause"], leg["value_fen"], leg["binding"]) for leg in answer["legs"]] == [
        ("SX-1", 2_000_000, True),
        ("SX-1", 15_000_000, False),
        ("SX-1", 14_000_000, False),
    ]
    assert answer["reading"]["A1"] == "lifetime"
    assert answer["inputs"]["interest_paid_fen"] == 4_000_000
    assert answer["rulebook"]["measure"] == "shanxi-2022"


def test_explain_a_refusal(told: Program) -> None:
    """Of a refusal too: no amount, the legs that led to it, the code and clause."""
    answer = told.ask("explain", 9)
    assert (answer["position"], answer["amount_fen"], answer["code"]) == (9, 0, "principal_cap_reached")
    assert [leg["value_fen"] for leg in answer["legs"] if leg["binding"]] == [0]


@pytest.mark.parametrize("position", [0, 14, 10**30])
def test_there_is_nothing_to_explain_beyond_the_log(told: Program, position: int) -> None:
    """A position that is not there is not_known."""
    answer = told("explain", position, "--json")
    assert (answer.code, answer.out) == (2, b"")
    assert answer.complaint.startswith("not_known: ")


def test_an_event_that_decided_nothing_is_not_explained(told: Program) -> None:
    """A fact computed no amount: unusable input, one line."""
    answer = told("explain", 5, "--json")
    assert (answer.code, answer.out) == (2, b"")
    assert "LoanDrawn" in answer.complaint


READS = (("balance", "public/treasury"), ("caps",), ("milestones",))


@pytest.mark.parametrize("read", READS, ids=lambda read: str(read[0]))
@pytest.mark.parametrize(
    "known",
    [
        ("--known-position", "0"),
        ("--known-position", "-1"),
        ("--known-position", "14"),
        ("--known-at", "2000-01-01T00:00:00Z"),
        ("--known-at", "2000-01-01"),
        ("--known-at", "2999-01-01T00:00:00+08:00"),
    ],
)
def test_what_is_not_known_is_an_error(told: Program, read: tuple[str, ...], known: tuple[str, str]) -> None:
    """Before the first event, beyond the newest, in the future: not_known, exit 2, nothing on stdout."""
    answer = told(*read, *known, "--json")
    assert (answer.code, answer.out) == (2, b"")
    assert answer.complaint.startswith("not_known: ")


def test_known_at_is_the_position_of_that_instant(kejin: Program) -> None:
    """An instant between two runs answers as the first run left it, in any zone; without a zone it is Shanghai's."""
    kejin.record(open_round(budget_fen=5))
    kejin.record(open_round("R2", budget_fen=7))
    first, second = (datetime.fromisoformat(event["recorded_at"]) for event in kejin.events()[1:])
    shanghai = timezone(timedelta(hours=8))
    just_before = second - timedelta(microseconds=1)
    naive = just_before.astimezone(shanghai).replace(tzinfo=None)
    for instant in (first, just_before, just_before.astimezone(shanghai), naive):
        answer = kejin.ask("balance", "public/treasury", "--known-at", instant.isoformat())
        assert (answer["known_position"], answer["balance_fen"]) == (2, -5), instant
    answer = kejin.ask("balance", "public/treasury", "--known-at", second.isoformat())
    assert (answer["known_position"], answer["balance_fen"]) == (3, -12)
    early = kejin("balance", "public/treasury", "--known-at", (first - timedelta(microseconds=1)).isoformat())
    assert early.complaint.startswith("not_known: ")


def test_an_empty_ledger_answers(empty_database: str) -> None:
    """On a new ledger every read succeeds and says that nothing is there."""
    kejin = Program(empty_database)
    assert kejin.events() == []
    assert kejin.ask("caps") == kejin.ask("milestones") == []
    assert kejin.ask("balance", "public/treasury")["balance_fen"] == 0
    answer = kejin.ask("verify")
    empty = {"ok": True, "events": 0, "root": hashlib.sha256(b"").hexdigest(), "findings": [], "notices": []}
    assert answer == empty
    assert kejin("caps", "--known-position", 0, "--json").complaint.startswith("not_known: ")


def test_a_balance_may_be_larger_than_64_bits(kejin: Program) -> None:
    """Many large rounds still add up: a balance is exact whatever its size."""
    kejin.record(*(open_round(f"R{n}", 2**53 - 1) for n in range(1030)))
    assert kejin.ask("balance", "public/treasury")["balance_fen"] == -1030 * (2**53 - 1)


# --- verify -------------------------------------------------------------------------------------------


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, over leaf hashes, word by word."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


@pytest.mark.parametrize("check", ["books", "caps", "log", "all", None])
def test_verify(told: Program, check: str | None) -> None:
    """Each check of a sound ledger: ok, the number of events, the Merkle root of their leaves, no finding."""
    answer = told.ask("verify", *([check] if check else []))
    root = naive_root([bytes.fromhex(event["leaf"]) for event in told.events()]).hex()
    assert answer == {"ok": True, "events": 13, "root": root, "findings": [], "notices": []}


def tamper(address: str, *statements: str) -> None:
    """What an intruder with the owner's rights does."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("alter table events disable trigger all")
        connection.execute("grant all on all tables in schema public to current_user")
        for statement in statements:
            connection.execute(statement.encode())


#: The quota lines of the grant at position 6 made larger than any limit.
QUOTA_PASSED = """
update events set posting_amounts = (
    select array_agg(case when a.path like 'quota/%' then 30000000 else l.amount end order by l.n)
    from unnest(posting_accounts, posting_amounts) with ordinality as l (account, amount, n)
    join accounts a on a.id = l.account
) where position = 6
"""


@pytest.mark.parametrize(
    ("check", "statement"),
    [
        ("books", "update events set posting_amounts[1] = posting_amounts[1] - 1 where position = 6"),
        (
            "caps",
            QUOTA_PASSED,
        ),
        ("log", "update events set data = data || ' ' where position = 6"),
        ("log", "delete from events where position = 7"),
        ("tables", "delete from event_tags where tag = 'loan:L1'"),
        ("log", "update events set effective_on = '2024-07-02' where position = 6"),
    ],
)
def test_verify_finds(embedded_server: str, check: str, statement: str) -> None:
    """What was changed behind the program's back is a finding of its check and of all: exit 1, not ok."""
    with fresh_database(embedded_server) as address:
        kejin = Program(address)
        kejin.run(*HISTORY)
        disabled = "alter table event_tags disable trigger all"
        tamper(address, disabled, statement)
        for name in (check, "all"):
            answer = kejin("verify", name, "--json")
            assert answer.code == 1, answer
            assert answer.err == ""
            document = answer.document
            assert set(document) == {"ok", "events", "root", "findings", "notices"}
            assert document["ok"] is False
            assert check in {finding["check"] for finding in document["findings"]}
            for finding in document["findings"]:
                assert {"check", "detail"} <= set(finding) <= {"check", "table", "position", "detail"}


@pytest.mark.parametrize(
    "statement",
    [
        "drop table day_sums",
        "drop table accounts cascade",
        "drop table kejin_work.schema_version",
        "delete from kejin_work.schema_version",
        "update kejin_work.schema_version set version = 99",
        "drop table events cascade",
        "alter table events drop column leaf",
    ],
)
def test_verify_finds_also_where_others_call_the_database_broken(
    embedded_server: str, statement: str
) -> None:
    """A database that other commands cannot use is a finding of verify: exit 1, a document, no traceback."""
    with fresh_database(embedded_server) as address:
        kejin = Program(address)
        kejin.record(*OPENING)
        tamper(address, statement)
        answer = kejin("verify", "--json")
        assert answer.code == 1, answer
        assert answer.err == ""
        assert answer.document["ok"] is False
        assert answer.document["findings"]


@pytest.mark.parametrize(
    ("statement", "en", "zh"),
    [
        ("delete from kejin_work.schema_version", "has lost its schema version", "缺少模式版本"),
        (
            "alter table kejin_work.schema_version rename version to v",
            '"version" does not exist',
            "does not exist",
        ),
    ],
)
def test_verify_does_not_advise_itself(embedded_server: str, statement: str, en: str, zh: str) -> None:
    """Where other commands tell to run `kejin verify`, its own finding says what is lost and no more, in both
    languages."""
    with fresh_database(embedded_server) as address:
        kejin = Program(address)
        kejin.record(*OPENING)
        tamper(address, statement)
        for language, said in (("en", en), ("zh", zh)):
            complaint = kejin("caps", KEJIN_LANG=language).complaint
            assert said in complaint and "kejin verify" in complaint
            (finding,) = kejin("verify", "--json", KEJIN_LANG=language).document["findings"]
            assert said in finding["detail"] and "kejin verify" not in finding["detail"]


def test_an_unknown_check_is_unusable(told: Program) -> None:
    """The name of no check: one line that lists those that exist."""
    answer = told("verify", "nope", "--json")
    assert (answer.code, answer.out) == (2, b"")
    assert "books" in answer.complaint


# --- database and data folders ------------------------------------------------------------------------


def test_database_names_what_is_in_use(empty_database: str) -> None:
    """`kejin database` prints the owner's address on one line, also with --json, and has set the ledger up."""
    kejin = Program(empty_database)
    plain = kejin("database")
    assert (plain.code, plain.err) == (0, "")
    assert plain.out.count(b"\n") == 1
    with psycopg.connect(plain.out.decode().strip()) as connection:
        row = connection.execute("select to_regclass('events') is not null, current_user").fetchone()
        assert row == (True, "postgres")
    assert list(kejin.ask("database").values()) == [plain.out.decode().strip()]
    answer = kejin("database", "--stop", "--json")
    assert (answer.code, answer.out) == (2, b"")
    assert "KEJIN_DATABASE_URL" in answer.complaint


def test_a_data_folder_may_be_absent_or_empty_and_wins_over_the_environment(
    tmp_path: Path, empty_database: str
) -> None:
    """Any command makes the ledger of an absent or empty folder; KEJIN_DATABASE_URL is then not looked at."""
    empty = tmp_path / "empty"
    empty.mkdir()
    with (
        data_folder(empty, absent=True, KEJIN_DATABASE_URL=empty_database) as first,
        data_folder(tmp_path / "a" / "b", absent=True) as second,
    ):
        assert first.ask("caps") == []
        assert second.events() == []
        first.record(*OPENING)
        assert len(first.events()) == 5
        assert second("caps", "--json", KEJIN_DATABASE_URL="garbage").document == []
    assert Program(empty_database).events() == []


def test_database_keeps_the_embedded_server_until_stop(tmp_path: Path) -> None:
    """`kejin database` starts the server, which stays, answers at that address, and goes with --stop."""
    with data_folder(tmp_path / "data", absent=True) as kejin:
        address = kejin("database").out.decode().strip()
        assert address.startswith("postgresql://")
        kejin.record(*OPENING)
        with psycopg.connect(address) as connection:
            row = connection.execute("select count(*) from events").fetchone()
            assert row == (5,)
        assert kejin("database").out.decode().strip() == address
        stopped = kejin("database", "--stop")
        assert (stopped.code, stopped.err) == (0, "")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(address)
        assert kejin.ask("database", "--stop") == {"stopped": False}
        assert len(kejin.events()) == 5


def test_for_people(told: Program) -> None:
    """Without --json people get text and the same exit codes; a summary of a run goes to standard error."""
    told = replace(told, from_nothing=True)
    for words in (*READS, ("events",), ("explain", "9"), ("verify",), ("events", "--tag", "claim:C1")):
        answer = told(*words)
        assert (answer.code, answer.err) == (0, ""), answer
        assert answer.out
    assert "60,000" in told("explain", 6).out.decode() or "6 万元" in told("explain", 6).out.decode()
    answer = told("run", "-", given=ndjson(HISTORY[4]))
    assert answer.code == 0
    assert answer.err.count("\n") == 1
