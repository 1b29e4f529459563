"""The command line of proof: keys, checkpoints, packs, and verification against what is held outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ledger.key_events import adoption
from ledger.keyring import Keyring
from ledger.notes import SigningKey, signed
from ledger.signer import SIGNING_LOCK, Signer
from ledger.store import Store
from tests.cli.program import BANK, FIRM, OPENING, ROOT, Program, claim, data_folder, pay, publicise, repay

KEY_FILE = "signing-key"
STREAMS: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A data folder with a short history; its server stays up meanwhile."""
    folder = tmp_path_factory.mktemp("folder") / "data"
    with data_folder(folder, absent=True) as kejin:
        kejin.ask("database")
        kejin.record(*OPENING, claim(), publicise(), pay())
        yield kejin


def verifier(kejin: Program, folder: Path) -> Path:
    """kejin-verify.py as `kejin prove --verifier` gives it."""
    file = folder / "kejin-verify.py"
    assert kejin("prove", "--verifier", "-o", file).code == 0
    return file


def holds(program: Path, *arguments: object) -> tuple[int, str]:
    """The verifier's exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-I", str(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={"KEJIN_LANG": "en"},
        check=False,
    )
    return done.returncode, done.stdout


def folder_of(kejin: Program) -> Path:
    """The data folder."""
    assert kejin.data is not None
    return kejin.data


def test_at_rest_the_whole_log_is_signed(told: Program) -> None:
    """After a run the newest checkpoint covers every event, and lies outside the database, private to its owner."""
    events = len(told.events())
    state = told.ask("checkpoint")
    assert (state["size"], state["root"]) == (events, told.ask("verify", "log")["root"])
    kept = folder_of(told) / f"{KEY_FILE}.checkpoint"
    assert kept.read_text(encoding="utf-8") == state["note"]
    assert [oct(file.stat().st_mode & 0o777) for file in (kept, folder_of(told) / KEY_FILE)] == [
        "0o600",
        "0o600",
    ]


def test_a_slow_sender_is_signed_line_by_line(tmp_path: Path) -> None:
    """Each outcome is followed by a checkpoint when no more lines wait."""
    with data_folder(tmp_path / "data") as kejin:
        kejin.record(*OPENING)
        process = kejin.start("run", "-", "--json")
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(claim()).encode() + b"\n")
        process.stdin.flush()
        position = json.loads(process.stdout.readline())["positions"][-1]
        process.stdin.write(json.dumps(publicise()).encode() + b"\n")
        process.stdin.flush()
        json.loads(process.stdout.readline())  # the batch before was signed before this one was read
        kept = (tmp_path / "data" / f"{KEY_FILE}.checkpoint").read_text(encoding="utf-8")
        assert int(kept.split("\n")[1]) >= position
        assert kejin.finish(process).code == 0


@pytest.mark.parametrize("what", [(6,), ("--claim", "C1"), ("--firm", FIRM), ("--bank", BANK)])
def test_prove(told: Program, tmp_path: Path, what: tuple[object, ...]) -> None:
    """A pack of each kind holds under the ledger's key and under a published checkpoint; the page is in it."""
    pack = tmp_path / "pack.zip"
    document = told.ask("prove", *what, "-o", pack)
    assert document["file"] == str(pack) and document["events"] >= 1
    program, key = verifier(told, tmp_path), told.ask("key")["key"]
    assert holds(program, pack, "--key", key)[0] == 0
    published = told.ask("checkpoint", "publish", "--to", tmp_path / "held")["file"]
    assert holds(program, pack, "--checkpoint", published)[0] == 0
    code, said = holds(program, pack)
    assert code == 0 and "only consistent with itself" in said
    assert b"page.html" in pack.read_bytes() and "证据包".encode() in pack.read_bytes()


def test_the_key_stands_alone_on_standard_output(told: Program, tmp_path: Path) -> None:
    """So that it can be handed to the verifier as it is, in a file or as a word; where its private half lies and since
    when it is in use is said beside it, in both languages."""
    known = told.ask("key", "adopt")
    for lang, private, adopted in (("en", "private half in ", "adopted @"), ("zh", "私钥文件：", "启用 @")):
        shown = told("key", KEJIN_LANG=lang)
        assert (shown.code, shown.out.decode()) == (0, known["key"] + "\n")
        first, *others = shown.err.splitlines()
        assert first == private + known["file"]
        assert others == [f"{adopted}{one['position']}  {one['key']}" for one in known["adopted"]] != []
    (tmp_path / "held").write_bytes(told("key").out)
    program, pack = verifier(told, tmp_path), tmp_path / "pack.zip"
    told.ask("prove", 6, "-o", pack)
    assert holds(program, pack, "--key", tmp_path / "held")[0] == 0
    assert holds(program, pack, "--key", told("key").out.decode().strip())[0] == 0


