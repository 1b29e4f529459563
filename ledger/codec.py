"""Bytes and hashes: canonical JSON, strict reading, fingerprints, the leaf of an event. Pure.

Canonical JSON is what orjson writes with sorted keys: UTF-8, no blanks, integers only. The bytes that are hashed
are the bytes that are stored, so nothing ever depends on writing them a second time in the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import orjson

from ledger.dates import microseconds
from ledger.events import Posting, StoredEvent


def read_canonical(data: bytes) -> dict[str, Any]:
    """What canonical bytes of our own say, without the checks that input needs. Raises ValueError: no JSON object."""
    value = orjson.loads(data)
    if type(value) is not dict:
        raise ValueError("not an object")
    return value


class NotStrictJson(ValueError):
    """The text is not one JSON object with each key once: what is wrong, in both languages (what the parser of JSON
    says is English)."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.zh = zh


def canonical(value: object) -> bytes:
    """The canonical bytes of a JSON value. Raises TypeError for what JSON has no word for."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def line(value: object) -> bytes:
    """A JSON value as a line of NDJSON, in the order of its members. Raises TypeError."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def parse_object(line: bytes) -> dict[str, Any]:
    """Read one JSON object strictly. Raises NotStrictJson: not UTF-8, not JSON, no object, a key twice."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise not_utf_8(line) or NotStrictJson(str(error), str(error)) from None
    if type(value) is not dict:
        raise NotStrictJson("not an object", "不是对象")
    # JSON parsers keep the last of two equal keys in silence. Each key and each string value has two quotes, so
    # a plain count shows that none was dropped; only an odd line is read a second time, slowly.
    if b"\\" in line or line.count(b'"') != 2 * _count_strings(value):
        try:
            json.loads(line, object_pairs_hook=_refuse_repeated_keys)
        except RecursionError:
            raise NotStrictJson("nested too deeply", "嵌套过深") from None
    return value


def not_utf_8(text: bytes) -> NotStrictJson | None:
    """What is told of a text in another encoding; None for one in ours."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        at = error.start + 1
        return NotStrictJson(
            f"its byte {at} is not UTF-8; save the file as UTF-8",
            f"第 {at} 字节不是 UTF-8；请将文件另存为 UTF-8",
        )
    return None


def _count_strings(value: dict[str, Any]) -> int:
    """How many strings a JSON object holds, keys included. Iterative: the input may nest deeper than Python's stack."""
    kinds = [type(item) for item in value.values()]
    if dict not in kinds and list not in kinds:  # as nearly every command
        return len(value) + kinds.count(str)
    count, waiting = 0, list[Any]([value])
    while waiting:
        item = waiting.pop()
        if type(item) is str:
            count += 1
        elif type(item) is dict:
            count += len(item)
            waiting.extend(item.values())
        elif type(item) is list:
            waiting.extend(item)
    return count


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotStrictJson(f"the key {twice!r} stands twice", f"字段 {twice!r} 重复")
    return result


def fingerprint(command: str, fields: dict[str, Any]) -> bytes:
    """SHA-256 over a command's fields as they were sent (without `key`): 32 bytes."""
    return hashlib.sha256(canonical([command, fields])).digest()


def preimage(position: int, recorded_at_us: int, body: bytes) -> bytes:
    """The bytes that an event's leaf covers, every stored field: its place, its instant (microseconds since
    1970-01-01T00:00Z), and its `body`."""
    return f"kejin-event-1\0{position}\0{recorded_at_us}\0".encode() + body


def body(
    effective_on: str,
    event_type: str,
    tags: Sequence[str],
    postings: Sequence[Posting],
    principal: str,
    key: str | None,
    fingerprint_hex: str,
    span: int,
    data: bytes,
) -> bytes:
    """Of what an event's leaf covers, all but where and when it was recorded.

    The text fields joined by U+0000 (which PostgreSQL text cannot hold, so nothing can be shifted between them),
    lists preceded by their length, an absent key as "-" and a present one as "=" + key; then U+0000 and `data`
    to the end. A line is its account, its fen and its day.
    """
    fields = [
        effective_on,
        event_type,
        principal,
        "-" if key is None else "=" + key,
        fingerprint_hex,
        str(span),
        str(len(tags)),
    ]
    fields.extend(tags)
    fields.append(str(len(postings)))
    for line in postings:
        fields.append(line.account)
        fields.append(str(line.amount_fen))
        fields.append(line.effective_on)
    fields.append("")
    return "\0".join(fields).encode() + data


def entry_of(event: StoredEvent) -> bytes:
    """The bytes that a stored event's leaf must cover."""
    rest = body(
        event.effective_on,
        event.type,
        event.tags,
        event.postings,
        event.principal,
        event.key,
        event.fingerprint.hex() if event.fingerprint else "-",
        event.span,
        event.data,
    )
    return preimage(event.position, microseconds(event.recorded_at), rest)


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962 §2.1: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()
