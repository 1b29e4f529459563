"""The Merkle tree over the leaves in position order (RFC 6962 §2.1). Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

EMPTY_ROOT = hashlib.sha256(b"").digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 §2.1: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree that keeps only the roots of its full subtrees: O(log n) memory."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash (32 bytes)."""
        size, peaks = self.size, self._peaks
        while size & 1:
            leaf = node_hash(peaks.pop(), leaf)
            size >>= 1
        peaks.append(leaf)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes in order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """The root hash (32 bytes); of an empty tree SHA-256 of nothing."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root_of(leaves: bytes) -> bytes:
    """The root over leaf hashes of 32 bytes each, joined in order: that of `Tree`, several times as fast."""
    if not leaves:
        return EMPTY_ROOT
    level, sha256 = leaves, hashlib.sha256
    while len(level) > 32:
        paired = len(level) & ~63
        nodes = [sha256(b"\x01" + level[at : at + 64]).digest() for at in range(0, paired, 64)]
        # A node without a partner stays as it is until the next level: the split at the largest power of two.
        level = b"".join(nodes) + level[paired:]
    return level
