"""Pages: what a browser gets, in both languages, for every role; forms; nothing hostile is shown as HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import pytest

from api.roles import ROLES, permission_of, permissions_of
from api.service.application import discover_pages
from api.service.examples import BANK, FIRM, LINES
from api.service.forms import fields_of, inputs
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.schemas import sample
from api.service.words import value_word, warning_word, word
from ledger.catalogue import catalogue
from ledger.commands import CommandSpec, InvalidCommand
from ledger.money import format_yuan
from ledger.parties import KINDS
from ledger.redecide import ADOPTION, COMMAND_OF_EVENT, REFUSALS
from ledger.refusals import CODES
from ledger.subjects.loans import SECURITIES
from tests.cli.program import Program
from tests.faults.test_kills import until
from tests.http.service import Answer, Service, serving
from tests.http.test_access import token
from tests.support import fresh_database

KNOWN = catalogue()
PAGES = discover_pages(KNOWN, Limits())
SPECS = list(KNOWN.specs.values())
LEDGER = Path(__file__).parents[2] / "ledger"
SOURCES = [*(LEDGER / "subjects").glob("*.py"), *(LEDGER / "instruments").glob("*.py"), LEDGER / "grants.py"]
#: Elements that have no end.
VOID = frozenset({"meta", "link", "input", "br", "hr", "img"})


class Html(HTMLParser):
    """A page taken apart: its links, its text, and what is wrong with its nesting."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.links: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.names: list[str] = []  # of columns and members
        self._open: list[str] = []
        self.feed(answer.body.decode())
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, (tag, self.getpos())
        if tag in ("td", "th"):
            self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open and self._open[-1] in ("th", "dt", "h2") and data.strip():
            self.names.append(data.strip())

    def values(self) -> dict[str, str | None]:
        """What the fields of its forms hold, by name."""
        return {a["name"] or "": a.get("value") for t, a in self.elements if t == "input" and a.get("name")}


def page(service: Service, path: str, status: int = 200, **query: Any) -> Html:
    """A page, taken apart."""
    answer = service.get(path, **query)
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Html(answer)


def followed(service: Service, link: str) -> Html:
    """The page that a link leads to."""
    parts = urlsplit(link)
    query: dict[str, Any] = dict(parse_qsl(parts.query))
    return page(service, parts.path, **query)


def pages_from(service: Service, link: str) -> Iterator[Html]:
    """The page that a link leads to, and those that follow it by their own links."""
    path: str | None = link
    while path is not None:
        shown = followed(service, path)
        path = next((a["href"] for t, a in shown.elements if t == "a" and a.get("rel") == "next"), None)
        yield shown


