"""An evidence pack: the subject's events as canonical bytes, each with its proof, the rules, what stood before and
after, the signed checkpoint, a page to read, and the program that checks it all. ARCHITECTURE.md describes the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any, Final

from ledger import codec
from ledger.events import StoredEvent
from ledger.notes import Checkpoint, SigningKey, read_checkpoint, signed
from ledger.store import Store
from projections.evidence.archive import archive
from projections.evidence.page import page
from projections.evidence.proofs import LogProofs, earlier_completeness
from projections.evidence.reading import rows
from projections.evidence.states import states
from projections.evidence.subjects import Subject

FORMAT: Final = "kejin-pack-1"


def verifier() -> bytes:
    """The program that checks packs, kejin-verify.py."""
    return resources.files("projections.evidence").joinpath("verifier/kejin-verify.py").read_bytes()


def pack(
    store: Store, subject: Subject, note: str, key: SigningKey, held: Sequence[Checkpoint] = ()
) -> bytes:
    """The zip file of a pack about a subject, on the checkpoint of `note`, signed with `key`. `held`: checkpoints that
    its reader has, for whom completeness is proved against these as well; that the log goes on from them is proved of
    those known here, too. Raises Contradiction where the log is not what was signed."""
    proofs = LogProofs(store, read_checkpoint(note))
    told, whole = states(store, subject)
    document = {
        "format": FORMAT,
        "key": str(key.verifier),
        "subject": subject.named,
        "until": subject.until,
        "events": [
            {"position": event.position, "path": [node.hex() for node in proofs.inclusion(event.position)]}
            for event in subject.events
        ],
        "states": told,
        "whole": whole,
        "complete": _completeness(store, proofs, subject, held),
        "consistency": _consistency(store, proofs, [state.size for state in held]),
    }
    rules = {f"rules/{event.position}.json": text for event in subject.events if (text := _adopted(event))}
    files = {
        "checkpoint": note.encode(),
        "pack.json": codec.canonical(document),
        "events": b"".join(_framed(codec.entry_of(event)) for event in subject.events),
        **rules,
        "page.html": page(subject, document, proofs.state).encode(),
        "kejin-verify.py": verifier(),
    }
    return archive({"MANIFEST": _manifest(files, key).encode(), **files})


def _manifest(files: Mapping[str, bytes], key: SigningKey) -> str:
    """A signed note that names every other file with its hash and size."""
    lines = [f"{key.name}/pack", FORMAT]
    lines += [f"{hashlib.sha256(data).hexdigest()} {len(data)} {name}" for name, data in files.items()]
    return signed("\n".join(lines) + "\n", [key])


def _framed(entry: bytes) -> bytes:
    return b"%d\n%b" % (len(entry), entry)


def _adopted(event: StoredEvent) -> bytes | None:
    if event.type != "RulebookAdopted" or not event.span:
        return None
    return codec.canonical(codec.parse_object(event.data)["content"])


def _completeness(
    store: Store, proofs: LogProofs, subject: Subject, held: Sequence[Checkpoint]
) -> list[dict[str, Any]]:
    newest = proofs.state.size
    events = {
        tag: [
            (position, bytes(leaf)) for position, leaf in rows(store, "leaves_of_tag", tag=tag, until=newest)
        ]
        for tag in subject.complete
    }
    earlier = earlier_completeness(store, held, newest, events)
    return [
        {**proofs.completeness(tag, told, subject.until), "earlier": earlier[tag]}
        for tag, told in events.items()
    ]


def _consistency(store: Store, proofs: LogProofs, sizes: Iterable[int]) -> list[dict[str, Any]]:
    newest = proofs.state.size
    known = {row[0] for row in store.query("sizes_to_prove_from", until=newest)}
    return [
        {"size": size, "path": [node.hex() for node in proofs.consistency(size)]}
        for size in sorted({*known, *sizes})
        if 0 < size < newest
    ]
