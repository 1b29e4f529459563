"""The signer: whatever it goes on from, it signs the same; and it never signs a log that contradicts what it signed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import psycopg
import pytest

from ledger import merkle
from ledger.keyring import Keyring
from ledger.notes import Checkpoint, SigningKey, opened, read_checkpoint
from ledger.signer import Contradiction
from ledger.store import Store
from tests.evidence import KEY, append, signer_of
from tests.support import fresh_database


def expected(store: Store) -> tuple[int, bytes, bytes]:
    """Size, root and index of parties of the log, by an implementation that shares nothing with the signer's."""
    rows = store.connection.execute("select position, leaf, tags from events order by position").fetchall()
    chains: dict[str, tuple[int, bytes]] = {}
    for position, leaf, tags in rows:
        for tag in set(tags):
            if tag.startswith(("firm:", "bank:", "party:")):
                count, head = chains.get(tag, (0, bytes(32)))
                link = hashlib.sha256(b"\x02" + head + position.to_bytes(8, "big") + leaf).digest()
                chains[tag] = (count + 1, link)
    buckets: list[list[bytes]] = [[] for _ in range(1024)]
    for tag, (count, head) in chains.items():
        key = hashlib.sha256(tag.encode()).digest()
        value = hashlib.sha256(b"\x03" + count.to_bytes(8, "big") + head + tag.encode()).digest()
        buckets[int.from_bytes(key[:2], "big") // 64].append(key + value)
    leaves = [hashlib.sha256(b"\x00" + b"".join(sorted(bucket))).digest() for bucket in buckets]
    return len(rows), merkle.root_of(b"".join(row[1] for row in rows)), merkle.root_of(b"".join(leaves))


def told(note: str) -> tuple[int, bytes, bytes]:
    """What a note of ours says."""
    text = opened(note, [KEY.verifier])
    assert text is not None
    state = Checkpoint.read(text)
    return state.size, state.root, state.parties


def owner(database: str) -> psycopg.Connection[tuple[object, ...]]:
    """A connection of someone who may change anything."""
    connection = psycopg.connect(database, autocommit=True)
    connection.execute("alter table events disable trigger all; alter table event_tags disable trigger all")
    return connection


def test_signs_what_the_log_holds(database: str, tmp_path: Path) -> None:
    """The empty log, a few events, several blocks, one at a time: each checkpoint is the independent one."""
    with Store.open(database) as store:
        signer = signer_of(store, tmp_path)
        for count in (0, 1, 2, 4093, 1, 8200, 3):
            if count:
                append(store, count)
            assert told(signer.checkpoint()) == expected(store)


@pytest.mark.parametrize("keep", [True, False])
def test_goes_on_where_another_stopped(database: str, tmp_path: Path, keep: bool) -> None:
    """A signer that starts anew, whether or not the last one kept its state, signs the same as one that never did."""
    for count in (5, 4500, 700):
        with Store.open(database) as store:
            append(store, count)
            signer = signer_of(store, tmp_path)
            signer._kept_at = 1e12  # a state was just kept: none is due
            assert told(signer.checkpoint(keep=keep)) == expected(store)


def test_signers_take_turns(database: str, tmp_path: Path) -> None:
    """Two processes append and sign in turn, each in part over what the other appended."""
    with Store.open(database) as one, Store.open(database) as two:
        signers = [(one, signer_of(one, tmp_path)), (two, signer_of(two, tmp_path))]
        for round_ in range(6):
            store, signer = signers[round_ % 2]
            append(one, 3)
            append(two, 700)
            assert told(signer.checkpoint(keep=round_ % 3 == 0)) == expected(store)


def test_the_same_log_is_signed_once(database: str, tmp_path: Path) -> None:
    """Without new events the newest checkpoint is given again, and no row is added."""
    with Store.open(database) as store:
        append(store, 3)
        signer = signer_of(store, tmp_path)
        assert signer.checkpoint() == signer.checkpoint() == signer_of(store, tmp_path).checkpoint()
        assert [row[0] for row in store.query("checkpoints")] == [3]


def test_under_load_a_second_passes_first(database: str, tmp_path: Path) -> None:
    """A commit under load right after a checkpoint is not signed at once; at rest it is."""
    with Store.open(database) as store:
        signer = signer_of(store, tmp_path)
        append(store, 1)
        signer.committed(at_rest=True)
        append(store, 1)
        signer._signed_at += 3600  # as if no time had passed
        signer.committed(at_rest=False)
        assert [row[0] for row in store.query("checkpoints")] == [1]
        signer.committed(at_rest=True)
        assert [row[0] for row in store.query("checkpoints")] == [1, 2]


@pytest.mark.parametrize(
    "change",
    [
        "update kejin_work.party_buckets set chains = ''",
        "update kejin_work.party_buckets set chains = substring(chains for 10)",
        "update kejin_work.party_buckets set hash = sha256(hash)",
        "update kejin_work.tree_blocks set root = sha256(root)",
        "delete from kejin_work.tree_blocks where block = 0",
        "delete from kejin_work.party_buckets",
        "update kejin_work.checkpoints set note = replace(note, 'kejin', 'other')",
        "delete from kejin_work.checkpoints",
        "update kejin_work.signer set size = size - 1",
        "delete from kejin_work.signer",
    ],
)
def test_what_is_kept_is_not_believed(database: str, tmp_path: Path, change: str) -> None:
    """Whatever is done to its own tables, the signer signs the log as it is, or says that it cannot."""
    with Store.open(database) as store:
        append(store, 9000)
        signer_of(store, tmp_path).checkpoint()
    with owner(database) as connection:
        connection.execute(change.encode())
    with Store.open(database) as store:
        append(store, 10)
        try:
            note = signer_of(store, tmp_path).checkpoint()
        except Contradiction:
            return
        assert told(note) == expected(store)


@pytest.mark.parametrize(
    "change",
    [
        "delete from events where position > 20; delete from event_tags where position > 20",
        "update events set leaf = sha256(leaf) where position = 30",
        "update events set tags = '{firm:F9}' where position = 30",
    ],
)
def test_never_signs_a_contradiction(database: str, tmp_path: Path, change: str) -> None:
    """A log that was cut or changed before the newest checkpoint is not signed, now or when it has grown again."""
    with Store.open(database) as store:
        append(store, 30)
        before = signer_of(store, tmp_path).checkpoint()
    with owner(database) as connection:
        connection.execute(change.encode())
        connection.execute("delete from kejin_work.checkpoints; delete from kejin_work.signer")
    with Store.open(database) as store:
        for _ in range(2):
            with pytest.raises(Contradiction):
                signer_of(store, tmp_path).checkpoint()
            append(store, 20)
    assert Keyring(tmp_path / "signing-key").note_path.read_text(encoding="utf-8") == before


def test_a_key_that_took_the_place_of_ours_is_followed(database: str, tmp_path: Path) -> None:
    """A signer that runs while the key is rotated signs with the new key from then on, and nothing that contradicts
    what the old one signed last."""
    new, keyring = SigningKey(KEY.name, b"n" * 32), Keyring(tmp_path / "signing-key")
    with Store.open(database) as store:
        signer = signer_of(store, tmp_path)
        append(store, 3)
        signer.checkpoint()
        keyring.replace(new)
        with owner(database) as connection:
            connection.execute(
                "delete from events where position > 2; delete from event_tags where position > 2"
            )
        with pytest.raises(Contradiction):
            signer.checkpoint()
        append(store, 2)
    keyring.note_path.unlink()
    with Store.open(database) as store:
        signer = signer_of(store, tmp_path, KEY)
        assert opened(signer.checkpoint(), [new.verifier])
        assert keyring.newest([new.verifier]) is not None


def test_the_worker_cannot_take_a_checkpoint_back(database: str, tmp_path: Path) -> None:
    """The role of normal work may add checkpoints, never change or delete one."""
    with Store.open(database) as store:
        append(store, 1)
        signer_of(store, tmp_path).checkpoint()
        for statement in ("delete from kejin_work.checkpoints", "update kejin_work.checkpoints set size = 9"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                store.connection.execute(statement.encode())


def test_files_are_private(database: str, tmp_path: Path) -> None:
    """The key and the note beside it can be read by their owner alone."""
    with Store.open(database) as store:
        append(store, 1)
        signer_of(store, tmp_path).checkpoint()
    files = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert files == {"signing-key": 0o600, "signing-key.checkpoint": 0o600}


def test_on_debians_postgresql(debian_server: str, tmp_path: Path) -> None:
    """Signing works on PostgreSQL 15 as on the embedded one."""
    with fresh_database(debian_server) as address, Store.open(address) as store:
        append(store, 5000)
        note = signer_of(store, tmp_path).checkpoint()
        assert told(note) == expected(store)
        assert read_checkpoint(note).size == 5000
