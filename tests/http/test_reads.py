"""Reads over HTTP: the same figures as the command line, two clocks echoed, pages, entity tags."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from api.service.examples import BANK, EVENTS, FIRM
from api.service.paging import Cursor
from ledger import merkle
from ledger.dates import SHANGHAI
from tests.cli.program import OPENING, Program, claim, data_folder, draw, repay
from tests.faults.test_kills import until
from tests.http.service import Answer, Service, serving
from tests.http.test_commands import problem


@pytest.fixture(scope="module")
def kejin(example_address: str) -> Program:
    """The command line on the examples' ledger."""
    return Program(example_address)


def without_echo(document: dict[str, Any]) -> dict[str, Any]:
    """A document without what was asked."""
    return {
        name: value for name, value in document.items() if name not in ("on", "known_at", "known_position")
    }


@pytest.mark.parametrize("account", ["public/treasury", "public/round/R1/", "private/loan/L1/outstanding"])
@pytest.mark.parametrize("clocks", [{}, {"on": "2024-07-15"}, {"known_position": 6}, {"on": "2023-01-01"}])
def test_balances_are_those_of_the_command_line(
    example: Service, kejin: Program, account: str, clocks: dict[str, Any]
) -> None:
    """/v1/balances answers what `kejin balance` answers, and says on which clocks; asked again, from memory, the
    same."""
    options = [word for name, value in clocks.items() for word in (f"--{name.replace('_', '-')}", value)]
    first = example.get(f"/v1/balances/{account}", **clocks)
    again = example.get(f"/v1/balances/{account}", **clocks)
    assert (first.status, first.body, first.headers["etag"]) == (
        again.status,
        again.body,
        again.headers["etag"],
    )
    assert (
        example.get(f"/v1/balances/{account}", {"If-None-Match": again.headers["etag"]}, **clocks).status
        == 304
    )
    answer = again.document
    assert answer == {"known_at": None, **kejin.ask("balance", account, *options)}
    assert answer["on"] == clocks.get("on")
    assert answer["known_position"] == clocks.get("known_position", EVENTS)


def test_balances_asked_at_the_same_time_are_each_ones_own(example: Service) -> None:
    """What waits together is read together: every client gets the answer that it would get alone, whatever the
    others ask, also where theirs are no accounts, no positions, or known to them already."""
    accounts = [
        "public/treasury", "public/round/R1/available", "public/round/R1/", "public/", "public/paid/",
        "private/loan/L1/outstanding", "private/loan/L1/", "private/loan/L9/outstanding", "nowhere/at/all",
        "public/recovered/\0",
    ]  # fmt: skip
    positions = [None, 1, 6, EVENTS, EVENTS + 1]
    asked = [
        ({"known_position": position} if position else {}, headers, account)
        for position in positions
        for headers in ({}, {"If-None-Match": "*"})
        for account in accounts
    ] * 4
    alone = [example.get(f"/v1/balances/{account}", headers, **clocks) for clocks, headers, account in asked]

    def ask(one: tuple[dict[str, int], dict[str, str], str]) -> Answer:
        clocks, headers, account = one
        client = example.client()
        try:
            return client.get(f"/v1/balances/{account}", headers, **clocks)
        finally:
            client.close()

    with ThreadPoolExecutor(24) as pool:
        together = list(pool.map(ask, asked))
    assert {answer.status for answer in alone} == {200, 304, 404}
    for one, other in zip(together, alone, strict=True):
        assert (one.status, stable(one)) == (other.status, stable(other))


def stable(answer: Answer) -> Any:
    """What an answer says, without the number of its request."""
    if not answer.body:
        return answer.headers["etag"]
    return {name: value for name, value in answer.document.items() if name != "instance"}


