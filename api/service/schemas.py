"""JSON Schemas: of commands from the registry (a new instrument needs no line here), of outcomes, problems, events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ledger.commands import (
    COMMON_FIELDS,
    KEY_LENGTH_MAX,
    REVIEW_KINDS,
    REVIEWS_MAX,
    SLIPS_MAX,
    TEXT_LENGTH_MAX,
    CommandSpec,
    Field,
    InvalidCommand,
)
from ledger.money import MAX_FEN
from ledger.parties import ALPHABET

Schema = dict[str, Any]

# The same characters as ledger.commands accepts, as JSON Schema writes them.
_CJK: Final = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
ID_SCHEMA: Final[Schema] = {"type": "string", "pattern": f"^[A-Za-z0-9._\\-{_CJK}]{{1,64}}$"}
_AMOUNT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": MAX_FEN}
_DATE: Final[Schema] = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}


_CONTROL: Final = "\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029"


def _text(length_max: int) -> Schema:
    # No control characters, no line separators, and not only blanks.
    pattern = f"^[^{_CONTROL}]*[^\\s{_CONTROL}][^{_CONTROL}]*$"
    return {"type": "string", "minLength": 1, "maxLength": length_max, "pattern": pattern}


_TEXT: Final = _text(TEXT_LENGTH_MAX)
#: Field types of ledger.commands by name. One that is not here (of a new instrument) may be any value; what the
#: ledger itself wants is checked all the same, and its words stand in the description.
_TYPES: Final[Mapping[str, Schema]] = {
    "id": ID_SCHEMA,
    "text": _TEXT,
    "key": _text(KEY_LENGTH_MAX),
    "uscc": {"type": "string", "pattern": f"^[{ALPHABET}]{{18}}$"},
    "date": _DATE,
    "year": {"type": "integer", "minimum": 1, "maximum": 9999},
    "amount_fen": _AMOUNT,
    "amount_or_zero_fen": {**_AMOUNT, "minimum": 0},
    "signed_amount_fen": {
        "anyOf": [_AMOUNT, {"type": "integer", "minimum": -MAX_FEN, "maximum": -1}],
    },
    "count": {**_AMOUNT, "minimum": 0},
    "position": _AMOUNT,
    "flag": {"type": "boolean"},
    "slips": {
        "type": "array",
        "maxItems": SLIPS_MAX,
        "items": {
            "type": "object",
            "required": ["number", "amount_fen"],
            "properties": {"number": _TEXT, "amount_fen": _AMOUNT},
            "additionalProperties": False,
        },
    },
    "reviews": {
        "type": "array",
        "maxItems": REVIEWS_MAX,
        "items": {
            "type": "object",
            "required": ["kind", "passed", "document", "on"],
            "properties": {
                "kind": {"type": "string", "enum": [*REVIEW_KINDS]},
                "passed": {"type": "boolean"},
                "document": _TEXT,
                "on": _DATE,
            },
            "additionalProperties": False,
        },
    },
}
_SAMPLES: Final[Mapping[str, Any]] = {
    "date": "2024-07-01",
    "year": 2024,
    "amount_fen": 12_000_000,
    "amount_or_zero_fen": 150_000_000_000,
    "signed_amount_fen": -5_000_000,
    "count": 279,
    "position": 6,
    "flag": True,
    "slips": [{"number": "S-1", "amount_fen": 12_000_000}],
    "reviews": [{"kind": "expert", "passed": True, "document": "评审-1", "on": "2024-06-01"}],
}


def of_field(field: Field) -> Schema:
    """The schema of one field, with its explanation."""
    words = _words(field)
    known = {"type": "string", "enum": words} if words else _TYPES.get(field.type.name, {})
    return {**known, "description": f"{field.en}. {field.zh}。 {field.type.wanted_en}"}


def _words(field: Field) -> list[str]:
    name = field.type.name
    return name.removeprefix("one of ").split("|") if name.startswith("one of ") else []


def of_command(spec: CommandSpec) -> Schema:
    """The schema of a command's body. Its own name may stand in it, as in a line of `kejin run`."""
    fields = (*spec.fields, *COMMON_FIELDS)
    return {
        "type": "object",
        "title": spec.name,
        "description": f"{spec.en} {spec.zh}",
        "required": [field.name for field in fields if field.required],
        "properties": {
            **{field.name: of_field(field) for field in fields},
            "command": {"type": "string", "const": spec.name},
        },
        "additionalProperties": False,
    }


def sample(spec: CommandSpec) -> dict[str, Any]:
    """A well-formed body, to copy and change: the required fields, and an optional one where some are wanted."""
    codes = iter(_CODES)
    body = {f.name: _sample(f, codes) for f in spec.fields if f.required}
    optional = [f for f in spec.fields if not f.required]
    candidates = [body, *({**body, f.name: _sample(f, codes)} for f in optional)]
    return next(candidate for candidate in candidates if _passes(spec, candidate))


