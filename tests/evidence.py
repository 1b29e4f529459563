"""What the tests of signatures and packs share: a ledger that signs, and the verifier as a module."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from ledger.keyring import Keyring
from ledger.notes import SigningKey
from ledger.pending import PendingEvent
from ledger.signer import Signer
from ledger.store import Store
from projections.evidence import pack as packs
from projections.evidence import subjects
from projections.evidence.pack import verifier
from tests.support import Ledger

VERIFIER = Path(packs.__file__).with_name("verifier") / "kejin-verify.py"
KEY = SigningKey("kejin.example/test", bytes(range(32)))


def load_verifier() -> ModuleType:
    """kejin-verify.py as a module."""
    spec = importlib.util.spec_from_file_location("kejin_verify", VERIFIER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert verifier() == VERIFIER.read_bytes()
    return module


def signer_of(store: Store, folder: Path, key: SigningKey = KEY) -> Signer:
    """A signer with its files in a folder."""
    keyring = Keyring(folder / "signing-key")
    if keyring.key() is None:
        keyring.replace(key)
    return Signer(store, keyring, key)


def append(store: Store, count: int, *, firms: int = 7) -> None:
    """Events of no command, quickly made, that firms and a bank are tagged with."""
    with store.turn() as turn:
        first = turn.head.position + 1
        turn.append(
            [
                PendingEvent(
                    "Told",
                    "2026-01-01",
                    (f"bank:B{n % 2}", f"firm:F{n % firms}", f"loan:L{n}"),
                    b"{}",
                    span=0,
                )
                for n in range(first, first + count)
            ],
            "tester",
        )


def prove(ledger: Ledger, folder: Path, kind: str, what: Any, until: int | None = None, **more: Any) -> bytes:
    """A pack: `kind` is event, claim, firm or bank."""
    note = signer_of(ledger.store, folder).checkpoint()
    newest = ledger.store.known_position(until)
    if kind == "event":
        subject = subjects.of_event(ledger.store, what)
    elif kind == "claim":
        subject = subjects.of_claim(ledger.store, what, newest)
    else:
        subject = subjects.of_party(ledger.store, kind, what, newest)
    return packs.pack(ledger.store, subject, note, KEY, **more)
