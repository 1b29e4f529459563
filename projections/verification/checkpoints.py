"""Signed checkpoints against the log: what was once signed must still be there, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ledger import codec, merkle
from ledger.key_events import EVENT_TYPE, trusted_keys
from ledger.notes import Checkpoint, NotANote, VerifierKey, opened
from ledger.sql import load
from ledger.store import Store
from projections.verification.leaves import BLOCK, Recomputed, block_of
from projections.verification.report import Finding, Report

_QUERIES: Final = load("projections", "verification/queries.sql")


@dataclass(frozen=True, slots=True)
class Held:
    """A checkpoint that lies outside the database: where from, and its note."""

    name: str
    note: str


@dataclass(frozen=True, slots=True)
class Outside:
    """What a check brings from outside the database: public keys and checkpoints. The first one whose signature
    nobody vouches for is a finding; without any key no stored checkpoint can be believed."""

    keys: Sequence[VerifierKey] = ()
    held: Sequence[Held] = ()


@dataclass(slots=True)
class Signed:
    """The checkpoints that the log is compared with: by name, each signed by a key that is trusted."""

    brought: list[tuple[str, Checkpoint]] = field(default_factory=list)
    kept: list[Checkpoint] = field(default_factory=list)  # in kejin_work, by size: they help to say where
    findings: list[Finding] = field(default_factory=list)
    has_key: bool = False

    def wanted(self, until: int) -> set[int]:
        """The blocks whose leaves are needed to find the roots at the checkpoints' sizes."""
        return {block_of(c.size) for _, c in self.compared() if 0 < c.size <= until and c.size % BLOCK}

    def compared(self) -> list[tuple[str, Checkpoint]]:
        """Every checkpoint brought, and the newest kept one."""
        newest = [("kejin_work.checkpoints", self.kept[-1])] if self.kept else []
        return [*self.brought, *newest]


def signed(store: Store, outside: Outside, until: int) -> Signed:
    """Read the checkpoints, those of keys that the log hands over to one another included, for a check of the log up
    to a position. What was appended and signed since that was looked up is left out."""
    found = Signed(has_key=bool(outside.keys))
    keys = trusted_keys(outside.keys, _adoptions(store))
    for held in outside.held:
        state = _believed(held.note, keys)
        if state is None:
            found.findings.append(Finding("log", f"{held.name} is not signed by a key that is known here"))
        else:
            found.brought.append((held.name, state))
    for size, note in store.query("checkpoints"):
        state = _believed(note, keys)
        if state is not None and state.size == size:
            found.kept.append(state)
    if found.kept and found.kept[-1].size > until:
        end = store.head().position
        found.kept = [state for state in found.kept if not until < state.size <= end]
    return found


def _adoptions(store: Store) -> Iterable[dict[str, object]]:
    for event in store.stored_events(0, store.head().position, event_type=EVENT_TYPE):
        try:
            yield codec.parse_object(event.data)
        except codec.NotStrictJson:
            continue


def _believed(note: str, keys: Sequence[VerifierKey]) -> Checkpoint | None:
    try:
        text = opened(note, keys)
        return None if text is None else Checkpoint.read(text)
    except NotANote:
        return None


def compare(store: Store, until: int, found: Signed, leaves: Recomputed) -> Report:
    """The recomputed roots against the signed ones; where they differ, from which position on."""
    report = Report(findings=list(found.findings))
    for name, state in found.compared():
        if state.size > until:
            what = f"the log ends here, but {name} is signed over {state.size} events: its tail was cut off"
            report.findings.append(Finding("log", what, "events", until + 1))
        elif state.size and _root_at(leaves, state.size) != state.root:
            position, certain = _first_wrong(store, found, leaves, state)
            if not certain and leaves.wrong:
                continue  # the events that were found wrong by themselves say more
            more = "" if certain else " or later"
            what = f"the log is not the one that {name} was signed over: it differs from position {position}{more} on"
            report.findings.append(Finding("log", what, "events", position))
    newest = max((state.size for _, state in found.compared()), default=0)
    if found.has_key and newest < until:
        what = f"events {newest + 1} to {until} are not signed yet; kejin checkpoint signs them"
        report.notices.append(Finding("log", what, "events", newest + 1))
    return report


def _root_at(leaves: Recomputed, size: int) -> bytes:
    number = size // BLOCK
    roots = leaves.roots[:number]
    if size % BLOCK:
        if size // BLOCK not in leaves.leaves:
            return b""  # the recomputation stopped early: it found too much
        roots.append(merkle.root_of(b"".join(leaves.leaves[number][: size % BLOCK])))
    return merkle.root_of(b"".join(roots))


def _first_wrong(store: Store, found: Signed, leaves: Recomputed, state: Checkpoint) -> tuple[int, bool]:
    """The first position that differs from what was signed, and whether it is exact. Kept leaves that lead to kept
    roots tell it exactly; else a smaller checkpoint that still holds tells after which position to look."""
    for number, root in store.query("block_roots"):
        if number >= len(leaves.roots) or (number + 1) * BLOCK > state.size:
            break
        if bytes(root) == leaves.roots[number]:
            continue
        kept = store.connection.execute(_QUERIES["kept_leaves"], {"block": number}).fetchone()
        then = [kept[0][at : at + 32] for at in range(0, len(kept[0]), 32)] if kept else []
        now = [
            row[0] for row in store.query("leaves_between", after=number * BLOCK, until=(number + 1) * BLOCK)
        ]
        if merkle.root_of(b"".join(then)) == root:
            at = next((i for i, (a, b) in enumerate(zip(then, now, strict=False)) if a != bytes(b)), 0)
            return number * BLOCK + at + 1, True
        return number * BLOCK + 1, False
    sound = [c.size for c in found.kept if c.size < state.size and _holds(store, leaves, c)]
    return max(sound, default=0) + 1, False


def _holds(store: Store, leaves: Recomputed, state: Checkpoint) -> bool:
    number = block_of(state.size)
    if state.size % BLOCK and number not in leaves.leaves:
        rows = store.query("leaves_between", after=number * BLOCK, until=(number + 1) * BLOCK)
        leaves.leaves[number] = [bytes(row[0]) for row in rows]
    return _root_at(leaves, state.size) == state.root
