"""GET, POST /v1/what-if: what can be set in the rules, and who would have got more or less under others."""

from __future__ import annotations

from typing import Any, Final

from api.roles import READ
from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Answer, Body, Operation, Try
from api.service.parameters import KNOWN, paging
from api.service.problems import HttpProblem
from api.service.reads import clocks_of, echo, rows, whole
from api.service.requests import Reply, Request, json_bytes
from api.service.walking import Walk, walked
from ledger import codec
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections.clocks import AsOf

#: What a body may hold: the most texts of each kind.
_TEXTS_MAX: Final = {"settings": 100, "rulebooks": 4}
#: What may be long: the causes before them are not, and say the sums of all.
_LISTS: Final = ("payees", "claims", "other_steps")
_CUT: Final = {"settings": ["SX-1.legs.interest_share.rate=1/4"]}
_TENTH: Final = """\
id = "other"
layer = "measure"
version = "1"
programme = "other"
effective_from = "2020-01-01"

[[clauses]]
id = "O-1"
instrument = "loan_interest"

[clauses.terms]
securities = ["credit"]
interest_year = "any"
after_default = "pay"
recovery_restores = "error"

[[clauses.legs]]
part = "share"
shape = "share"
of = "interest_paid_fen"
rate = "1/10"
"""


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The parameters, and the question."""
    return [
        rows(
            "what-if-settings",
            "/v1/what-if",
            "Every parameter of the adopted rulebooks as POST /v1/what-if takes it, with its present value.",
            "可设定的全部规则参数及其现值。",
            schemas.SETTING_ROW,
            whole(lambda store, as_of, given: asking.rule_rows(store, as_of)),
            limits,
            tries=(Try(200),),
        ),
        Operation(
            "what-if",
            "POST",
            "/v1/what-if",
            "reads",
            "Decide the recorded claims again under other rules: who would have got more or less, why, and where the "
            "histories part. Writes nothing. Each setting is CLAUSE.PATH=VALUE or DOCUMENT:CLAUSE.PATH=VALUE; a "
            "rulebook is TOML and takes the place of the one of its id, or a foreign measure that of every measure. Of "
            "payees, claims and other steps `limit` are shown; `left_out` says how many more there are.",
            "规则推演：以其他规则重新决定已登记的申请，谁会增减、为何；不写入。",
            READ,
            _what_if,
            (Answer(200, "The two histories compared.", schemas.WHAT_IF),),
            (*KNOWN, paging(limits)[0]),
            Body(
                "application/json",
                schemas.what_if_body(_TEXTS_MAX),
                {"example": _CUT, "rulebook": {"rulebooks": [_TENTH]}},
            ),
            codes=("not_known", "unusable_rules", "not_decidable"),
            tries=(
                Try(200, body=_CUT),
                Try(200, query={"known_position": 8}, body={"settings": [], "rulebooks": [_TENTH]}),
                Try(200, query={"limit": 1}, body=_CUT),
                Try(404, "not_known", query={"known_position": 999_999}, body=_CUT),
                Try(422, "invalid_parameter", query={"limit": 0}, body=_CUT),
                Try(422, "unusable_rules", body={}),
                Try(422, "unusable_rules", body={"settings": ["SX-1.reading.A1=decade"]}),
                Try(
                    422,
                    "unusable_rules",
                    body={"settings": ["SX-1.reading.A1=round", "SX-1.reading.A1=year"]},
                ),
                Try(422, "unusable_rules", body={"rulebooks": ["no TOML"]}),
                Try(422, "unusable_rules", body={"rulebooks": [_TENTH.replace('"1/10"', "0.1")]}),
                Try(422, "unusable_rules", body={"settings": "SX-1.reading.A1=year"}),
                Try(422, "unusable_rules", body={"colour": "red"}),
                Try(422, "unusable_rules", raw=b"[]"),
                Try(422, "unknown_parameter", query={"colour": "red"}, body=_CUT),
                Try(403, "cross_site", headers={"Origin": "http://elsewhere.example"}, body=_CUT),
            ),
        ),
    ]


async def _what_if(request: Request) -> Reply:
    service = request.service
    asked = _read(await request.body(service.limits.body_bytes_max))
    walk = Walk(service.limits.slow_seconds_max)

    def question(store: Store) -> tuple[AsOf, dict[str, Any]]:
        as_of = asking.resolve(store, clocks_of(request))
        return as_of, asking.supposed(store, as_of, walk, asked["settings"], asked["rulebooks"])

    as_of, found = await walked(request, walk, question)
    limit = request.parameters["limit"] or service.limits.page_rows
    left_out = {name: max(0, len(found[name]) - limit) for name in _LISTS}
    shown = {name: found[name][:limit] for name in _LISTS}
    return Reply(200, json_bytes({**echo(request, as_of), **found, **shown, "left_out": left_out}))


def _read(body: bytes) -> dict[str, list[str]]:
    """The texts of a body by kind. Raises HttpProblem `unusable_rules`."""
    try:
        sent = codec.parse_object(body)
    except codec.NotStrictJson as error:
        raise HttpProblem(
            "unusable_rules", f"not a JSON object: {error}", f"不是 JSON 对象：{error.zh}"
        ) from None
    found = {name: sent.pop(name, []) for name in _TEXTS_MAX}
    right = not sent and all(_are_texts(found[name], most) for name, most in _TEXTS_MAX.items())
    if not right or not any(found.values()):
        listed = ", ".join(f"{name} (at most {most})" for name, most in _TEXTS_MAX.items())
        listed_zh = "、".join(f"{name}（至多 {most} 个）" for name, most in _TEXTS_MAX.items())
        raise HttpProblem(
            "unusable_rules",
            f"the body has one or both of {listed}, each a list of texts, and nothing else",
            f"请求体须给出其中之一或全部：{listed_zh}，均为文本列表，不得有其他字段",
        )
    return found


def _are_texts(value: Any, most: int) -> bool:
    return type(value) is list and len(value) <= most and all(type(item) is str and item for item in value)
