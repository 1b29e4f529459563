"""Rows of words in a few texts are what a dictionary would be."""

from __future__ import annotations

from random import Random

import pytest

from ledger import rows


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_what_a_dictionary_would_be(seed: int) -> None:
    """Whatever is added, replaced and taken out, in whatever order: the same rows in the same order. Keys that begin or
    end alike, or are words of other rows, are others."""
    random, found, expected = Random(seed), list[str](), dict[str, list[str]]()
    for step in range(400):
        key = random.choice([str(step), f"C{step}", f"C{step}-1", "申请" + str(step)])
        known = random.choice([*expected, "unknown"])
        row = [key, random.choice([*expected, "-"]), str(random.randrange(10**12))]
        what = random.choice(("add", "add", "add", "replace", "remove"))
        if what == "add":
            expected[key] = row
            rows.add(found, " ".join(row))
        elif what == "replace":
            row[0] = known
            rows.replace(found, known, " ".join(row))
            if known in expected:
                expected[known] = row
        else:
            rows.replace(found, known, None)
            expected.pop(known, None)
        assert rows.words(found) == list(expected.values())
        assert rows.find(found, known) == expected.get(known)
    assert len(found) > 2, "all rows are one text"


def test_to_add_a_row_never_copies_many() -> None:
    """Texts stay short, however many rows there are."""
    found: list[str] = []
    for number in range(5_000):
        rows.add(found, f"C{number} 2024-01-01 2024-01-31")
    assert max(map(len, found)) < 1_100
    assert rows.find(found, "C4999") == ["C4999", "2024-01-01", "2024-01-31"]