def test_published_checkpoints_stay_provable(tmp_path: Path) -> None:
    """A checkpoint that was given away fits later packs, across a rotation of the key; the old key does as well."""
    with data_folder(tmp_path / "data") as kejin:
        kejin.ask("database")
        kejin.record(*OPENING)
        old = kejin.ask("key")["key"]
        held = kejin.ask("checkpoint", "publish", "--to", tmp_path / "held")["file"]
        kejin.record(claim())
        rotated = kejin.ask("key", "rotate")
        assert rotated["key"] != old
        assert [entry["replaces"] for entry in rotated["adopted"]] == [old]
        (event,) = kejin.events("--type", "SigningKeyAdopted")
        assert (event["position"], event["span"], event["postings"]) == (rotated["position"], 1, [])
        kejin.record(publicise())
        pack = tmp_path / "pack.zip"
        kejin.ask("prove", "--claim", "C1", "-o", pack)
        program = verifier(kejin, tmp_path)
        for brought in (("--checkpoint", held), ("--key", old), ("--key", rotated["key"])):
            assert holds(program, pack, *brought)[0] == 0
        report = kejin.ask("verify", "all", "--checkpoint", held)
        assert (report["ok"], report["notices"]) == (True, [])
        assert kejin.ask("verify", "all", "--key", old)["ok"]


def test_a_rotation_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    """Interrupted after its event was recorded, a rotation run again ends with that same key, and no second event."""
    with data_folder(tmp_path / "data") as kejin:
        kejin.ask("database")
        kejin.record(*OPENING)
        folder = tmp_path / "data"
        before = (folder / KEY_FILE).read_bytes()
        rotated = kejin.ask("key", "rotate")
        (folder / f"{KEY_FILE}.next").write_bytes((folder / KEY_FILE).read_bytes())
        (folder / KEY_FILE).write_bytes(before)  # as it stood before the new key took its place
        assert kejin.ask("key", "rotate")["key"] == rotated["key"]
        assert len(kejin.events("--type", "SigningKeyAdopted")) == 1
        assert not (folder / f"{KEY_FILE}.next").exists()
        assert kejin.ask("verify", "all")["ok"]


def test_a_rotation_cut_off_at_its_very_end_hides_no_other(tmp_path: Path) -> None:
    """Where the file of the new key was left beside it, the next rotation makes another key all the same."""
    with data_folder(tmp_path / "data") as kejin:
        kejin.ask("database")
        kejin.record(*OPENING)
        folder = tmp_path / "data"
        first = kejin.ask("key", "rotate")
        (folder / f"{KEY_FILE}.next").write_bytes((folder / KEY_FILE).read_bytes())
        assert kejin.ask("key", "rotate")["key"] != first["key"]
        assert kejin.ask("verify", "log")["ok"]


def test_adopt_records_the_key_once(tmp_path: Path) -> None:
    """The public half goes into the log; adopted again it is already there. A name can only be given to a new key."""
    with data_folder(tmp_path / "data") as kejin:
        kejin.ask("database")
        first = kejin.ask("key", "adopt", "--name", "kjt.example.cn/ledger")
        assert first["key"].startswith("kjt.example.cn/ledger+") and first["position"] == 1
        assert "position" not in kejin.ask("key", "adopt")
        assert kejin.ask("key")["adopted"] == [{"position": 1, "key": first["key"], "replaces": None}]
        assert kejin("key", "adopt", "--name", "other").code == 2
        assert kejin("key", "rotate", "--name", "other").code == 2


def test_what_waits_while_the_key_is_handed_over_is_signed_with_the_new_one(tmp_path: Path) -> None:
    """A pack and a published checkpoint that wait for a rotation, and an event after it, name the key that signed."""
    with data_folder(tmp_path / "data") as kejin:
        address = kejin.ask("database")["address"]
        kejin.record(*OPENING, claim())
        pack, held = tmp_path / "pack.zip", tmp_path / "held"
        keyring = Keyring(tmp_path / "data" / KEY_FILE)
        old = keyring.key()
        assert old is not None
        new = SigningKey.generate(old.name)
        with Store.open(address) as store, psycopg.connect(address, autocommit=True) as watching:
            store.connection.execute(f"select pg_advisory_lock({SIGNING_LOCK})".encode())
            waiting = [
                kejin.launch(words, {}, **STREAMS)
                for words in (("prove", 6, "-o", pack), ("checkpoint", "publish", "--to", held))
            ]
            while watching.execute(
                "select count(*) from pg_locks where locktype = 'advisory' and not granted"
            ).fetchone() != (len(waiting),):
                assert all(process.poll() is None for process in waiting)
            signer = Signer(store, keyring, old)
            with store.turn() as turn:
                turn.append([adoption(new.verifier, "2026-01-01", old)], "tester")
            signer.checkpoint(also=[new])
            keyring.replace(new)
            with store.turn() as turn:
                turn.append([adoption(new.verifier, "2026-01-01")], "tester")  # any event
            store.connection.execute(f"select pg_advisory_unlock({SIGNING_LOCK})".encode())
            assert [kejin.finish(process).code for process in waiting] == [0, 0]
        (published,) = held.glob("*.key")
        assert published.read_text("utf-8").strip() == str(new.verifier)
        program = verifier(kejin, tmp_path)
        for brought in ((), ("--key", new.verifier), ("--key", old.verifier)):
            assert holds(program, pack, *brought)[0] == 0


