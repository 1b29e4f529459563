"""What is forgotten: never what commands at hand name, and of the rest what was not named lately."""

from __future__ import annotations

from random import Random

import pytest

from ledger.forgetting import Forgetting

KINDS = ("claim", "slip", "loan", "payout", "party", "firm", "round")


@pytest.mark.parametrize("seed", range(5))
def test_what_commands_name_is_never_forgotten(seed: int) -> None:
    """However small the limits, a turn's tags stay to its end; and no more stay than the limits allow beside them."""
    random, limits = Random(seed), (3, 5, 7)
    forgetting, remembered = Forgetting(limits), set[str]()
    for _ in range(300):
        named = {f"{random.choice(KINDS)}:{random.randrange(30)}" for _ in range(random.randrange(12))}
        forgetting.named.update(named & remembered)
        forgetting.came(sorted(named - remembered))
        remembered |= named
        once, others = forgetting.surplus()
        assert {tag.partition(":")[0] for tag in once} <= {"claim", "slip"}
        assert remembered.issuperset(once + others)
        assert named.isdisjoint(once + others)
        remembered.difference_update(once, others)
        assert len(remembered - named) <= sum(limits)


def test_who_is_named_again_and_again_stays() -> None:
    """A party that every second turn names stays while thousands come by that are named once."""
    forgetting = Forgetting((0, 0, 50))
    forgetting.came(["party:often"])
    gone: list[str] = []
    for turn in range(2_000):
        if turn % 2:
            forgetting.named.add("party:often")
        forgetting.came([f"party:{turn}"])
        gone += forgetting.surplus()[1]
    assert len(gone) == len(set(gone)) == 2_001 - 50
    assert "party:often" not in gone


def test_many_loans_push_no_party_out() -> None:
    """Kinds are counted by themselves."""
    forgetting = Forgetting((0, 10, 1))
    forgetting.came(["party:A"])
    gone: list[str] = []
    for turn in range(100):
        forgetting.came([f"loan:{turn}"])
        gone += forgetting.surplus()[1]
    assert len(gone) > 80
    assert {tag.partition(":")[0] for tag in gone} == {"loan"}


def test_loans_stay_in_the_room_that_parties_leave() -> None:
    """While parties are few, more loans are remembered; as they come, loans give way, down to what is theirs."""
    forgetting, loans, parties = Forgetting((0, 10, 60)), 0, 0
    for turn in range(100):
        forgetting.came([f"loan:{turn}"])
        loans += 1 - len(forgetting.surplus()[1])
    assert 10 < loans < 10 + 60
    before = loans
    for turn in range(60):
        forgetting.came([f"party:{turn}"])
        once, gone = forgetting.surplus()
        assert once == [] and all(tag.startswith("loan:") for tag in gone)
        loans, parties = loans - len(gone), parties + 1
        assert loans + parties <= before + parties // 2 + 60
    assert loans == 10
