"""Evidence packs: sound ones hold; whatever is changed, left out or made anew without the key is rejected."""

from __future__ import annotations

import ast
import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import codec, merkle
from ledger.events import Posting
from ledger.notes import SigningKey, read_checkpoint, signed
from ledger.party_index import bucket_of
from ledger.pending import PendingEvent
from ledger.signer import Contradiction
from ledger.store import Store
from projections.evidence import subjects
from projections.evidence.archive import archive
from projections.evidence.pack import verifier
from tests.cli.program import (
    BANK,
    FIRM,
    OTHER_FIRM,
    certify,
    claim,
    draw,
    open_round,
    pay,
    publicise,
    register,
    repay,
)
from tests.evidence import KEY, append, load_verifier, prove, signer_of
from tests.histories import history
from tests.support import Ledger, fresh_database

check = load_verifier()
TRUSTED = str(KEY.verifier)
THIEF = SigningKey(KEY.name, b"t" * 32)

#: Two firms, a bank that climbs a ladder, a merger-free life: grants, a payment, a void, a recovery, refusals.
HISTORY = (
    open_round(),
    register(),
    register(OTHER_FIRM),
    register(BANK, "bank"),
    draw(),
    draw("L2", 400_000_000, FIRM),
    draw("L3", 100_000_000, OTHER_FIRM),
    claim("C1", 12_000_000),
    claim("C2", 30_000_000, "2023-03-02", loan="L2"),
    claim("C3", 90_000_000, "2023-03-03", loan="L2", effective_on="2024-06-01"),
    claim("C4", 10_000_000, "2023-03-04", loan="L3"),
    repay(),
    publicise("C1"),
    pay("C1"),
    {"command": "void", "claim": "C2", "reason": "r", "effective_on": "2024-08-01"},
    {
        "command": "recover",
        "claim": "C1",
        "amount_fen": 1000,
        "cause": "error",
        "document": "d",
        "effective_on": "2024-10-01",
    },
    claim("C5", 12_000_001, "2023-03-05", loan="L2", effective_on="2024-10-02"),
    certify(),
    {
        "command": "claim-credit-award",
        "claim": "A1",
        "round": "R1",
        "bank": BANK,
        "product": "科创贷",
        "year": 2023,
        "effective_on": "2024-07-01",
    },
    certify(41_000_000_000, 2024),
    {
        "command": "claim-credit-award",
        "claim": "A2",
        "round": "R1",
        "bank": BANK,
        "product": "科创贷",
        "year": 2024,
        "effective_on": "2025-07-01",
    },
)


@pytest.fixture(scope="module")
def told(embedded_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, Path]]:
    """The history, and the folder of the key."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        for line in HISTORY:
            assert ledger.submit(line)[0]["outcome"] in ("accepted", "refused")
        yield ledger, tmp_path_factory.mktemp("keys")
        ledger.store.close()


Told = tuple[Ledger, Path]
#: What packs can be about: kind and what, by the name of the subject here.
SUBJECTS = {
    "award": ("event", 10),
    "claim": ("claim", "C1"),
    "credit": ("claim", "A2"),
    "firm": ("firm", FIRM),
    "bank": ("bank", BANK),
}


@pytest.fixture(scope="module", params=SUBJECTS)
def sound(request: pytest.FixtureRequest, told: Told) -> bytes:
    """A sound pack of each kind."""
    return prove(*told, *SUBJECTS[request.param])


def files_of(pack: bytes) -> dict[str, bytes]:
    """The entries of a pack."""
    files: dict[str, bytes] = check.entries_of(pack)
    return files


def made(files: dict[str, bytes], key: SigningKey = KEY) -> bytes:
    """A pack of entries whose manifest is right and signed, whatever they hold: what who has the key could make."""
    lines = [f"{key.name}/pack", "kejin-pack-1"]
    lines += [f"{check.sha256(d).hex()} {len(d)} {n}" for n, d in files.items() if n != "MANIFEST"]
    manifest = signed("\n".join(lines) + "\n", [key]).encode()
    return archive({**files, "MANIFEST": manifest})


def rejects(pack: bytes, key: str | None = TRUSTED, note: str | None = None) -> str:
    """Why a pack is rejected; fails the test if it is not."""
    try:
        check.verify(pack, key, note)
    except Exception as error:  # what the program answers with exit code 1
        return f"{type(error).__name__}: {error}"
    pytest.fail("accepted")


def test_sound_packs_hold(sound: bytes) -> None:
    """Each kind of pack holds under its key and without any; not under another key."""
    check.verify(sound, TRUSTED)
    check.verify(sound)
    assert "another key" in rejects(sound, str(THIEF.verifier))


@pytest.mark.parametrize("seed", range(3))
def test_packs_of_random_histories_hold(seed: int, embedded_server: str, tmp_path: Path) -> None:
    """Whatever happened (mergers, reversals, voids, recoveries, refusals): every firm, bank, claim and some events of a
    random history have a pack that holds."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        lines = history(seed)
        for at in range(0, len(lines), 20):
            ledger.submit(*lines[at : at + 20])
        tags = [
            tag
            for (tag,) in ledger.store.connection.execute("select distinct tag from event_tags order by tag")
        ]
        about: list[tuple[str, Any]] = [("event", at) for at in range(1, ledger.store.head().position, 9)]
        about += [
            (kind, name)
            for kind, _, name in (t.partition(":") for t in tags)
            if kind in ("firm", "bank", "claim")
        ]
        for kind, what in about:
            check.verify(prove(ledger, tmp_path, kind, what), TRUSTED)
        assert len(about) > 10
        ledger.store.close()