def send(
    service: Service,
    path: str,
    fields: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    **query: str,
) -> Answer:
    """A form, as a browser sends it."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return service.ask("POST", path, urlencode(fields).encode(), {**kind, **(headers or {})}, **query)


#: What a heading or a name of a member may be in Chinese without a Chinese character: codes of readings.
CODE = re.compile(r"A\d+|SX-\d+|[a-z]+_sha256")


@pytest.mark.parametrize("point", ["/", "/?on=2024-07-15&known_position=9"], ids=["now", "then"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_link_leads_to_a_page(example: Service, language: str, point: str) -> None:
    """From the first page on, now or at a point of both clocks, every link of every page is answered, in well-nested
    HTML, in the language asked for."""
    headers = {"Accept-Language": language}
    seen, waiting = {point}, [point]
    while waiting:
        path = waiting.pop()
        parts = urlsplit(path)
        query = dict(pair.split("=", 1) for pair in parts.query.split("&") if pair)
        answer = example.get(unquote(parts.path), headers, **{k: unquote(v) for k, v in query.items()})
        if parts.path.startswith("/language/"):
            assert answer.status == 303, (path, answer)
            continue
        assert answer.status == 200, (path, answer)
        assert answer.headers["content-language"] == language
        shown = Html(answer)
        if language == "zh":
            for name in shown.names:
                assert CODE.fullmatch(name) or not name.isascii(), (path, name)
        for link in shown.links:
            assert link.startswith("/"), link
            assert point == "/" or link.startswith("/language/") or "known_position=9" in link, (path, link)
            if link not in seen:
                seen.add(link)
                waiting.append(link)
    named = {re.sub(r"\{.*", "", one.path) for one in PAGES if one.method == "GET"}
    reached = {urlsplit(one).path for one in seen} | {"/login", "/style.css"}
    assert all(any(path.startswith(name) for path in reached) for name in named), named


def test_a_page_shows_what_the_ledger_says_at_that_point_of_both_clocks(example: Service) -> None:
    """A balance, as known at each position and effective on a day, is that of /v1; links keep the point."""
    account = "public/round/R1/available"
    for position in range(1, 13):
        asked: dict[str, Any] = {"known_position": position, "on": "2024-12-31"}
        fen = example.read(f"/v1/balances/{account}", **asked)["balance_fen"]
        shown = page(example, f"/accounts/{account}", **asked)
        yuan = re.search(r"(-?[\d,.]+) (元|万元|亿元)\s+balance", shown.text)
        assert yuan, shown.text
        scale = {"元": 100, "万元": 10**6, "亿元": 10**10}[yuan[2]]
        assert Decimal(yuan[1].replace(",", "")) * scale == fen
        assert f"/caps?on=2024-12-31&known_position={position}" in shown.links


def test_a_party_is_shown_in_all_its_roles(service: Service) -> None:
    """Of a bank that also borrows the page has the loans that it gave and the one that it took, each once, and what it
    was refused as a firm."""
    loan = dict(LINES[3])
    service.record(
        *map(dict, LINES[:4]),
        {"command": "register-party", "uscc": BANK, "kind": "firm", "name": "某银行"},
        {**loan, "loan": "L8", "firm": BANK, "bank": BANK},
        {**loan, "loan": "L9", "firm": BANK},
    )
    first = {**LINES[5], "claim": "C8", "loan": "L8"}
    service.run(first, {**first, "claim": "C9"})
    shown = page(service, f"/parties/{BANK}")
    for name in ("loan:L1", "loan:L8", "loan:L9"):
        assert sum(f"tag={name.replace(':', '%3A')}" in link for link in shown.links) == 1, name
    assert "/claims/C9" in shown.links


def test_a_long_table_comes_in_pieces(service: Service) -> None:
    """Of a bank with more loans than a page shows, following the links shows every loan exactly once, also where others
    are recorded meanwhile."""
    loan = dict(LINES[3])
    names = [f"L{number}" for number in range(250)]
    service.record(*map(dict, LINES[:3]), *[{**loan, "loan": name} for name in names])
    found: list[str] = []
    for shown in pages_from(service, f"/parties/{BANK}"):
        found += [tag for link in shown.links for _, tag in parse_qsl(urlsplit(link).query) if "loan:" in tag]
        assert len(shown.links) < 400
        service.record({**loan, "loan": f"A{len(found)}"})
    assert sorted(found) == sorted(f"loan:{name}" for name in names)
    beyond = page(service, f"/parties/{BANK}", table=99, row=10**9, known_position=254)
    assert "1–100 of 250" in " ".join(beyond.text.split())


def yuan(fen: int) -> str:
    """An amount as a column shows it."""
    return f"{Decimal(fen) / 100:,.2f} 元"


def test_what_changed_is_shown_line_by_line(example: Service) -> None:
    """The page has every line and every account that /v1/diff has between the same points; without a subject it only
    asks for one."""
    asked: dict[str, Any] = {"from_position": 5, "known_position": 9}
    told_nothing = page(example, "/diff", what="firm", name=FIRM)
    assert "Lines" not in told_nothing.names  # without a first point there is nothing to compare with
    for what, name in (("firm", FIRM), ("round", "R1"), ("account", "public/round/R1/available")):
        told = example.read("/v1/diff", **{what: name}, **asked)
        assert told["lines"], what
        shown = page(example, "/diff", what=what, name=name, **asked)
        for row in (*told["lines"], *told["accounts"]):
            assert f"/accounts/{row['account']}?known_position=9" in shown.links, row
        for line in told["lines"]:
            assert yuan(line["amount_fen"]) in shown.text, line
    assert "Lines" not in page(example, "/diff").names
    page(example, "/diff", 404, what="round", name="R99", from_position=5)
    page(example, "/diff", 404, what="account", name="nowhere/at/all", from_position=5)
    page(example, "/diff", 404, what="round", name="R1", from_position=999_999)
    page(example, "/diff", 422, name="R1", from_position=5)


def test_what_is_known_at_one_of_two_points_only_has_links_that_lead_there(example: Service) -> None:
    """Also from the point that knows more back to the one that knows less, every link of the page is answered."""
    shown = page(example, "/diff", what="round", name="R1", from_position=11, known_position=5)
    positions = [int(link[8:].partition("?")[0]) for link in shown.links if link.startswith("/events/")]
    assert max(positions) > 5
    for link in shown.links:
        parts = urlsplit(link)
        status = example.get(unquote(parts.path), None, **dict(parse_qsl(parts.query))).status
        assert status == (303 if parts.path.startswith("/language/") else 200), link


def test_a_question_that_had_no_answer_can_be_put_otherwise(example: Service) -> None:
    """The page of a problem shows what was asked, to be changed; one that leads nowhere has nothing to ask."""
    asked = {"what": "round", "name": "R99 <x>", "from_position": "5"}
    assert page(example, "/diff", 404, **asked).values() == asked
    assert page(example, "/what-if", 422, settings="SX-1.reading.A1=decade").values() == {
        "settings": "SX-1.reading.A1=decade"
    }
    assert Html(example.get("/nothing", {"Accept": "text/html"}, q="x")).values() == {}


def test_what_changed_is_shown_while_more_is_recorded(service: Service) -> None:
    """The first point may be the newest event, before the projections have seen it; and what is compared are pages of
    lines, each once, whatever is recorded between them."""
    more = {"command": "adjust-budget", "round": "R1", "amount_fen": 1, "document": "D"}
    service.record(*map(dict, LINES[:4]), *[{**more, "document": f"D{number}"} for number in range(150)])
    newest = service.read("/v1/events", after=150)["known_position"]
    for _ in range(5):
        service.record(more)
        newest += 1
        earlier: dict[str, Any] = {"from_position": newest, "known_position": newest - 1}
        page(service, "/diff", what="round", name="R1", **earlier)
    asked = f"/diff?what=account&name=public/round/R1/available&from_position=5&known_position={newest}"
    positions: list[str] = []
    for shown in pages_from(service, asked):
        assert "row" not in shown.values()  # at another point the list begins at its beginning
        positions += [urlsplit(link).path for link in shown.links if link.startswith("/events/")]
    assert positions == [f"/events/{number}" for number in range(6, newest + 1)]


def test_a_sample_can_be_drawn_again_from_its_link(example: Service) -> None:
    """The page draws what /v1/sample draws with the same seed; its link draws the same once more; it draws nothing
    before somebody says how."""
    told = example.read("/v1/sample", by="risk", seed="审计", size=3)
    shown = page(example, "/sample", by="risk", seed="审计", size=3)
    for row in told["claims"]:
        assert f"/claims/{row['claim']}" in shown.links
        for position in row["positions"]:
            assert f"/events/{position}" in shown.links
    asked = example.get("/sample", by="random", size=1, round="R1")
    assert asked.status == 303, asked
    drawn = followed(example, asked.headers["location"])
    seed = dict(parse_qsl(urlsplit(asked.headers["location"]).query))["seed"]
    (again,) = [link for link in drawn.links if link.startswith("/sample?") and f"seed={seed}" in link]
    assert "known_position=" in again
    assert all(seed in link for link in drawn.links if link.startswith("/language/"))
    twice = followed(example, again)

    def claims(html: Html) -> list[str]:
        return [urlsplit(link).path for link in html.links if link.startswith("/claims/")]

    assert claims(drawn) == claims(twice) != []
    assert claims(page(example, "/sample")) == []


def test_other_rules_are_tried_on_a_page(example: Service) -> None:
    """The page shows the sums, the causes and the claims that POST /v1/what-if finds, and what can be set; a value that
    nobody can decide by is 422 and says why."""
    setting = "SX-1.legs.interest_share.rate=1/4"
    body = json.dumps({"settings": [setting]}).encode()
    told = example.ask("POST", "/v1/what-if", body, {"Content-Type": "application/json"}).document
    assert told["claims"]
    shown = page(example, "/what-if", settings=f"{setting}\r\n")
    for row in (*told["causes"], *told["payees"], *told["claims"]):
        assert yuan(row["difference_fen"]) in shown.text, row
    text = " ".join(shown.text.split())
    for claim in told["claims"]:
        assert f"/claims/{claim['claim']}" in shown.links
        amounts = [yuan(claim[name]) for name in ("then_fen", "now_fen", "difference_fen")]
        why = [claim["then"]["code"], claim["now"]["code"], claim["clause"], claim["causes"][0]["cause"]]
        assert " ".join([*amounts, *filter(None, why), str(claim["parted_at"])]) in text, claim
    assert "SX-1.legs.interest_share.rate" in page(example, "/what-if").text
    assert "decade" in page(example, "/what-if", 422, settings="SX-1.reading.A1=decade").text
    page(example, "/what-if", 422, settings="x" * 4_001)
    dated = page(example, "/what-if", settings=setting, on="1990-01-01")
    assert "1990" not in dated.text  # a day that would be ignored is not said to be looked at
    assert yuan(told["difference_fen"]) in dated.text
    none = page(example, "/what-if", settings="SX-1.legs.interest_share.rate=1/2")
    assert "Claim by claim" not in none.names


def test_steps_that_come_out_otherwise_are_told_in_words(example: Service) -> None:
    """Types of events and codes of refusals are Chinese on the Chinese page."""
    setting = "SX-1.legs.interest_share.rate=0"
    body = json.dumps({"settings": [setting]}).encode()
    told = example.ask("POST", "/v1/what-if", body, {"Content-Type": "application/json"}).document
    steps = {row[name] for row in told["other_steps"] for name in ("then", "now")}
    assert any("(" in step for step in steps)
    shown = Html(example.get("/what-if", {"Accept-Language": "zh"}, settings=setting)).text
    for step in steps:
        assert step not in shown, step
        event, _, code = step.partition(" (")
        for name in filter(None, (event, code.removesuffix(")"))):
            assert (value_word(name, "zh") or name) in shown, name


def test_an_instant_is_kept_by_the_links_of_its_page(example: Service) -> None:
    """Whoever asks what was known at an instant stays there: links lead to the position that it came to."""
    instant = example.read("/v1/events/6")["recorded_at"]
    position = example.read("/v1/caps", known_at=instant)["known_position"]
    shown = page(example, "/", known_at=instant)
    assert f"/caps?known_position={position}" in shown.links
    assert f"known up to {position}" in shown.text


def test_a_check_says_what_it_found(example: Service) -> None:
    """The page of the checks runs the one that is chosen, and none before."""
    assert "holds" not in page(example, "/verification").text
    found = example.read("/v1/verification", check="caps")
    shown = page(example, "/verification", check="caps").text
    assert "Everything holds." in shown
    assert found["root"] in shown


def test_a_round_has_what_it_was_given_in_all(service: Service) -> None:
    """The lists of rounds say what a round was given, adjustments too, on both clocks: it is what its money adds up
    to."""
    service.record(dict(LINES[0]))
    opened_fen = int(LINES[0]["budget_fen"])
    adjust = {"command": "adjust-budget", "round": "R1", "amount_fen": 12_345, "document": "d"}
    service.record({**adjust, "effective_on": "2024-03-01"})
    for path in ("/", "/rounds"):
        for clocks, fen in (
            ({}, opened_fen + 12_345),
            ({"on": "2024-02-01"}, opened_fen),
            ({"known_position": 2}, opened_fen),
        ):
            assert page(service, path, **clocks).text.count(format_yuan(fen)) == 2, (path, clocks)


def test_every_kind_of_party_has_its_grants(service: Service) -> None:
    """Whoever gets public money has a page that says what they got, what was refused, and where all of it stands."""
    body = {
        "command": "register-party",
        "uscc": "91110000101623741K",
        "kind": "service_body",
        "name": "服务中心",
    }
    grant = {"command": "claim-service-grant", "round": "R1", "payee": body["uscc"], "document": "d"}
    review = {"kind": "expert", "passed": True, "document": "d", "on": "2024-05-01"}
    service.record(dict(LINES[0]), body)
    service.run(
        {**grant, "claim": "S1", "decided_fen": 765_432, "reviews": [review], "effective_on": "2024-06-01"},
        {**grant, "claim": "S2", "decided_fen": 10**15, "reviews": [review], "effective_on": "2024-06-01"},
    )
    shown = page(service, f"/parties/{body['uscc']}")
    assert "7,654.32" in shown.text
    assert {"Grants", "Refused claims"} <= set(shown.names)
    assert any("tag=service_body" in link for link in shown.links)


def test_the_portfolio_says_which_money_is_net(example: Service) -> None:
    """Paid is less what was recovered of it; recovered on loans is no public money."""
    names = page(example, "/portfolio").names
    assert {"paid, net of recoveries", "recovered on loans"} <= set(names)
    assert not {"paid", "recovered"} & set(names)


def test_what_is_not_known_is_a_page_that_says_so(example: Service) -> None:
    """Problems are pages: 404 for what is not there, 422 for what is malformed, and empty fields of a form are none."""
    page(example, "/rounds/R99", 404)
    page(example, "/events/999999", 404)
    page(example, "/claims/C99", 404)
    page(example, "/parties/91110000101623741K", 404)
    assert "2024-02-30" in page(example, "/caps", 422, on="2024-02-30").text
    page(example, "/caps", 422, colour="red")
    page(example, "/caps", on="", known_position="", known_at="")


def test_nothing_that_people_wrote_is_run(service: Service) -> None:
    """Names, ids and documents are shown as text wherever they come up; no page takes scripts or foreign content."""
    hostile = "<script>alert('x')</script>\"'&amp;<b>"
    parties = [{**line, "name": hostile} for line in LINES if line["command"] == "register-party"]
    others = [line for line in LINES if line["command"] != "register-party"]
    service.run(*map(dict, [others[0], *parties, *others[1:]]))
    service.run({"command": "hold", "claim": "C1", "reason": hostile})
    for path in (
        "/",
        f"/parties/{FIRM}",
        f"/parties/{BANK}",
        "/parties",
        "/events",
        "/events/3",
        "/events/7",
        "/caps",
    ):
        shown = page(service, path)
        assert not {"script", "b"} & {tag for tag, _ in shown.elements}, path
    assert hostile in page(service, f"/parties/{FIRM}").text
    answer = service.get("/parties", text=hostile)
    assert hostile not in answer.body.decode()
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_what_the_ledger_warns_of_is_said_in_words() -> None:
    """Every warning that the ledger has is a sentence in both languages."""
    lines = [line for file in SOURCES for line in file.read_text("utf-8").splitlines()]
    warnings = {
        code
        for i, line in enumerate(lines)
        if "warnings" in "".join(lines[max(0, i - 4) : i + 1])
        for code in re.findall(r'\("([a-z]+_[a-z_]+)",\)', line)
    }
    assert len(warnings) >= 10, warnings
    for one in warnings - {"drawn_on"}:  # the name of a date
        assert warning_word(one, "en") != one, one
        assert not warning_word(one, "zh").isascii(), one


def test_what_the_ledger_spells_in_english_has_a_chinese_word() -> None:
    """Types of events, instruments, kinds of parties, securities and refusals are read in Chinese on a Chinese page."""
    types = {*COMMAND_OF_EVENT, ADOPTION, *REFUSALS, *(one.event for one in KNOWN.instruments.values())}
    words = {*types, *KNOWN.instruments, *KINDS, *SECURITIES, *CODES}
    assert {one for one in words if value_word(one, "zh") is None} == set()
    assert {value_word(one, "en") for one in words} == {None}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_form_says_what_its_command_says(spec: CommandSpec) -> None:
    """Every command has a form of its own fields, in words of both languages, and what is typed in is what is meant."""
    shown = {one.name: one for one in inputs(spec, "en")}
    assert shown.keys() == {field.name for field in spec.fields} | {"effective_on"}
    assert {name for name, one in shown.items() if one.required} == {
        f.name for f in spec.fields if f.required
    }
    for name in shown:
        assert word(name, "zh") != word(name, "en"), name
    body = sample(spec)
    typed = {name: as_typed(shown[name].kind, value) for name, value in body.items()}
    assert fields_of(spec, typed) == body


def as_typed(kind: str, value: Any) -> str:
    """A value as a person types it."""
    if kind == "yuan":
        return f"{Decimal(value) / 100:,.2f}"
    if isinstance(value, list):
        return "\n".join(map(line_typed, value))
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def typed_in(name: str, **more: str) -> dict[str, Any]:
    """The fields of a command whose required ones are typed in, and more."""
    spec = KNOWN.specs[name]
    kinds = {one.name: one.kind for one in inputs(spec, "en")}
    return fields_of(spec, {**{n: as_typed(kinds[n], v) for n, v in sample(spec).items()}, **more})


def line_typed(entry: dict[str, Any]) -> str:
    """A slip or a review as a person types it."""
    if "number" in entry:
        return f"{entry['number']} {as_typed('yuan', entry['amount_fen'])}"
    return f"{entry['kind']} {'yes' if entry['passed'] else 'no'} {entry['on']} {entry['document']}"


NO_AMOUNTS = ["1.234", "1e3", "0x10", "一百", "1.2.3", "-", "--1", "1 0", "-5", "0", "99999999999999.99"]
ODD_COMMAS = ["0,123", "1,5", "10,00", "1.,5", "1234,567", ",1", "1,000,00"]


@pytest.mark.parametrize("text", [*NO_AMOUNTS, *ODD_COMMAS])
def test_an_amount_that_is_none_is_said_to_be_none(text: str) -> None:
    """Nothing is rounded and nothing guessed: what is no amount in yuan is refused, a comma in an odd place too."""
    with pytest.raises(InvalidCommand):
        typed_in("repay-loan", amount_fen=text)


@pytest.mark.parametrize("name", ["command", "colour", "principal"])
def test_a_form_takes_no_field_but_its_own(name: str) -> None:
    """Which command is meant says the address alone, on which permission was given."""
    with pytest.raises(InvalidCommand):
        typed_in("draw-loan", **{name: "hold"})


@pytest.mark.parametrize(
    ("command", "field", "text"),
    [
        ("claim-loan-interest", "slips", "S-1"),
        ("claim-loan-interest", "slips", "S-1 1,5"),
        ("claim-guarantee-compensation", "reviews", "expert perhaps 2024-06-01 d"),
        ("claim-guarantee-compensation", "reviews", "expert"),
    ],
)
def test_a_line_of_a_list_that_is_none_is_said_to_be_none(command: str, field: str, text: str) -> None:
    """A slip is a number and an amount, a review a kind, yes or no, a day and a document; nothing is guessed."""
    with pytest.raises(InvalidCommand):
        typed_in(command, **{field: text})


def test_lists_are_typed_a_line_each() -> None:
    """Numbers and documents may hold blanks, and Chinese words stand for the English ones."""
    slips = typed_in("claim-loan-interest", slips="回单 1  1,200.50\r\n\r\nS-2 3")["slips"]
    assert slips == [{"number": "回单 1", "amount_fen": 120_050}, {"number": "S-2", "amount_fen": 300}]
    typed = "专家 通过 2024-06-01 评审 1\nonsite no 2024-06-02 现场-1"
    reviews = typed_in("claim-guarantee-compensation", reviews=typed)["reviews"]
    assert reviews == [
        {"kind": "expert", "passed": True, "document": "评审 1", "on": "2024-06-01"},
        {"kind": "onsite", "passed": False, "document": "现场-1", "on": "2024-06-02"},
    ]


def test_after_a_refusal_the_corrected_form_is_another_try(service: Service) -> None:
    """What was refused can be corrected and sent again, also where the command makes a thing."""
    service.record(*map(dict, LINES[:1]))
    wrong = "91110000101623742K"
    fields = {
        **page(service, "/commands/register-party").values(),
        "uscc": wrong,
        "kind": "firm",
        "name": "甲",
    }
    refused = send(service, "/commands/register-party", {k: v for k, v in fields.items() if v})
    assert refused.status == 409, refused
    again = {**Html(refused).values(), "kind": "firm", "confirm_uscc": "true"}
    accepted = send(service, "/commands/register-party", {k: v for k, v in again.items() if v})
    assert accepted.status == 303, Html(accepted).text
    assert service.read("/v1/events/4")["data"]["uscc"] == wrong


def test_a_form_records_a_command_once(service: Service) -> None:
    """What is sent is recorded and shown where it stands; sent again it changes nothing; tried it writes nothing."""
    service.record(*map(dict, LINES[:4]))
    fields = {**page(service, "/commands/repay-loan").values(), "loan": "L1", "amount_fen": "1,000.50"}
    sent = {name: value for name, value in fields.items() if value}
    tried = send(service, "/commands/repay-loan", {**sent, "dry_run": "true"})
    assert tried.status == 200, tried
    assert "nothing was recorded" in Html(tried).text
    assert "1,000.50 元" in Html(tried).text
    assert service.read("/v1/events", tag="loan:L1")["known_position"] == 5
    answer = send(service, "/commands/repay-loan", sent)
    assert (answer.status, answer.headers["location"]) == (303, "/events/6"), answer
    again = send(service, "/commands/repay-loan", sent)
    assert again.status == 200, again
    assert "recorded before" in Html(again).text
    assert "/events/6" in Html(again).links
    changed = send(service, "/commands/repay-loan", {**sent, "amount_fen": "7", "dry_run": "true"})
    assert "key_reused" in Html(changed).text
    fresh = {**Html(changed).values(), "dry_run": "true"}
    tried = send(service, "/commands/repay-loan", {k: v for k, v in fresh.items() if v})
    assert "It would be accepted" in Html(tried).text
    event = service.read("/v1/events/6")
    assert (event["type"], event["data"]["amount_fen"]) == ("LoanRepaid", 100_050)
    assert service.read("/v1/events", tag="loan:L1")["known_position"] == 6


def test_a_form_says_what_is_wrong_and_keeps_what_was_typed(service: Service) -> None:
    """A malformed form is 422 and writes nothing, a refused one 409 with its reason and the event; both keep what was
    typed."""
    service.record(*map(dict, LINES[:4]))
    sent = {"loan": "L1", "outstanding_fen": "一百", "defaulted_on": "2024-01-01"}
    malformed = send(service, "/commands/report-default", sent)
    assert malformed.status == 422, malformed
    assert Html(malformed).values()["outstanding_fen"] == "一百"
    refused = send(service, "/commands/report-default", {**sent, "loan": "L9", "outstanding_fen": "1"})
    shown = Html(refused)
    assert refused.status == 409, refused
    assert "unknown_loan" in shown.text
    assert "/events/6" in shown.links
    assert shown.values()["loan"] == "L9"
    assert service.read("/v1/events/6")["type"] == "CommandRefused"


def test_another_sites_page_sends_nothing(example: Service) -> None:
    """A form that a foreign page submits is refused before anything is decided."""
    answer = send(
        example,
        "/commands/repay-loan",
        {"loan": "L1", "amount_fen": "1"},
        {"Origin": "http://elsewhere.example"},
    )
    assert answer.status == 403, answer
    assert Html(answer).text.strip()


@pytest.fixture(scope="module")
def guarded(
    embedded_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Program, dict[str, str]]]:
    """A server on the examples' ledger with a token per role, and one narrowed to a single command."""
    with fresh_database(embedded_server) as address:
        kejin = Program(address)
        kejin.run(*map(dict, LINES))
        secrets = {role: token(kejin, f"{role}-person", role) for role in ROLES}
        secrets["narrowed"] = token(kejin, "narrowed-person", "operator", only=("draw-loan", "read"))
        with serving(kejin, tmp_path_factory.mktemp("pages") / "server.log") as running:
            yield running, kejin, secrets


