"""Amounts that people decided: where a clause gives no ratio the engine refuses to compute (A23).

It takes only an amount with its document, after the reviews that the clause demands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ledger.commands import AMOUNT, ID, REVIEW_KINDS, REVIEWS, TEXT, USCC, CommandSpec, Field
from ledger.decisions import Refused
from ledger.grants import CLAIM_FIELDS, Case, Instrument
from ledger.refusals import Refusal
from ledger.rulebook.clauses import Clause
from ledger.rulebook.forms import KEY_KINDS, one_of, some_of
from ledger.state import State
from ledger.subjects.loans import Loan
from ledger.subjects.registrations import unknown_as

DECIDED_FIELDS: Final = (
    Field("decided_fen", AMOUNT, "the amount that people decided", "经决定的金额", required=False),
    Field("document", TEXT, "the document of the decision", "决定文件", required=False),
    Field("reviews", REVIEWS, "expert reviews and on-site checks", "专家评审与现场核查", required=False),
)
#: What a clause may say of them: that it has no ratio, and the reviews before a decision.
DECIDED_TERMS: Final = {"ratio": one_of("unknown"), "reviews": some_of(*REVIEW_KINDS)}


def undecided(fields: Mapping[str, Any], clause: Clause) -> Refusal | None:
    """`review_missing` or `amount_needs_decision`, if the people's part is not all there."""
    passed = {review["kind"] for review in fields.get("reviews", ()) if review["passed"]}
    missing = [kind for kind in clause.terms.get("reviews", ()) if kind not in passed]
    if missing:
        return Refusal("review_missing", clause.id, {"missing": missing})
    if "decided_fen" not in fields or "document" not in fields:
        return Refusal("amount_needs_decision", clause.id)
    return None


def decided_case(
    fields: Mapping[str, Any],
    payee: str,
    inputs: Mapping[str, Any] | None = None,
    tags: Iterable[str] = (),
    warnings: tuple[str, ...] = (),
) -> Case:
    """The case of an amount that people decided."""
    people = {name: fields[name] for name in ("decided_fen", "document", "reviews") if name in fields}
    return Case(
        payee=payee,
        basis={},
        inputs={**people, **(inputs or {})},
        legs=(("decided", (fields["decided_fen"], 1)),),
        tags=tuple(tags),
        warnings=warnings,
    )


def _keys(fields: Mapping[str, Any], payee_kind: str) -> Mapping[str, str]:
    loan = {"loan": fields["loan"]} if "loan" in fields else {}
    return {payee_kind: fields["payee"], **loan}


def _needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    yield f"party:{fields['payee']}"
    if "loan" in fields:
        yield f"loan:{fields['loan']}"


def _find(fields: Mapping[str, Any], state: State, payee_kind: str) -> Refusal | None:
    if "loan" in fields and not state.recall(Loan, f"loan:{fields['loan']}").drawn:
        return Refusal("unknown_loan", None, {"loan": fields["loan"]})
    unknown: Refused | None = unknown_as(fields["payee"], payee_kind, state, ())
    return None if unknown is None else unknown.refusal


def decided_instrument(
    key: str,
    event: str,
    command: str,
    payee_kind: str,
    en: str,
    zh: str,
    exceeds: Any = None,
) -> Instrument:
    """An instrument whose amount people decide and whose payee the claim names.

    `exceeds(fields, state, clause)` may refuse an amount above a known loss.
    """

    def assess(command: Any, state: State, clause: Clause, round_: Any) -> Refusal | Case:
        fields = command.fields
        refusal = undecided(fields, clause) or (exceeds(fields, state, clause) if exceeds else None)
        return refusal or decided_case(fields, fields["payee"])

    return Instrument(
        key=key,
        event=event,
        spec=CommandSpec(
            command,
            en,
            zh,
            (
                *CLAIM_FIELDS,
                Field(
                    "payee",
                    USCC,
                    f"whom it pays, registered as {payee_kind}",
                    f"收款方（登记为 {payee_kind}）",
                ),
                *DECIDED_FIELDS,
                Field("loan", ID, "the loan that it concerns", "相关贷款", required=False),
            ),
            makes=("claim",),
        ),
        keys=lambda fields, state: _keys(fields, payee_kind),
        needs=_needs,
        find=lambda fields, state: _find(fields, state, payee_kind),
        payee=lambda fields, keys: keys[payee_kind],
        assess=assess,
        may_say=DECIDED_TERMS,
        counted_by=(payee_kind,) if payee_kind in KEY_KINDS else (),
        decided_by_people=True,
    )