@pytest.mark.parametrize("until", [9, 12, 17])
def test_up_to_a_position(told: Told, until: int) -> None:
    """All events of a firm up to a position: those and no later ones are there, and that is proved."""
    ledger, folder = told
    pack, events, *_ = check.verify(prove(ledger, folder, "firm", FIRM, until), TRUSTED)
    tag = f"firm:{FIRM}"
    all_of_it = [event.position for event in ledger.store.stored_events(0, until, tag=tag)]
    assert [event.position for event in events if tag in event.tags] == all_of_it
    assert pack["until"] == until


def test_every_byte_counts(sound: bytes) -> None:
    """2,000 random changes of each of five packs, 10,000 in all: a bit flipped, a byte changed, dropped or doubled, the
    end cut off, two stretches swapped, bytes put before, between or after. None is accepted, with or without a key."""
    chance = random.Random(len(sound))
    for _ in range(2000):
        changed = randomly_changed(sound, chance)
        if changed != sound:
            rejects(changed, chance.choice((TRUSTED, None)))


def randomly_changed(pack: bytes, chance: random.Random) -> bytes:
    """One random change."""
    at, length = chance.randrange(len(pack)), chance.choice((1, 1, 4, 64))
    end = min(len(pack), at + length)
    noise = chance.randbytes(length)
    match chance.randrange(8):
        case 0:
            return pack[:at] + bytes([pack[at] ^ 1 << chance.randrange(8)]) + pack[at + 1 :]
        case 1:
            return pack[:at] + noise + pack[end:]
        case 2:
            return pack[:at] + pack[end:]
        case 3:
            return pack[:end] + pack[at:]
        case 4:
            return pack[:at]
        case 5:
            other = chance.randrange(len(pack))
            first, second = sorted((at, other))
            return pack[:first] + pack[second:] + pack[first:second]
        case 6:
            return noise + pack
        case _:
            return chance.choice((pack + noise, pack[:at] + noise + pack[at:]))


# --- made anew by who has everything but the key ----------------------------------------------------------------------


def test_another_key(sound: bytes) -> None:
    """Signed all over with another key it is consistent with itself, and rejected by who knows the right one."""
    files = files_of(sound)
    text = check.Key(TRUSTED).signed(files["checkpoint"].decode())
    document = codec.parse_object(files["pack.json"]) | {"key": str(THIEF.verifier)}
    files |= {"checkpoint": signed(text, [THIEF]).encode(), "pack.json": codec.canonical(document)}
    forged = made(files, THIEF)
    check.verify(forged)
    assert "another key" in rejects(forged)


def test_what_is_no_signed_note_is_not_taken_for_one_of_another_key(sound: bytes) -> None:
    """A checkpoint brought as JSON, or as anything else without a signature, is malformed; one that somebody else
    signed is of another key."""
    assert "malformed" in rejects(sound, None, '{"size": 3, "note": "..."}')
    text = check.Key(TRUSTED).signed(files_of(sound)["checkpoint"].decode())
    assert "another key" in rejects(sound, None, signed(text, [THIEF]))


def test_any_file_changed_without_the_key(sound: bytes) -> None:
    """A file changed, dropped, added or moved, the manifest made anew but not signed anew."""
    files = files_of(sound)
    for name in files:
        rejects(archive({**files, name: files[name] + b" "}))
        rejects(archive({n: d for n, d in files.items() if n != name}))
        rejects(
            archive({**{n: d for n, d in files.items() if n != name}, name: files[name]}) + b""
        ) if name != list(files)[-1] else None
        if name != "MANIFEST":
            rejects(made({**files, name: files[name] + b" "}, THIEF))
    rejects(archive({**files, "more": b""}))


# --- made by who has the key but not the log's: each layer for itself -----------------------------------------------


def edited(files: dict[str, bytes], change: Callable[[dict[str, Any]], None]) -> dict[str, bytes]:
    """The entries with a changed pack.json."""
    document = json.loads(files["pack.json"])
    change(document)
    return {**files, "pack.json": codec.canonical(document)}


def frames(files: dict[str, bytes]) -> list[bytes]:
    """The canonical bytes of each event."""
    entries, rest = [], files["events"]
    while rest:
        size, _, rest = rest.partition(b"\n")
        entries.append(rest[: int(size)])
        rest = rest[int(size) :]
    return entries


def framed(entries: list[bytes]) -> bytes:
    """Canonical bytes as the pack holds them."""
    return b"".join(b"%d\n%b" % (len(entry), entry) for entry in entries)


