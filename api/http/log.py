"""GET /v1/log/…: the newest checkpoint, and proofs in the Merkle tree over the log (RFC 6962)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from api.service import asking, schemas
from api.service.limits import Limits
from api.service.operations import Operation, Try
from api.service.parameters import position
from api.service.problems import HttpProblem
from api.service.reads import document
from ledger.catalogue import Catalogue
from ledger.notes import Checkpoint
from ledger.signer import Contradiction, root_at
from ledger.store import Store
from projections.clocks import AsOf
from projections.evidence.proofs import LogProofs

_POSITION: Final = position("position", "The event's position. 事件序号。", "path", example=5)
_SIZE: Final = position("size", "How many events the older log had. 较早日志的条数。", "path", example=3)


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The newest signed checkpoint, and proofs in the tree of the log as known."""
    return [
        document(
            "checkpoint",
            "/v1/log/checkpoint",
            "The root of the log as known, and the newest checkpoint: a C2SP signed note, null before the first.",
            "日志根哈希与最新签名检查点。",
            schemas.CHECKPOINT,
            lambda store, as_of, given: asking.checkpoint(store, as_of),
            tries=(Try(200),),
            besides=_note_of,
        ),
        document(
            "inclusion-proof",
            "/v1/log/proof/{position}",
            "That an event is in the log as known: its leaf, the root, the hashes between (RFC 6962, 2.1.1).",
            "事件在日志中的包含证明。",
            schemas.INCLUSION,
            lambda store, as_of, given: _inclusion(store, as_of, given["position"]),
            parameters=(_POSITION,),
            codes=("contradiction",),
            tries=(Try(200, path={"position": 5}), Try(404, "not_known", path={"position": 999_999})),
        ),
        document(
            "consistency-proof",
            "/v1/log/proof/consistency/{size}",
            "That the log of so many events is the beginning of the log as known (RFC 6962, 2.1.2).",
            "较早日志为当前日志前缀的一致性证明。",
            schemas.CONSISTENCY,
            lambda store, as_of, given: _consistency(store, as_of, given["size"]),
            parameters=(_SIZE,),
            codes=("contradiction",),
            tries=(Try(200, path={"size": 3}), Try(404, "not_known", path={"size": 999_999})),
        ),
    ]


def _note_of(found: Mapping[str, Any]) -> str:
    """What the answer holds besides what follows from its position: a checkpoint may come at any time."""
    return sha256((found["note"] or "").encode()).hexdigest()[:12]


def _inclusion(store: Store, as_of: AsOf, number: int) -> dict[str, Any]:
    proofs = _proofs(store, as_of, number)
    (leaf,) = store.query("leaves_between", after=number - 1, until=number)[0]
    return {
        "position": number,
        "leaf": bytes(leaf).hex(),
        "size": proofs.state.size,
        "root": proofs.state.root.hex(),
        "proof": [node.hex() for node in proofs.inclusion(number)],
    }


def _consistency(store: Store, as_of: AsOf, size: int) -> dict[str, Any]:
    proofs = _proofs(store, as_of, size)
    return {
        "old_size": size,
        "old_root": root_at(store, size).hex(),
        "size": proofs.state.size,
        "root": proofs.state.root.hex(),
        "proof": [node.hex() for node in proofs.consistency(size)],
    }


def _proofs(store: Store, as_of: AsOf, number: int) -> LogProofs:
    """Proofs in the tree of the log as known. Raises HttpProblem `not_known` for what is beyond it."""
    if number > as_of.known_position:
        raise HttpProblem(
            "not_known",
            f"position {number} is beyond position {as_of.known_position}",
            f"序号 {number} 在第 {as_of.known_position} 条之后",
        )
    size = as_of.known_position
    try:
        return LogProofs(store, Checkpoint("", size, root_at(store, size), b""))
    except Contradiction as error:
        raise HttpProblem("contradiction", str(error), error.zh) from None
