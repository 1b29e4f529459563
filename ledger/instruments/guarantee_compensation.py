"""Guarantee compensation 融资担保代偿补偿 (SX-4): default → payout → reviews → compensation, never above the loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.commands import ID, Command, CommandSpec, Field
from ledger.decided import DECIDED_FIELDS, DECIDED_TERMS, decided_case, undecided
from ledger.grants import CLAIM_FIELDS, Case, Instrument
from ledger.refusals import Refusal
from ledger.rulebook.clauses import Clause
from ledger.state import State
from ledger.subjects.claims import Standing
from ledger.subjects.guarantees import Payout
from ledger.subjects.rounds import Round


def _payout(fields: Mapping[str, Any], state: State) -> Payout | None:
    payout = state.peek(Payout, f"payout:{fields['payout']}")
    return payout if payout is not None and payout.id is not None else None


def _keys(fields: Mapping[str, Any], state: State) -> Mapping[str, str]:
    payout = _payout(fields, state)
    found = {"guarantor": payout.guarantor, "loan": payout.loan} if payout else {}
    return {"payout": fields["payout"], **found}


def _needs(fields: Mapping[str, Any], state: State) -> Iterable[str]:
    yield f"payout:{fields['payout']}"


def _find(fields: Mapping[str, Any], state: State) -> Refusal | None:
    if state.recall(Payout, f"payout:{fields['payout']}").id is not None:
        return None
    return Refusal("unknown_payout", None, {"payout": fields["payout"]})


def _assess(command: Command, state: State, clause: Clause, round_: Round) -> Refusal | Case:
    fields = command.fields
    tag = f"payout:{fields['payout']}"
    payout, others = state.recall(Payout, tag), state.recall(Standing, tag).decided()
    if others:
        why = {"claim": fields["claim"], "with_claim": next(iter(others)), "why": "payout_compensated"}
        return Refusal("duplicate_claim", clause.id, why)
    refusal = undecided(fields, clause)
    if refusal is not None:
        return refusal
    if fields["decided_fen"] > payout.loss_fen:
        loss_fen = max(0, payout.loss_fen)
        return Refusal("exceeds_loss", clause.id, {"amount_fen": fields["decided_fen"], "loss_fen": loss_fen})
    inputs = {"payout_fen": payout.amount_fen, "recovered_fen": payout.recovered_fen, "loan": payout.loan}
    return decided_case(fields, payout.guarantor, inputs)


INSTRUMENT = Instrument(
    key="guarantee_compensation",
    event="GuaranteeCompensationGranted",
    spec=CommandSpec(
        "claim-guarantee-compensation",
        "Claim compensation for a guarantor's payout, after expert review and on-site check; people decide the amount.",
        "就担保代偿申请补偿；须经专家评审与现场核查，金额由人决定。",
        (*CLAIM_FIELDS, Field("payout", ID, "the payout", "代偿编号"), *DECIDED_FIELDS),
        makes=("claim",),
    ),
    keys=_keys,
    needs=_needs,
    find=_find,
    payee=lambda fields, keys: keys.get("guarantor"),
    assess=_assess,
    may_say=DECIDED_TERMS,
    sources={"payout_fen": "payout", "loan": "payout", "recovered_fen": "recoveries"},
    counted_by=("loan",),
    decided_by_people=True,
)