def test_an_amount_changed_with_its_leaf(sound: bytes) -> None:
    """An amount changed wherever it stands, postings and legs too: the leaf is another, and not in the signed log."""
    files = files_of(sound)
    entries = frames(files)
    for i, entry in enumerate(entries):
        if b'"amount_fen":6000000' in entry or b'"budget_fen"' in entry:
            entries[i] = entry.replace(b"6000000", b"6000001").replace(b"100000000", b"100000001")
    if entries != frames(files):
        assert "signed log" in rejects(made({**files, "events": framed(entries)}))


@pytest.mark.parametrize("cut", [slice(0, -1), slice(1, None), slice(0, 0)])
def test_a_shortened_proof(sound: bytes, cut: slice) -> None:
    """A path with a node less at either end, or none."""
    files = edited(files_of(sound), lambda d: d["events"][0].update(path=d["events"][0]["path"][cut]))
    assert "signed log" in rejects(made(files))


def test_an_event_left_out(told: Told) -> None:
    """Of a firm's events one is left out, with its proof and states; or moved among the later ones."""
    sound = prove(*told, "firm", FIRM)
    files = files_of(sound)
    document, entries = json.loads(files["pack.json"]), frames(files)
    tag = f"firm:{FIRM}".encode()
    for i, told_event in enumerate(document["events"]):
        if tag not in entries[i].split(b"\0"):
            continue
        position = told_event["position"]

        def without(d: dict[str, Any], at: int = i, position: int = position) -> None:
            del d["events"][at]
            d["states"] = [state for state in d["states"] if state["position"] != position]

        forged = edited({**files, "events": framed(entries[:i] + entries[i + 1 :])}, without)
        assert "left out" in rejects(made(forged))

        def later(d: dict[str, Any], at: int = i, position: int = position) -> None:
            without(d, at, position)
            d["complete"][0]["later"] = [[position, codec.leaf_hash(entries[at]).hex()]]

        forged = edited({**files, "events": framed(entries[:i] + entries[i + 1 :])}, later)
        assert "order" in rejects(made(forged))


def test_completeness_of_nothing(told: Told) -> None:
    """The proof of completeness itself cannot be dropped, cut, or taken from another tag."""
    ledger, folder = told
    files = files_of(prove(ledger, folder, "firm", FIRM))
    other = json.loads(files_of(prove(ledger, folder, "firm", OTHER_FIRM))["pack.json"])["complete"]
    changes: list[Callable[[dict[str, Any]], None]] = [
        lambda d: d.update(complete=[]),
        lambda d: d.update(complete=d["complete"][:1]),
        lambda d: d.update(complete=other),
        lambda d: d["complete"][0].update(bucket=""),
        lambda d: d["complete"][0].update(path=d["complete"][0]["path"][:-1]),
        lambda d: d["complete"][0].update(bucket=other[0]["bucket"], path=other[0]["path"]),
        lambda d: d.update(until=d["until"] + 1000),
        lambda d: d["subject"].update(uscc=OTHER_FIRM),
    ]
    for change in changes:
        rejects(made(edited(files, change)))


def test_states_are_computed_again(sound: bytes) -> None:
    """A limit, a use, a room, a mark before or after that is not what the postings say; an owner or account renamed."""
    files = files_of(sound)
    states = json.loads(files["pack.json"])["states"]
    assert states
    for i, state in enumerate(states):
        for when in ("before", "after"):
            for name in state[when]:
                if name == "room_fen" and state["owner"] not in json.loads(files["pack.json"])["whole"]:
                    continue  # it hangs on events that are not in the pack; at a grant its leg ties it, see below

                def change(d: dict[str, Any], i: int = i, when: str = when, name: str = name) -> None:
                    d["states"][i][when][name] += 1

                rejects(made(edited(files, change)))


def test_the_states_of_a_subject_are_all_told(sound: bytes) -> None:
    """A state left out, all of them, one told twice or of an event that is not the subject's own: rejected."""
    files = files_of(sound)
    states = json.loads(files["pack.json"])["states"]
    for i in range(len(states)):
        rejects(made(edited(files, lambda d, i=i: d["states"].pop(i))))  # type: ignore[misc]
        rejects(made(edited(files, lambda d, i=i: d["states"].append(d["states"][i]))))  # type: ignore[misc]
    rejects(made(edited(files, lambda d: d.update(states=[]))))


def test_of_a_party_every_cap_is_computed_again(told: Told) -> None:
    """What is shown to be complete is computed again, whatever the pack says of it: an invented room is rejected."""
    files = files_of(prove(*told, "firm", FIRM))
    states = json.loads(files["pack.json"])["states"]
    own = [i for i, state in enumerate(states) if state["owner"] == f"firm:{FIRM}"]
    assert own
    for i in own:

        def change(d: dict[str, Any], i: int = i) -> None:
            d["whole"] = []
            for when in ("before", "after"):
                d["states"][i][when]["room_fen"] += 1

        rejects(made(edited(files, change)))


