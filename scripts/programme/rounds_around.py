"""The rounds around 2024: a few cases each, every one synthetic, that show what the article does not tell.

Interest is claimed for the year before the round; amounts are those of the policy's worked examples where it has one.
"""

from __future__ import annotations

from typing import Any, Final

from scripts.programme import cast
from scripts.programme.round_2024 import certify, reviews
from scripts.programme.script import Script, wan

R2022: Final = "shanxi-2022"
R2023: Final = "shanxi-2023"
R2025: Final = "shanxi-2025"
_CLAIMED: Final = {R2022: "2022-06-15", R2023: "2023-06-14", R2025: "2025-06-16"}

#: The loan whose wrong repayment is taken back: one balance, two business dates, two moments of knowledge.
CORRECTED_LOAN: Final = "2022-DK-13"


def _open(script: Script, round_id: str, year: int, budget_wan: int, on: str, **call: str) -> None:
    script.add(
        "open-round",
        round=round_id,
        year=year,
        budget_fen=wan(budget_wan),
        rulebook="shanxi-2022",
        effective_on=on,
        **call,
    )


def _lend(script: Script, loan: str, who: str, principal_wan: int, drawn_on: str, **more: Any) -> int:
    """A credit loan of a synthetic bank, unless said otherwise, to the firm of a story or of a code."""
    facts = {"bank": cast.BANKS[5], "security": "credit", **more}
    return script.add(
        "draw-loan",
        loan=loan,
        firm=cast.FIRM.get(who, who),
        principal_fen=wan(principal_wan),
        drawn_on=drawn_on,
        **facts,
    )


def _interest(
    round_id: str, claim: str, loan: str, interest_wan: str, year: int, **more: Any
) -> dict[str, Any]:
    """The fields of a claim for a calendar year's interest."""
    fields = {"claim": claim, "round": round_id, "loan": loan, "interest_paid_fen": wan(interest_wan)}
    period = {"period_from": f"{year}-01-01", "period_to": f"{year}-12-31"}
    return {**fields, **period, "effective_on": _CLAIMED[round_id], **more}


def _claim(script: Script, fields: dict[str, Any], refused: str | None = None) -> None:
    if refused is None:
        script.add("claim-loan-interest", **fields)
    else:
        script.refused(refused, "claim-loan-interest", **fields)


def _award(
    script: Script, round_id: str, claim: str, bank: str, year: int, refused: str | None = None
) -> None:
    fields = {"claim": claim, "round": round_id, "bank": bank, "product": cast.PRODUCT, "year": year}
    fields["effective_on"] = _CLAIMED[round_id]
    if refused is None:
        script.add("claim-credit-award", **fields)
    else:
        script.refused(refused, "claim-credit-award", **fields)


# --- 2022 -------------------------------------------------------------------------------------------


def play_2022(script: Script) -> None:
    """The first round: no call, credit and guaranteed loans, 160 万元."""
    _open(script, R2022, 2022, 160, "2022-03-15")
    _interest_2022(script)
    certify(script, cast.LADDER_BANK, 2021, "18000", "2022-02-25")
    _award(script, R2022, "2022-YH-1", cast.LADDER_BANK, 2021)
    certify(script, cast.RESTATING_BANK, 2021, "11000", "2022-02-25")
    _award(script, R2022, "2022-YH-2", cast.RESTATING_BANK, 2021)
    _services_2022(script)
    _pay_2022(script)


