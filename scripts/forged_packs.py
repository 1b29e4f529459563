"""Write the published vectors: tests/vectors/*.zip, packs that must be accepted and packs that must be rejected.

    .venv/bin/python -m scripts.forged_packs FOLDER

Each is a small ledger's pack, forged in one way. verdicts.json names for each file the arguments of kejin-verify.py,
the verdict, and what was forged; key.txt and held.checkpoint are what the reader brought. Whoever writes a verifier of
their own can run it on them. The signing keys are public on purpose: bytes 00 to 1f, and 32 times "t" for the thief's.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger import codec
from ledger.notes import signed
from ledger.pending import PendingEvent
from ledger.server import share
from ledger.store import Store
from projections.evidence.archive import archive
from tests.cli.program import FIRM, repay
from tests.evidence import KEY, load_verifier, prove, signer_of
from tests.support import Ledger, fresh_database
from tests.test_pack import (
    FIRM_LIMIT,
    HISTORY,
    THIEF,
    edited,
    files_of,
    framed,
    frames,
    larger_principal,
    made,
    raised_limit,
    rewritten,
)

check = load_verifier()
Files = dict[str, bytes]


def main() -> None:
    """Make the ledger, its packs, and each forgery."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as work,
        share(Path(work) / "data") as server,
        fresh_database(server.address()) as address,
    ):
        ledger = Ledger(address)
        for line in HISTORY:
            ledger.submit(line)
        older = prove(ledger, Path(work), "firm", FIRM)
        ledger.submit(repay(101, effective_on="2023-06-02"))
        held = signer_of(ledger.store, Path(work)).checkpoint()
        firm, claim = prove(ledger, Path(work), "firm", FIRM), prove(ledger, Path(work), "claim", "C1")
        repeated_grant(ledger.store)
        passed = invented(files_of(prove(ledger, Path(work), "firm", FIRM)))
        ledger.store.close()
        limit, principal = (
            rewritten(server.address(), Path(tempfile.mkdtemp(dir=work)), change)
            for change in (raised_limit("firm_cap", FIRM_LIMIT, 1), larger_principal)
        )
    (folder / "key.txt").write_text(f"{KEY.verifier}\n", encoding="utf-8")
    (folder / "held.checkpoint").write_text(held, encoding="utf-8")
    verdicts: dict[str, dict[str, Any]] = {}

    def write(
        name: str, pack: bytes, what: str, verdict: str = "reject", brings: str = "--key key.txt"
    ) -> None:
        (folder / f"{name}.zip").write_bytes(pack)
        verdicts[f"{name}.zip"] = {"arguments": brings.split(), "verdict": verdict, "what": what}

    write("sound-firm", slim(firm), "all events of a firm", "accept")
    write("sound-claim", slim(claim), "a claim with all that it rests on", "accept")
    write(
        "sound-held", slim(firm), "the log of the held checkpoint", "accept", "--checkpoint held.checkpoint"
    )
    write(
        "older-checkpoint",
        slim(older),
        "made before the held checkpoint",
        brings="--checkpoint held.checkpoint",
    )
    for name, what, pack in forgeries(files_of(slim(firm)), files_of(slim(claim))):
        write(name, pack, what)
    write("room-invented", slim(passed), "a grant beyond a cap, with the room that it would have wanted")
    write("limit-raised", slim(limit), "a signed log in which a cap's limit is above its clause's")
    write(
        "input-invented",
        slim(principal),
        "a signed log in which a grant rests on another principal than the draw's",
    )
    text = json.dumps(verdicts, indent=1, ensure_ascii=False) + "\n"
    (folder / "verdicts.json").write_text(text, encoding="utf-8")


def slim(pack: bytes) -> bytes:
    """Without the page and the verifier, which no verdict hangs on: the manifest is signed anew."""
    return made({**files_of(pack), "page.html": b"", "kejin-verify.py": b""})


