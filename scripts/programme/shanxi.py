"""The Shanxi programme over four rounds, 2022 to 2025, as commands for an empty ledger; pure, always the same."""

from __future__ import annotations

from scripts.programme import cast, round_2024, rounds_around
from scripts.programme.script import Line, Script


def story() -> Script:
    """The commands, the refusals that they expect, and where the landmarks stand."""
    script = Script()
    cast.register(script)
    rounds_around.play_2022(script)
    rounds_around.play_facts(script)
    rounds_around.play_2023(script)
    rounds_around.play_restatement(script)
    round_2024.play(script)
    rounds_around.play_2025(script)
    return script


def commands() -> list[Line]:
    """The commands alone."""
    return story().lines
