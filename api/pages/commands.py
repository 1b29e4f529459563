"""/commands and /commands/{name}: what can be recorded, and a form for each command of the registry."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from api.http.commands import rehearse
from api.roles import READ, permission_of
from api.service.access import unauthorized
from api.service.forms import fields_of, inputs
from api.service.four_eyes import CODE as FOUR_EYES
from api.service.four_eyes import problem as four_eyes_problem
from api.service.limits import Limits
from api.service.operations import Operation
from api.service.pages import form_fields, operation, redirect, show, view_of
from api.service.parameters import CLOCKS
from api.service.requests import Reply, Request
from api.service.words import warning_word
from ledger import commands
from ledger.catalogue import Catalogue
from ledger.commands import Command, CommandSpec, InvalidCommand
from ledger.dates import today_in_shanghai
from ledger.outcomes import Outcome

_DRY_RUN: Final = "dry_run"


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The list, and two operations per command: the form, and what it sends."""
    found = [
        operation(
            "page-commands",
            "GET",
            "/commands",
            "What can be recorded.",
            "可登记的事项。",
            None,  # whoever is known is told what they may record, also who may not read
            lambda r: _list(r, known),
            CLOCKS,
        )
    ]
    for spec in known.specs.values():
        found += _of_command(spec, known)
    return found


async def _list(request: Request, known: Catalogue) -> Reply:
    if request.sender.token is None and request.service.access.exist:
        raise unauthorized(is_told=False)
    allowed = [
        spec
        for spec in known.specs.values()
        if request.sender.scope.allows(permission_of(spec.name), spec.name)
    ]
    return show(request, "commands.html", view_of(request), specs=allowed)


def _of_command(spec: CommandSpec, known: Catalogue) -> list[Operation]:
    async def empty(request: Request) -> Reply:
        return _form(request, spec, {"key": _new_key()})

    async def sent(request: Request) -> Reply:
        fields = form_fields(request, await request.body(request.service.limits.body_bytes_max))
        return await _take(request, spec, known, fields)

    path, may = f"/commands/{spec.name}", permission_of(spec.name)
    return [
        operation(spec.name, "GET", path, spec.en, spec.zh, may, empty, CLOCKS),  # which its links keep
        operation(spec.name, "POST", path, spec.en, spec.zh, may, sent),
    ]


def _new_key() -> str:
    """Sent twice, a form records once; what is sent after a refusal is another try."""
    return f"page:{secrets.token_hex(8)}"


def _form(
    request: Request, spec: CommandSpec, values: Mapping[str, str], status: int = 200, **told: Any
) -> Reply:
    view = view_of(request)
    said = {"problem": "", "good": "", "position": None, **told}
    return show(
        request,
        "form.html",
        view,
        status,
        spec=spec,
        inputs=inputs(spec, view.language),
        values=values,
        **said,
    )


async def _take(request: Request, spec: CommandSpec, known: Catalogue, sent: dict[str, str]) -> Reply:
    """Decide what a form says, and show what became of it; what was accepted is shown where it stands."""
    values = dict(sent)
    is_dry = sent.pop(_DRY_RUN, "") != ""
    try:
        fields = {**fields_of(spec, sent), "command": spec.name}
        command = commands.read(fields, known.specs, today_in_shanghai(), principal=request.sender.principal)
    except InvalidCommand as error:
        problem = error.problem_zh if request.language == "zh" else str(error)
        return _form(request, spec, values, 422, problem=problem)
    if is_dry:
        (outcome,) = await rehearse(request, known, [command])
    else:
        outcome = await request.service.writer.submit_one(command)
    if outcome.code == FOUR_EYES:
        raise four_eyes_problem()
    if outcome.refused:
        return _refused(request, spec, values, outcome, is_dry=is_dry)
    if is_dry:
        return _form(request, spec, values, good=_would(request, command, outcome))
    position = outcome.positions[-1]
    request.noted["positions"] = outcome.positions
    view = view_of(request)
    warned = [warning_word(code, view.language) for code in outcome.warnings]
    if outcome.outcome == "repeated":
        said = view.say("This was recorded before.", "此前已登记。")
    elif request.sender.scope.allows(READ, "page-event"):
        return redirect(f"/events/{position}")
    else:
        said = view.say("Recorded.", "已登记。")
    return _form(request, spec, {"key": _new_key()}, good=" · ".join([said, *warned]), position=position)


def _refused(
    request: Request, spec: CommandSpec, values: Mapping[str, str], outcome: Outcome, *, is_dry: bool
) -> Reply:
    told: dict[str, Any] = outcome.document(request.language)
    problem = f"[{told['code']}] {told['detail']}"
    request.noted["refused"] = told["code"]
    if is_dry:
        # A key that was spent on other fields, by a form that was sent and then changed, is nobody's choice.
        kept = {**values, "key": _new_key()} if outcome.code == "key_reused" else values
        return _form(request, spec, kept, 409, problem=problem)
    request.noted["positions"] = outcome.positions
    position = outcome.positions[-1] if outcome.positions else None
    return _form(request, spec, {**values, "key": _new_key()}, 409, problem=problem, position=position)


def _would(request: Request, command: Command, outcome: Outcome) -> str:
    """What a dry run says of a command that would be accepted: every amount as it was read, and what it comes to."""
    view = view_of(request)
    said = [view.say("It would be accepted; nothing was recorded.", "将被接受；未作任何登记。")]
    read = {name: value for name, value in command.fields.items() if name.endswith("_fen")}
    said += [f"{view.word(name)}: {view.cell(name, value)}" for name, value in read.items()]
    if outcome.amount_fen is not None:
        said.append(f"{view.say('it comes to', '核定')} {view.cell('amount_fen', outcome.amount_fen)}")
    said += [warning_word(code, view.language) for code in outcome.warnings]
    return " · ".join(said)
