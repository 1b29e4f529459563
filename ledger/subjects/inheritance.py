"""Where a posting of an old grant goes after its party was absorbed: to whoever carries the use on that day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ledger.events import Posting
from ledger.state import State, owner_of
from ledger.subjects.registrations import Party

#: Kinds of tags whose accounts belong to a party: their key begins with its code.
PARTY_KINDS = ("firm", "bank", "product")


def party_of(account: str) -> str | None:
    """The code of the party that a cap's or ladder's account belongs to, if it belongs to one."""
    kind, _, key = (owner_of(account) or "").partition(":")
    return key.partition("/")[0] if kind in PARTY_KINDS else None


def heirs(uscc: str, state: State, *, whole: bool = False) -> Iterator[str]:
    """The party, who absorbed it, who absorbed that one: as far as they are loaded, which is for finding out what
    else to load. With `whole` all of them: raises NotLoaded where one is missing."""
    seen: str | None = uscc
    look = state.recall if whole else state.peek
    while seen is not None:
        yield seen
        party = look(Party, f"party:{seen}")
        seen = party.absorbed_into[0] if party is not None and party.absorbed_into else None


def inherited(postings: Iterable[Posting], state: State) -> Iterator[Posting]:
    """Each posting, redirected to the survivor from the merger's date on."""
    for posting in postings:
        uscc = party_of(posting.account)
        merger = state.recall(Party, f"party:{uscc}").absorbed_into if uscc else None
        if uscc is None or merger is None:
            yield posting
            continue
        survivor, merged_on = merger
        target = posting.account.replace(f"/{uscc}", f"/{survivor}", 1)
        if posting.effective_on < merged_on:
            yield posting
            yield Posting(posting.account, -posting.amount_fen, merged_on)
        day = max(posting.effective_on, merged_on)
        yield from inherited([Posting(target, posting.amount_fen, day)], state)