def _interest_2022(script: Script) -> None:
    """Interest of 2021; the seventh loan is a mortgage."""
    cases = (
        ("across_rounds", 500, "30"),  # 15: half, and 3 % of the loan
        ("at_cap", 1000, "50"),  # 25 by half, 20 by the firm's cap
        ("two_claims", 200, "8.820833"),  # 44,104.165 yuan, rounded down once
        ("absorbed", 400, "18"),
        ("survivor", 400, "16"),
        ("returned", 800, "33"),
        ("mortgage", 300, "12"),
        ("error", 800, "36"),
        ("misconduct", 1000, "44"),
    )
    for number, (story, principal_wan, paid_wan) in enumerate(cases, 1):
        loan, more = f"2022-DK-{number}", {}
        if story == "mortgage":
            more = {"security": "mortgage"}
        if story == "at_cap":
            more = {"security": "guaranteed", "guarantor": cast.GUARANTORS[0]}
        _lend(script, loan, story, principal_wan, "2020-12-21", **more)
        refused = "security_not_eligible" if story == "mortgage" else None
        _claim(script, _interest(R2022, f"2022-LX-{number}", loan, paid_wan, 2021), refused)


def _services_2022(script: Script) -> None:
    """The engine computes no service grant, the budget is no suggestion: people decide, within it."""
    claim = {"round": R2022, "payee": cast.SERVICE_BODIES[3], "effective_on": "2022-06-20"}
    decided = {"document": "演示决定〔2022〕1号"}
    command = "claim-service-grant"
    script.refused("amount_needs_decision", command, claim="2022-FW-1", **claim)
    script.refused("budget_short", command, claim="2022-FW-2", decided_fen=wan(30), **decided, **claim)
    script.add(command, claim="2022-FW-3", decided_fen=wan(9), **decided, **claim)


def _pay_2022(script: Script) -> None:
    granted = [f"2022-LX-{number}" for number in (1, 2, 3, 4, 5, 6, 8, 9)]
    granted += ["2022-YH-1", "2022-YH-2", "2022-FW-3"]
    script.refused("wrong_state", "pay", claim=granted[0], voucher="PZ-2022-LX-1", paid_on="2022-08-30")
    script.publicise(granted, "演示公示〔2022〕1号", "2022-09-05", "2022-09-09")
    script.pay(granted, "2022-10-20")
    script.add("return-payment", claim="2022-LX-6", voucher="PZ-2022-LX-6-TH", returned_on="2022-10-28")
    script.add("pay", claim="2022-LX-6", voucher="PZ-2022-LX-6-2", paid_on="2022-11-08")


# --- between 2022 and 2023: facts, right and wrong ----------------------------------------------------


def play_facts(script: Script) -> None:
    """Loans of 2022, a default, and two facts that a bank reports wrongly."""
    _lend(script, "2022-DK-11", "defaulted", 300, "2021-12-20")
    script.add("report-default", loan="2022-DK-11", outstanding_fen=wan(300), defaulted_on="2022-10-20")
    _lend(script, "2022-DK-12", "wrong_default", 250, "2021-12-28")
    fact = script.add(
        "report-default", loan="2022-DK-12", outstanding_fen=wan(250), defaulted_on="2022-11-30"
    )
    script.landmarks["wrong_default"] = fact
    _lend(script, CORRECTED_LOAN, "wrong_repayment", 240, "2022-01-10")
    fact = script.add("repay-loan", loan=CORRECTED_LOAN, amount_fen=wan(100), effective_on="2022-09-30")
    script.landmarks["wrong_repayment"] = fact


def _correct(script: Script) -> None:
    """Nothing is overwritten: the wrong fact is taken back on its own date, known from now."""
    script.mark("before_correction")
    script.add(
        "reverse-fact",
        position=script.landmarks["wrong_repayment"],
        reason="银行报送有误：还本应为 10 万元",
        effective_on="2023-07-03",
    )
    script.add("repay-loan", loan=CORRECTED_LOAN, amount_fen=wan(10), effective_on="2022-09-30")
    script.mark("after_correction")
    script.add(
        "reverse-fact",
        position=script.landmarks["wrong_default"],
        reason="银行误报违约：与另一笔贷款混淆",
        effective_on="2023-07-03",
    )


# --- 2023 -------------------------------------------------------------------------------------------