def test_a_pack_goes_on_only_from_a_checkpoint_of_its_log(told: Program, tmp_path: Path) -> None:
    """A checkpoint of another ledger, shorter or longer, is refused where it is brought, not first by the verifier."""
    size = told.ask("checkpoint")["size"]
    with data_folder(tmp_path / "other") as other:
        other.ask("database")
        for lines in (OPENING, [claim(f"D{n}", 1_000, f"2023-0{n + 1}-01") for n in range(6)]):
            other.record(*lines)
            held = Path(other.ask("checkpoint", "publish", "--to", tmp_path / "held")["file"])
            refused = told("prove", 3, "-o", tmp_path / "pack.zip", "--checkpoint", held)
            assert (refused.code, "no checkpoint of this log" in refused.complaint) == (2, True)
        assert int(held.stem) > size
    own = told.ask("checkpoint", "publish", "--to", tmp_path / "own")["file"]
    assert told("prove", 3, "-o", tmp_path / "pack.zip", "--checkpoint", own).code == 0


@pytest.mark.parametrize("content", ["", "root:x:0:0:root:/root:/bin/bash\n", '{"size": 3}'])
def test_what_is_no_checkpoint_is_no_evidence(told: Program, tmp_path: Path, content: str) -> None:
    """Brought to a check, a file that is none is unusable input: nothing is said of the log. One that somebody else
    signed is a finding."""
    file = tmp_path / "held"
    file.write_text(content)
    answer = told("verify", "log", "--checkpoint", file)
    assert (answer.code, answer.out) == (2, b"")
    assert answer.complaint == f"{file} is not a checkpoint"
    thief = SigningKey("elsewhere", b"t" * 32)
    file.write_text(signed(f"elsewhere\n1\n{'A' * 43}=\nparties {'A' * 43}=\n", [thief]))
    answer = told("verify", "log", "--checkpoint", file, "--json")
    assert answer.code == 1
    assert "not signed by a key that is known here" in answer.document["findings"][0]["detail"]


def test_rotations_at_once_are_one_after_the_other(tmp_path: Path) -> None:
    """Each hands over from the key that is in place then: whoever trusts any of the keys trusts all after it."""
    with data_folder(tmp_path / "data") as kejin:
        kejin.ask("database")
        kejin.record(*OPENING)
        for _ in range(3):
            rotating = [kejin.launch(("key", "rotate"), {}, **STREAMS) for _ in range(4)]
            assert [kejin.finish(process).code for process in rotating] == [0] * 4
        adopted = kejin.ask("key")["adopted"]
        assert len(adopted) == 12
        assert [later["replaces"] for later in adopted[1:]] == [earlier["key"] for earlier in adopted[:-1]]
        for one in (adopted[0]["replaces"], adopted[5]["key"]):
            report = kejin.ask("verify", "log", "--key", one)
            assert (report["ok"], report["notices"]) == (True, [])


def test_adoptions_at_once_are_one(tmp_path: Path) -> None:
    """The key is recorded once."""
    with data_folder(tmp_path / "data") as kejin:
        kejin.ask("database")
        adopting = [kejin.launch(("key", "adopt"), {}, **STREAMS) for _ in range(4)]
        assert [kejin.finish(process).code for process in adopting] == [0] * 4
        assert len(kejin.ask("key")["adopted"]) == 1


