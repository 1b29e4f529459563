"""Lines of input: what is told apart, and the keys of lines that make nothing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from api.intake import BYTE_ORDER_MARK, batches

BLANK_LINES = 200_000
TEXTS: Final = st.binary(max_size=6).map(lambda text: text.replace(b"\n", b""))
INPUTS: Final = st.lists(st.one_of(TEXTS, st.sampled_from([b"", b" ", b"\t\r", b"{}", b"{}\r"])), max_size=40)


@given(INPUTS, st.booleans(), st.binary(max_size=3), st.sets(st.integers(1, 40)))
def test_a_key_is_the_hash_of_the_input_so_far(
    lines: list[bytes], ends: bool, seed: bytes, asked: set[int]
) -> None:
    """Whichever lines are asked for their key: SHA-256 over the seed and every line up to and including it, blank ones
    too, without line ends and mark."""
    reader, writer = os.pipe()
    os.write(writer, b"\n".join(lines) + (b"\n" if ends else b""))
    os.close(writer)
    found = {}
    for batch, _ in batches(reader, seed):
        for index, number in enumerate(batch.numbers):
            found[number] = (batch.texts[index], batch.key_of(index) if number in asked else None)
    os.close(reader)

    expected, hasher = {}, hashlib.sha256(seed)
    for number, raw in enumerate(lines, 1):
        text = raw.removesuffix(b"\r")
        text = text.removeprefix(BYTE_ORDER_MARK) if number == 1 else text
        hasher.update(text + b"\n")
        if text and not text.isspace():
            expected[number] = (text, "line:" + hasher.hexdigest() if number in asked else None)
    assert found == expected


def test_blank_lines_without_end_are_not_kept(tmp_path: Path) -> None:
    """A line is handed out although nothing but blank lines follows it for long, and they are not read first."""
    file = tmp_path / "commands"
    file.write_bytes(b"{}\n" + b"\n" * BLANK_LINES + b"{}\n")
    with file.open("rb") as stream:
        found = [(batch.numbers, read) for batch, read in batches(stream.fileno()) if len(batch)]
    assert [numbers for numbers, _ in found] == [[1], [BLANK_LINES + 2]]
    assert found[0][1] < BLANK_LINES // 10
