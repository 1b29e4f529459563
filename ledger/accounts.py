"""Account paths: how they are spelled, which exist, and whose memory they belong to.

Books: `public` and `private` are double-entry (their lines sum to zero in every event); `quota`, `limit`,
`settled` and `milestone` are single-sided counters. See ARCHITECTURE.md, "Accounts".
"""

from __future__ import annotations

import re
from typing import Final

TREASURY: Final = "public/treasury"
DOUBLE_ENTRY_BOOKS: Final = ("public", "private")
BOOKS: Final = (*DOUBLE_ENTRY_BOOKS, "quota", "limit", "settled", "milestone")

#: What ids are made of, as a set of a regular expression: letters, digits, CJK (with extensions, compatibility forms
#: and 〇), and . _ -
ID_CHARACTERS: Final = r"A-Za-z0-9._\-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"

# An id as commands take it, or the name of a cap, which joins the kinds of its key by "+".
_ID = f"[{ID_CHARACTERS}+]{{1,200}}"
_LOAN_PARTS = "bank|outstanding|repaid|defaulted|lost|recovered"
_GUARANTEE_PARTS = "guarantor|principal|interest|debtor|recovered"
#: Accounts of the double-entry books, and the subtrees that they stand in.
_SHAPES: Final = tuple(
    re.compile(shape)
    for shape in (
        "public/treasury",
        f"public/round/{_ID}/(available|committed)",
        f"public/paid/{_ID}/{_ID}/{_ID}",
        f"public/recovered/{_ID}",
        f"private/loan/{_ID}/({_LOAN_PARTS})",
        f"private/guarantee/{_ID}/({_GUARANTEE_PARTS})",
        f"public/((round/({_ID}/)?)|(paid/({_ID}/){{0,2}})|recovered/)?",
        f"private/((loan|guarantee)/({_ID}/)?)?",
    )
)
_COUNTERS: Final = re.compile(f"(quota|limit|settled|milestone)/(({_ID})/({_ID}/)*({_ID})?)?")


def is_account(path: str) -> bool:
    """Whether `path` is an account of a known shape, or with a trailing `/` a subtree of such accounts."""
    counter = _COUNTERS.fullmatch(path)
    if counter is None:
        return any(shape.fullmatch(path) for shape in _SHAPES)
    name = counter[3]
    if name is None:
        return True
    # The name of a cap or ladder ends in the kinds of its key, which say of how many parts that is.
    kinds = name.rpartition(".")[2].split("+")
    wanted = len(kinds) + kinds.count("product")
    if path.endswith("/"):
        return path.count("/") - 2 < wanted
    return path.count("/") - 1 == wanted


def available(round_id: str) -> str:
    """Money of the round that no decision has bound yet."""
    return f"public/round/{round_id}/available"


def committed(round_id: str) -> str:
    """Money of the round that decisions have bound and that is not paid."""
    return f"public/round/{round_id}/committed"


def paid(instrument: str, uscc: str, round_id: str) -> str:
    """Money that left to a payee under an instrument of a round."""
    return f"public/paid/{instrument}/{uscc}/{round_id}"


def recovered(round_id: str) -> str:
    """Money of the round that came back from payees."""
    return f"public/recovered/{round_id}"


def loan(loan_id: str, part: str) -> str:
    """An account of a loan in the private book: bank, outstanding, repaid, defaulted, lost, recovered."""
    return f"private/loan/{loan_id}/{part}"


def guarantee(payout: str, part: str) -> str:
    """An account of a guarantee payout in the private book: guarantor, principal, interest, debtor, recovered."""
    return f"private/guarantee/{payout}/{part}"


def quota(cap: str, key: str) -> str:
    """Use of a cap, in fen; grows with use."""
    return f"quota/{cap}/{key}"


def limit(cap: str, key: str) -> str:
    """The limit of a cap, in fen, from the date of the clause or fact that gives it."""
    return f"limit/{cap}/{key}"


def settled(cap: str, key: str) -> str:
    """The part of a cap's use that has been paid; use minus settled is what is only reserved."""
    return f"settled/{cap}/{key}"


def milestone(ladder: str, key: str) -> str:
    """The high-water mark of a ladder, in fen of whole steps."""
    return f"milestone/{ladder}/{key}"


def book_of(path: str) -> str:
    """The book of an account: the first part of its path."""
    return path[: path.index("/")]


def owner_of(path: str) -> str | None:
    """The tag whose memory holds this account's day sums, or None for accounts that decide nothing.

    A cap's name ends in the kinds of its key (`shanxi.loan_interest.firm`, `….firm+round`), so the owner can be
    read off the path: the first kind with the first part of the key (a product's key has two parts).
    """
    parts = path.split("/")
    if parts[0] == "public":
        return f"round:{parts[2]}" if parts[-1] == "available" or parts[1] == "recovered" else None
    if parts[0] == "private":
        return None
    kind = parts[1].rpartition(".")[2].partition("+")[0]
    key = f"{parts[2]}/{parts[3]}" if kind == "product" else parts[2]
    return f"{kind}:{key}"
