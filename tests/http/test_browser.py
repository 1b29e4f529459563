"""The pages in a real browser, as each of the three users opens them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.service.examples import FIRM, LINES
from tests.cli.program import Program
from tests.http.browser import PROGRAM, Browser, browsing
from tests.http.service import Service, serving
from tests.http.test_access import token

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no chromium here")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser that must have had nothing to complain about."""
    with browsing(tmp_path / "browser") as running:
        yield running
        assert running.complaints == []


def test_people_find_a_firm_and_read_why_it_got_its_amount(service: Service, browser: Browser) -> None:
    """From the first page by search to the firm, to its claim, to the event and the clause; in Chinese at a click; the
    style is applied."""
    service.record(*map(dict, LINES[:6]))
    browser.open(f"http://127.0.0.1:{service.port}/")
    assert browser.run("getComputedStyle(document.querySelector('header')).display") == "flex"
    browser.type(text="某科技")
    browser.click("form.search button")
    browser.follow(FIRM)
    assert browser.path == f"/parties/{FIRM}"
    browser.follow("C1")
    browser.follow("7")
    assert browser.path == "/events/7"
    assert "SX-1 Loan-interest subsidy" in browser.text
    assert "6 万元" in browser.text
    browser.follow("中文")
    assert browser.path == "/events/7"
    assert "为何是此金额" in browser.text


def test_finance_sees_what_was_known_then(service: Service, browser: Browser) -> None:
    """With the second clock turned back the page shows the older balance, and so do the pages that one goes on to."""
    service.record(*map(dict, LINES[:6]))
    browser.open(f"http://127.0.0.1:{service.port}/accounts/public/round/R1/available")
    assert "94 万元" in browser.text
    browser.type(known_position="6")
    browser.click("form.clocks button")
    assert "100 万元" in browser.text
    browser.click("a.mark")
    assert "known up to 6" in browser.text
    assert "1,000,000.00 元" in browser.text


def test_whoever_has_a_token_logs_in_tries_and_records(
    database: str, tmp_path: Path, browser: Browser
) -> None:
    """An operator is asked for the token, comes where they wanted to go, tries a claim, records it and sees it."""
    kejin = Program(database)
    kejin.run(*map(dict, LINES[:5]))
    secret = token(kejin, "operator-person", "operator")
    with serving(kejin, tmp_path / "server.log") as service:
        browser.open(f"http://127.0.0.1:{service.port}/commands/claim-loan-interest")
        assert browser.path == "/login"
        browser.type(token=secret)
        browser.click("form.record button")
        assert browser.path == "/commands/claim-loan-interest"
        assert "operator-person" in browser.text
        fields = {"claim": "C1", "round": "R1", "loan": "L1", "interest_paid_fen": "120,000"}
        dates = {"period_from": "2023-03-01", "period_to": "2023-12-31", "effective_on": "2024-07-01"}
        browser.type(**fields, **dates)
        browser.click("button[name=dry_run]")
        assert "6 万元" in browser.text
        assert "nothing was recorded" in browser.text
        browser.click("button.main")
        assert browser.path == "/events/7"
        assert "LoanInterestGranted" in browser.text
        assert "operator-person" in browser.text
        assert browser.run("document.cookie") == ""
        browser.click("header form button")
        assert browser.path == "/login"


def test_paper_has_every_column_and_no_forms(service: Service, browser: Browser) -> None:
    """Printed across the page, no table is wider than the paper; what is asked for is not printed, only for when."""
    service.run(*map(dict, LINES))
    for path in ("/caps", "/portfolio", "/events", f"/parties/{FIRM}", "/rounds/R1"):
        browser.open(f"http://127.0.0.1:{service.port}{path}?on=2030-01-01")
        browser.print(1050)  # A4 across, without its margins
        assert (
            browser.run("Math.max(...[...document.querySelectorAll('table')].map(t => t.scrollWidth))")
            <= 1050
        ), path
        shown = "[...document.querySelectorAll('input, select, button, textarea')].filter(e => e.offsetParent).length"
        assert browser.run(shown) == 0, path
        assert browser.run("document.querySelector('.asof').offsetParent !== null"), path


def test_a_name_turns_nothing_but_itself(service: Service, browser: Browser) -> None:
    """A name with a sign that turns what follows from right to left: the code beside it reads from left to right."""
    lines = [dict(line) for line in LINES[:6]]
    for line in lines:
        if line.get("uscc") == FIRM:
            line["name"] = "\u202e司公甲 00.000,1"
    service.record(*lines)
    browser.open(f"http://127.0.0.1:{service.port}/claims/C1")
    # Of a text that reads from left to right the first character stands left of the last.
    places = """(() => {
        const code = [...document.querySelectorAll('small')].find(e => e.textContent === '%s').firstChild;
        const at = (n) => { const r = document.createRange(); r.setStart(code, n); r.setEnd(code, n + 1);
                            return r.getBoundingClientRect().left; };
        return at(0) < at(17);
    })()"""
    assert browser.run(places % FIRM) is True