def may(operation: Operation, role: str) -> bool:
    """Whether a role may open a page: the forms of its commands, and every page that shows."""
    if operation.may is None:
        return True
    if role == "narrowed":
        return operation.may == "read" or operation.name == "draw-loan"
    if operation.name == "page-verification":
        return role in ("auditor", "compliance")
    name = operation.path.removeprefix("/commands/")
    wanted = permission_of(name) if operation.path.startswith("/commands/") else "read"
    return wanted in permissions_of([role])


@pytest.mark.parametrize("role", [*ROLES, "narrowed", None])
def test_every_page_for_every_role(
    guarded: tuple[Service, Program, dict[str, str]], role: str | None
) -> None:
    """With the token of a cookie a role gets its pages and forms, 403 for the rest; without one everybody is asked
    for theirs, and nothing is shown."""
    service, _, secrets = guarded
    headers = {"Cookie": f"kejin_token={secrets[role]}"} if role else {}
    for operation in PAGES:
        path = operation.path.replace("{round}", "R1").replace("{uscc}", FIRM).replace("{claim}", "C1")
        path = path.replace("{position}", "7").replace("{account:path}", "public/treasury")
        path = path.replace("{language}", "zh")
        if operation.method == "GET":
            answer = service.get(path, headers)
        else:
            answer = send(service, path, {"dry_run": "true"}, headers)
        where = (operation.name, role, answer)
        if role is None and operation.may is not None:
            if operation.method == "GET":
                assert (answer.status, answer.body) == (303, b""), where
                assert answer.headers["location"].startswith("/login?next="), where
            else:
                assert answer.status == 401, where
        elif role is not None and not may(operation, role):
            assert answer.status == 403, where
        else:
            assert answer.status in (200, 303, 401 if path == "/login" else 422), where