def play_2023(script: Script) -> None:
    """The round of the call that narrows: credit loans only, interest of the calendar year before."""
    _recover_2022(script)
    _open(script, R2023, 2023, 150, "2023-03-01", call="shanxi-2023")
    script.add(
        "rename-party", uscc=cast.FIRM["released"], name="合成企业316新名（演示）", effective_on="2023-05-15"
    )
    _caps_2023(script)
    _periods_2023(script)
    _awards_2023(script)
    _notice_2023(script)
    _mergers_2023(script)
    _return_2022(script)


def _recover_2022(script: Script) -> None:
    """Of both causes: for error the firm's room comes back, for misconduct it does not."""
    script.add(
        "recover",
        claim="2022-LX-8",
        amount_fen=wan(6),
        cause="error",
        document="演示追回〔2023〕1号：利息回单重复计算",
        effective_on="2023-02-15",
    )
    script.add(
        "recover",
        claim="2022-LX-9",
        amount_fen=wan(20),
        cause="misconduct",
        document="演示追回〔2023〕2号：提供虚假材料",
        effective_on="2023-02-20",
    )


def _caps_2023(script: Script) -> None:
    """Caps remember the round before; the call excludes what the measure allows."""
    _lend(script, "2023-DK-1", "across_rounds", 400, "2021-12-20")
    _claim(script, _interest(R2023, "2023-LX-1", "2023-DK-1", "16", 2022))  # 8 due, 5 left
    script.mark("cut_by_firm_cap")
    _lend(script, "2023-DK-2", "at_cap", 500, "2021-12-20")
    _claim(script, _interest(R2023, "2023-LX-2", "2023-DK-2", "20", 2022), "firm_cap_reached")
    _claim(script, _interest(R2023, "2023-LX-3", "2022-DK-3", "8.820833", 2022))  # what is left of 3 %
    script.mark("cut_by_principal_cap")
    _lend(script, "2023-DK-4", "error", 800, "2021-12-20")
    _claim(script, _interest(R2023, "2023-LX-4", "2023-DK-4", "32", 2022))  # 16 due, 20 - 18 + 6 left
    _lend(script, "2023-DK-5", "misconduct", 500, "2021-12-20")
    _claim(script, _interest(R2023, "2023-LX-5", "2023-DK-5", "20", 2022), "firm_cap_reached")
    guaranteed = {"security": "guaranteed", "guarantor": cast.GUARANTORS[1]}
    _lend(script, "2023-DK-6", "guaranteed", 300, "2021-12-20", **guaranteed)
    _claim(script, _interest(R2023, "2023-LX-6", "2023-DK-6", "12", 2022), "security_not_eligible")
    _claim(script, _interest(R2023, "2023-LX-7", "2023-DK-4", "30", 2021), "period_not_eligible")


def _periods_2023(script: Script) -> None:
    """No interest after a default; no day and no slip twice; a corrected fact opens the way."""
    whole = _interest(R2023, "2023-LX-8", "2022-DK-11", "13.5", 2022)
    _claim(script, whole, "after_default")
    _claim(
        script, {**whole, "claim": "2023-LX-9", "interest_paid_fen": wan("10.9"), "period_to": "2022-10-20"}
    )
    _claim(script, _interest(R2023, "2023-LX-10", "2022-DK-12", "10.5", 2022), "after_default")
    _correct(script)
    corrected = _interest(R2023, "2023-LX-11", "2022-DK-12", "10.5", 2022)
    _claim(script, {**corrected, "effective_on": "2023-07-05"})
    slip = [{"number": "HD-2022-0417", "amount_fen": wan(10)}]
    _lend(script, "2023-DK-8", "voided", 250, "2021-12-20")
    _claim(script, _interest(R2023, "2023-LX-12", "2023-DK-8", "10", 2022, slips=slip))
    again = _interest(R2023, "2023-LX-13", "2023-DK-8", "5", 2022, period_from="2022-07-01")
    _claim(script, again, "duplicate_claim")
    _lend(script, "2023-DK-9", "held", 250, "2021-12-20")
    _claim(script, _interest(R2023, "2023-LX-14", "2023-DK-9", "10", 2022, slips=slip), "duplicate_slip")
    _claim(script, _interest(R2023, "2023-LX-15", "2023-DK-9", "10.2", 2022))
    _lend(script, "2023-DK-10", "released", 200, "2021-12-20")
    _claim(script, _interest(R2023, "2023-LX-16", "2023-DK-10", "8.4", 2022))
    _claim(script, _interest(R2023, "2023-LX-17", "2023-DK-99", "8.4", 2022), "unknown_loan")


