"""The chart of accounts: in which folio each account stands, and which subtrees have a folio of their own. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ledger.subjects.inheritance import PARTY_KINDS


@dataclass(frozen=True, slots=True)
class Kind:
    """What all accounts with the same beginning of their path share: the kind of their folio's subject, and the
    subtree with a folio of its own that they lie in (None: the treasury, which is alone)."""

    subject: str
    subtree: str | None


class Chart:
    """For each account the folio that it stands in (that of its subject, so that what is read together lies together)
    and the subtree with a folio of its own that it lies in. Subtrees above are sums of these, those below are few
    accounts."""

    def __init__(self) -> None:
        self.kinds: list[Kind] = []
        self._by_prefix: dict[str, int] = {}

    def folios(self, paths: Iterable[str]) -> tuple[list[str], list[int]]:
        """Per account its folio and its kind, an index into `kinds`."""
        folios, kinds = [], []
        by_prefix, known = self._by_prefix, self.kinds
        for path in paths:
            second = path.find("/", path.find("/") + 1)
            number = by_prefix.get(path[:second])
            if number is None:
                number, name = self._by_parts(path.split("/"))
                folios.append(name)
            else:
                end = path.find("/", second + 1)
                folios.append(
                    known[number].subject + (path[second + 1 :] if end < 0 else path[second + 1 : end])
                )
            kinds.append(number)
        return folios, kinds

    def _by_parts(self, parts: list[str]) -> tuple[int, str]:
        """The kind and the folio of an account that is the first of its kind, or of one that has no third part that
        names its subject."""
        book, head, *rest = parts
        if not rest:
            return self._number("/".join(parts), Kind("", None)), "/".join(parts)
        if (book, head) == ("public", "paid"):
            # One account for each payee: whoever sums up an instrument must not read them all.
            instrument, payee, _ = rest
            prefix = f"public/paid/{instrument}"
            return self._number(prefix, Kind("party:", f"{prefix}/")), f"party:{payee}"
        kind = Kind(_subject(book, head), f"{book}/{head}/")
        return self._number(f"{book}/{head}", kind), kind.subject + rest[0]

    def _number(self, prefix: str, kind: Kind) -> int:
        if prefix not in self._by_prefix:
            self._by_prefix[prefix] = len(self.kinds)
            self.kinds.append(kind)
        return self._by_prefix[prefix]


def _subject(book: str, head: str) -> str:
    if book == "public":
        return "round:"
    if book == "private":
        return "payout:" if head == "guarantee" else f"{head}:"
    kind = "bank" if book == "milestone" else head.rpartition(".")[2].partition("+")[0]
    return "party:" if kind in PARTY_KINDS else f"{kind}:"


def has_folio(path: str) -> bool:
    """Whether a subtree has a folio of its own."""
    return path.endswith("/") and path.count("/") == (3 if path.startswith(_PAID) else 2) and path != _PAID


def is_above_folios(path: str) -> bool:
    """Whether a subtree is made of others that have folios; those that are neither are few accounts."""
    return path.endswith("/") and (path.count("/") == 1 or path == _PAID)


_PAID: Final = "public/paid/"
