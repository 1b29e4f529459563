"""Random histories of commands from a seed: plausible, nasty, small enough that every cap binds.

`history(seed)` gives the JSON objects that `kejin run` would be given, in order; `line_keys` gives the
default key of each line. The naive model runs along, only so that most steps name a grant in the right
state: what a command was refused for is never looked at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from tests.oracle import Oracle

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Command = dict[str, Any]

TODAY = "2026-06-30"
FIRST_DAY = date(2022, 1, 1)
LAST_DAY = date(2026, 6, 30)
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
YUAN = 100
YI = 100_000_000 * YUAN


REVERSIBLE = (
    *("LoanDrawn", "LoanRepaid", "RepaymentDefaulted", "LossReported", "GuaranteePaidOut"),
    *("RecoveryReceived", "CreditCertified", "FirmCertified", "ControlTotalAsserted"),
)


@dataclass(frozen=True)
class Mix:
    """How often each thing is tried, as weights, and how nasty a history is, as shares of 1."""

    steps: Mapping[str, int] = field(
        default_factory=lambda: {
            "claim_interest": 38,
            "claim_award": 10,
            "claim_guarantee": 9,
            "claim_risk": 6,
            "claim_by_people": 4,
            "certify": 7,
            "publicise": 18,
            "hold": 4,
            "release": 3,
            "pay": 14,
            "return_payment": 4,
            "void": 6,
            "recover": 12,
            "draw": 4,
            "repay": 1,
            "default": 3,
            "loss": 2,
            "payout": 4,
            "recovery": 4,
            "merge": 3,
            "split": 1,
            "rename": 1,
            "certify_firm": 1,
            "register": 2,
            "open_round": 1,
            "adjust_budget": 2,
            "close_round": 1,
            "return_to_treasury": 4,
            "assert_total": 1,
            "reverse_fact": 7,
        }
    )
    back_dated: float = 0.25
    undated: float = 0.05
    repeated: float = 0.05
    other_fields: float = 0.03
    unknown_id: float = 0.03
    other_key: float = 0.03
    wrong_order: float = 0.06
    keyed: float = 0.1
    invalid: float = 0.04
    firms: int = 3
    banks: int = 3
    guarantors: int = 2
    loans: int = 5
    rounds: int = 3


PLAIN = Mix(repeated=0, other_fields=0, unknown_id=0, other_key=0, wrong_order=0, keyed=0, invalid=0)


def history(seed: int, length: int = 90, mix: Mix | None = None) -> list[Command]:
    """A list of `length` commands, set-up included."""
    return Author(Random(seed), mix or Mix()).write(length)


def histories(length: int = 90, mix: Mix | None = None) -> SearchStrategy[list[Command]]:
    """The same as a hypothesis strategy."""
    from hypothesis import strategies

    return strategies.integers(min_value=0, max_value=2**32 - 1).map(lambda seed: history(seed, length, mix))


def line_keys(commands: list[Command]) -> Iterator[str]:
    """A key per line from the input up to and including it: what a line without any other key uses."""
    so_far = hashlib.sha256()
    for command in commands:
        so_far.update(json.dumps(command, ensure_ascii=False).encode() + b"\n")
        yield f"line:{so_far.hexdigest()}"


def random_uscc(random: Random) -> str:
    """Eighteen characters of GB 32100-2015 with the right check character."""
    head = random.choice("159") + random.choice("123") + "140" + f"{random.randrange(1000):03d}"
    body = head + "".join(random.choice(USCC_ALPHABET) for _ in range(9))
    total = sum(USCC_ALPHABET.index(c) * (3**i % 31) for i, c in enumerate(body))
    return body + USCC_ALPHABET[(31 - total % 31) % 31]


def wrong_check_digit(uscc: str) -> str:
    return uscc[:17] + USCC_ALPHABET[(USCC_ALPHABET.index(uscc[17]) + 1) % 31]


@dataclass
class Author:
    """Writes one history, knowing what became of its commands and sometimes ignoring it, on purpose."""

    random: Random
    mix: Mix
    commands: list[Command] = field(default_factory=list)
    firms: list[str] = field(default_factory=list)
    banks: list[str] = field(default_factory=list)
    guarantors: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)  # a service body and an investor, by kind
    loans: list[str] = field(default_factory=list)
    payouts: list[str] = field(default_factory=list)
    rounds: dict[str, int] = field(default_factory=dict)
    claims: list[str] = field(default_factory=list)  # tried, granted or not
    witness: Oracle = field(default_factory=lambda: Oracle(TODAY))
    seen: int = 0
    count: int = 0

    def write(self, length: int) -> list[Command]:
        self.set_up()
        while len(self.commands) < length:
            self.catch_up()
            self.take_step(length)
        return self.commands[:length]

    def set_up(self) -> None:
        for _ in range(self.mix.firms):
            self.firms.append(self.register("firm"))
        for _ in range(self.mix.banks):
            self.banks.append(self.register("bank"))
        for _ in range(self.mix.guarantors):
            self.guarantors.append(self.register("guarantor"))
        self.others = {kind: self.register(kind) for kind in ("service_body", "investor")}
        if self.chance(0.3):  # one legal person in two roles
            self.banks.append(self.firms[0])
            self.commands.append(self.party(self.firms[0], "bank"))
        for _ in range(self.random.randint(2, self.mix.rounds)):
            self.step_open_round(len(self.commands))
        for _ in range(self.mix.loans):
            self.step_draw(0)

    def take_step(self, length: int) -> None:
        if self.commands and self.chance(self.mix.repeated):
            self.commands.append(dict(self.random.choice(self.commands)))
        elif self.commands and self.chance(self.mix.other_fields):
            self.commands.append(self.with_other_fields(self.random.choice(self.commands)))
        elif self.commands and self.chance(self.mix.other_key):
            self.commands.append(self.random.choice(self.commands) | {"key": self.next_id("K")})
        else:
            names, weights = zip(*self.mix.steps.items(), strict=True)
            step: Callable[[int], None] = getattr(self, "step_" + self.random.choices(names, weights)[0])
            step(len(self.commands) * 100 // length)
            if self.chance(self.mix.keyed):
                self.commands[-1] = self.commands[-1] | {"key": self.next_id("K")}
            if self.chance(self.mix.unknown_id):
                self.commands[-1] = self.with_unknown_id(self.commands[-1])
            if self.chance(self.mix.invalid):
                self.commands[-1] = corrupt(self.random, self.commands[-1])

    def catch_up(self) -> None:
        for number in range(self.seen, len(self.commands)):
            self.witness.submit(self.commands[number], f"line:{number}")
        self.seen = len(self.commands)

    # --- small choices ----------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def next_id(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}-{self.count:03d}"

    def day(self, earliest: str = FIRST_DAY.isoformat(), latest: str = LAST_DAY.isoformat()) -> str:
        first, last = date.fromisoformat(earliest), date.fromisoformat(latest)
        return (first + timedelta(days=self.random.randint(0, max(0, (last - first).days)))).isoformat()

    def around(self, percent: int) -> str:
        """A date near the point that a history has reached, or, back-dated, any date before it."""
        span = (LAST_DAY - FIRST_DAY).days
        now = FIRST_DAY + timedelta(days=span * (30 + percent * 70 // 100) // 100)
        if self.chance(self.mix.back_dated):
            return self.day("2022-06-01", now.isoformat())
        return min(LAST_DAY, now + timedelta(days=self.random.randint(0, 40))).isoformat()

    def dated(self, command: Command, on: str) -> Command:
        return command if self.chance(self.mix.undated) else command | {"effective_on": on}

    def amount(self, *likely: int) -> int:
        """Mostly a round sum, now and then one fen beside it or a very small one."""
        near = self.random.choice(likely) + self.random.choice((0, 0, 0, 0, 1, -1))
        return max(1, near if self.chance(0.96) else self.random.randint(1, 5))

    # --- set-up and facts -------------------------------------------------------------------------

    def party(self, uscc: str, kind: str) -> Command:
        return {"command": "register-party", "uscc": uscc, "kind": kind, "name": f"{kind} 第{uscc[-4:]}号"}

    def register(self, kind: str) -> str:
        uscc = random_uscc(self.random)
        self.commands.append(self.party(uscc, kind))
        return uscc

    def step_register(self, percent: int) -> None:
        kind = self.random.choice(("firm", "bank", "guarantor", "investor"))
        command = self.party(wrong_check_digit(random_uscc(self.random)), kind)
        if self.chance(0.5):
            command["confirm_uscc"] = True
        self.commands.append(self.dated(command, self.around(percent)))

    def step_open_round(self, percent: int) -> None:
        year = self.random.choice((2023, 2024, 2025))
        round_id = self.next_id("批次")
        self.rounds[round_id] = year
        command: Command = {"command": "open-round", "round": round_id, "year": year}
        command["budget_fen"] = self.random.choice((0, 1, 5, 50, 500, 500, 500, 500)) * 100_000 * YUAN
        command["rulebook"] = "shanxi-2022"
        if self.chance(0.4):
            command["call"] = self.random.choice(("shanxi-2023", "shanxi-2024"))
        self.commands.append(command | {"effective_on": self.day("2022-02-01", "2023-06-30")})

    def step_draw(self, percent: int) -> None:
        loan = self.next_id("L")
        reversed_draws = [fact for fact in self.witness.find("LoanDrawn") if self.witness.is_reversed(fact)]
        is_again = bool(reversed_draws) and self.chance(0.4)
        if is_again:  # the id of a draw that never was
            loan = self.random.choice(reversed_draws).data["loan"]
        self.loans.append(loan)
        security = self.random.choices(("credit", "guaranteed", "mortgage", "pledge"), (80, 14, 3, 3))[0]
        command: Command = {
            "command": "draw-loan",
            "loan": loan,
            "firm": self.random.choice(self.firms),
            "bank": self.random.choice(self.banks),
            "principal_fen": self.amount(*(n * 100_000 * YUAN for n in (10, 20, 30, 50, 80, 100))),
            "drawn_on": self.day("2022-01-01", "2023-03-31"),
            "security": security,
        }
        if security == "guaranteed":
            command["guarantor"] = self.random.choice(self.guarantors)
        if self.chance(self.mix.unknown_id):
            command["firm"], command["bank"] = command["bank"], command["firm"]
        self.commands.append(command | {"key": self.next_id("K")} if is_again else command)

    def step_repay(self, percent: int) -> None:
        command = {"command": "repay-loan", "loan": self.random.choice(self.loans)}
        self.commands.append(
            self.dated(command | {"amount_fen": self.amount(10_000_00)}, self.around(percent))
        )

    def step_default(self, percent: int) -> None:
        command = {"command": "report-default", "loan": self.random.choice(self.loans)}
        facts = {"outstanding_fen": self.random.choice((0, 5_000_000)), "defaulted_on": self.around(percent)}
        self.commands.append(command | facts)

    def step_loss(self, percent: int) -> None:
        command: Command = {"command": "report-loss", "loan": self.random.choice(self.loans)}
        command |= {"loss_fen": self.random.choice((1, 2, 3)) * 10_000_000, "document": self.next_id("文")}
        self.commands.append(self.dated(command, self.around(percent)))

    def step_payout(self, percent: int) -> None:
        """Mostly the guarantor of a guaranteed loan, mostly after its default."""
        drawn = self.witness.facts("LoanDrawn")
        defaulted = [fact.data["loan"] for fact in self.witness.facts("RepaymentDefaulted")]
        guaranteed = [fact.data for fact in drawn if "guarantor" in fact.data]
        fitting = [loan for loan in guaranteed if loan["loan"] in defaulted] or guaranteed
        payout = self.next_id("P")
        command: Command = {"command": "pay-guarantee", "payout": payout}
        command |= {"loan": self.random.choice(self.loans), "guarantor": self.random.choice(self.guarantors)}
        if fitting and self.chance(0.7):
            loan = self.random.choice(fitting)
            command |= {"loan": loan["loan"], "guarantor": loan["guarantor"]}
        if self.payouts and self.chance(0.1):
            command |= {"payout": self.random.choice(self.payouts), "key": self.next_id("K")}
        if command["payout"] == payout:
            self.payouts.append(payout)
        facts = {"amount_fen": self.amount(2_000_000, 5_000_000, 30_000_000), "paid_on": self.around(percent)}
        self.commands.append(command | facts)

    def step_recovery(self, percent: int) -> None:
        command: Command = {"command": "record-recovery"}
        if self.payouts and self.chance(0.7):
            command["payout"] = self.random.choice(self.payouts)
        else:
            command["loan"] = self.random.choice(self.loans)
        command["amount_fen"] = self.amount(1_000_000, 3_000_000)
        self.commands.append(self.dated(command, self.around(percent)))

    def step_merge(self, percent: int) -> None:
        """Two of a kind, rarely one already absorbed, sometimes a survivor that is absorbed in turn."""
        kind = self.random.choice((self.firms, self.firms, self.banks, self.guarantors))
        living = [uscc for uscc in kind if not self.witness.is_absorbed(uscc)]
        candidates = kind if self.chance(0.2) or len(living) < 2 else living
        survivor, absorbed = self.random.choice(candidates), self.random.choice(candidates)
        command = {"command": "merge-parties", "survivor": survivor, "absorbed": absorbed}
        self.commands.append(self.dated(command | {"document": self.next_id("文")}, self.around(percent)))

    def step_split(self, percent: int) -> None:
        command = {"command": "split-party", "original": self.random.choice(self.firms + self.banks)}
        command |= {"created": self.random.choice(self.firms), "document": self.next_id("文")}
        self.commands.append(self.dated(command, self.around(percent)))

    def step_rename(self, percent: int) -> None:
        command = {"command": "rename-party", "uscc": self.random.choice(self.firms + self.banks)}
        self.commands.append(self.dated(command | {"name": self.next_id("新名")}, self.around(percent)))

    def step_certify_firm(self, percent: int) -> None:
        command = {
            "command": "certify-firm",
            "uscc": self.random.choice(self.firms),
            "quality": "高新技术企业",
        }
        valid = {"valid_from": "2023-01-01", "valid_to": "2025-12-31", "document": self.next_id("证")}
        self.commands.append(self.dated(command | valid, self.around(percent)))

    # --- rounds -----------------------------------------------------------------------------------

    def step_adjust_budget(self, percent: int) -> None:
        command: Command = {"command": "adjust-budget", "round": self.random.choice(list(self.rounds))}
        least_fen = self.witness.least_balance(f"public/round/{command['round']}/available", "2024-01-01")
        amounts = (-least_fen, -least_fen - 1, -least_fen // 2, 10_000_000, 1, -1)
        command["amount_fen"] = self.random.choice(amounts) or 1
        command["document"] = self.next_id("文")
        self.commands.append(self.dated(command, self.around(percent)))

    def step_close_round(self, percent: int) -> None:
        if percent < 50:
            return self.step_assert_total(percent)
        command = {"command": "close-round", "round": self.random.choice(list(self.rounds))}
        self.commands.append(self.dated(command | {"document": self.next_id("文")}, self.around(percent)))
        return None

    def step_return_to_treasury(self, percent: int) -> None:
        """All, half or one fen more than what a round with recovered money has, or what it had on the day."""
        recovered = {name: self.witness.balance(f"public/recovered/{name}") for name in self.rounds}
        full = [name for name, amount_fen in recovered.items() if amount_fen > 0] or list(recovered)
        command: Command = {"command": "return-to-treasury", "round": self.random.choice(full)}
        on, left_fen = self.around(percent), recovered[command["round"]]
        had_fen = self.witness.balance(f"public/recovered/{command['round']}", on)
        sums = (left_fen, left_fen // 2, left_fen + 1, had_fen, had_fen, 1)
        command["amount_fen"] = max(1, self.random.choice(sums))
        command["document"] = self.next_id("文")
        self.commands.append(self.dated(command, on))

    def step_assert_total(self, percent: int) -> None:
        command: Command = {"command": "assert-control-total", "round": self.random.choice(list(self.rounds))}
        figures = ({"count": 279}, {"total_fen": 150_000_000}, {"count": 274, "instrument": "loan_interest"})
        self.commands.append(command | self.random.choice(figures) | {"source": self.next_id("报")})

    def step_reverse_fact(self, percent: int) -> None:
        """A fact of any kind; now and then any position, or one beyond the log."""
        events = self.witness.events
        by_kind: dict[str, list[int]] = {}
        for event in events:
            if event.kind in REVERSIBLE:
                by_kind.setdefault(event.kind, []).append(event.position)
        position = self.random.randint(1, len(events) + 2)
        if self.chance(0.1):
            position = len(events) + self.random.choice((1, 2, 1000))
        elif by_kind and self.chance(0.9):
            position = self.random.choice(by_kind[self.random.choice(list(by_kind))])
        command: Command = {"command": "reverse-fact", "position": position, "reason": "误录"}
        self.commands.append(self.dated(command, self.around(percent)) if self.chance(0.5) else command)

    def step_certify(self, percent: int) -> None:
        command: Command = {"command": "certify-credit", "bank": self.random.choice(self.banks)}
        command |= {"product": self.random.choice(("科创贷", "KJD")), "year": self.random.randint(2022, 2025)}
        tenths = self.random.choice((0, 5, 9, 10, 13, 20, 23, 32)) * (1 + percent // 25)
        command["total_fen"] = max(0, tenths * YI // 10 + self.random.choice((0, 0, -1, 1)))
        command["certificate"] = self.next_id("证")
        self.commands.append(self.dated(command, self.around(percent)))

    # --- claims -----------------------------------------------------------------------------------

    def new_claim(self) -> str:
        self.claims.append(self.next_id("C"))
        return self.claims[-1]

    def step_claim_interest(self, percent: int) -> None:
        round_id = self.random.choice(list(self.rounds))
        on = self.around(percent)
        interest_fen = self.amount(*(n * 10_000 * YUAN for n in (1, 2, 3, 6, 12, 20, 40)))
        period_from = self.period_from(self.rounds[round_id] - 1)
        command: Command = {
            "command": "claim-loan-interest",
            "claim": self.new_claim(),
            "round": round_id,
            "loan": self.random.choice(self.loans),
            "interest_paid_fen": interest_fen,
            "period_from": period_from,
            "period_to": self.period_to(period_from),
        }
        if self.chance(0.35):
            command["slips"] = self.slips(interest_fen)
        self.commands.append(self.dated(command, on))

    def period_from(self, year: int) -> str:
        if self.chance(0.1):
            return self.day("2022-01-01", "2025-12-31")
        return self.day(f"{year}-01-01", f"{year}-12-20")

    def period_to(self, period_from: str) -> str:
        length = self.random.choice((0, 5, 20, 20, 60, 150))
        end = date.fromisoformat(period_from) + timedelta(days=length)
        year_end = date(end.year if self.chance(0.1) else int(period_from[:4]), 12, 31)
        return min(end, year_end).isoformat()

    def slips(self, interest_fen: int) -> list[Command]:
        numbers = [f"S{self.random.randint(1, 12)}" for _ in range(self.random.choice((1, 1, 2)))]
        return [{"number": number, "amount_fen": max(1, interest_fen // len(numbers))} for number in numbers]

    def step_claim_award(self, percent: int) -> None:
        certified = [command for command in self.commands if command.get("command") == "certify-credit"]
        if not certified:
            return self.step_certify(percent)
        on = self.around(percent)
        fact = self.random.choice(certified)
        command: Command = {"command": "claim-credit-award", "claim": self.new_claim()}
        command |= {"round": self.random.choice(list(self.rounds))}
        command |= {name: fact[name] for name in ("bank", "product", "year") if name in fact}
        self.commands.append(self.dated(command, on))
        return None

    def step_claim_guarantee(self, percent: int) -> None:
        if not self.payouts:
            return self.step_payout(percent)
        payout = self.random.choice(self.payouts)
        command: Command = {"command": "claim-guarantee-compensation", "claim": self.new_claim()}
        command |= {"round": self.random.choice(list(self.rounds)), "payout": payout}
        paid_fen = sum(
            fact.data["amount_fen"] for fact in self.witness.facts("GuaranteePaidOut", payout=payout)
        )
        back = self.witness.facts("RecoveryReceived", payout=payout)
        left_fen = paid_fen - sum(fact.data["amount_fen"] for fact in back)
        command |= self.decision(left_fen)
        if self.chance(0.85):
            command["reviews"] = self.reviews()
        self.commands.append(self.dated(command, self.around(percent)))
        return None

    def step_claim_risk(self, percent: int) -> None:
        """Mostly for a loan with losses, with what is left of them."""
        command: Command = {"command": "claim-risk-compensation", "claim": self.new_claim()}
        command |= {"round": self.random.choice(list(self.rounds)), "payee": self.random.choice(self.banks)}
        with_losses = [fact.data["loan"] for fact in self.witness.facts("LossReported")]
        left_fen = 5_000_000
        if self.chance(0.8):
            command["loan"] = self.random.choice(with_losses or self.loans)
            left_fen = self.witness.loss_left_fen(command["loan"]) or left_fen
        self.commands.append(self.dated(command | self.decision(left_fen), self.around(percent)))

    def step_claim_by_people(self, percent: int) -> None:
        name, payee = self.random.choice(
            [
                ("service-grant", self.others["service_body"]),
                ("venture-risk", self.others["investor"]),
                ("insurance-premium", self.random.choice(self.firms)),
            ]
        )
        command: Command = {"command": f"claim-{name}", "claim": self.new_claim()}
        command |= {"round": self.random.choice(list(self.rounds)), "payee": payee}
        if self.chance(0.1):
            command |= {"loan": self.random.choice(self.loans)}
        self.commands.append(self.dated(command | self.decision(10_000_000), self.around(percent)))

    def decision(self, left_fen: int) -> Command:
        """What people decided: all that is left, a fen more, a part; rarely without sum or document."""
        sums = (left_fen, left_fen, left_fen + 1, left_fen // 2, left_fen // 3, 1)
        decided: Command = {"decided_fen": max(1, self.random.choice(sums)), "document": self.next_id("文")}
        if self.chance(0.12):
            del decided[self.random.choice(("decided_fen", "document"))]
        return decided

    def reviews(self) -> list[Command]:
        kinds = self.random.choices(
            (("expert", "onsite"), ("expert",), ("onsite", "expert", "expert")), (8, 1, 2)
        )[0]
        review = {"document": "评审-1", "on": "2024-05-01"}
        return [review | {"kind": kind, "passed": self.chance(0.9)} for kind in kinds]

    # --- the life of a grant ----------------------------------------------------------------------

    def pick(self, *states: str) -> str | None:
        """A grant in one of the states, or, in the wrong order, any claim ever tried."""
        if self.chance(self.mix.wrong_order) and self.claims:
            return self.random.choice(self.claims)
        granted = [claim for claim in self.claims if self.witness.grants_of(claim)]
        fitting = [claim for claim in granted if self.witness.state_of(claim) in states]
        free = [claim for claim in fitting if not self.witness.is_on_hold(claim) or self.chance(0.2)]
        return self.random.choice(free) if free else None

    def step_date(self, claim: str) -> str:
        """Soon after the claim's latest step; rarely any date."""
        steps = self.witness.grants_of(claim) + self.witness.life_of(claim, self.witness.events)
        if self.chance(self.mix.wrong_order) or not steps:
            return self.day("2022-06-01")
        latest = max(step.effective_on for step in steps)
        limit = date.fromisoformat(latest) + timedelta(days=self.random.choice((0, 3, 30, 200)))
        return self.day(latest, min(limit, LAST_DAY).isoformat())

    def step_publicise(self, percent: int) -> None:
        claim = self.pick("decided")
        if claim is None:
            return self.step_claim_interest(percent)
        command = {"command": "publicise", "claim": claim, "notice": "公示-1"}
        self.commands.append(command | {"effective_on": self.step_date(claim)})
        return None

    def step_pay(self, percent: int) -> None:
        claim = self.pick("publicised")
        if claim is None:
            return self.step_publicise(percent)
        command = {"command": "pay", "claim": claim, "voucher": self.next_id("V")}
        self.commands.append(command | {"paid_on": self.step_date(claim)})
        return None

    def step_void(self, percent: int) -> None:
        claim = self.pick("decided", "publicised")
        if claim is None:
            return self.step_claim_interest(percent)
        command = {"command": "void", "claim": claim, "reason": "不再符合条件"}
        self.commands.append(command | {"effective_on": self.step_date(claim)})
        return None

    def step_hold(self, percent: int) -> None:
        claim = self.pick("decided", "publicised")
        if claim is None:
            return self.step_claim_interest(percent)
        command = {"command": "hold", "claim": claim, "reason": "待核"}
        self.commands.append(command | {"effective_on": self.step_date(claim)})
        return None

    def step_release(self, percent: int) -> None:
        held = [claim for claim in self.claims if self.witness.is_on_hold(claim)]
        claim = self.random.choice(held) if held else self.pick("decided", "publicised")
        if claim is None:
            return self.step_claim_interest(percent)
        command = {"command": "release", "claim": claim, "reason": "已核"}
        self.commands.append(command | {"effective_on": self.step_date(claim)})
        return None

    def step_return_payment(self, percent: int) -> None:
        claim = self.pick("paid")
        if claim is None:
            return self.step_pay(percent)
        command = {"command": "return-payment", "claim": claim, "voucher": self.next_id("V")}
        self.commands.append(command | {"returned_on": self.step_date(claim)})
        return None

    def step_recover(self, percent: int) -> None:
        claim = self.pick("paid")
        if claim is None:
            return self.step_pay(percent)
        command: Command = {"command": "recover", "claim": claim}
        command["amount_fen"] = self.recovery_fen(claim)
        command["cause"] = self.random.choices(("error", "misconduct"), (7, 3))[0]
        command["document"] = self.next_id("文")
        self.commands.append(command | {"effective_on": self.step_date(claim)})
        return None

    def recovery_fen(self, claim: str) -> int:
        """The whole, what is left, a part, one fen, or one fen too much."""
        whole_fen = sum(grant.data["amount_fen"] for grant in self.witness.grants_of(claim))
        left_fen = whole_fen - self.witness.recovered_fen(claim, self.witness.events, "error", "misconduct")
        return max(
            1, self.random.choice((left_fen, left_fen, left_fen + 1, left_fen // 2, whole_fen // 3, 1))
        )

    # --- nastiness --------------------------------------------------------------------------------

    def with_other_fields(self, command: Command) -> Command:
        """The same command, its key and id kept, with one field changed to another valid value."""
        changed = dict(command)
        if "name" in changed:
            changed["name"] = "另一个名称"
        elif "interest_paid_fen" in changed:
            changed["interest_paid_fen"] = self.amount(10_000_000)
        elif "budget_fen" in changed:
            changed["budget_fen"] = 7
        elif "principal_fen" in changed:
            changed["principal_fen"] = 77_777_777
        else:
            changed["effective_on"] = self.day("2022-06-01")
        return changed

    def with_unknown_id(self, command: Command) -> Command:
        """The same command, one of the things that it names replaced by one that was never made."""
        stranger = random_uscc(self.random)
        replacements: Command = {"loan": "L-none", "round": "R-none", "payout": "P-none"}
        roles = ("bank", "firm", "guarantor", "payee", "survivor", "absorbed", "original", "created", "uscc")
        replacements |= dict.fromkeys(roles, stranger)
        if not command["command"].startswith("claim-"):
            replacements["claim"] = "C-none"
        names = [name for name in replacements if name in command and name not in made(command["command"])]
        if not names:
            return command
        name = self.random.choice(names)
        return command | {name: replacements[name]}


OPTIONAL = (
    *("command", "key", "effective_on", "slips", "call", "confirm_uscc", "product", "guarantor"),
    *("decided_fen", "document", "reviews", "count", "total_fen", "instrument"),
)


def made(command: str) -> tuple[str, ...]:
    """The fields that name what a command makes: a stranger there would be none."""
    makes = {"open-round": "round", "register-party": "uscc", "draw-loan": "loan", "pay-guarantee": "payout"}
    return (makes[command],) if command in makes else ()


def corrupt(random: Random, command: Command) -> Command:
    """The same command made invalid in one way."""
    amounts = [name for name in command if name.endswith("_fen")]
    days = [name for name in command if name.endswith("_on") or name.startswith("period_")]
    required = [name for name in command if name not in OPTIONAL]
    if amounts and random.random() < 0.5:
        name = random.choice(amounts)
        value = command[name]
        return command | {name: random.choice((float(value), str(value), 0.5, True, 2**53, [value]))}
    if days and random.random() < 0.5:
        bad_days = ("2023-02-30", "2023-2-1", "20230201", "", 20230201, "2023-02-01T00:00:00")
        return command | {random.choice(days): random.choice(bad_days)}
    if random.random() < 0.5:
        return command | {"surprise": 1}
    missing = random.choice(required)
    return {name: value for name, value in command.items() if name != missing}