def test_lists_are_those_of_the_command_line(example: Service, kejin: Program) -> None:
    """Caps, milestones, events and reports are the rows of the command line."""
    assert example.read("/v1/caps")["items"] == kejin.ask("caps")
    assert example.read("/v1/caps", party=FIRM)["items"] == kejin.ask("caps", "--party", FIRM)
    assert example.read("/v1/milestones")["items"] == kejin.ask("milestones")
    assert example.read("/v1/milestones", bank=BANK)["items"] == kejin.ask("milestones", "--bank", BANK)
    day = "2024-01-31"
    assert example.read("/v1/milestones", on=day)["items"] == kejin.ask("milestones", "--on", day)
    assert example.read("/v1/events")["items"] == kejin.events()
    assert example.read("/v1/events", tag="loan:L1", after=5)["items"] == kejin.events(
        "--tag", "loan:L1", "--after", 5
    )
    for name in ("near-caps", "duties", "duplicates"):
        assert example.read(f"/v1/reports/{name}")["items"] == kejin.ask("report", name)


@pytest.mark.parametrize("known", [{}, {"known_position": 8}])
def test_figures_for_people_are_those_of_the_command_line(
    example: Service, kejin: Program, known: dict[str, int]
) -> None:
    """The portfolio, a bank's ladders, statements and the trial balance."""
    words = [word for name, value in known.items() for word in (f"--{name.replace('_', '-')}", value)]
    first = "2024-01-01"
    for path, query, asked in (
        ("reports/portfolio", {}, ("report", "portfolio")),
        (f"reports/milestones/{BANK}", {}, ("report", "milestones", BANK)),
        ("trial-balance", {}, ("trial-balance",)),
        ("statements/public/round/R1/", {"from": first}, ("statement", "public/round/R1/", "--from", first)),
    ):
        answer, told = example.read(f"/v1/{path}", **query, **known), kejin.ask(*asked, *words)
        assert without_echo(answer) == without_echo(told), path
    some = example.read("/v1/statements/public/round/R1/", **{"from": "2024-07-01", "on": "2024-07-31"})
    told = kejin.ask("statement", "public/round/R1/", "--from", "2024-07-01", "--to", "2024-07-31")
    assert without_echo(some) == without_echo(told)
    exchanged = kejin("statement", "public/round/R1/", "--from", "2024-07-31", "--to", "2024-07-01")
    assert (exchanged.code, exchanged.out) == (2, b"")


def test_the_highest_use_is_as_known(example: Service, kejin: Program) -> None:
    """What a firm used at most, as known at each position: what a later event adds is not there before."""
    path, highest = f"/v1/firms/{FIRM}", []
    for position in range(6, EVENTS + 1):
        rows = example.read(path, known_position=position)["caps"]
        assert rows == kejin.ask("report", "firm", FIRM, "--known-position", position)["caps"]
        events = kejin.events("--until", position)
        for row in rows:
            account = f"quota/{row['cap']}/{row['key']}"
            used = [p["amount_fen"] for e in events for p in e["postings"] if p["account"] == account]
            assert row["highest_fen"] == max(accumulate(used, initial=0))
        highest.append(sum(row["highest_fen"] for row in rows))
    assert highest == sorted(highest) and highest[0] < highest[-1]


def test_documents_are_those_of_the_command_line(example: Service, kejin: Program) -> None:
    """Rounds, parties, explanations, single events and verification are the documents of the command line."""
    assert without_echo(example.read("/v1/rounds/R1")) == kejin.ask("report", "round", "R1")
    assert without_echo(example.read(f"/v1/firms/{FIRM}")) == kejin.ask("report", "firm", FIRM)
    assert without_echo(example.read(f"/v1/banks/{BANK}")) == kejin.ask("report", "bank", BANK)
    for position in (7, 8):
        explained = without_echo(example.read(f"/v1/events/{position}/explanation"))
        assert explained == kejin.ask("explain", position)
    assert without_echo(example.read("/v1/events/7")) == kejin.events("--after", 6, "--until", 7)[0]
    verified = without_echo(example.read("/v1/verification"))
    assert verified == kejin.ask("verify", "all")
    assert verified["ok"]
    earlier = example.read("/v1/verification", check="books", known_position=3)
    checkpoint = example.read("/v1/log/checkpoint", known_position=3)
    assert (earlier["events"], earlier["root"]) == (3, checkpoint["root"])


