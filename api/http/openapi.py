"""GET /openapi.json: the OpenAPI document of everything here."""

from __future__ import annotations

from api.service import schemas
from api.service.limits import Limits
from api.service.operations import Answer, Operation, Try
from api.service.requests import Reply, Request, json_bytes
from ledger.catalogue import Catalogue


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The document."""
    return [
        Operation(
            "openapi",
            "GET",
            "/openapi.json",
            "operations",
            "The OpenAPI document.",
            "OpenAPI 文档。",
            None,
            _document,
            (Answer(200, "OpenAPI 3.1.", schemas.ANY),),
            tries=(Try(200),),
        )
    ]


async def _document(request: Request) -> Reply:
    return Reply(200, json_bytes(request.service.described))
