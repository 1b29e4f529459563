"""The tree and its proofs: the published vectors, and an independent implementation, naive and recursive, that shares
nothing with ours, over random trees and random pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.codec import leaf_hash

#: The eight inputs and the roots of their first n, as the Certificate Transparency project publishes them.
INPUTS = [
    b"",
    b"\x00",
    b"\x10",
    bytes.fromhex("2021"),
    bytes.fromhex("3031"),
    bytes.fromhex("40414243"),
    bytes.fromhex("5051525354555657"),
    bytes.fromhex("606162636465666768696a6b6c6d6e6f"),
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
#: Published audit paths (RFC 6962 §2.1.3 numbers leaves from 0): leaf, size, path.
PATHS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
]


# --- independent: RFC 6962 §2.1 word for word, on the inputs themselves ---------------------------------------------


def naive_root(inputs: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if len(inputs) <= 1:
        return hashlib.sha256(b"\x00" + inputs[0] if inputs else b"").digest()
    k = naive_split(len(inputs))
    return hashlib.sha256(b"\x01" + naive_root(inputs[:k]) + naive_root(inputs[k:])).digest()


def naive_split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def naive_path(m: int, inputs: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(inputs) == 1:
        return []
    k = naive_split(len(inputs))
    if m < k:
        return [*naive_path(m, inputs[:k]), naive_root(inputs[k:])]
    return [*naive_path(m - k, inputs[k:]), naive_root(inputs[:k])]


def naive_proof(m: int, inputs: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    if m == len(inputs):
        return [] if whole else [naive_root(inputs)]
    k = naive_split(len(inputs))
    if m <= k:
        return [*naive_proof(m, inputs[:k], whole), naive_root(inputs[k:])]
    return [*naive_proof(m - k, inputs[k:], False), naive_root(inputs[:k])]


def naive_accepts(leaf: bytes, m: int, n: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether a path leads from a leaf to the root: the tree walked from the top, recursively."""
    return rebuilt(hashlib.sha256(b"\x00" + leaf).digest(), m, n, list(path)) == root


def rebuilt(leaf: bytes, m: int, n: int, path: list[bytes]) -> bytes | None:
    """The root of n leaves from one of them and its path."""
    if n == 1:
        return leaf if not path else None
    if not path:
        return None
    k = naive_split(n)
    below = rebuilt(leaf, m, k, path[:-1]) if m < k else rebuilt(leaf, m - k, n - k, path[:-1])
    if below is None:
        return None
    pair = below + path[-1] if m < k else path[-1] + below
    return hashlib.sha256(b"\x01" + pair).digest()


# --------------------------------------------------------------------------------------------------------------------


def proofs_of(inputs: Sequence[bytes]) -> merkle.RangeRoot:
    """What our proofs ask of whoever keeps the leaves."""
    leaves = [leaf_hash(one) for one in inputs]
    return lambda start, end: merkle.root_of(b"".join(leaves[start:end]))


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    """The published roots come out, built at once and leaf by leaf, and from the independent implementation."""
    leaves = [leaf_hash(one) for one in INPUTS[:size]]
    tree = merkle.Tree()
    tree.extend(leaves)
    assert {merkle.root_of(b"".join(leaves)).hex(), tree.root().hex(), naive_root(INPUTS[:size]).hex()} == {
        ROOTS[size]
    }


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_published_paths(index: int, size: int, path: list[str]) -> None:
    """The published audit paths come out and lead to the published roots."""
    ours = merkle.inclusion_proof(index, size, proofs_of(INPUTS[:size]))
    assert [node.hex() for node in ours] == path
    root = merkle.root_from_inclusion(leaf_hash(INPUTS[index]), index, size, ours)
    assert root is not None and root.hex() == ROOTS[size]


INPUT_LISTS = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


@settings(max_examples=300, deadline=None)
@given(INPUT_LISTS, st.data())
def test_inclusion_is_accepted_independently(inputs: list[bytes], data: st.DataObject) -> None:
    """Our path for any leaf of any tree is the independent one, which accepts it; and so do we."""
    index = data.draw(st.integers(0, len(inputs) - 1))
    size, root = len(inputs), naive_root(inputs)
    ours = merkle.inclusion_proof(index, size, proofs_of(inputs))
    assert ours == naive_path(index, inputs)
    assert naive_accepts(inputs[index], index, size, ours, root)
    assert merkle.root_from_inclusion(leaf_hash(inputs[index]), index, size, ours) == root


@settings(max_examples=300, deadline=None)
@given(INPUT_LISTS, st.data())
def test_consistency_is_the_independent_one(inputs: list[bytes], data: st.DataObject) -> None:
    """Our proof for any pair of sizes is the independent one, and we accept it."""
    old = data.draw(st.integers(1, len(inputs)))
    ours = merkle.consistency_proof(old, len(inputs), proofs_of(inputs))
    assert ours == naive_proof(old, inputs)
    assert merkle.is_consistent(old, naive_root(inputs[:old]), len(inputs), naive_root(inputs), ours)


@settings(max_examples=300, deadline=None)
@given(INPUT_LISTS, st.data())
def test_forged_paths_lead_nowhere(inputs: list[bytes], data: st.DataObject) -> None:
    """Another leaf, place or size, a node more, less or other: never the root, unless nothing was changed."""
    size, root = len(inputs), naive_root(inputs)
    index = data.draw(st.integers(0, size - 1))
    path = naive_path(index, inputs)
    leaf = leaf_hash(inputs[index])
    forged = [
        (leaf_hash(inputs[index] + b"x"), index, size, path),
        (leaf, index, size, [*path, bytes(32)]),
        (leaf, index, size, path[:-1]),
        (leaf, index, size, path[1:]),
        (leaf, -1, size, path),
        (leaf, size, size, path),
        (leaf, index, size, [bytes(32), *path[1:]]),
    ]
    for leaf_, index_, size_, path_ in forged:
        if (leaf_, path_) != (leaf, path) or index_ != index:
            assert merkle.root_from_inclusion(leaf_, index_, size_, path_) != root


@settings(max_examples=300, deadline=None)
@given(INPUT_LISTS, st.data())
def test_forged_consistency_is_refused(inputs: list[bytes], data: st.DataObject) -> None:
    """A history that was rewritten has no consistency proof: none of ours, shortened, lengthened or altered."""
    old = data.draw(st.integers(1, len(inputs)))
    at = data.draw(st.integers(0, old - 1))
    rewritten = [*inputs[:at], inputs[at] + b"x", *inputs[at + 1 :]]
    before, after = naive_root(inputs[:old]), naive_root(rewritten)
    true = naive_proof(old, inputs)
    for proof in (true, naive_proof(old, rewritten), true[:-1], [*true, bytes(32)], []):
        assert not merkle.is_consistent(old, before, len(inputs), after, proof)
    whole = naive_root(inputs)
    for proof in (true[:-1], [*true, bytes(32)], true[1:]):
        if proof != true:
            assert not merkle.is_consistent(old, before, len(inputs), whole, proof)