def _passes(spec: CommandSpec, body: dict[str, Any]) -> bool:
    try:
        if spec.check is not None:
            spec.check(body)
    except InvalidCommand:
        return False
    return True


def _sample(field: Field, codes: Iterator[str]) -> Any:
    words = _words(field)
    if field.type.name == "uscc":
        return next(codes)
    return words[0] if words else _SAMPLES.get(field.type.name, f"{field.name}-1")


#: Codes that pass their check digit; a body with two parties names two.
_CODES: Final = ("91350100M000100Y43", "91110108551385082Q", "91110000101623741K", "91110000600037341L")


_OUTCOMES: Final = ("accepted", "refused", "invalid", "repeated")
_OUTCOME_MEMBERS: Final[Schema] = {
    "outcome": {"type": "string", "enum": [*_OUTCOMES]},
    "positions": {"type": "array", "items": {"type": "integer", "minimum": 1}},
    "amount_fen": {"type": "integer"},
    "code": {"type": "string"},
    "clause": {"type": ["string", "null"]},
    "detail": {"type": "string"},
    "warnings": {"type": "array", "items": {"type": "string"}},
    "first": {"type": "string", "enum": ["accepted", "refused"]},
}
_CLOCKS: Final[Schema] = {
    "on": {"type": ["string", "null"]},
    "known_at": {"type": ["string", "null"]},
    "known_position": {"type": "integer", "minimum": 0},
}


def _object(members: Schema, *optional: str) -> Schema:
    required = [name for name in members if name not in optional]
    return {"type": "object", "required": required, "properties": members}


def page_of(row: Schema) -> Schema:
    """A page of rows, with what was asked."""
    cursor = {
        "type": ["string", "null"],
        "description": "pass it as `cursor` for the next page; null at the end",
    }
    return _object({**_CLOCKS, "items": {"type": "array", "items": row}, "next_cursor": cursor})


def read_of(members: Schema) -> Schema:
    """One document, with what was asked."""
    return _object({**_CLOCKS, **members})


ANY: Final[Schema] = {"type": "object"}
_INTEGER: Final[Schema] = {"type": "integer"}
_STRING: Final[Schema] = {"type": "string"}
_STRING_OR_NULL: Final[Schema] = {"type": ["string", "null"]}

