"""GET /v1/sample: granted claims drawn for an auditor, with the positions to prove."""

from __future__ import annotations

import hashlib
from typing import Any

from api.roles import READ
from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Answer, Operation, Try
from api.service.parameters import CLOCKS, SEED, identifier, sample_size, word
from api.service.reads import TAG, UNCHANGED, clocks_of, echo, entity_tag, is_known, tagged, wants_none
from api.service.requests import Reply, Request, json_bytes
from ledger.catalogue import Catalogue
from ledger.store import Store
from projections import sampling
from projections.clocks import AsOf


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
            (
                word("by", "How to draw; default: random. 抽样方法。", sampling.METHODS),
                sample_size(limits.page_rows_max),
                SEED,
                identifier("round", "Claims of this round only. 仅该轮次。", "R1", "query"),
                *CLOCKS,
            ),
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
    service = request.service
    seed = request.parameters["seed"] or sampling.new_seed()
    # Without a seed each answer is another one, so the seed is part of the tag.
    drawn_by = hashlib.sha256(seed.encode()).hexdigest()[:16]
    walk = asking.Walk(service.limits.slow_seconds_max)

    def question(store: Store) -> tuple[AsOf, dict[str, Any] | None]:
        as_of = asking.resolve(store, clocks_of(request))
        if is_known(request, as_of, drawn_by):
            return as_of, None
        return as_of, asking.sample(store, as_of, walk, request.parameters, seed)

    as_of, found = await service.walks.ask(question)
    headers = tagged(entity_tag(request, as_of, drawn_by))
    if found is None or wants_none(request):
        return Reply(304, b"", headers)
    return Reply(200, json_bytes({**echo(request, as_of), **found}), headers)
