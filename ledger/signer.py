"""The signer: follows the log and signs its state, so that what was once signed cannot be changed unseen.

It keeps the peaks of the tree and the index of parties up to date with a few hashes per event, signs a checkpoint
when the log rests and at least every second under load, and keeps what it needs to go on (roots of blocks of 4096
leaves, chains of parties) in `kejin_work`. It believes those rows only as far as a checkpoint of its own confirms them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from ledger import merkle
from ledger.bilingual import Bilingual
from ledger.keyring import Keyring
from ledger.notes import Checkpoint, NotANote, SigningKey, opened, signed
from ledger.party_index import (
    BUCKET_COUNT,
    EMPTY_BUCKET,
    PartyIndex,
    indexed,
    packed,
    unpacked,
)
from ledger.store import Appended, Store

#: The advisory lock of signing, on the ledger's own database.
SIGNING_LOCK: Final = 0x6B656A696E03
BLOCK_LEAVES: Final = 4096
#: Under load a checkpoint at least this often, and what it rests on kept this often.
SIGN_SECONDS: Final = 1.0
KEEP_SECONDS: Final = 10.0

_READ_AT_ONCE: Final = 10_000
_BLOCKS_WAITING_MAX: Final = 16


class Contradiction(Bilingual):
    """The log is not the one that was signed."""


class BlockTree:
    """The tree as of a position: the roots of whole blocks, and the leaves of the block that is not full yet."""

    def __init__(self) -> None:
        self.tail: list[bytes] = []
        self._top = merkle.Tree()

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self._top.size * BLOCK_LEAVES + len(self.tail)

    def append_block(self, root: bytes) -> None:
        """Add a whole block by its root."""
        self._top.append(root)

    def extend(self, leaves: Sequence[bytes]) -> list[tuple[int, bytes, bytes]]:
        """Add leaves; of each block that they fill its number, its root and its leaves, joined."""
        filled = []
        self.tail.extend(leaves)
        while len(self.tail) >= BLOCK_LEAVES:
            joined = b"".join(self.tail[:BLOCK_LEAVES])
            del self.tail[:BLOCK_LEAVES]
            filled.append((self._top.size, merkle.root_of(joined), joined))
            self._top.append(filled[-1][1])
        return filled

    def root(self) -> bytes:
        """The root over all leaves."""
        last = [merkle.root_of(b"".join(self.tail))] if self.tail else []
        return merkle.joined((*self._top.peaks, *last))


class Signer:
    """Signs checkpoints of one ledger over one store. Not for several threads at once."""

    def __init__(
        self, store: Store, keyring: Keyring, key: SigningKey, appending: Store | None = None
    ) -> None:
        """Follow what `appending` (default: `store` itself) appends from now on."""
        self._store = store
        self._keyring = keyring
        self._key = key
        self._own = [key.verifier]  # and the ones before it
        self._appended: deque[Appended] = deque()
        self._forget()
        self._signed_at = self._kept_at = 0.0
        (appending or store).follower = self._appended.append

    def _forget(self) -> None:
        self._tree = BlockTree()
        self._index = PartyIndex()
        self._blocks: list[tuple[int, bytes, bytes]] = []  # filled and not kept yet
        self._kept_size: int | None = None  # None: nothing is loaded
        self._believes_buckets = True  # those that are kept, as far as their hashes are the signed ones

    @property
    def key(self) -> SigningKey:
        """The key that signed last: another one than at the beginning where that was rotated since."""
        return self._key

    def committed(self, *, at_rest: bool) -> None:
        """To be called after commits. Signs when the log is at rest or a second went by. Raises Contradiction,
        KeyringError, psycopg.Error."""
        if at_rest or time.monotonic() - self._signed_at >= SIGN_SECONDS:
            self.checkpoint(keep=at_rest)

    def checkpoint(self, *, keep: bool = True, also: Sequence[SigningKey] = ()) -> str:
        """Sign the log as it is now, unless that is done already: the note of the newest checkpoint.

        `keep`: store what the next signer goes on from. `also`: further keys that sign. Raises Contradiction,
        KeyringError.
        """
        now = time.monotonic()
        keep = keep or now - self._kept_at >= KEEP_SECONDS
        try:
            with self._store.connection.transaction():
                # Lock and protected reads are separate statements: one that waits keeps its old snapshot.
                self._store.query_nothing("take_signing_lock", lock=SIGNING_LOCK)
                note = self._signed(keep, also)
        except BaseException:
            self._forget()
            raise
        self._signed_at = now
        self._kept_at = now if keep else self._kept_at
        return note

    def _signed(self, keep: bool, also: Sequence[SigningKey]) -> str:
        self._follow_rotation()
        kept = self._store.query("signer_size")[0][0]
        if kept != self._kept_size:
            self._load(kept)
        head = self._store.head().position
        held = self._keyring.newest(self._own)
        try:
            self._catch_up(held[1] if held else None, head)
        except ValueError:  # what is kept was changed (NotAsSigned) or is no text: made again from the log
            self._begin_anew(kept)
            self._catch_up(held[1] if held else None, head)
        if held is not None and held[1].size == head and not also and (kept == head or not keep):
            return held[0]
        state = Checkpoint(self._key.name, head, self._tree.root(), self._index.root())
        note = signed(state.text(), [self._key, *also])
        self._store.query_nothing("save_checkpoint", size=head, note=note)
        if keep:
            self._keep(head)
        self._keyring.keep(note)
        return note

    def _follow_rotation(self) -> None:
        """Another process may have put a new key in the place of ours: nothing is signed with the old one alone any
        more, and what that signed last still binds."""
        key = self._keyring.key()
        if key is not None and key.verifier != self._key.verifier:
            self._key = key
            self._own = [key.verifier, *self._own]

    def _catch_up(self, held: Checkpoint | None, head: int) -> None:
        if held is not None:
            self._agree(held, head)
        self._follow(head)

    def _agree(self, held: Checkpoint, head: int) -> None:
        """Go on only from what was signed last: never sign a log that contradicts it. Raises Contradiction."""
        if held.size > head:
            raise Contradiction(
                f"the log ends at {head} but a checkpoint of {held.size} events was signed; run kejin verify log",
                f"日志止于第 {head} 条，而已签署的检查点为 {held.size} 条；请运行 kejin verify log",
            )
        if self._tree.size < held.size:
            self._follow(held.size)
        if self._tree.size == held.size:
            same = self._tree.root() == held.root and self._index.root() == held.parties
        else:
            same = root_at(self._store, held.size) == held.root
        if not same:
            raise Contradiction(
                f"the log is not the one whose first {held.size} events were signed; run kejin verify log",
                f"日志前 {held.size} 条与已签署的不符；请运行 kejin verify log",
            )

    def _follow(self, until: int) -> None:
        """Take in the events up to a position: those that this process appended, others from the database."""
        while self._tree.size < until:
            first = self._tree.size + 1
            while self._appended and self._appended[0].first < first:
                done = self._appended[0]
                if done.first + len(done.leaves) <= first:
                    self._appended.popleft()
                else:
                    over = first - done.first
                    self._appended[0] = Appended(first, done.leaves[over:], done.tags[over:])
            if self._appended and self._appended[0].first == first:
                part = self._appended[0]
                self._take(part.leaves[: until - first + 1], part.tags)
            else:
                last = min(until, first + _READ_AT_ONCE - 1)
                if self._appended:
                    last = min(last, self._appended[0].first - 1)
                rows = self._store.query("leaves_and_tags_between", after=first - 1, until=last)
                if [row[0] for row in rows] != list(range(first, last + 1)):
                    raise Contradiction(
                        f"positions between {first} and {last} are missing; run kejin verify log",
                        f"第 {first} 至 {last} 条之间有缺失；请运行 kejin verify log",
                    )
                self._take([bytes(row[1]) for row in rows], [row[2] for row in rows])

    def _take(self, leaves: Sequence[bytes], tags: Sequence[Sequence[str]]) -> None:
        first = self._tree.size + 1
        named = [indexed(one) for one in tags[: len(leaves)]]
        self._load_buckets({tag for some in named for tag in some})
        if len(self._blocks) >= _BLOCKS_WAITING_MAX:
            self._save_blocks()
        for position, (leaf, parties) in enumerate(zip(leaves, named, strict=True), first):
            if parties:
                self._index.add(position, leaf, parties)
        self._blocks += self._tree.extend(leaves)

    # --- what is kept, and how far it is believed ---------------------------------------------------------------

    def _load(self, size: int) -> None:
        """Go on from what is kept as of `size`, if a checkpoint of ours confirms it; else from nothing."""
        self._forget()
        if size and self._confirmed(size):
            self._kept_size = size
        else:
            self._begin_anew(size)

    def _begin_anew(self, kept: int) -> None:
        self._forget()
        self._kept_size, self._believes_buckets = kept, False

    def _confirmed(self, size: int) -> bool:
        notes = self._store.query("checkpoint_of_size", size=size)
        try:
            text = opened(notes[0][0], self._own) if notes else None
            state = None if text is None else Checkpoint.read(text)
        except NotANote:
            state = None
        if state is None or state.size != size:
            return False
        hashes = [EMPTY_BUCKET] * BUCKET_COUNT
        for number, found in self._store.query("bucket_hashes"):
            hashes[number] = bytes(found)
        self._index = PartyIndex(hashes)
        self._tree = _tree_at(self._store, size)
        return self._tree.root() == state.root and self._index.root() == state.parties

    def _load_buckets(self, tags: set[str]) -> None:
        missing = self._index.missing(tags)
        if not missing:
            return
        kept = dict.fromkeys(missing, b"")
        if self._kept_size and self._believes_buckets:
            kept.update(self._store.query("buckets", buckets=list(missing)))
        for number, chains in kept.items():
            self._index.load(number, unpacked(bytes(chains)))

    def _keep(self, size: int) -> None:
        store, changed = self._store, sorted(self._index.changed)
        self._save_blocks()
        store.query_nothing(
            "save_buckets",
            buckets=changed,
            hashes=[self._index.hashes[number] for number in changed],
            chains=[packed(self._index.chains_of(number)) for number in changed],
        )
        store.query_nothing("save_signer", size=size)
        self._kept_size = size
        self._index.changed.clear()

    def _save_blocks(self) -> None:
        self._store.query_nothing(
            "save_blocks",
            blocks=[block for block, _, _ in self._blocks],
            roots=[root for _, root, _ in self._blocks],
            leaves=[leaves for _, _, leaves in self._blocks],
        )
        self._blocks = []


def _tree_at(store: Store, size: int) -> BlockTree:
    """The tree of the first `size` leaves, from kept roots of blocks and the leaves after them."""
    tree = BlockTree()
    for root in kept_roots(store, size // BLOCK_LEAVES):
        tree.append_block(root)
    tree.extend([bytes(row[0]) for row in store.query("leaves_between", after=tree.size, until=size)])
    return tree


def kept_roots(store: Store, count: int) -> Iterator[bytes]:
    """The kept roots of the first `count` blocks of leaves, up to the first one that is missing."""
    for expected, (block, root) in enumerate(store.query("block_roots")):
        if block != expected or block >= count:
            return
        yield bytes(root)


def root_at(store: Store, size: int) -> bytes:
    """The root of the first `size` leaves, as far as the kept roots of blocks can be believed."""
    return _tree_at(store, size).root()
