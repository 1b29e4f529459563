"""Why, what changed, what if, and samples over HTTP: what the command line answers, in pages and in time."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.http.what_if import _TENTH as A_TENTH
from api.service import asking
from api.service.examples import EVENTS, FIRM
from api.service.problems import HttpProblem
from api.service.walking import Walk
from ledger.store import Store
from projections.clocks import AsOf
from tests.cli.program import OPENING, Program, claim, repay
from tests.http.service import Answer, Service
from tests.http.test_commands import problem
from tests.http.test_reads import without_echo

CUT = "SX-1.legs.interest_share.rate=1/4"
AVAILABLE = "public/round/R1/available"


@pytest.fixture(scope="module")
def kejin(example_address: str) -> Program:
    """The command line on the examples' ledger."""
    return Program(example_address)


def what_if(service: Service, body: Any, **query: Any) -> Answer:
    """POST /v1/what-if."""
    return service.ask("POST", "/v1/what-if", json.dumps(body).encode(), **query)


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ([AVAILABLE, "--from-position", 5], {"account": AVAILABLE, "from_position": 5}),
        (["public/round/", "--from-position", 6], {"account": "public/round/", "from_position": 6}),
        (
            ["firm", FIRM, "--from-position", 9, "--to-position", 4],
            {"firm": FIRM, "from_position": 9, "known_position": 4},
        ),
        (
            ["round", "R1", "--from-on", "2024-06-30", "--to-on", "2024-07-15"],
            {"round": "R1", "from_on": "2024-06-30", "on": "2024-07-15"},
        ),
        (["bank", FIRM], {"bank": FIRM}),
    ],
    ids=lambda case: " ".join(map(str, case)) if isinstance(case, list) else "",
)
def test_a_difference_is_that_of_the_command_line(
    example: Service, kejin: Program, words: list[object], query: dict[str, Any]
) -> None:
    """/v1/diff names the accounts and lines that `kejin diff` names, and both points."""
    answer = example.read("/v1/diff", limit=1_000, **query)
    assert answer["on"] == query.get("on")
    assert answer["known_position"] == query.get("known_position", EVENTS)
    assert answer.pop("next_cursor") is None
    assert without_echo(answer) == kejin.ask("diff", *words)


@pytest.mark.parametrize(
    ("language", "said"), [("en", "is a PartyRegistered"), ("zh", "第 3 条为 PartyRegistered")]
)
def test_what_has_nothing_to_explain_is_told_in_either_language(
    example: Service, language: str, said: str
) -> None:
    """A fact computed no amount: 404 `nothing_to_explain`, which says what stands there."""
    answer = example.get("/v1/events/3/explanation", {"Accept-Language": language})
    assert said in problem(answer, 404, "nothing_to_explain")["detail"]


def test_pages_of_a_difference_are_the_whole(example: Service) -> None:
    """One line at a time, with the whole sums of the account that it is on, and the points of the first page."""
    whole = example.read("/v1/diff", round="R1", from_position=2)
    assert len(whole["lines"]) > 2
    lines: list[Any] = []
    query: dict[str, Any] = {"round": "R1", "from_position": 2}
    while query:
        page = example.read("/v1/diff", limit=1, **query)
        (line,) = page["lines"]
        assert page["accounts"] == [row for row in whole["accounts"] if row["account"] == line["account"]]
        assert (page["from"], page["to"]) == (whole["from"], whole["to"])
        lines.append(line)
        query = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
    assert lines == whole["lines"]


def test_a_difference_keeps_its_points_while_the_log_grows(service: Service) -> None:
    """What is recorded between two pages is not in the second; the tag names both points."""
    service.record(*OPENING, claim(), repay(1), repay(2))
    query: dict[str, Any] = {"account": "private/loan/L1/repaid", "from_known_at": "2999-01-01T00:00:00Z"}
    problem(service.get("/v1/diff", **query), 404, "not_known")
    query = {"account": "private/loan/L1/repaid", "from_on": "2000-01-01"}
    first = service.get("/v1/diff", limit=1, **query)
    service.record(repay(3))
    following = service.read("/v1/diff", cursor=first.document["next_cursor"])
    assert [line["amount_fen"] for line in following["lines"]] == [2]
    assert following["next_cursor"] is None
    newer = service.get("/v1/diff", limit=1, **query, known_position=8)
    assert newer.document["lines"] == first.document["lines"]
    assert newer.headers["etag"] != first.headers["etag"]  # the first point is known later now
    pinned = {**query, "known_position": 8, "from_position": 7}
    tag = service.get("/v1/diff", **pinned).headers["etag"]
    service.record(repay(4))
    assert service.get("/v1/diff", {"If-None-Match": tag}, **pinned).status == 304
    problem(service.get("/v1/diff", **pinned, from_known_at="2024-01-01T00:00"), 422, "invalid_parameter")