def test_a_token_that_is_typed_in_opens_pages_and_nothing_else(
    guarded: tuple[Service, Program, dict[str, str]],
) -> None:
    """Logging in leads where one wanted to go, in a cookie that no script and no other site gets; it is no key to
    /v1, and a revoked token opens nothing."""
    service, kejin, _ = guarded
    secret = token(kejin, "leaving-person", "auditor")
    assert send(service, "/login", {"token": "kejin_wrong"}).status == 401
    answer = send(service, "/login", {"token": secret}, next="/caps?on=2024-12-31")
    assert (answer.status, answer.headers["location"]) == (303, "/caps?on=2024-12-31"), answer
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/")), cookie
    assert "Secure" not in cookie
    behind = send(service, "/login", {"token": secret}, {"X-Forwarded-Proto": "https"})
    assert behind.headers["set-cookie"].endswith("; Secure")  # a browser sends it back over TLS only
    headers = {"Cookie": cookie.partition(";")[0]}
    assert "leaving-person" in Html(service.get("/caps", headers)).text
    assert service.get("/v1/caps", headers).status == 401
    (listed,) = [one for one in kejin.ask("token", "list") if one["principal"] == "leaving-person"]
    kejin.ask("token", "revoke", listed["id"])
    until(lambda: service.get("/caps", headers).status == 303)


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "caps", "/a\r\nX: y"]
)
def test_going_on_never_leads_elsewhere(example: Service, target: str) -> None:
    """After a choice of language or a login one comes to a page of this server, whatever the address says."""
    answer = example.get("/language/zh", next=target)
    if answer.status == 303:
        assert answer.headers["location"] == "/", answer
        assert "x" not in answer.headers
    else:
        assert answer.status == 422, answer