def test_an_event_of_no_command_harms_no_pack(embedded_server: str, tmp_path: Path) -> None:
    """Bytes of a recorder that carry a firm's tag and the name of an event of ours: its pack holds."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        for line in HISTORY:
            ledger.submit(line)
        with ledger.store.turn() as turn:
            kinds = ("SigningKeyAdopted", "LoanInterestGranted", "RulebookAdopted")
            turn.append(
                [PendingEvent(k, "2026-01-01", (f"firm:{FIRM}",), b"\xff", span=0) for k in kinds], "recorder"
            )
        check.verify(prove(ledger, tmp_path, "firm", FIRM), TRUSTED)
        ledger.store.close()


def test_a_claim_has_what_else_used_its_caps(told: Told) -> None:
    """Its firm's other grants too: every state of its caps is computed again."""
    ledger, folder = told
    document = json.loads(files_of(prove(ledger, folder, "claim", "C1"))["pack.json"])
    assert {state["owner"] for state in document["states"]} <= set(document["whole"])
    tagged = {"firm": f"firm:{FIRM}", "until": ledger.store.head().position}
    query = "select position from event_tags where tag = %(firm)s and position <= %(until)s"
    positions = {row[0] for row in ledger.store.connection.execute(query, tagged).fetchall()}
    assert positions <= {event["position"] for event in document["events"]}


def test_a_leg_is_the_room_that_was_left(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a grant the room of each cap is tied to its leg, also where the pack has not all events of the cap's key: its
    firm has too many."""
    monkeypatch.setattr(subjects, "FIRM_EVENTS_MAX", 3)
    files = files_of(prove(*told, "claim", "C1"))
    document = json.loads(files["pack.json"])
    position = min(state["position"] for state in document["states"])
    loose = [
        i
        for i, s in enumerate(document["states"])
        if s["position"] == position and s["owner"] == f"firm:{FIRM}"
    ]
    assert loose and f"firm:{FIRM}" not in document["whole"]
    for i in loose:
        rejects(made(edited(files, lambda d, i=i: d["states"][i]["after"].update(room_fen=1))))  # type: ignore[misc]


#: Lines of an event: account, fen, day.
Lines = list[tuple[str, int, str]]
#: Two grants to one firm.
GRANTS = (
    open_round(),
    register(),
    register(BANK, "bank"),
    draw(),
    claim("C1", 4_000_000),
    claim("C2", 2_000_000, "2023-03-02"),
)


def rewritten(
    server: str,
    folder: Path,
    change: Callable[[dict[str, Any], Lines], None],
) -> bytes:
    """A firm's pack of a ledger of these events with each grant changed: what somebody who writes to the database could
    have had signed."""
    with fresh_database(server) as address, fresh_database(server) as other:
        sound, forged = Ledger(address), Ledger(other)
        for line in GRANTS:
            assert sound.submit(line)[0]["outcome"] == "accepted"
        pending = []
        for event in sound.store.stored_events_at(range(1, sound.store.head().position + 1)):
            data, lines = (
                json.loads(event.data),
                [(p.account, p.amount_fen, p.effective_on) for p in event.postings],
            )
            if "legs" in data:
                change(data, lines)
            postings = tuple(Posting(*line) for line in lines)
            said = codec.canonical(data)
            pending.append(
                PendingEvent(
                    event.type, event.effective_on, event.tags, said, postings, event.key, event.fingerprint
                )
            )
        with forged.store.turn() as turn:
            turn.append(pending, "tester")
        pack = prove(forged, folder, "firm", FIRM)
        sound.store.close()
        forged.store.close()
        return pack


def raised_limit(part: str, limit: str, fen: int) -> Callable[[dict[str, Any], Lines], None]:
    """A cap's limit is posted higher than its clause has it, and every leg of it says so."""

    def change(data: dict[str, Any], lines: Lines) -> None:
        for leg in data["legs"]:
            leg["value_fen"] += fen if leg["part"] == part else 0
        lines[:] = [(a, f + (fen if a.startswith(limit) else 0), day) for a, f, day in lines]

    return change


def larger_principal(data: dict[str, Any], lines: Lines) -> None:
    """The inputs say another principal than the draw, and the cap on it follows them."""
    data["inputs"]["principal_fen"] += 100
    raised_limit("principal_cap", "limit/shanxi.loan_interest.loan/", 3)(data, lines)


def more_interest(data: dict[str, Any], lines: Lines) -> None:
    """The inputs say more interest than the claim, and the amount follows them."""
    data["inputs"]["interest_paid_fen"] += 2
    data["legs"][0]["value_fen"] += 1
    data["amount_fen"] += 1
    moved = {"available": -1, "committed": 1}
    lines[:] = [(a, f + (1 if a[0] == "q" else moved.get(a.split("/")[-1], 0)), day) for a, f, day in lines]


def other_quota(data: dict[str, Any], lines: Lines) -> None:
    """What a grant uses of a cap is charged to another firm, whose cap it is that the leg says."""
    lines[:] = [(a.replace(f"firm/{FIRM}", f"firm/{OTHER_FIRM}"), f, day) for a, f, day in lines]
    leg = next(leg for leg in data["legs"] if leg["part"] == "firm_cap")
    leg["value_fen"] = 20_000_000 - (2_000_000 if data["claim"] == "C2" else 0)


FIRM_LIMIT, LOAN_LIMIT = "limit/shanxi.loan_interest.firm/", "limit/shanxi.loan_interest.loan/"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (raised_limit("firm_cap", FIRM_LIMIT, 1_000_000), "before and after"),
        (raised_limit("principal_cap", LOAN_LIMIT, 1), "before and after"),
        (larger_principal, "amount"),
        (more_interest, "amount"),
        (other_quota, "amount"),
    ],
)
def test_what_was_signed_must_follow_from_the_rules_and_the_facts(
    embedded_server: str,
    tmp_path_factory: pytest.TempPathFactory,
    change: Callable[[dict[str, Any], Lines], None],
    said: str,
) -> None:
    """In a log that was signed: limits above those of the clauses, inputs that the facts beside them do not say, what
    is charged to others' caps."""
    check.verify(rewritten(embedded_server, tmp_path_factory.mktemp("keys"), lambda *_: None), TRUSTED)
    assert said in rejects(rewritten(embedded_server, tmp_path_factory.mktemp("keys"), change))