@pytest.mark.parametrize("path", ["/v1/caps", "/v1/events", "/v1/replay", "/v1/diff", "/v1/what-if"])
def test_a_cursor_that_nobody_was_given_is_refused(example: Service, path: str) -> None:
    """Whatever stands in a forged cursor, it is what the parameters take, or 422."""
    if path == "/v1/diff":
        made = example.read(path, round="R1", from_position=1, limit=1)["next_cursor"]
    else:
        made = example.read(path, limit=1)["next_cursor"]
    of, filters, *pins = json.loads(base64.urlsafe_b64decode(made + "=="))
    for name in filters:
        for value in ("2024-02-30", "no such thing", "\0", True, 1.5, -1, [1], "", "9" * 30):
            forged = json.dumps([of, {**filters, name: value}, *pins]).encode()
            answer = example.get(path, cursor=base64.urlsafe_b64encode(forged).decode().rstrip("="))
            if answer.status != 200:
                assert answer.status in (404, 422), answer
                codes = ("invalid_cursor", "invalid_parameter", "unknown_account", "unknown_round")
                assert answer.document["code"] in codes
            elif name == "on":
                pytest.fail(f"{value!r} is no date")


@pytest.mark.parametrize("by", ["random", "amount", "risk"])
def test_a_sample_is_that_of_the_command_line(example: Service, kejin: Program, by: str) -> None:
    """/v1/sample draws what `kejin sample` draws by the same seed, on both clocks."""
    options = {"by": by, "size": 3, "seed": "审计-2026", "round": "R1"}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    for clocks in ({}, {"on": "2024-06-30"}, {"known_position": 7}):
        asked = [w for name, value in clocks.items() for w in (f"--{name.replace('_', '-')}", value)]
        answer = example.read("/v1/sample", **options, **clocks)
        assert answer == {"known_at": None, **kejin.ask("sample", *words, *asked)}
        assert answer["population"]["claims"] == ("on" not in clocks)


def test_a_sample_without_a_seed_names_the_one_it_drew_by(example: Service) -> None:
    """Each has its own seed and tag; asked again with that seed it is the same, and not sent twice."""
    first, other = (example.get("/v1/sample", by="random") for _ in range(2))
    assert first.document["seed"] != other.document["seed"]
    assert first.headers["etag"] != other.headers["etag"]
    again = example.get("/v1/sample", by="random", seed=first.document["seed"])
    assert again.document == first.document
    asked = {"by": "random", "seed": first.document["seed"]}
    assert example.get("/v1/sample", {"If-None-Match": again.headers["etag"]}, **asked).status == 304


def test_what_if_is_that_of_the_command_line(example: Service, kejin: Program, tmp_path: Path) -> None:
    """POST /v1/what-if compares as `kejin what-if` does, by settings and by a foreign rulebook; GET lists as --list."""
    (file := tmp_path / "other.toml").write_text(A_TENTH, "utf-8")
    for body, words in (
        ({"settings": [CUT]}, ["--set", CUT]),
        ({"settings": [CUT]}, ["--set", CUT, "--known-position", 7]),
        ({"rulebooks": [A_TENTH]}, ["--rulebook", file]),
    ):
        answer = what_if(example, body, **({"known_position": 7} if 7 in words else {}))
        assert answer.status == 200, answer
        found = without_echo(answer.document)
        assert found.pop("left_out") == {"payees": 0, "claims": 0, "other_steps": 0}
        expected = without_echo(kejin.ask("what-if", *words))
        assert found == {**expected, "rulebooks": ["other"] if "rulebooks" in body else []}
        assert found["difference_fen"] < 0
    assert example.read("/v1/what-if", limit=1_000)["items"] == kejin.ask("what-if", "--list")


def test_what_if_writes_nothing(example: Service, example_address: str) -> None:
    """The log has as many events as before; the connections that decide are of the role that can only read."""
    before = example.read("/v1/log/checkpoint")
    assert what_if(example, {"settings": [CUT]}).status == 200
    assert example.read("/v1/log/checkpoint") == before
    with Store.open_for_reading(example_address, 10.0) as store, store.beside() as other:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            other.connection.execute("delete from kejin_work.projections")
        assert other.connection.execute("show statement_timeout").fetchone() == ("10s",)