def _awards_2023(script: Script) -> None:
    certify(script, cast.LADDER_BANK, 2022, "23000", "2023-02-24")
    _award(script, R2023, "2023-YH-1", cast.LADDER_BANK, 2022)
    certify(script, cast.RESTATING_BANK, 2022, "31000", "2023-02-24")
    script.mark("false_certificate")
    _award(script, R2023, "2023-YH-2", cast.RESTATING_BANK, 2022)  # two steps: 40
    certify(script, cast.SECOND_AWARD_BANK, 2022, "10500", "2023-02-24")
    _award(script, R2023, "2023-YH-3", cast.SECOND_AWARD_BANK, 2022)


def _notice_2023(script: Script) -> None:
    """What the notice is for: an objection voids one grant and the claim is made again; one is held and then
    voided, one held and released."""
    granted = [f"2023-LX-{number}" for number in (1, 3, 4, 9, 11, 12, 15, 16)]
    granted += ["2023-YH-1", "2023-YH-2", "2023-YH-3"]
    script.publicise(granted, "演示公示〔2023〕1号", "2023-09-04", "2023-09-08")
    script.add("void", claim="2023-LX-12", reason="公示期间收到异议：利息金额有误", effective_on="2023-09-07")
    slip = [{"number": "HD-2022-0417", "amount_fen": wan(9)}]
    mended = _interest(R2023, "2023-LX-18", "2023-DK-8", "9", 2022, slips=slip)
    _claim(script, {**mended, "effective_on": "2023-09-12"})
    script.publicise(["2023-LX-18"], "演示公示〔2023〕2号", "2023-09-13", "2023-09-19")
    script.add("hold", claim="2023-LX-15", reason="企业涉诉待核", effective_on="2023-09-11")
    script.add("hold", claim="2023-LX-16", reason="更名材料待核", effective_on="2023-09-11")
    script.add("release", claim="2023-LX-16", reason="更名材料已补齐", effective_on="2023-10-09")
    script.refused("on_hold", "pay", claim="2023-LX-15", voucher="PZ-2023-LX-15", paid_on="2023-10-19")
    script.pay([c for c in granted if c not in ("2023-LX-12", "2023-LX-15")], "2023-10-19")
    script.pay(["2023-LX-18"], "2023-10-19")
    script.add("void", claim="2023-LX-15", reason="企业被列入严重失信名单", effective_on="2023-11-06")


def _mergers_2023(script: Script) -> None:
    """The survivor inherits the used cap; after a split it stays with the original."""
    script.add(
        "merge-parties",
        survivor=cast.FIRM["survivor"],
        absorbed=cast.FIRM["absorbed"],
        document="演示吸收合并登记〔2023〕1号",
        effective_on="2023-11-15",
    )
    script.add(
        "split-party",
        original=cast.FIRM["original"],
        created=cast.FIRM["created"],
        document="演示分立登记〔2023〕1号",
        effective_on="2023-12-01",
    )


def _return_2022(script: Script) -> None:
    """What was recovered goes back to the treasury by its own command; the round is closed."""
    script.add(
        "return-to-treasury",
        round=R2022,
        amount_fen=wan(26),
        document="演示缴款书〔2023〕1号",
        effective_on="2023-12-20",
    )
    script.add("close-round", round=R2022, document="演示决算〔2023〕1号", effective_on="2023-12-29")


