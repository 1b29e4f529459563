"""The OpenAPI document: every command and every status, with examples that are run here."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest

from api.service.application import discover
from api.service.limits import Limits
from api.service.operations import Operation, Try
from ledger.catalogue import catalogue
from ledger.commands import COMMON_FIELDS
from tests.http.service import Answer, Service

KNOWN = catalogue()
OPERATIONS = discover(KNOWN, Limits())
TRIES = [(operation, tried) for operation in OPERATIONS for tried in operation.tries]
#: Not `kejin run`'s: it records, and the examples' ledger stays as it is for the other tests.
READING = [
    (operation, tried) for operation, tried in TRIES if not (operation.name == "run" and tried.status == 200)
]


#: Whose answers the document shows as the examples' ledger gives them.
SHOWN = [
    operation
    for operation in OPERATIONS
    if not operation.is_page and operation.name != "openapi"
    for answer in operation.answers
    if answer.status == 200 and answer.media_type == "application/json" and answer.example is None
]
#: What differs from ledger to ledger, or from release to release: made up in what is shown.
MADE_UP = {
    "recorded_at": "2024-07-01T08:00:00.000000Z",
    "principal": "clerk",
    "database_seconds": 0.001,
    "version": 1,
}
HASHES = ("leaf", "root", "old_root", "proof")


def steady(value: Any, name: str = "") -> Any:
    """An answer with everything made up that differs from ledger to ledger."""
    if isinstance(value, dict):
        return {key: steady(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [steady(part, name) for part in value]
    if name in HASHES and value is not None:
        return hashlib.sha256(name.encode()).hexdigest()
    return value if value is None else MADE_UP.get(name, value)


def example_of(operation: Operation) -> Try:
    """The example of an operation whose answer is shown: one that asks for little, or draws what it draws again."""
    answered = [one for one in operation.tries if one.status == 200 and not one.headers]
    return next((one for one in answered if one.query.keys() & {"limit", "seed"}), answered[0])


def named(case: object) -> str:
    """The name of a case."""
    if isinstance(case, Operation):
        return case.name
    return f"{case.status}-{case.code or 'ok'}" if isinstance(case, Try) else str(case)


def ask(service: Service, operation: Operation, tried: Try) -> Answer:
    """Send the request of an example."""
    path = operation.path.replace(":path}", "}")
    for name, value in tried.path.items():
        path = path.replace("{" + name + "}", str(value))
    body = (
        tried.raw
        if tried.raw is not None
        else None
        if tried.body is None
        else json.dumps(tried.body).encode()
    )
    return service.ask(operation.method, path, body, tried.headers, **tried.query)


@pytest.fixture(scope="module")
def document(example: Service) -> Any:
    """The document as it is served."""
    return example.read("/openapi.json")


@pytest.mark.parametrize(("operation", "tried"), READING, ids=named)
def test_every_example_answers_as_the_document_says(
    example: Service, document: Any, operation: Operation, tried: Try
) -> None:
    """Each example's status is declared, its code too, and its body fits the schema of that status."""
    answer = ask(example, operation, tried)
    assert answer.status == tried.status, answer
    path = operation.path.replace(":path}", "}")
    declared = document["paths"][path][operation.method.lower()]["responses"][str(tried.status)]
    if not declared.get("content"):
        assert answer.body == b""
        return
    media_type = answer.headers["content-type"].partition(";")[0]
    content = declared["content"][media_type]
    if media_type.endswith("json"):
        schema = {**content["schema"], "components": document["components"]}
        assert not list(jsonschema_rs.validator_for(schema).iter_errors(answer.document)), answer
    if tried.code is not None:
        assert answer.document["code"] == tried.code
        assert tried.code in content["examples"]
        shown = content["examples"][tried.code]["value"]
        assert {name: answer.document[name] for name in ("type", "title", "status")} == {
            name: shown[name] for name in ("type", "title", "status")
        }


@pytest.mark.parametrize("operation", SHOWN, ids=named)
def test_the_answer_that_is_shown_is_the_one_that_is_given(
    example: Service, document: Any, operation: Operation
) -> None:
    """But for hashes, instants and names of people; and it fits the schema."""
    path = operation.path.replace(":path}", "}")
    declared = document["paths"][path][operation.method.lower()]["responses"]["200"]["content"]
    shown = declared["application/json"]["example"]
    assert steady(ask(example, operation, example_of(operation)).document) == shown
    schema = {**declared["application/json"]["schema"], "components": document["components"]}
    assert jsonschema_rs.validator_for(schema).is_valid(shown)


def test_every_answer_has_an_example(document: Any) -> None:
    """Of every operation, but for the document itself, and for figures and a stream, which are texts."""
    lacking = [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
        for media_type, content in answer.get("content", {}).items()
        if media_type == "application/json" and status < "3" and "example" not in content
    ]
    assert lacking == ["openapi"]


def test_every_command_of_the_registry_has_its_own_operation(document: Any) -> None:
    """One address per command, with its fields, required ones, and descriptions in both languages."""
    commands = {path.rpartition("/")[2] for path in document["paths"] if path.startswith("/v1/commands/")}
    assert commands == KNOWN.specs.keys()
    for spec in KNOWN.specs.values():
        operation = document["paths"][f"/v1/commands/{spec.name}"]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        fields = (*spec.fields, *COMMON_FIELDS)
        assert schema["properties"].keys() == {"command", *(field.name for field in fields)}
        assert schema["required"] == [field.name for field in fields if field.required]
        assert (operation["summary"], operation["description"]) == (spec.en, spec.zh)


@pytest.mark.parametrize("name", KNOWN.specs)
def test_every_command_s_example_is_well_formed(example: Service, document: Any, name: str) -> None:
    """The example of a command fits its schema and is decided: accepted or refused by a rule, never malformed."""
    content = document["paths"][f"/v1/commands/{name}"]["post"]["requestBody"]["content"]["application/json"]
    sample = content["examples"]["example"]["value"]
    assert jsonschema_rs.validator_for(content["schema"]).is_valid(sample)
    answer = example.post({"command": name, **sample}, dry_run="true")
    assert answer.status in (200, 409), answer


def test_every_address_of_the_document_is_there_and_no_other_method(example: Service, document: Any) -> None:
    """Each declared method answers; others are 405 with Allow."""
    for path, methods in document["paths"].items():
        address = quote(path.replace("{account}", "public/treasury").replace("{position}", "7"), safe="/{}")
        answer = example.ask("PATCH", address)
        assert answer.status == 405, address
        assert answer.headers["allow"].split(", ")[0] in {method.upper() for method in methods}
        assert answer.document["code"] == "method_not_allowed"
