"""The index of parties: what makes "these are all its events" provable. Pure.

For each tag that names a party (`firm:<uscc>`, `party:<uscc>`, ...) the index holds how many events carry it and a
chain over them; a tree over all tags has one root, which each checkpoint signs beside the root of the log. It
follows from the log alone, so anyone with the log can compute it again.

    chain     head(0) = 32 zero bytes; head(n) = SHA-256(0x02 || head(n-1) || position, 8 bytes || leaf)
    entry     SHA-256(tag) || SHA-256(0x03 || count, 8 bytes || head || tag)         64 bytes, numbers big-endian
    bucket    the entries whose SHA-256(tag) begins with the same 10 bits, in order
    root      the Merkle root (RFC 6962) over the 1024 buckets
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ledger import merkle
from ledger.codec import leaf_hash
from ledger.parties import KINDS

#: The kinds of tags that name a party by its USCC.
INDEXED_KINDS: Final = frozenset({"party", *KINDS})
_PREFIXES: Final = tuple(f"{kind}:" for kind in sorted(INDEXED_KINDS))
BUCKET_COUNT: Final = 1024
EMPTY_BUCKET: Final = leaf_hash(b"")
NO_EVENTS: Final = bytes(32)


class NotAsSigned(ValueError):
    """A bucket that is not the one whose hash was signed."""


Chain = tuple[int, bytes]  # how many events, the head over them


def indexed(tags: Iterable[str]) -> list[str]:
    """Those of an event's tags that the index holds, each once."""
    found = [tag for tag in tags if tag.startswith(_PREFIXES)]
    return found if len(found) < 2 else list(dict.fromkeys(found))


def bucket_of(tag: str) -> int:
    """Which bucket holds a tag."""
    return int.from_bytes(hashlib.sha256(tag.encode()).digest()[:2], "big") >> 6


def lengthened(head: bytes, position: int, leaf: bytes) -> bytes:
    """The head of a chain after one more event."""
    return hashlib.sha256(b"\x02" + head + position.to_bytes(8, "big") + leaf).digest()


def entry(tag: str, chain: Chain) -> bytes:
    """A tag's 64 bytes in its bucket."""
    count, head = chain
    name = tag.encode()
    return (
        hashlib.sha256(name).digest()
        + hashlib.sha256(b"\x03" + count.to_bytes(8, "big") + head + name).digest()
    )


def bucket(chains: Iterable[tuple[str, Chain]]) -> bytes:
    """A bucket's bytes: the entries of its tags in order."""
    return b"".join(sorted(entry(tag, chain) for tag, chain in chains))


class PartyIndex:
    """The index as of a position: the hashes of all buckets, and the chains of those buckets that were loaded."""

    def __init__(self, hashes: Sequence[bytes] = (EMPTY_BUCKET,) * BUCKET_COUNT) -> None:
        self.hashes = list(hashes)
        self.changed: set[int] = set()  # buckets that differ from what was loaded
        self._chains: dict[str, Chain] = {}
        self._tags: dict[int, list[str]] = {}  # of each loaded bucket
        self._touched: set[str] = set()  # since the hashes were last computed

    def missing(self, tags: Iterable[str]) -> set[int]:
        """The buckets that must be loaded before events with these tags can be added."""
        named = {bucket_of(tag) for tag in tags if tag not in self._chains}
        return {number for number in named if number not in self._tags}

    def load(self, number: int, chains: Mapping[str, Chain]) -> None:
        """Take in a bucket. Raises NotAsSigned if it is not the one that its hash names."""
        if leaf_hash(bucket(chains.items())) != self.hashes[number]:
            raise NotAsSigned(f"bucket {number} of the index of parties is not the one that was signed")
        self._tags[number] = list(chains)
        self._chains.update(chains)

    def add(self, position: int, leaf: bytes, tags: Iterable[str]) -> None:
        """Add one event, the next in order; `tags` are indexed ones, each once, their buckets loaded."""
        chains = self._chains
        for tag in tags:
            chain = chains.get(tag)
            if chain is None:
                self._tags[bucket_of(tag)].append(tag)
                chain = (0, NO_EVENTS)
            chains[tag] = (chain[0] + 1, lengthened(chain[1], position, leaf))
            self._touched.add(tag)

    def chains_of(self, number: int) -> list[tuple[str, Chain]]:
        """The chains of a loaded bucket."""
        return [(tag, self._chains[tag]) for tag in self._tags[number]]

    def root(self) -> bytes:
        """The root over all buckets (32 bytes)."""
        for number in {bucket_of(tag) for tag in self._touched}:
            self.hashes[number] = leaf_hash(bucket(self.chains_of(number)))
            self.changed.add(number)
        self._touched.clear()
        return merkle.root_of(b"".join(self.hashes))


def packed(chains: Iterable[tuple[str, Chain]]) -> bytes:
    """A bucket's chains as they are kept: count (8 bytes), head (32), length of the tag (2), tag."""
    return b"".join(
        count.to_bytes(8, "big") + head + len(name).to_bytes(2, "big") + name
        for tag, (count, head) in chains
        for name in (tag.encode(),)
    )


def unpacked(kept: bytes) -> dict[str, Chain]:
    """The chains of a bucket from the bytes of `packed`. Raises NotAsSigned for other bytes."""
    chains, at = {}, 0
    while at < len(kept):
        if at + 42 > len(kept):
            raise NotAsSigned("a bucket of the index of parties is cut off")
        end = at + 42 + int.from_bytes(kept[at + 40 : at + 42], "big")
        chains[kept[at + 42 : end].decode()] = (
            int.from_bytes(kept[at : at + 8], "big"),
            kept[at + 8 : at + 40],
        )
        at = end
    return chains