def play_restatement(script: Script) -> None:
    """A false certificate: it carries a grant, so the grant is recovered first, then it is certified and claimed
    again. Then the round of 2023 is closed."""
    fact = script.landmarks["false_certificate"]
    script.refused("fact_in_use", "reverse-fact", position=fact, reason="证明有误", effective_on="2024-01-08")
    script.add(
        "recover",
        claim="2023-YH-2",
        amount_fen=wan(40),
        cause="error",
        document="演示追回〔2024〕1号：授信证明更正",
        effective_on="2024-01-15",
    )
    certify(script, cast.RESTATING_BANK, 2022, "29000", "2024-01-16", copy=2)
    claim = {"claim": "2023-YH-4", "round": R2023, "bank": cast.RESTATING_BANK, "product": cast.PRODUCT}
    script.add("claim-credit-award", **claim, year=2022, effective_on="2024-01-17")
    script.publicise(["2023-YH-4"], "演示公示〔2024〕补1号", "2024-01-18", "2024-01-24")
    script.pay(["2023-YH-4"], "2024-01-30")
    script.add(
        "return-to-treasury",
        round=R2023,
        amount_fen=wan(40),
        document="演示缴款书〔2024〕1号",
        effective_on="2024-02-20",
    )
    script.add("close-round", round=R2023, document="演示决算〔2024〕1号", effective_on="2024-03-01")
    late = _interest(R2023, "2023-LX-19", "2022-DK-13", "9.6", 2022)
    _claim(script, {**late, "effective_on": "2024-03-04"}, "wrong_state")


# --- 2025 -------------------------------------------------------------------------------------------


def play_2025(script: Script) -> None:
    """The round after: what the rounds before left of each cap."""
    _open(script, R2025, 2025, 150, "2025-03-10")
    script.add(
        "adjust-budget",
        round=R2025,
        amount_fen=wan(50),
        document="演示追加预算〔2025〕1号",
        effective_on="2025-05-12",
    )
    _interest_2025(script)
    certify(script, cast.LADDER_BANK, 2023, "19000", "2024-02-28")
    _award(script, R2025, "2025-YH-1", cast.LADDER_BANK, 2023, "nothing_due")
    certify(script, cast.LADDER_BANK, 2024, "41000", "2025-02-27")
    _award(script, R2025, "2025-YH-2", cast.LADDER_BANK, 2024)
    _guarantee_2025(script)
    _decided_2025(script)
    granted = [
        "2025-LX-1",
        "2025-LX-4",
        "2025-LX-6",
        "2025-YH-2",
        "2025-DB-4",
        "2025-FX-2",
        "2025-CT-1",
        "2025-BX-1",
    ]
    script.publicise(granted, "演示公示〔2025〕1号", "2025-09-08", "2025-09-12")
    early = {"claim": "2025-LX-1", "voucher": "PZ-2025-LX-1", "paid_on": "2025-09-01"}
    script.refused("effective_too_early", "pay", **early)
    script.pay(granted[:-1], "2025-10-22")
    script.add(
        "record-recovery", payout="2025-DB-DC", amount_fen=wan(12), effective_on="2025-12-10"
    )  # return_due


def _interest_2025(script: Script) -> None:
    """Interest of 2024, with loans drawn at the end of 2023."""
    _lend(script, "2025-DK-1", "survivor", 300, "2023-12-18")
    _claim(script, _interest(R2025, "2025-LX-1", "2025-DK-1", "12", 2024))  # 6 due; 20 - (8 + 9) left
    script.mark("cut_by_merger")
    _claim(script, _interest(R2025, "2025-LX-2", "2022-DK-4", "16", 2024), "party_absorbed")
    _claim(script, _interest(R2025, "2025-LX-3", "2022-DK-3", "8", 2024), "principal_cap_reached")
    _lend(script, "2025-DK-2", "created", 200, "2023-12-18")
    _claim(script, _interest(R2025, "2025-LX-4", "2025-DK-2", "8", 2024))  # accepted, flagged: split_review
    _claim(script, _interest(R2025, "2025-LX-5", "2024-DK-001", "40", 2024), "firm_cap_reached")
    firm = {
        "uscc": cast.FAILING_CODE,
        "kind": "firm",
        "name": "合成企业321（演示）",
        "effective_on": "2025-04-15",
    }
    script.refused("uscc_check_digit", "register-party", **firm, key="2025-DJ-1")
    script.add("register-party", **firm, confirm_uscc=True, key="2025-DJ-2")
    _lend(script, "2025-DK-3", cast.FAILING_CODE, 900, "2023-12-18")
    _claim(script, _interest(R2025, "2025-LX-6", "2025-DK-3", "37.2", 2024))