def forgeries(firm: Files, claim: Files) -> list[tuple[str, str, bytes]]:
    """Name, what was forged, the pack. All but the first four are signed with the right key, so that each shows what a
    verifier must find even so."""
    text = check.Key(str(KEY.verifier)).signed(firm["checkpoint"].decode())
    others = {"checkpoint": signed(text, [THIEF]).encode(), **edited_key(firm)}
    dearer = framed([entry.replace(b"6000000", b"6000001") for entry in frames(claim)])
    at = next(i for i, entry in enumerate(frames(firm)) if b"LoanRepaid" in entry)
    fewer = framed([entry for i, entry in enumerate(frames(firm)) if i != at])
    order = dict(reversed(list(firm.items())))
    return [
        ("another-key", "all signed with the thief's key", made({**firm, **others}, THIEF)),
        (
            "manifest-unsigned",
            "a changed page under the old manifest",
            archive({**firm, "page.html": b"<p>"}),
        ),
        ("manifest-signed-twice", "a second signature, of nobody known", archive(signed_twice(firm))),
        ("file-added", "a file that the manifest does not name", archive({**firm, "more": b""})),
        ("trailing-byte", "a byte after the end of the zip", archive(firm) + b"\0"),
        ("files-reordered", "the files in another order", archive(order)),
        (
            "amount-with-leaf",
            "an amount changed in data, legs and postings",
            made({**claim, "events": dearer}),
        ),
        ("shortened-proof", "an audit path without its last node", with_pack(firm, shorten)),
        ("lengthened-proof", "an audit path with a node more", with_pack(firm, lengthen)),
        ("left-out-event", "one event of the firm left out", with_pack({**firm, "events": fewer}, drop(at))),
        ("left-out-at-the-end", "the newest event of the firm left out", left_out_last(firm)),
        (
            "no-completeness",
            "the proof of completeness removed",
            with_pack(firm, lambda d: d.update(complete=[])),
        ),
        ("room-before", "more room before a grant than there was", with_pack(firm, more_room)),
        ("no-states", "what stood before and after left out", with_pack(firm, lambda d: d.update(states=[]))),
        ("older-rules", "rules that the log did not adopt", made(other_rules(firm))),
        (
            "other-subject",
            "said to be about another claim",
            with_pack(claim, lambda d: d["subject"].update(claim="C9")),
        ),
    ]


def with_pack(files: Files, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """A pack whose pack.json is changed and whose manifest is right."""
    return made(edited(files, change))


def signed_twice(files: Files) -> Files:
    """The manifest with one more line among its signatures: what anybody could add without a key."""
    return {
        **files,
        "MANIFEST": files["MANIFEST"] + "— anybody ".encode() + base64.b64encode(bytes(68)) + b"\n",
    }


def edited_key(files: Files) -> Files:
    """pack.json that names the thief's key."""
    document = codec.parse_object(files["pack.json"]) | {"key": str(THIEF.verifier)}
    return {"pack.json": codec.canonical(document)}


def shorten(document: dict[str, Any]) -> None:
    document["events"][3]["path"].pop()


def lengthen(document: dict[str, Any]) -> None:
    document["events"][3]["path"].append("00" * 32)


def drop(at: int) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        position = document["events"].pop(at)["position"]
        document["states"] = [state for state in document["states"] if state["position"] != position]

    return change


def left_out_last(firm: Files) -> bytes:
    """The newest event of the firm left out, and the position moved before it."""
    tag = f"firm:{FIRM}".encode()
    at = max(i for i, entry in enumerate(frames(firm)) if tag in entry.split(b"\0"))
    kept = framed([entry for i, entry in enumerate(frames(firm)) if i != at])

    def change(document: dict[str, Any]) -> None:
        document["until"] = document["events"][at]["position"] - 1
        drop(at)(document)

    return with_pack({**firm, "events": kept}, change)


def more_room(document: dict[str, Any]) -> None:
    state = next(s for s in document["states"] if "room_fen" in s["before"])
    state["before"]["room_fen"] += 1


def repeated_grant(store: Store) -> None:
    """Record a grant a second time under another claim, without deciding it: its caps have less room by now."""
    grant = next(iter(store.stored_events(0, store.head().position, tag="claim:C1")))
    data = codec.canonical(codec.parse_object(grant.data) | {"claim": "C8"})
    tags = tuple("claim:C8" if tag == "claim:C1" else tag for tag in grant.tags)
    postings = tuple(line for line in grant.postings if not line.account.startswith("limit/"))
    event = PendingEvent(grant.type, grant.effective_on, tags, data, postings, None, bytes(32))
    with store.turn() as turn:
        turn.append([event], "tester")


def invented(firm: Files) -> bytes:
    """A pack whose newest grant was given the room that its legs name, of a firm that is said to be incomplete."""
    grant = json.loads(frames(firm)[-1].rpartition(b"\0")[2])
    room = {leg["part"]: leg["value_fen"] for leg in grant["legs"]}

    def change(document: dict[str, Any]) -> None:
        document["whole"] = []
        for state in document["states"][-2:]:
            before_fen = room["firm_cap" if state["owner"].startswith("firm:") else "principal_cap"]
            state["before"]["room_fen"] = before_fen
            state["after"]["room_fen"] = before_fen - grant["amount_fen"]

    return with_pack(firm, change)


def other_rules(firm: Files) -> Files:
    name = next(name for name in firm if name.startswith("rules/"))
    return {**firm, name: firm[name].replace(b"20000000", b"90000000")}


if __name__ == "__main__":
    main()
