"""The OpenAPI document: every command and every status, with examples that are run here."""

from __future__ import annotations

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