def test_a_chosen_language_stays(example: Service) -> None:
    """The language that a person chose wins over the browser's."""
    chosen = example.get("/language/zh", next="/caps").headers["set-cookie"].partition(";")[0]
    answer = example.get("/caps", {"Cookie": chosen, "Accept-Language": "en"})
    assert answer.headers["content-language"] == "zh"
    assert "累计上限" in Html(answer).text


def test_forms_and_pages_are_in_the_log_under_their_names(example: Service) -> None:
    """A page is logged as every request is, and no token of a login or cookie stands in the log."""
    secret = "kejin_" + "s" * 40
    send(example, "/login", {"token": secret})
    example.get("/duties", {"Cookie": f"kejin_token={secret}"})

    def logged() -> str:
        return Path(example.log).read_text("utf-8")

    until(lambda: all(f'"operation":"{name}"' in logged() for name in ("page-login", "page-duties")))
    assert secret not in logged()


COOKIES = ["a[b]=1", "flag", 'prefs={"a":1, "b":2}', "x=\xe4\xbb", "a=b c=d, e", "=", "kejin_tokens=x"]


@pytest.mark.parametrize("other", COOKIES)
def test_cookies_of_others_keep_nobody_out(
    guarded: tuple[Service, Program, dict[str, str]], other: str
) -> None:
    """Whatever other programs of the host put into their cookies, ours are found beside them."""
    service, _, secrets = guarded
    ours = f"kejin_token={secrets['auditor']}; kejin_language=zh"
    for cookie in (f"{other}; {ours}", f"{ours}; {other}", f"kejin_token=stale; {ours}"):
        answer = service.get("/caps", {"Cookie": cookie})
        assert (answer.status, answer.headers["content-language"]) == (200, "zh"), cookie


