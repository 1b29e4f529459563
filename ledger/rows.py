"""Rows of words as a few texts: for what is remembered of very many things and seldom read. Pure.

A dictionary of tuples takes more memory, and longer to be set aside and taken back (see swap; DECISIONS.md has the
figures). No word holds a blank or a line end, as no id, date or number does.
"""

from __future__ import annotations

from typing import Final

#: Texts of some rows, each with its line end, in order.
Rows = list[str]

#: A text grows up to about so many characters: to add a row copies no more than that, however many rows there are.
_TEXT_LENGTH: Final = 1_000


def add(rows: Rows, row: str) -> None:
    """Add a row, its words separated by single blanks. The first one is its key, which no other row has."""
    if rows and len(rows[-1]) < _TEXT_LENGTH:
        rows[-1] = f"{rows[-1]}{row}\n"
    else:
        rows.append(f"{row}\n")


def words(rows: Rows) -> list[list[str]]:
    """The words of every row, in order."""
    return [row.split(" ") for text in rows for row in text.split("\n") if row]


def find(rows: Rows, key: str) -> list[str] | None:
    """The words of the row with a key, if there is one."""
    begins = f"{key} "
    for text in rows:
        if begins in text:
            for row in text.split("\n"):
                if row.startswith(begins):
                    return row.split(" ")
    return None


def replace(rows: Rows, key: str, row: str | None) -> None:
    """Put a row in the place of the one with its key, or nothing."""
    begins = f"{key} "
    for number, text in enumerate(rows):
        if begins in text:
            kept = [row if one.startswith(begins) else one for one in text.split("\n")]
            rows[number] = "\n".join([one for one in kept if one is not None])