def test_a_refusal_moves_nothing(embedded_server: str, tmp_path: Path) -> None:
    """An event that says that a claim was refused, and pays it nevertheless."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        for line in GRANTS:
            ledger.submit(line)
        ledger.submit(claim("C9", 1_000, "2023-03-02"))
        refused = next(
            iter(ledger.store.stored_events(0, ledger.store.head().position, event_type="ClaimRefused"))
        )
        back = (
            Posting("public/recovered/R1", -5, "2024-07-01"),
            Posting("public/round/R1/committed", 5, "2024-07-01"),
        )
        with ledger.store.turn() as turn:
            turn.append(
                [
                    PendingEvent(
                        refused.type, refused.effective_on, refused.tags, refused.data, back, None, bytes(32)
                    )
                ],
                "tester",
            )
        rejects(prove(ledger, tmp_path, "firm", FIRM))
        ledger.store.close()


def test_older_checkpoint(told: Told, tmp_path: Path) -> None:
    """A pack on an older checkpoint is rejected by who holds a newer one; one of a forked log by who holds any."""
    ledger, folder = told
    old = prove(ledger, folder, "claim", "C1")
    held = files_of(old)["checkpoint"].decode()
    check.verify(old, None, held)
    ledger.submit(repay(101, effective_on="2023-06-02"))
    new = prove(ledger, folder, "claim", "C1")
    check.verify(
        new, None, held
    )  # the old one lately signed: the pack proves that its log goes on from there
    assert "older" in rejects(old, None, files_of(new)["checkpoint"].decode())
    state = check.Checkpoint(check.Key(TRUSTED).signed(held))
    forked = signed(f"{KEY.name}\n{state.size}\n{'A' * 43}=\nparties {'A' * 43}=\n", [KEY])
    assert "another log" in rejects(new, None, forked)
    assert "another key" in rejects(new, None, signed("\n".join(held.split("\n")[:4]) + "\n", [THIEF]))
    unknown = signed(f"{KEY.name}\n{state.size - 1}\n{'A' * 43}=\nparties {'A' * 43}=\n", [KEY])
    assert "no proof" in rejects(new, None, unknown)
    assert "another log" in rejects(
        prove(ledger, folder, "claim", "C1", held=[read_checkpoint(unknown)]), None, unknown
    )


def test_ed25519_is_that_of_cryptography() -> None:
    """The verifier's signatures: RFC 8032's first vector, and the same verdict as the library on random ones, sound and
    changed, including a signature whose scalar is not reduced."""
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b"
    )
    assert check.verifies(public, signature, b"")
    chance = random.Random(6)
    for _ in range(20):
        key = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        text = chance.randbytes(chance.randrange(100))
        public, signature = key.public_key().public_bytes_raw(), key.sign(text)
        assert check.verifies(public, signature, text)
        at = chance.randrange(64)
        assert not check.verifies(
            public, signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :], text
        )
        assert not check.verifies(public, signature, text + b"x")
        scalar = int.from_bytes(signature[32:], "little") + check.L
        assert not check.verifies(public, signature[:32] + scalar.to_bytes(32, "little"), text)


def test_the_verifier_stands_alone() -> None:
    """Under 600 lines, the standard library only, nothing newer than Python 3.9, no network module."""
    source = verifier().decode()
    assert source.count("\n") < 600
    tree = ast.parse(source, feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
    assert not imported & {"socket", "ssl", "urllib", "http", "subprocess", "sqlite3", "asyncio", "ctypes"}


def test_as_a_program(sound: bytes, tmp_path: Path) -> None:
    """Run alone from another folder, isolated from any package: exit 0 with the key, 1 with another or a changed pack;
    without a key it says that the pack is only consistent with itself."""
    program, pack = tmp_path / "kejin-verify.py", tmp_path / "pack.zip"
    program.write_bytes(verifier())
    pack.write_bytes(sound)
    (tmp_path / "key").write_text(f"{TRUSTED}\n")

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-I", "-S", str(program), *map(str, arguments)]
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"KEJIN_LANG": "en", "PATH": ""},
            check=False,
        )

    assert (run(pack, "--key", TRUSTED).returncode, run(pack, "--key", "key").returncode) == (0, 0)
    alone = run(pack)
    assert alone.returncode == 0 and "only consistent with itself" in alone.stdout
    assert run(pack, "--key", THIEF.verifier).returncode == 1
    assert run(pack, "--key", "nonsense").returncode == run(pack, "--key", "").returncode == 1
    assert run(pack, "--checkpoint", "").returncode == 1
    assert run(pack, "--checkpoint", "absent").returncode == 1
    assert run("absent.zip").returncode == run().returncode == 1
    pack.write_bytes(sound[:-1])
    changed = run(pack, "--key", TRUSTED)
    assert (changed.returncode, changed.stderr) == (1, "")


@pytest.mark.parametrize("words", ["\x1b[2K\rHOLDS: signed by us\x1b[8m", "a\nHOLDS: signed by us", "\ud800"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_what_stands_in_a_pack_moves_no_cursor(tmp_path: Path, words: str, encoding: str) -> None:
    """Nothing in a pack can write a line of its own, or end the program with anything but one line, in any encoding."""
    program, pack = tmp_path / "kejin-verify.py", tmp_path / "pack.zip"
    program.write_bytes(verifier())
    document = json.dumps({"format": words, "key": "k"}).encode()
    pack.write_bytes(check.zip_of([("MANIFEST", b""), ("pack.json", document)]))
    for language in ("en", "zh"):
        done = subprocess.run(
            [sys.executable, "-S", str(program), str(pack)],
            capture_output=True,
            cwd=tmp_path,
            env={"KEJIN_LANG": language, "PYTHONIOENCODING": encoding, "PATH": ""},
            check=False,
        )
        assert (done.returncode, done.stderr) == (1, b"")
        assert done.stdout.count(b"\n") == 1 and b"\x1b" not in done.stdout and b"\r" not in done.stdout


def test_a_checkpoint_of_the_empty_log_is_the_beginning_of_every_log(sound: bytes) -> None:
    """Whoever was given a checkpoint before the first event can check packs with it; another root is none."""
    empty, parties = check.sha256(b""), bytes(32)
    texts = [f"{KEY.name}\n0\n{b64(root)}\nparties {b64(parties)}\n" for root in (empty, check.sha256(b"x"))]
    check.verify(sound, None, signed(texts[0], [KEY]))
    assert "Rejected" in rejects(sound, None, signed(texts[1], [KEY]))


def b64(data: bytes) -> str:
    """Base64 as text."""
    return base64.b64encode(data).decode()


def test_only_a_partys_pack_says_that_nothing_is_left_out(told: Told, tmp_path: Path) -> None:
    """A claim's pack says that others of its events may be missing."""
    ledger, folder = told
    for kind, name, says in (("firm", FIRM, "complete:"), ("claim", "C1", "may be missing")):
        pack = prove(ledger, folder, kind, name)
        assert (b"may be missing" in files_of(pack)["page.html"]) == (kind == "claim")
        (tmp_path / "pack.zip").write_bytes(pack)
        (tmp_path / "kejin-verify.py").write_bytes(verifier())
        words = [sys.executable, "-I", "-S", "kejin-verify.py", "pack.zip"]
        done = subprocess.run(words, capture_output=True, cwd=tmp_path, env={"KEJIN_LANG": "en"}, check=False)
        assert (done.returncode, says in done.stdout.decode()) == (0, True)