def test_the_log_comes_as_lines_too(example: Service, kejin: Program) -> None:
    """Accept: application/x-ndjson gives an envelope a line, and the next page, as long as this one, as a link."""
    lines = {"Accept": "application/x-ndjson"}
    answer = example.get("/v1/events", lines, limit=3)
    assert answer.lines == kejin.events("--until", 3)
    path, _, query = answer.headers["link"].partition("<")[2].partition(">")[0].partition("?")
    following = example.get(path, lines, **dict(parse_qsl(query)))
    assert following.lines == kejin.events("--after", 3, "--until", 6)


@pytest.mark.parametrize("path", ["/v1/events", "/v1/caps", "/v1/replay", "/v1/reports/duties"])
def test_pages_together_are_the_whole_list(example: Service, path: str) -> None:
    """Following the cursor one row at a time gives each row of the whole once, in order."""
    whole = example.read(path)["items"]
    assert in_pages(example, path, len(whole)) == whole


def in_pages(service: Service, path: str, count: int) -> list[Any]:
    """The rows of a list one by one, and no more pages than one beyond so many."""
    rows: list[Any] = []
    cursor: dict[str, str] = {}
    for _ in range(count + 1):
        page = service.read(path, limit=1, **cursor)
        rows += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    return rows


def test_pages_go_on_after_any_id(service: Service) -> None:
    """Also after one of characters that are younger than Python's tables, or of a form that Unicode left empty."""
    loans = ["贷款1", "L\ufada", "L\U000323af", "L\u3400.2"]
    claims = [claim(f"C{number}", loan=loan) for number, loan in enumerate(loans)]
    service.record(*OPENING, *map(draw, loans), *claims)
    whole = service.read("/v1/caps")["items"]
    assert {row["key"] for row in whole} >= set(loans)
    assert in_pages(service, "/v1/caps", len(whole)) == whole


def test_a_cursor_pins_filters_and_position(service: Service) -> None:
    """What is recorded between two pages does not show in the second; other filters with a cursor are refused."""
    service.record(*OPENING)
    page = service.read("/v1/events", limit=2, type="PartyRegistered")
    first = service.read("/v1/events", limit=1, type="PartyRegistered")
    service.record({"command": "register-party", "uscc": FIRM, "kind": "investor", "name": "名称"})
    following = service.read("/v1/events", cursor=first["next_cursor"])
    assert following["known_position"] == page["known_position"]
    assert [e["position"] for e in following["items"]] == [4]
    problem(service.get("/v1/events", cursor=first["next_cursor"], type="LoanDrawn"), 422, "invalid_cursor")
    problem(service.get("/v1/caps", cursor=first["next_cursor"]), 422, "invalid_cursor")


def test_an_entity_tag_holds_until_the_log_grows(service: Service) -> None:
    """The same position has the same strong tag and 304; the next event changes it."""
    service.record(*OPENING)
    for path in ("/v1/balances/public/treasury", "/v1/caps", "/v1/events", "/v1/rounds/R1"):
        tag = service.get(path).headers["etag"]
        assert tag.startswith('"')
        unchanged = service.get(path, {"If-None-Match": f'"other", {tag}'})
        assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", tag)
        pinned = service.get(path, known_position=5).headers["etag"]
        service.record(repay())
        assert service.get(path, {"If-None-Match": tag}).status == 200
        assert service.get(path, known_position=5).headers["etag"] == pinned


def test_a_read_after_an_acknowledged_command_sees_it(service: Service) -> None:
    """`min_position` of an outcome is always met; a position that nobody recorded is not known."""
    service.record(*OPENING)
    for amount in range(1, 20):
        position = service.post(repay(amount)).document["positions"][-1]
        answer = service.read("/v1/balances/private/loan/L1/repaid", min_position=position)
        assert answer["known_position"] >= position
        assert answer["balance_fen"] == sum(range(1, amount + 1))
    problem(service.get("/v1/caps", min_position=10_000), 404, "not_known")
    problem(service.get("/v1/caps", min_position=9, known_position=3), 404, "not_known")


