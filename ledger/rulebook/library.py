"""The rulebooks at hand: documents read from TOML, each with the hash that identifies its content."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ledger import codec
from ledger.rulebook import clauses, forms


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a measure or call: its content and the SHA-256 (hex) of the content's canonical JSON."""

    id: str
    layer: str
    content: Mapping[str, Any]
    sha256: str


def content_sha256(content: Mapping[str, Any]) -> str:
    """The hash that identifies a rulebook's content, in hex."""
    return hashlib.sha256(codec.canonical(content)).hexdigest()


class Library:
    """Documents by id. Every call is checked against its measure at once: a bad document fails at the start.

    Raises forms.UnusableRulebook.
    """

    def __init__(self, contents: Iterable[Mapping[str, Any]]) -> None:
        contents = list(contents)
        for content in contents:
            forms.check_document(content)
        self.documents = {
            content["id"]: Document(content["id"], content["layer"], content, content_sha256(content))
            for content in contents
        }
        layers: list[tuple[Mapping[str, Any], Mapping[str, Any] | None]]
        layers = [(self.documents[measure].content, None) for measure in self.measures()]
        layers += [(self.measure_of(call).content, self.documents[call].content) for call in self.calls()]
        #: Every measure alone and under each of its calls, and where that is.
        self.rulebooks = [(clauses.place(*layer), clauses.resolve(*layer)) for layer in layers]

    def measures(self) -> tuple[str, ...]:
        """The ids of the standing measures."""
        return tuple(d.id for d in self.documents.values() if d.layer == "measure")

    def calls(self) -> tuple[str, ...]:
        """The ids of the yearly calls."""
        return tuple(d.id for d in self.documents.values() if d.layer == "call")

    def measure_of(self, call: str) -> Document:
        """The measure that a call narrows."""
        wanted = self.documents[call].content["measure"]
        if wanted not in self.measures():
            raise forms.Checked(call, call).wrong(
                f"its measure {wanted!r} is not at hand", f"没有其办法 {wanted!r}"
            )
        return self.documents[wanted]


def read_toml(text: str) -> dict[str, Any]:
    """A rulebook's content from TOML text."""
    return tomllib.loads(text)


@cache
def shipped() -> Library:
    """The rulebooks that come with Kejin, in the order of their ids."""
    files = sorted(
        (f for f in resources.files("ledger.rulebook").iterdir() if f.name.endswith(".toml")),
        key=lambda f: f.name,
    )
    return Library(read_toml(f.read_text(encoding="utf-8")) for f in files)