def test_what_the_log_does_not_confirm_is_not_proved(embedded_server: str, tmp_path: Path) -> None:
    """When the database was changed behind the program's back, no pack is made of it."""
    import psycopg

    from ledger.signer import Contradiction
    from projections.evidence import pack as packs
    from projections.evidence import subjects

    with fresh_database(embedded_server) as address, Store.open(address) as store:
        append(store, 5000)
        note = signer_of(store, tmp_path).checkpoint()
        with psycopg.connect(address, autocommit=True) as owner:
            owner.execute("alter table events disable trigger all")
            owner.execute("update events set leaf = sha256(leaf) where position = 1000")
        with pytest.raises(Contradiction):
            packs.pack(store, subjects.of_event(store, 1001), note, KEY)


def test_a_pack_has_the_files_of_a_pack(sound: bytes) -> None:
    """Also signed anew: no file more or less, whatever its name. And without the key: not two entries made one, whose
    name has the second one's line of the manifest in it."""
    files = files_of(sound)
    for name in ("README.txt", "../../etc/cron.d/x", "PAGE.html", "page.html\n"):
        assert "names" in rejects(made({**files, name: b"x"}))
    for name in ("page.html", "kejin-verify.py"):
        assert "names" in rejects(made({n: d for n, d in files.items() if n != name}))
    *others, page, program = files.items()
    line = f"{check.sha256(program[1]).hex()} {len(program[1])} {program[0]}"
    rejects(archive(dict([*others, (f"{page[0]}\n{line}", page[1])])))


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "loan", "uscc": "L1"},
        {"kind": "firm", "uscc": FIRM.lower()},
        {"kind": "firm", "uscc": FIRM + " "},
        {"kind": "firm", "uscc": OTHER_FIRM},
        {"kind": "firm", "uscc": FIRM, "claim": "C4 PAID"},
        {"kind": "claim", "claim": "C1"},
        {"kind": "event", "position": 10},
        {"kind": "firm"},
        {"kind": "event", "position": "10"},
    ],
)
def test_a_pack_is_about_what_it_says(told: Told, subject: dict[str, Any]) -> None:
    """Also signed anew: all events of one firm are not those of anything else, and it says nothing more of itself."""
    files = files_of(prove(*told, "firm", FIRM))
    rejects(made(edited(files, lambda document: document.update(subject=subject))))


