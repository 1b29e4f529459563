"""Who appears in the Shanxi programme.

Named payees are those of the article; their codes are made for the demo, their names say so, and they appear with
nothing but what the article reports of them. Everyone else is synthetic and called so.
"""

from __future__ import annotations

from typing import Final

from scripts.programme.script import Script, code

REGISTERED_ON: Final = "2022-03-07"
PRODUCT: Final = "科创贷"

CHENHAN: Final = code(9_000_001)
EQUITY_EXCHANGE: Final = code(9_000_002)
PROPERTY_EXCHANGE: Final = code(9_000_003)
ICBC: Final = code(9_000_004)
CMB: Final = code(9_000_005)
JINCHENG: Final = code(9_000_006)

NAMED: Final = (
    (CHENHAN, "firm", "山西辰涵数字科技股份有限公司"),
    (EQUITY_EXCHANGE, "service_body", "山西股权交易中心有限公司"),
    (PROPERTY_EXCHANGE, "service_body", "山西省技术产权交易中心有限公司"),
    (ICBC, "bank", "中国工商银行股份有限公司山西省分行"),
    (CMB, "bank", "招商银行太原分行"),
    (JINCHENG, "guarantor", "山西晋城市融资担保公司"),
)

BANKS: Final = tuple(code(800 + number) for number in range(1, 7))
LADDER_BANK, RESTATING_BANK, AWARD_BANK, SECOND_AWARD_BANK = BANKS[:4]
GUARANTORS: Final = (code(851), code(852))
SERVICE_BODIES: Final = tuple(code(860 + number) for number in range(1, 5))
INVESTOR: Final = code(881)

#: The firms of the stories around the round of 2024, by what they show.
STORIES: Final = (
    "across_rounds",
    "at_cap",
    "two_claims",
    "absorbed",
    "survivor",
    "returned",
    "error",
    "misconduct",
    "mortgage",
    "guaranteed",
    "defaulted",
    "wrong_default",
    "wrong_repayment",
    "voided",
    "held",
    "released",
    "original",
    "created",
    "compensated",
    "insured",
)
FIRM: Final = {story: code(301 + number) for number, story in enumerate(STORIES)}

#: A real old code may fail its check digit; this one is made to.
FAILING_CODE: Final = code(321)[:-1] + ("1" if code(321)[-1] == "0" else "0")


def firm_of_2024(number: int) -> str:
    """The code of a synthetic firm of the round of 2024, numbered from 1."""
    return code(number)


def register(script: Script) -> None:
    """Everybody but the firms of 2024 and the one whose code fails its check digit."""
    for uscc, kind, name in NAMED:
        script.register(kind, uscc, f"{name}（演示代码）", REGISTERED_ON)
    for kind, name, usccs in (
        ("bank", "合成银行", BANKS),
        ("guarantor", "合成担保公司", GUARANTORS),
        ("service_body", "合成服务机构", SERVICE_BODIES),
        ("investor", "合成创投机构", (INVESTOR,)),
    ):
        for number, uscc in enumerate(usccs, 1):
            script.register(kind, uscc, f"{name}{number}（演示）", REGISTERED_ON)
    for number, story in enumerate(STORIES, 301):
        script.register("firm", FIRM[story], f"合成企业{number}（演示）", REGISTERED_ON)
