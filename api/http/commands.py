"""POST /v1/commands/{name}: one command. One operation for each command of the registry."""

from __future__ import annotations

from typing import Any, Final

from api.intake import BYTE_ORDER_MARK
from api.roles import permission_of
from api.service import schemas
from api.service.four_eyes import CODE as FOUR_EYES
from api.service.four_eyes import problem as four_eyes_problem
from api.service.limits import Limits
from api.service.operations import Answer, Body, Operation, Try
from api.service.parameters import DRY_RUN, IDEMPOTENCY_KEY
from api.service.problems import MEDIA_TYPE, HttpProblem, refused
from api.service.requests import Reply, Request, json_bytes
from ledger import codec, commands
from ledger.catalogue import Catalogue
from ledger.commands import Command, CommandSpec, InvalidCommand
from ledger.dates import today_in_shanghai
from ledger.outcomes import Outcome
from ledger.rehearsal import Rehearsal

_PROBLEM: Final = MEDIA_TYPE.encode()
_ACCEPTED: Final = {"outcome": "accepted", "positions": [9], "amount_fen": 6_000_000}
_REFUSED: Final = {
    "type": "urn:kejin:refusal:firm_cap_reached",
    "title": "Refused: firm cap reached",
    "status": 409,
    "clause": "SX-1",
    "outcome": "refused",
    "positions": [10],
    "code": "firm_cap_reached",
    "detail": "the firm's cumulative cap, 20 万元, is used up: 0.00 元 is left",
}


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """One operation per command."""
    return [_operation(spec, known) for spec in known.specs.values()]


def _operation(spec: CommandSpec, known: Catalogue) -> Operation:
    async def handle(request: Request) -> Reply:
        return await _handle(request, spec, known)

    sample = schemas.sample(spec)
    return Operation(
        name=spec.name,
        method="POST",
        path=f"/v1/commands/{spec.name}",
        tag="commands",
        en=spec.en,
        zh=spec.zh,
        may=permission_of(spec.name),
        handle=handle,
        parameters=(DRY_RUN, IDEMPOTENCY_KEY),
        body=Body("application/json", schemas.of_command(spec), {"example": sample}),
        answers=(
            Answer(201, "Accepted and recorded.", schemas.OUTCOME, _ACCEPTED),
            Answer(
                200,
                "A dry run that would be accepted, or accepted before under the same key.",
                schemas.OUTCOME,
                {**_ACCEPTED, "outcome": "repeated", "first": "accepted"},
            ),
            Answer(409, "Refused by a rule, now or before; recorded.", schemas.REFUSAL, _REFUSED, MEDIA_TYPE),
        ),
        codes=("invalid", *((FOUR_EYES,) if spec.name == "pay" else ())),
        tries=(
            Try(422, "invalid", body={"colour": "red"}),
            Try(422, "invalid", raw=b"[1, 2]"),
            Try(422, "invalid", raw=b'{"reason": "\xff"}'),
            Try(422, "invalid_parameter", query={"dry_run": "perhaps"}, body=sample),
            Try(422, "unknown_parameter", query={"colour": "red"}, body=sample),
            Try(403, "cross_site", headers={"Origin": "http://elsewhere.example"}, body=sample),
            Try(421, "misdirected", headers={"Host": "rebound.example"}, body=sample),
        ),
    )


async def _handle(request: Request, spec: CommandSpec, known: Catalogue) -> Reply:
    command = _command(request, await request.body(request.service.limits.body_bytes_max), spec, known)
    if request.parameters["dry_run"]:
        outcome = await rehearse(request, known, [command])
        return _reply(request, outcome[0], dry_run=True)
    return _reply(request, await request.service.writer.submit_one(command), dry_run=False)


def _command(request: Request, body: bytes, spec: CommandSpec, known: Catalogue) -> Command:
    """The command of a body. Raises HttpProblem `invalid`."""
    try:
        sent = codec.parse_object(body.removeprefix(BYTE_ORDER_MARK))
    except codec.NotStrictJson as error:
        raise HttpProblem("invalid", f"not a JSON object: {error}", f"不是 JSON 对象：{error.zh}") from None
    if sent.setdefault("command", spec.name) != spec.name:
        raise HttpProblem(
            "invalid",
            f"the body names another command, the address {spec.name}",
            f"请求体与地址 {spec.name} 所指的命令不同",
        )
    key = request.parameters["Idempotency-Key"]
    if key is not None and sent.setdefault("key", key) != key:
        raise HttpProblem(
            "invalid", "the field key and Idempotency-Key differ", "字段 key 与 Idempotency-Key 不一致"
        )
    try:
        return commands.read(sent, known.specs, today_in_shanghai(), principal=request.sender.principal)
    except InvalidCommand as error:
        raise HttpProblem("invalid", str(error), error.problem_zh) from None


async def rehearse(request: Request, known: Catalogue, sent: list[Command]) -> list[Outcome]:
    """What would become of commands, on the log as it is; nothing is written."""
    service = request.service
    return await service.rehearsals.ask(
        lambda store: Rehearsal(store, known, service.four_eyes.veto).submit(sent)
    )


def _reply(request: Request, outcome: Outcome, *, dry_run: bool) -> Reply:
    if outcome.code == FOUR_EYES:
        raise four_eyes_problem()
    request.noted["positions"] = outcome.positions
    shown: dict[str, Any] = outcome.document(request.language)
    if outcome.refused:
        request.noted["refused"] = outcome.code
        language = request.language.encode()
        return Reply(409, refused(shown, request.language), [(b"content-language", language)], _PROBLEM)
    repeated = outcome.outcome == "repeated"
    return Reply(200 if repeated or dry_run else 201, json_bytes(shown))