def test_an_explanation_after_an_acknowledged_command_is_there(service: Service) -> None:
    """What explains an amount waits for the projections that it reads, as every read does."""
    service.record(*OPENING)
    for day in range(1, 20):
        line = claim(f"C{day}", 10_000, f"2023-03-{day:02}")
        position = service.post(line).document["positions"][-1]
        answer = service.read(f"/v1/events/{position}/explanation", min_position=position)
        assert answer["amount_fen"] == 5_000


def test_an_empty_ledger_answers(service: Service) -> None:
    """Before the first event: balances are 0, lists are empty, a position is not known."""
    assert service.read("/v1/balances/public/treasury")["balance_fen"] == 0
    for path in ("/v1/caps", "/v1/milestones", "/v1/events", "/v1/replay"):
        assert service.read(path)["items"] == []
    problem(service.get("/v1/caps", known_position=1), 404, "not_known")
    problem(service.get("/v1/caps", known_at="2026-01-01T00:00:00Z"), 404, "not_known")
    assert service.read("/v1/verification")["ok"]


def test_replay_tells_what_each_event_changed(example: Service, kejin: Program) -> None:
    """Balances and caps before and after each event of a firm, as the two ends of the log say; refusals too."""
    steps = example.read("/v1/replay", firm=FIRM)["items"]
    assert steps == kejin("replay", "--firm", FIRM, "--json").lines
    for step in steps:
        for row in step["balances"]:
            for side, known in (("before_fen", step["position"] - 1), ("after_fen", step["position"])):
                asked = example.read(f"/v1/balances/{row['account']}", known_position=known)
                assert row[side] == asked["balance_fen"]
        for cap in step["caps"]:
            for side, known in (("before", step["position"] - 1), ("after", step["position"])):
                rows = example.read("/v1/caps", known_position=known)["items"]
                found = [r for r in rows if (r["cap"], r["key"]) == (cap["cap"], cap["key"])]
                shown = {name: found[0][name] for name in cap[side]} if found else dict.fromkeys(cap[side], 0)
                assert cap[side] == shown
    refusals = {step["position"]: step["refusal"]["code"] for step in steps if "refusal" in step}
    assert refusals == {8: "duplicate_claim"}


def test_a_replay_of_nobody_is_an_error(example: Service, kejin: Program) -> None:
    """A round or party that never was is 404, on the command line exit 2; one that moved nothing is an empty list."""
    problem(example.get("/v1/replay", round="none"), 404, "unknown_round")
    problem(example.get("/v1/replay", firm="91110000101623741K"), 404, "unknown_party")
    for words in (("--round", "none"), ("--firm", "91110000101623741K")):
        answer = kejin("replay", *words)
        assert (answer.code, answer.out) == (2, b"")
        assert answer.complaint
    assert example.read("/v1/replay", bank=FIRM)["items"] == []
    assert kejin("replay", "--bank", FIRM, "--json").lines == []


def test_the_proofs_of_the_log_hold(example: Service) -> None:
    """Inclusion and consistency at any size lead to the roots that the answers name, leaf and all."""
    newest = example.read("/v1/log/checkpoint")
    for position in (1, 3, newest["size"]):
        for size in (position, newest["size"]):
            found = example.read(f"/v1/log/proof/{position}", known_position=size)
            path = [bytes.fromhex(node) for node in found["proof"]]
            root = merkle.root_from_inclusion(bytes.fromhex(found["leaf"]), position - 1, size, path)
            assert root is not None and root.hex() == found["root"]
        older = example.read(f"/v1/log/proof/consistency/{position}")
        path = [bytes.fromhex(node) for node in older["proof"]]
        roots = [bytes.fromhex(older[name]) for name in ("old_root", "root")]
        assert merkle.is_consistent(position, roots[0], older["size"], roots[1], path)
        assert older["root"] == newest["root"]


