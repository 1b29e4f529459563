"""The chart of accounts: in which folio each account stands, and which subtrees have folios of their own. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.accounts import TREASURY
from ledger.subjects.inheritance import PARTY_KINDS


@dataclass(frozen=True, slots=True)
class Kind:
    """What all accounts with the same first two parts of their path share: the kind of their folio's subject, which
    part of the rest names it, and the subtrees with folios of their own that they lie in."""

    subject: str
    part: int
    subtrees: tuple[str, ...]


def _kind(book: str, head: str) -> Kind:
    above = (f"{book}/", f"{book}/{head}/")
    if book == "public":
        return Kind("party:", 1, above) if head == "paid" else Kind("round:", 0, above)
    if book == "private":
        return Kind("payout:" if head == "guarantee" else f"{head}:", 0, above)
    kind = "bank" if book == "milestone" else head.rpartition(".")[2].partition("+")[0]
    return Kind("party:" if kind in PARTY_KINDS else f"{kind}:", 0, above)


class Chart:
    """The chart of accounts: for each the folio that it stands in (that of its subject, so that what is read together
    lies together) and the subtrees with folios of their own that it lies in."""

    def __init__(self) -> None:
        self.kinds: list[Kind] = []
        self._by_prefix: dict[str, int] = {}

    def folio(self, path: str) -> str:
        """The folio of one account."""
        return self.folios([path])[0][0]

    def folios(self, paths: Iterable[str]) -> tuple[list[str], list[int]]:
        """Per account its folio and its kind, an index into `kinds`."""
        folios, kinds = [], []
        by_prefix, known = self._by_prefix, self.kinds
        for path in paths:
            second = path.find("/", path.find("/") + 1)
            if second < 0:  # the treasury: an account by itself
                folios.append(path)
                kinds.append(self._number(path))
                continue
            number = by_prefix.get(path[:second])
            if number is None:
                number = self._number(path[:second])
            kind = known[number]
            if kind.part:  # what is paid: public/paid/<instrument>/<payee>/<round>
                instrument, payee, _ = path[second + 1 :].split("/", 2)
                folios.append(kind.subject + payee)
                number = self._paid(instrument)
            else:
                end = path.find("/", second + 1)
                folios.append(kind.subject + (path[second + 1 :] if end < 0 else path[second + 1 : end]))
            kinds.append(number)
        return folios, kinds

    def _number(self, prefix: str) -> int:
        book, _, head = prefix.partition("/")
        kind = Kind("", 0, (f"{book}/",)) if prefix == TREASURY else _kind(book, head)
        return self._add(prefix, kind)

    def _paid(self, instrument: str) -> int:
        """One account per payee has no bound: whoever sums up an instrument must not read them all."""
        prefix = f"public/paid/{instrument}"
        if prefix in self._by_prefix:
            return self._by_prefix[prefix]
        return self._add(prefix, Kind("party:", 1, ("public/", "public/paid/", f"{prefix}/")))

    def _add(self, prefix: str, kind: Kind) -> int:
        if prefix not in self._by_prefix:
            self._by_prefix[prefix] = len(self.kinds)
            self.kinds.append(kind)
        return self._by_prefix[prefix]


def has_folio(path: str) -> bool:
    """Whether a subtree has a folio of its own; others are few accounts, and are read one by one."""
    depth = path.count("/") if path.endswith("/") else 0
    return 0 < depth <= 2 or (depth == 3 and path.startswith("public/paid/"))
