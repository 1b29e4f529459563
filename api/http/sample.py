"""GET /v1/sample: granted claims drawn for an auditor, with the positions to prove."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from api.roles import READ
from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Answer, Operation, Parameter, Try
from api.service.parameters import CLOCKS, identifier, whole_number, word
from api.service.reads import TAG, UNCHANGED, clocks_of, echo, entity_tag, is_known, tagged, wants_none
from api.service.requests import Reply, Request, json_bytes
from api.service.walking import Walk, walked
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections import sampling
from projections.clocks import AsOf


def _seed(text: str) -> str:
    if not sampling.is_seed(text):
        raise ValueError(text)
    return text


_SEED: Final = Parameter(
    "seed",
    "query",
    {
        "type": "string",
        "minLength": 1,
        "maxLength": sampling.SEED_LENGTH_MAX,
        "pattern": "^[^\\x00-\\x1f\\x7f]*$",
    },
    _seed,
    "The same seed draws the same; default: a new one, which the answer names. 种子。",
    f"1 to {sampling.SEED_LENGTH_MAX} printable characters",
    f"1 至 {sampling.SEED_LENGTH_MAX} 个可打印字符",
    "2026",
)


def _size(most: int) -> Parameter:
    return Parameter(
        "size",
        "query",
        {"type": "integer", "minimum": 1, "maximum": most, "default": sampling.SIZE},
        whole_number(1, most),
        "How many claims at most. 样本量。",
        f"an integer from 1 to {most}",
        f"1 至 {most} 的整数",
        sampling.SIZE,
    )


def drawn_by(limits: Limits) -> tuple[Parameter, ...]:
    """How a sample is drawn: what the operation takes, and its page."""
    return (
        word("by", "How to draw; default: random. 抽样方法。", sampling.METHODS),
        _size(limits.page_rows_max),
        _SEED,
        identifier("round", "Claims of this round only. 仅该轮次。", "R1", "query"),
    )


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The sample."""
    return [
        Operation(
            "sample",
            "GET",
            "/v1/sample",
            "reads",
            "Granted claims drawn at random, by amount (each fen alike) or by risk (near a cap, back-dated, corrected, "
            "paid quickly), with the seed, and the positions to prove. With seed and position anybody draws the same.",
            "审计抽样：随机、按金额或按风险，附种子与应取证的序号。",
            READ,
            _sample,
            (Answer(200, "The working list.", schemas.SAMPLE, headers=TAG), UNCHANGED),
            (*drawn_by(limits), *CLOCKS),
            codes=("not_known", "unknown_round"),
            tries=(
                Try(200),
                Try(200, query={"by": "amount", "size": 1, "seed": "审计-2026"}),
                Try(200, query={"by": "risk", "round": "R1", "on": "2024-12-31", "known_position": 9}),
                Try(304, headers={"If-None-Match": "*"}),
                Try(404, "not_known", query={"known_position": 999_999}),
                Try(404, "unknown_round", query={"round": "nope"}),
                Try(422, "invalid_parameter", query={"by": "luck"}),
                Try(422, "invalid_parameter", query={"size": 0}),
                Try(422, "invalid_parameter", query={"seed": ""}),
            ),
        )
    ]


async def _sample(request: Request) -> Reply:
    seed = request.parameters["seed"] or sampling.new_seed()
    # Without a seed each answer is another one, so the seed is part of the tag.
    drawn_by = hashlib.sha256(seed.encode()).hexdigest()[:16]
    walk = Walk(request.service.limits.slow_seconds_max)

    def question(store: Store) -> tuple[AsOf, dict[str, Any] | None]:
        as_of = asking.resolve(store, clocks_of(request))
        if is_known(request, as_of, drawn_by):
            return as_of, None
        return as_of, asking.sample(store, as_of, walk, request.parameters, seed)

    as_of, found = await walked(request, walk, question)
    headers = tagged(entity_tag(request, as_of, drawn_by))
    if found is None or wants_none(request):
        return Reply(304, b"", headers)
    return Reply(200, json_bytes({**echo(request, as_of), **found}), headers)