def test_a_tag_is_of_one_question(example: Service) -> None:
    """Who has a tag has had this answer: one from another address, or of another form, is not answered 304; and
    If-None-Match: * is no way around what is not there."""
    tag = example.get("/v1/caps").headers["etag"]
    assert example.get("/v1/caps", {"If-None-Match": tag}).status == 304
    for path in ("/v1/rounds/R9", "/v1/balances/nope", "/v1/events/999"):
        for sent in (tag, "*"):
            assert example.get(path, {"If-None-Match": sent}).status == 404, (path, sent)
    lines = {"Accept": "application/x-ndjson", "If-None-Match": example.get("/v1/events").headers["etag"]}
    assert example.get("/v1/events", lines).status == 200


@pytest.mark.parametrize(
    ("accept", "is_lines"),
    [
        ("application/x-ndjson", True),
        ("application/json", False),
        ("application/x-ndjson;q=0, */*", False),
        ("application/x-ndjson;q=0.4, application/json;q=0.5", False),
        ("application/json;q=0.5, application/x-ndjson;q=0.9", True),
    ],
)
def test_accept_is_weighed(example: Service, accept: str, is_lines: bool) -> None:
    """NDJSON where it is preferred to JSON (RFC 9110 §12.5.1)."""
    answer = example.get("/v1/events", {"Accept": accept})
    assert answer.headers["content-type"].startswith("application/x-ndjson") == is_lines


@pytest.mark.parametrize("position", [0, 2**53 - 1, 2**53, 2**63, 10**40])
def test_where_the_log_does_not_reach_is_not_known(example: Service, position: int) -> None:
    """As on the command line: before the first event nothing can be known, nor beyond the newest, however far."""
    for path in (
        "/v1/caps",
        "/v1/balances/public/treasury",
        "/v1/events",
        "/v1/log/checkpoint",
        "/v1/rounds/R1",
    ):
        problem(example.get(path, known_position=position), 404, "not_known")


def test_a_cursor_pins_the_instant_that_was_asked_for(service: Service) -> None:
    """Later pages say the instant of the first one, and take no other."""
    service.record(*OPENING)
    instant = service.read("/v1/events")["items"][-1]["recorded_at"]
    first = service.read("/v1/events", known_at=instant, limit=2)
    assert first["known_at"]
    second = service.read("/v1/events", cursor=first["next_cursor"], limit=2)
    assert (second["known_at"], second["known_position"]) == (first["known_at"], first["known_position"])
    assert (
        service.read("/v1/events", cursor=first["next_cursor"], known_at=instant)["known_at"]
        == first["known_at"]
    )
    other = service.get("/v1/events", cursor=first["next_cursor"], known_at="2020-01-01T00:00:00Z")
    problem(other, 422, "invalid_cursor")


def test_the_tag_of_a_checkpoint_changes_with_it(tmp_path: Path) -> None:
    """Whoever polls for the newest signed checkpoint is never told that an older one is still the answer."""
    with data_folder(tmp_path / "data") as kejin, serving(kejin, tmp_path / "log") as service:
        service.record(*OPENING)
        notes: dict[str, str] = {}
        for amount in range(1, 4):
            service.record(repay(amount))
            until(lambda: next_note(service, notes))
        assert len(notes) == 3


def next_note(service: Service, notes: dict[str, str]) -> bool:
    """Whether there is another note than those by tag; a tag that is known has the note that it had."""
    answer = service.get("/v1/log/checkpoint", known_position=3)
    tag, note = answer.headers["etag"], answer.document["note"]
    assert notes.get(tag, note) == note
    if note is None or note in notes.values():
        return False
    notes[tag] = note
    return True