OUTCOME: Final = _object(
    _OUTCOME_MEMBERS, *(name for name in _OUTCOME_MEMBERS if name not in ("outcome", "positions"))
)
OUTCOME_LINE: Final = _object(
    {
        "line": {"type": "integer", "minimum": 1},
        **_OUTCOME_MEMBERS,
        # Of a line that was not read, or whose commit nobody can tell of: sent again under its key, it shows.
        "outcome": {"type": "string", "enum": [*_OUTCOMES, "unknown"]},
    },
    *(name for name in _OUTCOME_MEMBERS if name not in ("outcome", "positions")),
)
_PROBLEM_MEMBERS: Final[Schema] = {
    "type": {"type": "string", "format": "uri"},
    "title": _STRING,
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
    "detail": _STRING,
    "code": _STRING,
    "clause": _STRING_OR_NULL,
}
PROBLEM: Final = _object(_PROBLEM_MEMBERS)
REFUSAL: Final = _object({**_OUTCOME_MEMBERS, **_PROBLEM_MEMBERS}, "amount_fen", "warnings", "first")
POSTING: Final = _object({"account": _STRING, "amount_fen": _INTEGER, "effective_on": _STRING})
_ENVELOPE_MEMBERS: Final[Schema] = {
    "position": _INTEGER,
    "recorded_at": {"type": "string", "format": "date-time"},
    "effective_on": _STRING,
    "type": _STRING,
    "tags": {"type": "array", "items": _STRING},
    "data": ANY,
    "postings": {"type": "array", "items": POSTING},
    "principal": _STRING,
    "key": _STRING_OR_NULL,
    "fingerprint": _STRING_OR_NULL,
    "span": _INTEGER,
    "leaf": _STRING,
}
ENVELOPE: Final = _object(_ENVELOPE_MEMBERS)
ENVELOPE_READ: Final = read_of(_ENVELOPE_MEMBERS)
CAP_ROW: Final = _object(
    {
        "cap": _STRING,
        "key": _STRING,
        "party": _STRING_OR_NULL,
        "limit_fen": _INTEGER,
        "consumed_fen": _INTEGER,
        "reserved_fen": _INTEGER,
        "room_fen": _INTEGER,
        "clause": _STRING_OR_NULL,
    }
)
MILESTONE_ROW: Final = _object(
    {"bank": _STRING, "product": _STRING, "mark": _INTEGER, "awarded_fen": _INTEGER, "next_at_fen": _INTEGER}
)
BALANCE: Final = read_of({"account": _STRING, "balance_fen": _INTEGER})
EXPLANATION: Final = read_of(
    {
        "position": _INTEGER,
        "amount_fen": _INTEGER,
        "legs": {"type": "array", "items": ANY},
        "reading": ANY,
        "rulebook": ANY,
        "inputs": ANY,
    }
)
_HASHES: Final[Schema] = {"type": "array", "items": _STRING}
CHECKPOINT: Final = read_of(
    {
        "size": _INTEGER,
        "root": _STRING,
        "signed_size": {"type": ["integer", "null"]},
        "note": {"type": ["string", "null"]},
    }
)
INCLUSION: Final = read_of(
    {"position": _INTEGER, "leaf": _STRING, "size": _INTEGER, "root": _STRING, "proof": _HASHES}
)
CONSISTENCY: Final = read_of(
    {"old_size": _INTEGER, "old_root": _STRING, "size": _INTEGER, "root": _STRING, "proof": _HASHES}
)
VERIFICATION: Final = read_of(
    {
        "ok": {"type": "boolean"},
        "events": _INTEGER,
        "root": _STRING,
        "findings": {"type": "array", "items": ANY},
        "notices": {"type": "array", "items": ANY},
    }
)
REPLAY_ROW: Final = _object(
    {
        "position": _INTEGER,
        "recorded_at": {"type": "string", "format": "date-time"},
        "effective_on": _STRING,
        "type": _STRING,
        "principal": _STRING,
        "tags": {"type": "array", "items": _STRING},
        "balances": {
            "type": "array",
            "items": _object(
                {
                    "account": _STRING,
                    "before_fen": _INTEGER,
                    "after_fen": _INTEGER,
                    "change_fen": _INTEGER,
                }
            ),
        },
        "caps": {"type": "array", "items": ANY},
        "refusal": ANY,
    },
    "refusal",
)
_POINT: Final = _object({"on": _STRING_OR_NULL, "known_position": _INTEGER})
DIFF: Final = _object(
    {
        **_CLOCKS,
        "what": _STRING,
        "id": _STRING,
        "from_fen": _INTEGER,
        "to_fen": _INTEGER,
        "difference_fen": _INTEGER,
        "from": _POINT,
        "to": _POINT,
        "accounts": {
            "type": "array",
            "items": _object(
                {
                    "account": _STRING,
                    "from_fen": _INTEGER,
                    "to_fen": _INTEGER,
                    "difference_fen": _INTEGER,
                    "lines_fen": _INTEGER,
                }
            ),
        },
        "lines": {
            "type": "array",
            "items": _object(
                {
                    "position": _INTEGER,
                    "type": _STRING,
                    "claim": _STRING_OR_NULL,
                    "account": _STRING,
                    "effective_on": _STRING,
                    "amount_fen": _INTEGER,
                    "why": _STRING,
                    "counts_at": _POINT,
                }
            ),
        },
        "next_cursor": _STRING_OR_NULL,
    },
    # Of an account or subtree alone the sums, of a subject alone its id.
    *("id", "from_fen", "to_fen", "difference_fen"),
)
SAMPLE: Final = read_of(
    {
        "method": _STRING,
        "size": _INTEGER,
        "seed": _STRING,
        "round": _STRING_OR_NULL,
        "population": _object({"claims": _INTEGER, "total_fen": _INTEGER}),
        "interval_fen": {"type": ["integer", "null"]},
        "claims": {
            "type": "array",
            "items": _object(
                {
                    "claim": _STRING,
                    "position": _INTEGER,
                    "instrument": _STRING,
                    "round": _STRING,
                    "payee": _STRING,
                    "effective_on": _STRING,
                    "amount_fen": _INTEGER,
                    "hits": _INTEGER,
                    "risks": {"type": "array", "items": _STRING},
                    "positions": {"type": "array", "items": _INTEGER},
                }
            ),
        },
    }
)
SETTING_ROW: Final = _object({"document": _STRING, "set": _STRING, "value": {}})
_TEXTS: Final[Schema] = {"type": "array", "items": _STRING}
WHAT_IF: Final = read_of(
    {
        "settings": _TEXTS,
        "rulebooks": _TEXTS,
        "first_parting": {"type": ["integer", "null"]},
        "then_fen": _INTEGER,
        "now_fen": _INTEGER,
        "difference_fen": _INTEGER,
        "causes": {"type": "array", "items": ANY},
        "payees": {"type": "array", "items": ANY},
        "claims": {"type": "array", "items": ANY},
        "other_steps": {"type": "array", "items": ANY},
        "left_out": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
    }
)


def what_if_body(texts_max: Mapping[str, int]) -> Schema:
    """Settings, and rulebooks in TOML: at most so many texts of each."""
    words = {
        "settings": "CLAUSE.PATH=VALUE, e.g. SX-1.legs.interest_share.rate=1/4; see GET /v1/what-if. 设定。",
        "rulebooks": "A rulebook in TOML. 以 TOML 写成的规则文件。",
    }
    return {
        "type": "object",
        "properties": {
            name: {
                "type": "array",
                "maxItems": most,
                "items": {"type": "string", "minLength": 1},
                "description": words[name],
            }
            for name, most in texts_max.items()
        },
        "minProperties": 1,
        "additionalProperties": False,
    }
