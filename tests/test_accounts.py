"""Account paths: which are of a known shape."""

from __future__ import annotations

import pytest

from ledger.accounts import is_account

FIRM = "91350100M000100Y43"
ACCOUNTS = (
    "public/treasury",
    "public/round/R1/available",
    "public/round/R1/committed",
    f"public/paid/loan_interest/{FIRM}/R1",
    "public/recovered/R1",
    "private/loan/L1/outstanding",
    "private/guarantee/P1/interest",
    f"quota/shanxi.loan_interest.firm/{FIRM}",
    f"limit/shanxi.loan_interest.firm+round/{FIRM}/R1",
    "settled/shanxi.loan_interest.loan/L1",
    f"milestone/credit_award.product/{FIRM}/科创贷",
    f"milestone/credit_award.product+year/{FIRM}/科创贷/2023",
)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_every_beginning_of_an_account_is_a_subtree_and_nothing_behind_it(account: str) -> None:
    """With a slash each part of the path but the last names a subtree; a slash behind an account names nothing, and
    neither does a part more or less."""
    parts = account.split("/")
    assert is_account(account)
    assert all(is_account("/".join(parts[:length]) + "/") for length in range(1, len(parts)))
    assert not is_account(account + "/")
    assert not is_account(account + "/x")
    assert not is_account(account + "/x/")
    assert not any(is_account("/".join(parts[:length])) for length in range(1, len(parts)))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "foo/",
        "public",
        "public/treasury/",
        "public/round/R1/avail/",
        "public/round/R1/avail",
        "private/loan/L1/nope/",
        "private/nope/",
        "quota/",
        "quota//",
        "public//",
    ],
)
def test_what_is_no_path_of_ours(path: str) -> None:
    """Another name, an empty part: no account and no subtree; a book alone is one."""
    assert is_account(path) == (path == "quota/")