def test_a_tag_may_stand_in_a_header_of_its_own(example: Service) -> None:
    """If-None-Match over two lines is one list (RFC 9110 §5.3)."""
    tag = example.get("/v1/caps").headers["etag"]
    with closing(example.connect()) as connection:
        connection.putrequest("GET", "/v1/caps")
        connection.putheader("If-None-Match", '"another"')
        connection.putheader("If-None-Match", tag)
        connection.endheaders()
        assert connection.getresponse().status == 304


@pytest.mark.parametrize(
    "shown, status",
    [
        ("9999-12-31T23:59:59-01:00", 404),
        ("0001-01-01T00:00:00+08:00", 404),
        ("2999-01-01t00:00:00z", 404),
        ("2999-01-01T00:00:00.123456789Z", 404),
        ("2024-01-01T00:00:00+00:60", 422),
        ("2024-01-01T00:001Z", 422),
        ("2024-01-01T00:00:00.1234567890123 08:00", 404),
    ],
)
def test_an_instant_is_one_wherever_in_time(example: Service, shown: str, status: int) -> None:
    """Before the first event and in the future nothing is known, also at the ends of the calendar; RFC 3339 in lower
    case and with nine digits is read, and a plus that came as a blank is a plus."""
    code = {404: "not_known", 422: "invalid_parameter"}[status]
    answer = example.get("/v1/caps", known_at=shown)
    assert (answer.status, answer.document["code"]) == (status, code)


def test_what_is_known_at_an_instant_may_be_asked_with_a_bare_plus(example: Service) -> None:
    """`+08:00` that was not percent-encoded, as people copy it, and finer than a microsecond."""
    last = example.read("/v1/events")["items"][-1]["recorded_at"]
    shown = datetime.fromisoformat(last).astimezone(SHANGHAI).isoformat()
    head, _, zone = shown.rpartition("+")
    with closing(example.connect()) as connection:
        connection.request("GET", f"/v1/caps?known_at={head}999+{zone}")
        found = json.loads(connection.getresponse().read())
    assert found["known_position"] == example.read("/v1/caps")["known_position"]


def test_a_cursor_goes_on_in_its_own_list_only(example: Service) -> None:
    """Lists with the same filters do not take each other's cursors."""
    cursor = Cursor("/v1/reports/duties", {"on": None}, 12, 1).text()
    assert example.get("/v1/reports/duties", cursor=cursor).status == 200
    for path in ("/v1/reports/near-caps", "/v1/reports/duplicates", "/v1/what-if"):
        answer = example.get(path, cursor=cursor)
        assert (answer.status, answer.document["code"]) == (422, "invalid_cursor")


def test_lines_of_events_are_declared(example: Service) -> None:
    """Every form of an answer is in the OpenAPI document."""
    answer = example.get("/v1/events", {"Accept": "application/x-ndjson"})
    declared = example.read("/openapi.json")["paths"]["/v1/events"]["get"]["responses"]["200"]
    assert answer.headers["content-type"] in declared["content"]
    assert {name.lower() for name in declared["headers"]} >= {
        "etag",
        "kejin-known-position",
    } & answer.headers.keys()


@pytest.mark.parametrize(
    "accepted, language",
    [("zh;Q=0.1,en;q=0.5", "en"), ("zh;q=nan,en", "en"), ("zh;q=2,en;q=0.5", "en"), ("en;q=0.1,zh", "zh")],
)
def test_a_weight_is_a_weight(example: Service, accepted: str, language: str) -> None:
    """`q` in either case; what is no weight wants nothing."""
    answer = example.get("/v1/caps", {"Accept-Language": accepted}, known_position=999_999)
    assert answer.headers["content-language"] == language


def test_a_statement_from_the_beginning_says_that_nothing_was_asked(example: Service) -> None:
    """Without `from` it is null in the answer, as `on` and `to` are; the lines are those from the first day on."""
    whole = example.read("/v1/statements/public/round/R1/available")
    assert (whole["from"], whole["on"], whole["to"]) == (None, None, None)
    first = example.read("/v1/statements/public/round/R1/available", **{"from": "0001-01-01"})
    assert whole["lines"]
    assert {**first, "from": None} == whole