def test_a_tail_cut_off_is_found(tmp_path: Path) -> None:
    """The newest events deleted with all that follows from them: found by the note in the folder, and by one held."""
    with data_folder(tmp_path / "data") as kejin:
        address = kejin.ask("database")["address"]
        kejin.record(*OPENING, claim())
        held = kejin.ask("checkpoint", "publish", "--to", tmp_path / "held")["file"]
        with psycopg.connect(address, autocommit=True) as owner:
            for table in ("events", "event_tags", "accounts"):
                owner.execute(f"alter table {table} disable trigger all".encode())
            owner.execute("delete from events where position > 5; delete from event_tags where position > 5")
            owner.execute(
                "delete from accounts where id not in (select unnest(posting_accounts) from events)"
            )
            owner.execute("delete from kejin_work.checkpoints")
        for options in ((), ("--checkpoint", held)):
            answer = kejin("verify", "all", "--json", *options)
            assert answer.code == 1
            assert ("events", 6) in {(f.get("table"), f.get("position")) for f in answer.document["findings"]}
        again = kejin.run(repay())
        assert again.code == 0, again
        assert "run kejin verify log" in again.err  # recorded, and said that it is not signed
        assert kejin("prove", 5, "-o", tmp_path / "pack.zip").code == 2


def test_a_database_by_address_signs_with_a_named_key(database: str, tmp_path: Path) -> None:
    """Without KEJIN_SIGNING_KEY nothing is signed and nothing complains; with it, made by adopt, all is."""
    kejin, file = Program(database), tmp_path / "the-key"
    kejin.record(*OPENING)
    assert "KEJIN_SIGNING_KEY" in kejin("prove", 2, "-o", tmp_path / "pack.zip").complaint
    assert kejin("checkpoint").code == kejin("key").code == 2
    named = Program(database, environment={"KEJIN_SIGNING_KEY": str(file)})
    assert named("key").code == 2 and not file.exists()
    named.ask("key", "adopt")
    named.record(claim())
    assert named.ask("checkpoint")["size"] == len(named.events())
    named.ask("prove", 2, "-o", tmp_path / "pack.zip")
    assert named.ask("verify")["ok"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("prove", 1),
        ("prove", "-o", "x.zip"),
        ("prove", 1, "--claim", "C1", "-o", "x.zip"),
        ("prove", 100000, "-o", "x.zip"),
        ("prove", 0, "-o", "x.zip"),
        ("prove", "--claim", "C9", "-o", "x.zip"),
        ("prove", "--firm", "nonsense", "-o", "x.zip"),
        ("prove", "--firm", "911101066976941872", "-o", "x.zip"),
        ("prove", 1, "--checkpoint", os.devnull, "-o", "x.zip"),
        ("prove", 1, "--known-position", 100000, "-o", "x.zip"),
        ("checkpoint", "--to", "x"),
        ("checkpoint", "nonsense"),
        ("key", "nonsense"),
        ("verify", "--key", "nonsense"),
        ("verify", "--checkpoint", "absent"),
    ],
)
def test_unusable_input(told: Program, arguments: tuple[object, ...]) -> None:
    """Exit 2, one clear line, and no file is left."""
    answer = told(*arguments)
    assert answer.code == 2
    assert answer.complaint
    assert not (ROOT / "x.zip").exists()


def test_a_lost_key_is_not_replaced_unseen(tmp_path: Path) -> None:
    """Where a key has signed before and is gone, nothing is signed and that is said, until a new one is adopted."""
    with data_folder(tmp_path / "data") as kejin:
        kejin.ask("database")
        kejin.record(*OPENING)
        (tmp_path / "data" / KEY_FILE).unlink()
        recorded = kejin.run(claim())
        assert recorded.code == 0
        assert "is gone" in recorded.complaint
        assert "is gone" in kejin("checkpoint").complaint
        kejin.ask("key", "adopt")
        assert kejin.ask("checkpoint")["size"] == len(kejin.events())
        assert kejin.ask("verify")["ok"]


def test_a_damaged_note_is_found(tmp_path: Path) -> None:
    """A note beside the key that the key did not sign is a finding of verify."""
    with data_folder(tmp_path / "data") as kejin:
        kejin.ask("database")
        kejin.record(*OPENING)
        note = tmp_path / "data" / f"{KEY_FILE}.checkpoint"
        note.write_text(note.read_text(encoding="utf-8").replace("\n5\n", "\n4\n"), encoding="utf-8")
        answer = kejin("verify", "log", "--json")
        assert answer.code == 1
        assert "not signed" in answer.document["findings"][0]["detail"]


def test_a_damaged_key_is_said(tmp_path: Path) -> None:
    """A key file that is no key stops what needs it with one clear line, and is never overwritten."""
    with data_folder(tmp_path / "data") as kejin:
        kejin.ask("database")
        kejin.record(*OPENING)
        file = tmp_path / "data" / KEY_FILE
        file.write_text("nonsense\n")
        for arguments in (("checkpoint",), ("prove", 1, "-o", tmp_path / "x.zip"), ("key", "rotate")):
            assert str(file) in kejin(*arguments).complaint
        assert file.read_text() == "nonsense\n"