def _guarantee_2025(script: Script) -> None:
    """A second guarantee case, through every refusal on its way."""
    guaranteed = {"security": "guaranteed", "guarantor": cast.GUARANTORS[0]}
    _lend(script, "2025-DB-DK", "guaranteed", 80, "2023-03-06", **guaranteed)
    script.add("report-default", loan="2025-DB-DK", outstanding_fen=wan(80), defaulted_on="2024-03-06")
    payout = {"payout": "2025-DB-DC", "loan": "2025-DB-DK", "guarantor": cast.GUARANTORS[0]}
    script.add("pay-guarantee", **payout, amount_fen=wan("82.4"), paid_on="2024-06-12")
    script.add("record-recovery", payout="2025-DB-DC", amount_fen=wan(10), effective_on="2024-12-05")
    claim: dict[str, Any] = {"round": R2025, "payout": "2025-DB-DC", "effective_on": "2025-06-18"}
    decided = {"decided_fen": wan(24), "document": "演示决定〔2025〕1号"}
    passed = reviews("2025-05-20", "2025-06-04")
    command, failed = "claim-guarantee-compensation", reviews("2025-05-20", "2025-05-28", onsite_passed=False)
    script.refused("review_missing", command, claim="2025-DB-1", **claim, **decided, reviews=failed)
    script.refused("amount_needs_decision", command, claim="2025-DB-2", **claim, reviews=passed)
    beyond = {**decided, "decided_fen": wan(75)}
    script.refused("exceeds_loss", command, claim="2025-DB-3", **claim, **beyond, reviews=passed)
    script.add(command, claim="2025-DB-4", **claim, **decided, reviews=passed)
    script.refused("duplicate_claim", command, claim="2025-DB-5", **claim, **decided, reviews=passed)


def _decided_2025(script: Script) -> None:
    """Instruments without a stated ratio: people decide; where a loss is reported it is the ceiling."""
    _lend(script, "2025-FX-DK", "insured", 120, "2023-05-08", product=cast.PRODUCT)
    script.add("report-default", loan="2025-FX-DK", outstanding_fen=wan(120), defaulted_on="2024-05-08")
    script.add("record-recovery", loan="2025-FX-DK", amount_fen=wan(20), effective_on="2024-11-18")
    loss = {"loss_fen": wan(100), "document": "演示核销认定〔2025〕1号"}
    script.add("report-loss", loan="2025-FX-DK", **loss, effective_on="2025-03-20")
    claim: dict[str, Any] = {"round": R2025, "document": "演示决定〔2025〕1号", "effective_on": "2025-06-18"}
    risk = {**claim, "payee": cast.BANKS[5], "loan": "2025-FX-DK"}
    command = "claim-risk-compensation"
    script.refused("exceeds_loss", command, claim="2025-FX-1", **risk, decided_fen=wan(110))
    script.add(command, claim="2025-FX-2", **risk, decided_fen=wan(30))
    script.add("claim-venture-risk", claim="2025-CT-1", **claim, payee=cast.INVESTOR, decided_fen=wan(15))
    insured = cast.FIRM["insured"]
    script.add(
        "certify-firm",
        uscc=insured,
        quality="高新技术企业",
        valid_from="2023-10-16",
        valid_to="2026-10-15",
        document="演示证书〔2023〕320号",
        effective_on="2023-10-16",
    )
    script.add("claim-insurance-premium", claim="2025-BX-1", **claim, payee=insured, decided_fen=wan("1.2"))
