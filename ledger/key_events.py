"""Keys in the log: the event by which a ledger says whose signatures on its checkpoints count from now on. Pure.

`SigningKeyAdopted` is recorded by the shell, not decided from a command: `key` is the verifier key, `replaces` the one
that signed before (null for the first), `signature` the old key's, in base64, over the handover of the log to the new
one. Whoever trusts the old key can follow to the new.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ledger import codec
from ledger.dates import Day
from ledger.notes import NotANote, SigningKey, VerifierKey, handover_text
from ledger.pending import PendingEvent

EVENT_TYPE: Final = "SigningKeyAdopted"
TAG_KIND: Final = "signing-key"


def adoption(key: VerifierKey, on: Day, old: SigningKey | None = None) -> PendingEvent:
    """The event that adopts a key, in the place of an old one if there was one."""
    data: dict[str, Any] = {"key": str(key), "replaces": None, "signature": None}
    if old is not None:
        signature = old.sign(handover_text(old.verifier, key))
        data |= {"replaces": str(old.verifier), "signature": base64.b64encode(signature).decode()}
    return PendingEvent(EVENT_TYPE, on, (f"{TAG_KIND}:{key.id.hex()}",), codec.canonical(data))


def is_adoption(data: bytes, tag: str) -> bool:
    """Whether data and the one tag of an event are those of an adoption: of a first key, or of one that the key before
    it signed over to."""
    try:
        said = codec.parse_object(data)
        key = VerifierKey.read(said["key"])
    except (codec.NotStrictJson, KeyError, TypeError, AttributeError, ValueError, NotANote):
        return False
    first = said["replaces"] is None and said["signature"] is None
    return tag == f"{TAG_KIND}:{key.id.hex()}" and len(said) == 3 and (first or _link(said) is not None)


def trusted_keys(known: Iterable[VerifierKey], adoptions: Iterable[Mapping[str, Any]]) -> list[VerifierKey]:
    """The known keys, those that they handed the log over to, and those that came before all these. `adoptions` are the
    data of key events; of what anybody may have written into the log only what the old key signed counts.

    A key that came before signed older checkpoints. Whom else it handed over to, perhaps stolen meanwhile, is nothing
    to who knows only its successor.
    """
    links = [link for data in adoptions if (link := _link(data))]
    trusted = _reached({str(key): key for key in known}, links)
    return list(_reached(trusted, [(new, old) for old, new in links]).values())


def _reached(
    begun: Mapping[str, VerifierKey], steps: Sequence[tuple[VerifierKey, VerifierKey]]
) -> dict[str, VerifierKey]:
    """Where steps (from, to) lead."""
    reached, grew = dict(begun), True
    while grew:
        more = {str(to): to for come, to in steps if str(come) in reached and str(to) not in reached}
        reached |= more
        grew = bool(more)
    return reached


def _link(data: Mapping[str, Any]) -> tuple[VerifierKey, VerifierKey] | None:
    try:
        old, new = VerifierKey.read(data["replaces"]), VerifierKey.read(data["key"])
        signature = base64.b64decode(data["signature"], validate=True)
    except (KeyError, TypeError, AttributeError, ValueError, NotANote):
        return None
    return (old, new) if old.verifies(signature, handover_text(old, new)) else None