def test_a_token_that_only_records_is_told_that_it_did(
    guarded: tuple[Service, Program, dict[str, str]],
) -> None:
    """Whoever may record and not read is told the position, is known by name where they may not go, and can log out."""
    service, kejin, _ = guarded
    secret = token(kejin, "recording-person", "operator", only=("draw-loan",))
    headers = {"Cookie": f"kejin_token={secret}"}
    loan = {**sample(KNOWN.specs["draw-loan"]), "firm": FIRM, "bank": BANK, "loan": "L77"}
    typed = {name: as_typed("yuan" if name.endswith("_fen") else "", value) for name, value in loan.items()}
    answer = send(service, "/commands/draw-loan", typed, headers)
    assert answer.status == 200, Html(answer).text
    assert "Recorded." in Html(answer).text
    smuggled = send(
        service, "/commands/draw-loan", {"command": "hold", "claim": "C1", "reason": "x"}, headers
    )
    assert smuggled.status == 422
    assert "GrantHeld" not in {event["type"] for event in kejin.events()}
    forbidden = service.get("/", headers)
    assert forbidden.status == 403
    assert "recording-person" in Html(forbidden).text
    ended = send(service, "/commands/draw-loan", typed, {"Cookie": "kejin_token=kejin_none"})
    assert ended.status == 401
    assert "/login?next=/commands/draw-loan" in Html(ended).links
    listed = service.get("/commands", headers)
    assert [link for link in Html(listed).links if link.startswith("/commands/")] == ["/commands/draw-loan"]
    assert "/commands" in Html(forbidden).links


