"""Proofs out of the log: inclusion, consistency, and the completeness of a party's events, each against a checkpoint.

Whatever is read on the way (roots of blocks, leaves, buckets) must lead to the signed roots, else there is no proof.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ledger import merkle
from ledger.codec import leaf_hash
from ledger.notes import Checkpoint
from ledger.party_index import (
    BUCKET_COUNT,
    EMPTY_BUCKET,
    NO_EVENTS,
    bucket,
    bucket_of,
    entry,
    lengthened,
    unpacked,
)
from ledger.signer import BLOCK_LEAVES, Contradiction, kept_roots
from ledger.store import Store
from projections.party_index import FoldedIndex

_BLOCKS_REMEMBERED: Final = 32


class LogProofs:
    """Proofs about the log as of a checkpoint. Raises Contradiction where the log is not what was signed."""

    def __init__(self, store: Store, state: Checkpoint) -> None:
        self._store = store
        self.state = state
        self._roots = list(kept_roots(store, state.size // BLOCK_LEAVES))
        self._levels: OrderedDict[int, list[list[bytes]]] = OrderedDict()
        self._nodes: dict[tuple[int, int], bytes] = {}
        if self._range_root(0, state.size) != state.root:
            raise _contradiction(state)

    def inclusion(self, position: int) -> list[bytes]:
        """That the event at a position is in the log."""
        return merkle.inclusion_proof(position - 1, self.state.size, self._range_root)

    def consistency(self, size: int) -> list[bytes]:
        """That the log of `size` events is the beginning of this one."""
        return merkle.consistency_proof(size, self.state.size, self._range_root)

    def _range_root(self, start: int, end: int) -> bytes:
        """The root of leaves start <= i < end, a range as RFC 6962 splits them: whole blocks, or within one."""
        number = start // BLOCK_LEAVES
        if end - start == BLOCK_LEAVES and number < len(self._roots):
            return self._roots[number]
        if end - start <= BLOCK_LEAVES:
            levels, first = self._levels_of(number), start - number * BLOCK_LEAVES
            height = (end - start - 1).bit_length()
            if end - start == 1 << height:
                return levels[height][first >> height]
            return merkle.root_of(b"".join(levels[0][first : first + end - start]))
        if (start, end) not in self._nodes:
            middle = start + merkle.split(end - start)
            left, right = self._range_root(start, middle), self._range_root(middle, end)
            self._nodes[start, end] = merkle.node_hash(left, right)
        return self._nodes[start, end]

    def _levels_of(self, number: int) -> list[list[bytes]]:
        """The nodes of one block, level by level, from the leaves that the log holds now."""
        if number not in self._levels:
            first, end = number * BLOCK_LEAVES, min((number + 1) * BLOCK_LEAVES, self.state.size)
            level = [bytes(row[0]) for row in self._store.query("leaves_between", after=first, until=end)]
            if len(level) != end - first:
                raise _contradiction(self.state)
            levels = [level]
            while len(level) > 1:
                pairs = zip(level[::2], level[1::2], strict=False)
                level = [merkle.node_hash(left, right) for left, right in pairs]
                levels.append(level)
            if number < len(self._roots) and level[0] != self._roots[number]:
                raise _contradiction(self.state)
            self._levels[number] = levels
            if len(self._levels) > _BLOCKS_REMEMBERED:
                self._levels.popitem(last=False)
        return self._levels[number]

    def completeness(self, tag: str, events: Sequence[tuple[int, bytes]], until: int) -> dict[str, Any]:
        """That `events` (position, leaf) are all that carry the tag: those up to `until` are in the pack, of the later
        ones the pack tells place and hash."""
        hashes = [EMPTY_BUCKET] * BUCKET_COUNT
        for number, found in self._store.query("bucket_hashes"):
            hashes[number] = bytes(found)
        if merkle.root_of(b"".join(hashes)) != self.state.parties:
            raise _contradiction(self.state)
        rows = self._store.query("buckets", buckets=[bucket_of(tag)])
        kept = bucket(unpacked(bytes(rows[0][1])).items()) if rows else b""
        return {
            "tag": tag,
            "later": [[position, leaf.hex()] for position, leaf in events if position > until],
            **_opened(self.state, tag, events, kept, hashes),
        }


def earlier_completeness(
    store: Store, held: Iterable[Checkpoint], newest: int, events: Mapping[str, Sequence[tuple[int, bytes]]]
) -> dict[str, list[dict[str, Any]]]:
    """By tag, of which all events are told (position, leaf): for each checkpoint that a reader holds, older than the
    newest, that those up to it were all that carried the tag then. The index as it was is folded from the log. Raises
    Contradiction where it is not the one that was signed."""
    found: dict[str, list[dict[str, Any]]] = {tag: [] for tag in events}
    by_size = {state.size: state for state in held if 0 < state.size < newest}
    if not (found and by_size):
        return found
    folded = FoldedIndex(store)
    for size, state in sorted(by_size.items()):
        index = folded.reach(size)
        if index.root() != state.parties:
            raise Contradiction(
                f"the index of parties that was signed over the first {size} events is not that of this log; "
                "run kejin verify tables --checkpoint",
                f"对前 {size} 条签署的主体索引与此日志不符；请运行 kejin verify tables --checkpoint",
            )
        for tag, told in events.items():
            then = [(position, leaf) for position, leaf in told if position <= size]
            kept = bucket(index.chains_of(bucket_of(tag)))
            found[tag].append({"size": size, **_opened(state, tag, then, kept, index.hashes)})
    return found


def _opened(
    state: Checkpoint, tag: str, events: Sequence[tuple[int, bytes]], kept: bytes, hashes: Sequence[bytes]
) -> dict[str, Any]:
    """A tag's bucket, and the path from it to the root of the index, which was signed. Raises Contradiction."""
    number, head = bucket_of(tag), NO_EVENTS
    for position, leaf in events:
        head = lengthened(head, position, leaf)
    told = entry(tag, (len(events), head)) if events else b""
    if leaf_hash(kept) != hashes[number] or told not in kept:
        raise _contradiction(state)
    path = merkle.inclusion_proof(
        number, BUCKET_COUNT, lambda start, end: merkle.root_of(b"".join(hashes[start:end]))
    )
    return {"bucket": kept.hex(), "path": [node.hex() for node in path]}


def _contradiction(state: Checkpoint) -> Contradiction:
    return Contradiction(
        f"the log is not the one whose first {state.size} events were signed; run kejin verify log",
        f"日志前 {state.size} 条与已签署的不符；请运行 kejin verify log",
    )
