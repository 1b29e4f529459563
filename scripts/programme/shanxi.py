"""The Shanxi programme over four rounds, 2022 to 2025, as commands for an empty ledger; pure, always the same."""

from __future__ import annotations

from scripts.programme import cast, round_2024, rounds_around
from scripts.programme.script import Line, Script, wan


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


def proposals() -> list[Line]:
    """A list that somebody wants to publicise in the open round of 2025: to be checked before, never recorded."""
    lines = (
        ("2024-DK-001", 40, "2024-01-01", "2024-12-31"),  # the firm's cap is used up
        ("2024-DK-009", 8, "2024-01-01", "2024-12-31"),  # the loan's 3 % is used up
        ("2025-DK-3", 19, "2025-01-01", "2025-06-30"),  # the firm's cap cuts it
        ("2024-DK-045", 2, "2024-01-01", "2024-06-30"),  # granted whole
        ("2025-DK-2", 2, "2024-07-01", "2024-12-31"),  # these days are subsidised already
    )
    return [
        {
            "command": "claim-loan-interest",
            "claim": f"2025-拟-{number}",
            "round": rounds_around.R2025,
            "loan": loan,
            "interest_paid_fen": wan(paid_wan),
            "period_from": first,
            "period_to": last,
            "effective_on": "2025-11-03",
        }
        for number, (loan, paid_wan, first, last) in enumerate(lines, 1)
    ]