def test_what_if_shows_the_first_rows_and_says_how_many_it_left_out(service: Service) -> None:
    """With `limit` the lists are cut; causes and totals are those of all."""
    service.record(*OPENING, *(claim(f"C{n}", 1_000, f"2023-0{n}-01") for n in (4, 5, 6)))
    whole, cut = (what_if(service, {"settings": [CUT]}, **q).document for q in ({}, {"limit": 2}))
    assert cut["claims"] == whole["claims"][:2]
    assert cut["left_out"] == {"payees": 0, "claims": 1, "other_steps": 0}
    assert (cut["causes"], cut["difference_fen"]) == (whole["causes"], whole["difference_fen"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"settings": [], "rulebooks": []},
        {"settings": [CUT] * 101},
        {"settings": [CUT, 1]},
        {"settings": ["SX-1.legs.interest_share.rate=1e999999999"]},
        {"rulebooks": ["id = 1"]},
        {"rulebooks": [A_TENTH], "settings": [CUT]},
        {"rulebooks": [A_TENTH, A_TENTH.replace('"other"', '"third"')]},
        {"rulebooks": [A_TENTH.replace("securities", "colours")]},
        {"rulebooks": [A_TENTH.replace("1/10", "1e999999999")]},
        {"rulebooks": [f"a{'.a' * 200_000} = 1"]},
        {"settings": [CUT], "write": True},
        [CUT],
    ],
    ids=lambda body: str(body)[:60],
)
def test_rules_that_cannot_decide_are_a_problem_in_two_languages(example: Service, body: Any) -> None:
    """422 `unusable_rules` says what is wrong; never a fault, and others are answered as before."""
    sent = json.dumps(body).encode()
    for language in ("en", "zh"):
        answer = example.ask("POST", "/v1/what-if", sent, {"Accept-Language": language})
        told = problem(answer, 422, "unusable_rules")
        assert (answer.headers["content-language"], len(told["detail"]) < 1_000) == (language, True)
    assert example.get("/v1/what-if").status == 200


def test_a_log_too_long_for_the_time_is_a_clear_problem(example_address: str) -> None:
    """When the time is over, also while waiting for others, samples and what-ifs end with `too_slow`, which says what
    to do, and the connection answers the next question."""
    newest = AsOf(None, EVENTS)

    def supposed(store: Store, walk: Walk) -> dict[str, Any]:
        return asking.supposed(store, newest, walk, [CUT], [])

    def sample(store: Store, walk: Walk) -> dict[str, Any]:
        return asking.sample(store, newest, walk, {"by": None, "size": None, "round": None}, "s")

    with Store.open_for_reading(example_address, 10.0) as store:
        for question in (supposed, sample):
            with pytest.raises(HttpProblem) as told:
                question(store, Walk(-1.0))
            assert (told.value.code, told.value.status) == ("too_slow", 503)
            assert "known_position" in str(told.value) and "known_position" in told.value.zh
            assert question(store, Walk(60.0))["known_position"] == EVENTS


def test_a_log_that_somebody_changed_is_not_decided_again(service: Service, database: str) -> None:
    """What no command could have recorded is 503 `not_decidable`, never a fault."""
    service.record(*OPENING, claim())
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("alter table events disable trigger all")
        connection.execute("update events set data = '{}' where position = 6")
    problem(what_if(service, {"settings": [CUT]}), 503, "not_decidable")


def test_two_business_dates_are_compared_at_one_position(service: Service, database: str) -> None:
    """Without a position both points know the newest, and the same, however much is recorded meanwhile."""
    service.record(*OPENING, claim())
    ended = threading.Event()

    def record() -> None:
        client, number = service.client(), 0
        while not ended.is_set():
            number += 1
            client.record(repay(number))

    recording = threading.Thread(target=record)
    recording.start()
    try:
        for _ in range(6):
            words = ("diff", "private/loan/L1/", "--from-on", "2023-01-01", "--to-on", "2024-01-01")
            document = Program(database).ask(*words)
            assert document["from"]["known_position"] == document["to"]["known_position"]
            query = {"account": "private/loan/L1/", "from_on": "2023-01-01", "on": "2024-01-01"}
            document = service.read("/v1/diff", **query)
            assert document["from"]["known_position"] == document["to"]["known_position"]
    finally:
        ended.set()
        recording.join()