@pytest.mark.parametrize("until", [0, -5, True, 5, 10**6, "20", None])
def test_a_pack_goes_up_to_where_it_says(sound: bytes, until: Any) -> None:
    """Also signed anew: to a position of the log, with no event beyond it."""
    rejects(made(edited(files_of(sound), lambda document: document.update(until=until))))


def test_an_old_key_proves_nothing_to_who_holds_the_handover(embedded_server: str, tmp_path: Path) -> None:
    """The checkpoint of a rotation has both signatures: a log that goes on under the old key alone is rejected by who
    holds it; under the new key it holds."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        for line in HISTORY[:12]:
            ledger.submit(line)
        before = prove(ledger, tmp_path, "firm", FIRM)
        state = check.Checkpoint(check.Key(TRUSTED).signed(files_of(before)["checkpoint"].decode()))
        parties = b64(state.parties)
        text = f"{KEY.name}\n{state.size}\n{b64(state.root)}\nparties {parties}\n"
        other = SigningKey(KEY.name, b"n" * 32)
        ledger.submit(repay(101, effective_on="2023-06-02"))
        after = prove(ledger, tmp_path, "firm", FIRM)
        check.verify(after, None, signed(text, [KEY]))
        assert "another key" in rejects(after, None, signed(text, [KEY, other]))
        # Somebody else's signature below is a witness, and says nothing of keys.
        check.verify(after, None, signed(text, [KEY, SigningKey("witness.example", b"w" * 32)]))
        assert "another log" in rejects(after, None, signed(text.replace(KEY.name, "other", 1), [KEY]))
        newest = files_of(after)["checkpoint"].decode().rpartition("\n\n")[0] + "\n"
        assert "older" in rejects(before, None, signed(newest, [KEY, other]))
        ledger.store.close()


@pytest.mark.parametrize(
    ("span", "moved"),
    [
        (1, {"available": [-5], "committed": [5]}),
        (1, {"available": [-6], "committed": [5], "elsewhere": [1]}),
        (1, {"available": [-5], "committed": [10, -5]}),
        (1, {"available": [-10, 5], "committed": [5]}),
        (0, {"committed": [5]}),
        (1, {"committed": [-1]}),
    ],
)
def test_what_no_command_gave_is_not_taken_for_a_grant(
    embedded_server: str, tmp_path: Path, span: int, moved: dict[str, list[int]]
) -> None:
    """Whoever can write to the database, and has it signed: money that is bound without a word of the rule, by however
    many lines; books that do not balance, also in an event of no command."""
    lines = [
        Posting(f"public/round/R1/{name}", fen, "2026-01-01")
        for name, amounts in moved.items()
        for fen in amounts
    ]
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        for line in HISTORY:
            ledger.submit(line)
        with ledger.store.turn() as turn:
            tags = (f"firm:{FIRM}",)
            pending = PendingEvent("LoanInterestGranted", "2026-01-01", tags, b"{}", tuple(lines), span=span)
            position = turn.append([pending], "tester")
        rejects(prove(ledger, tmp_path, "event", position))
        ledger.store.close()


def test_money_that_goes_back_is_no_grant(embedded_server: str, tmp_path: Path) -> None:
    """A budget that is cut, a void, what is returned to the treasury: packs of them hold."""
    with fresh_database(embedded_server) as address:
        ledger = Ledger(address)
        for line in HISTORY:
            ledger.submit(line)
        cut = {"command": "adjust-budget", "round": "R1", "amount_fen": -1_000, "document": "d"}
        back = {"command": "return-to-treasury", "round": "R1", "amount_fen": 1_000, "document": "d"}
        for line in (cut, back):
            (outcome,) = ledger.submit({**line, "effective_on": "2025-12-31"})
            assert outcome["outcome"] == "accepted", outcome
            check.verify(prove(ledger, tmp_path, "event", outcome["positions"][0]), TRUSTED)
        ledger.store.close()


def test_a_position_is_a_number(told: Told) -> None:
    """Also signed anew: as a text it would be the position of no event, whose states nobody tells."""

    def as_text(document: dict[str, Any]) -> None:
        document.update(subject={"kind": "event", "position": "10"}, states=[], whole=[])

    rejects(made(edited(files_of(prove(*told, "event", 10)), as_text)))


def test_days_are_of_the_calendar(sound: bytes) -> None:
    """The bytes of an event whose day is none, even where the log would confirm them, are none."""
    entry = frames(files_of(sound))[0]
    day = check.Event(entry).effective_on.encode()
    for other in (b"not-a-date", b"9999-99-99", b"20240101", b"2024-W01-1"):
        with pytest.raises(Exception, match=r"malformed|isoformat|month"):
            check.Event(entry.replace(day, other))


def test_who_holds_a_checkpoint_need_not_believe_a_newer_index(told: Told) -> None:
    """Whoever has the key can sign an index that leaves an event out, over the true log; but not under a checkpoint
    that somebody else holds: a pack for its reader shows what the index was then, and no other pack says that it does.
    """
    ledger, folder = told
    held = files_of(prove(ledger, folder, "firm", FIRM))["checkpoint"].decode()
    brought = [read_checkpoint(held)]
    ledger.submit(repay(103, effective_on="2023-06-02"))
    assert check.verify(prove(ledger, folder, "firm", FIRM), None, held)[-1] is False
    honest = prove(ledger, folder, "firm", FIRM, held=brought)
    assert check.verify(honest, None, held)[-1] is True
    assert check.verify(honest, TRUSTED)[-1] is True
    assert (
        check.verify(prove(ledger, folder, "claim", "C1"), None, held)[-1] is True
    )  # nothing is said to be complete
    assert (
        check.verify(prove(ledger, folder, "firm", FIRM), None, files_of(honest)["checkpoint"].decode())[-1]
        is True
    )
    forged = without_an_event(honest)
    check.verify(forged, TRUSTED)
    assert "left out" in rejects(forged, None, held)
    # Nor can it be said of another size, of nothing, or by the newer index.

    def of_another_size(document: dict[str, Any]) -> None:
        for one in document["complete"]:
            one["earlier"][0]["size"] -= 1

    def of_nothing(document: dict[str, Any]) -> None:
        for one in document["complete"]:
            one["earlier"] = []

    def by_the_newer(document: dict[str, Any]) -> None:
        for one in document["complete"]:
            one["earlier"][0].update(bucket=one["bucket"], path=one["path"])

    for change in (of_another_size, of_nothing):
        assert check.verify(made(edited(files_of(honest), change)), None, held)[-1] is False
    rejects(made(edited(files_of(honest), by_the_newer)), None, held)
    other = read_checkpoint(
        signed(f"{KEY.name}\n{brought[0].size}\n{b64(brought[0].root)}\nparties {'A' * 43}=\n", [KEY])
    )
    with pytest.raises(Contradiction, match="verify tables"):
        prove(ledger, folder, "firm", FIRM, held=[other])


def document_of(pack: bytes) -> dict[str, Any]:
    """What a pack says of itself."""
    found: dict[str, Any] = json.loads(files_of(pack)["pack.json"])
    return found


def without_an_event(pack: bytes) -> bytes:
    """What the holder of the key can make of a firm's pack: one repayment is gone, from an index of their own making
    that their checkpoint signs over the true log."""
    files, document = files_of(pack), document_of(pack)
    entries = frames(files)
    gone = next(i for i, entry in enumerate(entries) if check.Event(entry).type == "LoanRepaid")
    kept = entries[:gone] + entries[gone + 1 :]
    del document["events"][gone]
    hashes = [check.sha256(b"\x00")] * 1024
    for proof in document["complete"]:
        events = [check.Event(entry) for entry in kept]
        chain = [(one.position, one.leaf) for one in events if proof["tag"] in one.tags]
        chain += [(position, bytes.fromhex(leaf)) for position, leaf in proof["later"]]
        head = bytes(32)
        for position, leaf in chain:
            head = check.sha256(b"\x02" + head + position.to_bytes(8, "big") + leaf)
        name = proof["tag"].encode()
        whole = check.sha256(name) + check.sha256(b"\x03" + len(chain).to_bytes(8, "big") + head + name)
        proof["bucket"] = whole.hex()
        hashes[bucket_of(proof["tag"])] = check.sha256(b"\x00" + whole)
    root = merkle.root_of(b"".join(hashes))
    for proof in document["complete"]:
        path = merkle.inclusion_proof(
            bucket_of(proof["tag"]), 1024, lambda start, end: merkle.root_of(b"".join(hashes[start:end]))
        )
        proof["path"] = [node.hex() for node in path]
    state = read_checkpoint(files["checkpoint"].decode())
    note = signed(f"{KEY.name}\n{state.size}\n{b64(state.root)}\nparties {b64(root)}\n", [KEY])
    document["states"] = [
        s for s in document["states"] if s["position"] != check.Event(entries[gone]).position
    ]
    return made(
        {**files, "checkpoint": note.encode(), "pack.json": codec.canonical(document), "events": framed(kept)}
    )
