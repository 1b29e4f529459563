"""The log as the checks read it: once, whatever it is read for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from psycopg.pq import TransactionStatus

from ledger import merkle
from ledger.store import Store
from projections.columns import SLICE_POSITIONS, BrokenLog, Columns, slices
from projections.fold import fold_binary
from projections.progress import Progress, silent
from projections.verification.checkpoints import Outside

_LEAF_BYTES: Final = 32


@contextmanager
def one_moment(store: Store) -> Iterator[int]:
    """A transaction in which every statement sees the same rows, within another one what that one sees; the newest
    position then."""
    if store.connection.info.transaction_status == TransactionStatus.IDLE:
        with store.reading() as head:
            yield head.position
    else:
        with store.connection.transaction():
            yield store.head().position


class Reading:
    """The log up to the position `until`, read over two connections. Who goes through its columns reads the leaves
    on the way, so that the root costs no second pass."""

    def __init__(
        self, store: Store, other: Store, until: int, outside: Outside, progress: Progress = silent
    ) -> None:
        self.store = store
        self.progress = progress  # told by the checks that take long
        self.outside = outside  # what the checks of signatures compare with
        self.until = until
        self.other = other
        self._subtrees: list[bytes] = []

    def columns(self) -> Iterator[Columns]:
        """The columns of the whole log, slice by slice. Raises BrokenLog."""
        subtrees: list[bytes] = []
        for part in slices([self.store, self.other], 0, self.until, with_leaves=True):
            yield part
            subtrees.append(_subtree(part.leaves, part.after, part.until))
        self._subtrees = subtrees

    def keep_subtrees(self, roots: list[bytes]) -> None:
        """The roots of adjacent subtrees of one power of two of leaves, the last one's may be fewer."""
        self._subtrees = roots

    def root(self) -> str:
        """The Merkle root (RFC 6962, hex) over the stored leaves. Raises BrokenLog."""
        # A slice holds a power of two of leaves: its root is a node of the tree, and so is that of a shorter last one.
        return merkle.root_of(b"".join(self._subtrees or self._read_subtrees())).hex()

    def _read_subtrees(self) -> Iterator[bytes]:
        for after in range(0, self.until, SLICE_POSITIONS):
            last = min(after + SLICE_POSITIONS, self.until)
            ((leaves,),) = fold_binary(self.store, "leaves", after=after, until=last)
            yield _subtree(leaves or b"", after, last)


def _subtree(leaves: bytes, after: int, until: int) -> bytes:
    if len(leaves) != _LEAF_BYTES * (until - after):
        raise BrokenLog(f"there are not {until - after} leaves of 32 bytes at {after + 1} to {until}")
    return merkle.root_of(leaves)
