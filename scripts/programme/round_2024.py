"""The round of 2024: loans and interest made so that the rules themselves arrive at the reported figures.

Real are the figures of shanxi-2024.toml. Made up are everybody whom the article does not name, every loan but one
amount, every interest, the certified totals of the banks, and how 192 万元 divide among the five service bodies.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.programme import cast
from scripts.programme.script import Script, interest, wan, workday

FIGURES: Final = Path(__file__).with_name("shanxi-2024.toml")
ROUND: Final = "shanxi-2024"
_SOURCE: Final = "《科技日报》2024 年 10 月关于山西省科技金融的报道"
_DECISION: Final = "演示决定〔2024〕1号"

#: How the demo fills the 274: as many firms at their own cap, as many whose loan's 3 % binds, the rest by half the
#: interest; one of those takes what is left of the reported sum.
_AT_FIRM_CAP: Final = 8
_AT_PRINCIPAL_CAP: Final = 36
_FIRM_CAP_WAN: Final = 20


@dataclass(frozen=True, slots=True)
class Subsidised:
    """One firm's loan and the interest that it claims for."""

    firm: str
    principal_fen: int
    drawn_on: str
    period_from: str
    interest_fen: int

    @property
    def expected_fen(self) -> int:
        """What the rules will grant: needed only to know what is left for the last firm."""
        return min(self.interest_fen // 2, self.principal_fen * 3 // 100, wan(_FIRM_CAP_WAN))


def figures() -> dict[str, Any]:
    """The reported figures."""
    return tomllib.loads(FIGURES.read_text(encoding="utf-8"))


def reported(instrument: str) -> dict[str, Any]:
    """The reported line of one instrument."""
    found: dict[str, Any] = next(line for line in figures()["lines"] if line["instrument"] == instrument)
    return found


def play(script: Script) -> None:
    """The whole round: decided and publicised, nothing paid."""
    total = figures()["round"]["reported_total"]
    script.add(
        "open-round",
        round=ROUND,
        year=2024,
        budget_fen=wan(total),
        rulebook="shanxi-2022",
        call="shanxi-2024",
        effective_on="2024-03-20",
    )
    claims = [*_interest(script), *_services(script), *_awards(script), _guarantee(script)]
    script.publicise(claims, "演示公示〔2024〕1号", "2024-09-23", "2024-09-27")
    _assert(script)


def _interest(script: Script) -> list[str]:
    claims = []
    for number, case in enumerate(subsidised(), 1):
        if case.firm != cast.CHENHAN:
            script.register(
                "firm", case.firm, f"合成企业{number:03d}（演示）", workday("2024-04-08", number % 15)
            )
        claims.append(_claim_interest(script, number, case))
        if case.firm == cast.CHENHAN:
            script.mark("chenhan")
    return claims


def _claim_interest(script: Script, number: int, case: Subsidised) -> str:
    loan, claim = f"2024-DK-{number:03d}", f"2024-LX-{number:03d}"
    guaranteed = number % 3 == 0
    guarantor = {"guarantor": cast.GUARANTORS[number % 2]} if guaranteed else {"product": cast.PRODUCT}
    script.add(
        "draw-loan",
        loan=loan,
        firm=case.firm,
        bank=cast.BANKS[number % len(cast.BANKS)],
        principal_fen=case.principal_fen,
        drawn_on=case.drawn_on,
        security="guaranteed" if guaranteed else "credit",
        **guarantor,
    )
    script.add(
        "claim-loan-interest",
        claim=claim,
        round=ROUND,
        loan=loan,
        interest_paid_fen=case.interest_fen,
        period_from=case.period_from,
        period_to="2023-12-31",
        slips=[{"number": f"HD-{claim}", "amount_fen": case.interest_fen}],
        effective_on=workday("2024-05-06", number % 20),
    )
    return claim


def subsidised() -> list[Subsidised]:
    """The reported number of firms with exactly the reported sum."""
    line = reported("loan_interest")
    named = _chenhan()
    cases = [*_at_firm_cap(), *_at_principal_cap()]
    cases += [_by_half(number) for number in range(len(cases) + 1, line["payees"] - 1)]
    left_fen = wan(line["total"]) - sum(case.expected_fen for case in (*cases, named))
    firm = cast.firm_of_2024(len(cases) + 1)
    last = Subsidised(firm, wan(600), "2022-12-20", "2023-01-01", 2 * left_fen)
    assert last.expected_fen == left_fen, f"{left_fen} is no plausible subsidy for the last firm"
    return [*cases, last, named]


def _chenhan() -> Subsidised:
    """The named example: 6 万元 on a loan of at least 200 万元."""
    granted_fen = wan(figures()["example"]["loan_interest"]["granted"])
    return Subsidised(cast.CHENHAN, wan(300), "2022-12-15", "2023-01-01", 2 * granted_fen)


def _at_firm_cap() -> Iterator[Subsidised]:
    for number in range(1, _AT_FIRM_CAP + 1):
        principal_fen = wan(900 + 100 * (number * 3 % 7))
        paid_fen = interest(principal_fen, 460 + 5 * number, "2023-01-01", "2023-12-31")
        firm = cast.firm_of_2024(number)
        yield Subsidised(firm, principal_fen, f"2022-{4 + number:02d}-18", "2023-01-01", paid_fen)


def _at_principal_cap() -> Iterator[Subsidised]:
    """Two years of interest at once: half of it passes 3 % of the loan."""
    for number in range(_AT_FIRM_CAP + 1, _AT_FIRM_CAP + _AT_PRINCIPAL_CAP + 1):
        principal_fen = wan(60 + 20 * (number * 5 % 11))
        paid_fen = interest(principal_fen, 365 + 5 * (number % 23), "2022-01-01", "2023-12-31")
        firm = cast.firm_of_2024(number)
        yield Subsidised(firm, principal_fen, f"2021-{7 + number % 6:02d}-15", "2022-01-01", paid_fen)


def _by_half(number: int) -> Subsidised:
    principal_fen = wan(50 + 10 * (number * 17 % 29))
    drawn_on = f"2022-{3 + number % 10:02d}-{1 + number % 28:02d}"
    first = "2023-01-01"
    if number % 4 == 0:  # drawn within the year
        drawn_on = first = f"2023-{1 + number % 7:02d}-{1 + number % 28:02d}"
    paid_fen = interest(principal_fen, 345 + 5 * (number % 28), first, "2023-12-31")
    return Subsidised(cast.firm_of_2024(number), principal_fen, drawn_on, first, paid_fen)


def _services(script: Script) -> Iterator[str]:
    """Five bodies; people decided each amount. Only their sum is reported."""
    bodies = (cast.EQUITY_EXCHANGE, cast.PROPERTY_EXCHANGE, *cast.SERVICE_BODIES[:3])
    for number, (payee, amount) in enumerate(zip(bodies, (60, 48, 36, 28, 20), strict=True), 1):
        claim = f"2024-FW-{number}"
        script.add(
            "claim-service-grant",
            claim=claim,
            round=ROUND,
            payee=payee,
            decided_fen=wan(amount),
            document=_DECISION,
            effective_on="2024-06-18",
        )
        yield claim


def _awards(script: Script) -> Iterator[str]:
    """Four banks, 20 万元 each: a first reach however high (A18), one in between, exactly 1 亿 (A19), and a bank
    that was awarded before and passes one further 亿."""
    totals_wan = (
        (cast.ICBC, 32_000),
        (cast.CMB, 13_600),
        (cast.AWARD_BANK, 10_000),
        (cast.SECOND_AWARD_BANK, 21_800),
    )
    for number, (bank, total_wan) in enumerate(totals_wan, 1):
        claim = f"2024-YH-{number}"
        certify(script, bank, 2023, str(total_wan), "2024-02-28")
        script.add(
            "claim-credit-award",
            claim=claim,
            round=ROUND,
            bank=bank,
            product=cast.PRODUCT,
            year=2023,
            effective_on="2024-06-18",
        )
        yield claim


def certify(script: Script, bank: str, year: int, total_wan: str, on: str, copy: int = 1) -> int:
    """The certificate of a bank's year-end total; its position."""
    return script.add(
        "certify-credit",
        bank=bank,
        product=cast.PRODUCT,
        year=year,
        total_fen=wan(total_wan),
        certificate=f"演示证明〔{year + 1}〕{bank[-4:-1]}-{copy}号",
        effective_on=on,
    )


def _guarantee(script: Script) -> str:
    """Default, payout, reviews, and an amount that people decided: 36 is no round share of 270 or of 279.26."""
    case, firm = figures()["example"]["guarantee_compensation"], cast.FIRM["compensated"]
    loan, payout, claim = "2024-DB-DK", "2024-DB-DC", "2024-DB-1"
    script.add(
        "draw-loan",
        loan=loan,
        firm=firm,
        bank=cast.BANKS[4],
        principal_fen=wan(case["loan"]),
        drawn_on="2022-08-15",
        security="guaranteed",
        guarantor=cast.JINCHENG,
    )
    script.add("report-default", loan=loan, outstanding_fen=wan(case["loan"]), defaulted_on="2023-08-15")
    script.add(
        "pay-guarantee",
        payout=payout,
        loan=loan,
        guarantor=cast.JINCHENG,
        amount_fen=wan(case["payout"]),
        paid_on="2023-11-20",
    )
    script.add(
        "claim-guarantee-compensation",
        claim=claim,
        round=ROUND,
        payout=payout,
        decided_fen=wan(case["compensated"]),
        document=_DECISION,
        reviews=reviews("2024-05-22", "2024-06-05"),
        effective_on="2024-06-18",
    )
    return claim


def reviews(expert_on: str, onsite_on: str, *, onsite_passed: bool = True) -> list[dict[str, Any]]:
    """An expert review that passed, and an on-site check."""
    year = expert_on[:4]
    return [
        {"kind": "expert", "passed": True, "document": f"演示评审意见〔{year}〕", "on": expert_on},
        {"kind": "onsite", "passed": onsite_passed, "document": f"演示核查记录〔{year}〕", "on": onsite_on},
    ]


def _assert(script: Script) -> None:
    """What the article reports, as it reports it: 279 projects, although its own lines add up to 284."""
    head = figures()["round"]
    asserted = {"round": ROUND, "source": _SOURCE, "effective_on": "2024-10-31"}
    script.add(
        "assert-control-total",
        **asserted,
        count=head["reported_projects"],
        total_fen=wan(head["reported_total"]),
    )
    for line in figures()["lines"]:
        script.add(
            "assert-control-total",
            **asserted,
            instrument=line["instrument"],
            count=line["payees"],
            total_fen=wan(line["total"]),
        )
