"""The OpenAPI document, made from the operations: every status that can happen, with examples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any, Final

from api.service import schemas
from api.service.operations import Answer, Operation, Parameter
from api.service.problems import KINDS, MEDIA_TYPE, head

Document = dict[str, Any]

#: Problems that any operation that wants a permission can answer.
_GUARDED: Final = ("unauthorized", "forbidden", "stopping", "busy", "misdirected")
_OPEN: Final = ("busy", "misdirected")
_ASKING: Final = ("database_unavailable", "too_slow", "behind")
_COMPONENTS: Final[Mapping[str, Any]] = {
    "Outcome": schemas.OUTCOME,
    "OutcomeLine": schemas.OUTCOME_LINE,
    "Problem": schemas.PROBLEM,
    "Refusal": schemas.REFUSAL,
    "Event": schemas.ENVELOPE,
}


def openapi(operations: Sequence[Operation], version: str) -> Document:
    """The whole document (OpenAPI 3.1)."""
    recorded = _recorded_answers()
    paths: dict[str, Document] = {}
    for operation in operations:
        described = _operation(operation, recorded.get(operation.name))
        paths.setdefault(operation.path.replace(":path}", "}"), {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kejin 科金",
            "version": version,
            "description": "An event-sourced ledger of public fund flows. 公共资金流的事件溯源账本。 "
            "Money is whole fen; dates are YYYY-MM-DD. Problems are RFC 9457, in the language of Accept-Language.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(_COMPONENTS),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _recorded_answers() -> Mapping[str, Any]:
    """By operation what the examples' ledger answers; hashes and what else differs from ledger to ledger are made up.
    Read when the document is asked for, not at each start of a server."""
    answers = resources.files("api.service").joinpath("answers.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(answers)
    return found


def codes_of(operation: Operation) -> list[str]:
    """Every problem code that an operation can answer."""
    codes = list(_GUARDED if operation.may is not None else _OPEN)
    if operation.may is not None:
        codes += _ASKING
    codes += ["invalid_parameter", "unknown_parameter", "malformed_request", "timeout", "head_too_large"]
    if operation.method != "GET":
        codes += ["cross_site", "body_too_large", "unsupported_encoding"]
    return list(dict.fromkeys([*codes, *operation.codes]))


def _operation(operation: Operation, recorded: Any) -> Document:
    described: Document = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.en,
        "description": operation.zh,
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": _responses(operation, recorded),
    }
    if operation.may is not None:
        # Where no tokens exist none is wanted.
        described["security"] = [{"bearer": []}, {}]
        described["x-permission"] = operation.may
    if operation.body is not None:
        body = operation.body
        examples = {name: {"value": value} for name, value in body.examples.items()}
        described["requestBody"] = {
            "required": body.required,
            "content": {body.media_type: {"schema": body.schema, "examples": examples}},
        }
    return described


def _parameter(parameter: Parameter) -> Document:
    described: Document = {
        "name": parameter.name,
        "in": parameter.place,
        "description": f"{parameter.en} {parameter.wanted_en}",
        "required": parameter.place == "path",
        "schema": dict(parameter.schema),
    }
    if parameter.example is not None and parameter.place == "path":
        described["example"] = parameter.example
    return described


def _responses(operation: Operation, recorded: Any) -> Document:
    responses: Document = {}
    for answer in operation.answers:
        responses[str(answer.status)] = _answer(answer, recorded)
    by_status: dict[int, list[str]] = {}
    for code in codes_of(operation):
        by_status.setdefault(KINDS[code].status, []).append(code)
    for status, codes in sorted(by_status.items()):
        responses.setdefault(str(status), _problem(codes))
    return dict(sorted(responses.items()))


def _answer(answer: Answer, recorded: Any) -> Document:
    described: Document = {"description": answer.en}
    if answer.media_type:
        content: Document = {"schema": dict(answer.schema)}
        shown = recorded if answer.example is None else answer.example
        if shown is not None:
            content["example"] = shown
        others = {media_type: {"schema": dict(schema)} for media_type, schema in answer.others.items()}
        described["content"] = {answer.media_type: content, **others}
    if answer.headers:
        described["headers"] = {
            name: {"description": says, "schema": {"type": "string"}} for name, says in answer.headers.items()
        }
    return described


def _problem(codes: Iterable[str]) -> Document:
    listed = list(codes)
    described: Document = {
        "description": "; ".join(f"`{code}`: {KINDS[code].en}" for code in listed),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {code: {"value": example(code)} for code in listed},
            }
        },
    }
    if any(KINDS[code].again for code in listed):
        described["headers"] = {
            "Retry-After": {
                "description": "seconds to wait",
                "schema": {"type": "integer"},
                "required": False,
            }
        }
    return described


def example(code: str) -> Document:
    """A problem of a kind as the document shows it."""
    return {**head(code, "en"), "detail": KINDS[code].en, "code": code, "clause": None}
