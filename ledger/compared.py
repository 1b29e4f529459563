"""A claim in two histories, as it was decided and as other rules would have decided it: what changes, and why. Pure.

A difference is the effect of the other rule alone, of what follows from earlier differences (room or money that others
took or left), and of what later steps take back; the three add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ledger.plain import Plain

RULE: Final = "rule"
EARLIER: Final = "earlier"
BUDGET: Final = "budget"
STEPS: Final = "steps"

#: Kinds of tags that claims have in common which have nothing to do with each other (another bank's slip may have the
#: same number): they count where a claim is refused for their sake.
_SHARED: Final[Mapping[str, str]] = {"round": "budget_short", "slip": "duplicate_slip"}

#: Why an amount changes (by the rule itself, by earlier differences, by the budget, by later steps), and which part of
#: which clause binds.
Cause = tuple[str, str | None, str | None]


def granted_fen(event_type: str, data: Mapping[str, Any]) -> int:
    """What the event of a claim grants: nothing where it was refused."""
    if event_type == "ClaimRefused":
        return 0
    amount_fen: int = data["amount_fen"]
    return amount_fen


def mark_fen(data: Mapping[str, Any]) -> int:
    """Where the mark stands that the award of a claim leaves; 0 where it leaves none."""
    return int(data["mark"] * data["inputs"]["step_fen"]) if "mark" in data else 0


#: What a decision is made of: the amount, the code of a refusal, the clause, the part that bound it.
Values = tuple[int, str | None, str | None, str | None]


def values_of(event_type: str, data: Mapping[str, Any]) -> Values:
    """What the decision in the event of a claim is made of: cheap to keep and to compare, for every claim."""
    bound: Mapping[str, Any] = {}
    for leg in data.get("legs", ()):
        if leg["binding"]:
            bound = leg
            break
    clause, part = data.get("clause") or bound.get("clause"), bound.get("part")
    if event_type != "ClaimRefused":
        return data["amount_fen"], None, clause, part
    code = data["code"]
    return 0, code, clause, code if part is None or code == "budget_short" else part


@mypyc_attr(acyclic=True)
class Decision(Plain):
    """How a claim was decided: what was granted (0: refused, with its code), its clause, what bound it."""

    __slots__ = ("amount_fen", "clause", "code", "part")

    def __init__(self, amount_fen: int, code: str | None, clause: str | None, part: str | None) -> None:
        self.amount_fen: Final = amount_fen
        self.code: Final = code
        self.clause: Final = clause
        self.part: Final = part

    @classmethod
    def of(cls, event_type: str, data: Mapping[str, Any]) -> Decision:
        """Of the event of a claim."""
        return Decision(*values_of(event_type, data))

    def document(self) -> dict[str, Any]:
        """As JSON tells it."""
        return {"amount_fen": self.amount_fen, "code": self.code, "clause": self.clause, "part": self.part}


#: What a claim gives to somebody else.
NOTHING: Final = Decision(0, None, None, None)


@dataclass(slots=True)
class Compared:
    """One claim in both histories. Amounts in fen; `taken_*` is what voids and recoveries took back; `parted_at` the
    first event that differs, by tag, when the claim was decided; `payee_now` who would get what `payee` got."""

    claim: str
    position: int
    instrument: str
    round: str
    payee: str
    then: Decision
    now: Decision
    parted_at: Mapping[str, int]
    payee_now: str
    taken_then_fen: int = 0
    taken_now_fen: int = 0

    def by_payee(self, alone: Decision) -> list[tuple[Compared, Decision]]:
        """What changes for whom, each with the other rule on the recorded history: a claim that would pay somebody else
        takes all from the one, and gives the other what the recorded history gives them none of."""
        if self.payee_now == self.payee:
            return [(self, alone)]
        lost = self._of(self.payee, self.then, NOTHING)
        won = self._of(self.payee_now, NOTHING, self.now)
        lost.taken_then_fen, won.taken_now_fen = self.taken_then_fen, self.taken_now_fen
        return [(lost, alone), (won, NOTHING)]

    def _of(self, payee: str, then: Decision, now: Decision) -> Compared:
        """The claim of one payee."""
        return Compared(
            self.claim,
            self.position,
            self.instrument,
            self.round,
            payee,
            then,
            now,
            self.parted_at,
            payee,
        )

    @property
    def then_fen(self) -> int:
        """What stands of the grant as recorded."""
        return self.then.amount_fen - self.taken_then_fen

    @property
    def now_fen(self) -> int:
        """What would stand."""
        return self.now.amount_fen - self.taken_now_fen

    def causes(self, alone: Decision) -> list[tuple[Cause, int]]:
        """What makes the difference, in fen; `alone` is the other rule on the recorded history."""
        found: list[tuple[Cause, int]] = []
        if alone.amount_fen != self.then.amount_fen:
            found.append((_cause(RULE, self.then, alone), alone.amount_fen - self.then.amount_fen))
        if self.now.amount_fen != alone.amount_fen:
            found.append((_cause(EARLIER, alone, self.now), self.now.amount_fen - alone.amount_fen))
        if self.taken_then_fen != self.taken_now_fen:
            steps = (STEPS, self.now.clause or self.then.clause, None)
            found.append((steps, self.taken_then_fen - self.taken_now_fen))
        return found

    def first_parting(self, alone: Decision) -> int:
        """The first event at which the histories part, as far as this claim rests on it; itself where the rule alone
        changes it."""
        if alone.amount_fen == self.now.amount_fen or not self.parted_at:
            return self.position
        codes = (None, alone.code, self.now.code)
        own = {tag: at for tag, at in self.parted_at.items() if _SHARED.get(tag.partition(":")[0]) in codes}
        return min([self.position, *(own or self.parted_at).values()])

    def document(self, alone: Decision, causes: Iterable[tuple[Cause, int]]) -> dict[str, Any]:
        """As JSON tells it, with its `causes`."""
        told = [
            {"cause": cause, "clause": clause, "part": part, "difference_fen": fen}
            for (cause, clause, part), fen in causes
        ]
        then_fen, now_fen = self.then_fen, self.now_fen
        return {
            "claim": self.claim,
            "position": self.position,
            "instrument": self.instrument,
            "round": self.round,
            "payee": self.payee,
            "then_fen": then_fen,
            "now_fen": now_fen,
            "difference_fen": now_fen - then_fen,
            "clause": told[0]["clause"],
            "then": self.then.document(),
            "now": self.now.document(),
            "parted_at": self.first_parting(alone),
            "causes": told,
        }


def _cause(kind: str, before: Decision, after: Decision) -> Cause:
    """Named after what held the smaller of two amounts down."""
    held = before if before.amount_fen < after.amount_fen else after
    if kind == EARLIER and held.code == "budget_short":
        kind = BUDGET
    return kind, held.clause or before.clause or after.clause, held.part


class Totals:
    """What claims come to together, by cause and by payee."""

    def __init__(self) -> None:
        self._causes: dict[Cause, list[int]] = {}  # claims, more and less, in fen
        self._payees: dict[str, list[int]] = {}  # claims, then and now, in fen

    def add(self, claim: Compared, causes: Iterable[tuple[Cause, int]]) -> None:
        """Take in a claim."""
        for cause, fen in causes:
            total = self._causes.setdefault(cause, [0, 0, 0])
            total[0] += 1
            total[1 if fen > 0 else 2] += fen
        total = self._payees.setdefault(claim.payee, [0, 0, 0])
        total[0] += 1
        total[1] += claim.then_fen
        total[2] += claim.now_fen

    def causes(self) -> list[dict[str, Any]]:
        """The largest first."""
        found = [
            {
                "cause": cause,
                "clause": clause,
                "part": part,
                "claims": count,
                "more_fen": more_fen,
                "less_fen": less_fen,
                "difference_fen": more_fen + less_fen,
            }
            for (cause, clause, part), (count, more_fen, less_fen) in self._causes.items()
        ]
        return sorted(found, key=lambda row: (-abs(row["difference_fen"]), str(row)))

    def payees(self) -> list[dict[str, Any]]:
        """The largest first."""
        found = [
            {
                "payee": payee,
                "claims": count,
                "then_fen": then_fen,
                "now_fen": now_fen,
                "difference_fen": now_fen - then_fen,
            }
            for payee, (count, then_fen, now_fen) in self._payees.items()
        ]
        return sorted(found, key=lambda row: (-abs(row["difference_fen"]), row["payee"]))