def test_the_two_ways_to_say_what_was_known_do_not_fight(example: Service) -> None:
    """The form keeps the position; whoever chooses an instant beside it gets the instant."""
    instant = example.read("/v1/events/6")["recorded_at"]
    known = example.read("/v1/caps", known_at=instant)["known_position"]
    assert f"known up to {known}" in page(example, "/caps", known_position="12", known_at=instant, on="").text


def test_what_is_nowhere_is_a_page_for_a_browser(example: Service) -> None:
    """An address that leads nowhere is a page where a page was asked for, a problem document elsewhere."""
    headers = {"Accept": "text/html,*/*;q=0.8"}
    for path in ("/nothing", "/commands/nosuch", "/parties/"):
        answer = example.get(path, headers)
        assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "/" in Html(answer).links
    assert example.get("/nothing").headers["content-type"] == "application/problem+json"
    assert example.get("/v1/nothing", headers).headers["content-type"] == "application/problem+json"
    connection = example.connect()
    connection.putrequest("OPTIONS", "*")
    connection.endheaders()
    assert connection.getresponse().status == 404
    connection.close()


def test_a_long_search_can_be_seen_in_the_other_language(example: Service) -> None:
    """However long the address of a page is, its link to the other language leads back to it."""
    shown = page(example, "/parties", text="某" * 99)
    (link,) = [one for one in shown.links if one.startswith("/language/")]
    parts = urlsplit(link)
    answer = example.get(parts.path, next=unquote(parts.query.removeprefix("next=")))
    assert answer.status == 303, answer
    assert unquote(answer.headers["location"]) == f"/parties?text={'某' * 99}"
    long = "\n".join(["SX-1.legs.interest_share.rate=1/4"] + ["#" * 60] * 50)
    for shown in (
        page(example, "/what-if", 422, settings=long),
        page(example, "/login", next="/" + "x" * 4_000),
    ):
        (link,) = [one for one in shown.links if one.startswith("/language/")]
        parts = urlsplit(link)
        assert example.get(parts.path, next=unquote(parts.query.removeprefix("next="))).status == 303
