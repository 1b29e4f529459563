"""Errors that a person is told, in both languages. Pure."""

from __future__ import annotations

from mypy_extensions import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Bilingual(Exception):
    """One clear line, what and what to do about it: `str()` is English, `zh` Chinese. It survives being sent from one
    process to another."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en, zh)
        self.zh = zh

    def __str__(self) -> str:
        return str(self.args[0])
