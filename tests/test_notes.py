"""Signed notes: the published example, our own round trip, and everything that must be refused."""

from __future__ import annotations

import base64

import pytest

from ledger.codec import parse_object
from ledger.key_events import adoption, trusted_keys
from ledger.notes import Checkpoint, NotANote, SigningKey, VerifierKey, opened, read_checkpoint, signed

# The example that C2SP's implementations share.
KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
OURS = SigningKey("kejin.example/ledger", bytes(range(32)))
STATE = Checkpoint(OURS.name, 7, bytes(32), bytes(range(32)))


def test_published_note() -> None:
    """The published note opens with the published key, whose text we write as it was read."""
    key = VerifierKey.read(KEY)
    assert str(key) == KEY
    assert opened(NOTE, [key]) == "This is an example message.\n"


def test_round_trip() -> None:
    """A checkpoint that we sign is read back, and the private key's text gives the same key."""
    note = signed(STATE.text(), [OURS])
    assert opened(note, [OURS.verifier]) == STATE.text()
    assert read_checkpoint(note) == STATE
    assert SigningKey.read(OURS.text()) == OURS
    assert VerifierKey.read(str(OURS.verifier)) == OURS.verifier


def test_unknown_signatures_are_passed_over() -> None:
    """Two keys sign, as at a rotation: whoever knows either is served, whoever knows neither is not."""
    other = SigningKey(OURS.name, bytes(32))
    note = signed(STATE.text(), [OURS, other])
    assert opened(note, [OURS.verifier]) == opened(note, [other.verifier]) == STATE.text()
    assert opened(note, [SigningKey(OURS.name, b"x" * 32).verifier]) is None


def test_a_wrong_signature_of_a_known_key_makes_the_note_worthless() -> None:
    """One good signature does not save a note that carries a wrong one of a key that is known too."""
    other = SigningKey(OURS.name, bytes(32))
    note = signed(STATE.text(), [OURS])
    false = base64.b64encode(other.verifier.id + OURS.sign(STATE.text().encode())).decode()
    assert opened(note + f"— {OURS.name} {false}\n", [OURS.verifier, other.verifier]) is None


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        NOTE.removesuffix("\n"),
        NOTE.replace("— ", "- "),
        NOTE.replace("\n\n", "\n"),
        NOTE + "more\n",
        NOTE.replace("=\n", "\n"),
        NOTE.replace("example message", "example\tmessage"),
    ],
)
def test_what_is_no_note(note: str) -> None:
    """What is not exactly a signed note is refused, not interpreted."""
    with pytest.raises(NotANote):
        opened(note, [VerifierKey.read(KEY)])


@pytest.mark.parametrize(
    "change", [("7", "8"), ("\n7\n", "\n07\n"), ("parties ", "Parties "), ("\n7\n", "\n-7\n")]
)
def test_a_changed_checkpoint(change: tuple[str, str]) -> None:
    """A checkpoint of another size or form is not signed, or is none."""
    note = signed(STATE.text(), [OURS]).replace(*change, 1)
    assert opened(note, [OURS.verifier]) is None or read_checkpoint(note) == STATE
    with pytest.raises(NotANote):
        read_checkpoint(signed("name\n1\nroot\n", [OURS]))


@pytest.mark.parametrize(
    "text", ["", "name", KEY.replace("530d903a", "530d903b"), KEY[:-4], KEY + "A", "a b" + KEY]
)
def test_what_is_no_key(text: str) -> None:
    """A key whose id is not its own, or that is cut, is refused."""
    with pytest.raises(NotANote):
        VerifierKey.read(text)


def test_a_seed_is_never_shown() -> None:
    """The representation of a private key, as tracebacks show it, does not hold its secret."""
    assert base64.b64encode(OURS.seed).decode()[2:20] not in repr(OURS)
    assert OURS.seed.hex() not in repr(OURS)


def test_handover() -> None:
    """Who trusts the old key trusts the one that it handed over to, and no other that the log merely names."""
    new, thief = SigningKey(OURS.name, b"n" * 32), SigningKey(OURS.name, b"t" * 32)
    handed = parse_object(adoption(new.verifier, "2026-01-01", OURS).data)
    forged = parse_object(adoption(thief.verifier, "2026-01-01", thief).data) | {
        "replaces": str(OURS.verifier)
    }
    bare = parse_object(adoption(thief.verifier, "2026-01-01").data)
    trusted = trusted_keys([OURS.verifier], [handed, forged, bare, {"key": 1}])
    assert {str(key) for key in trusted} == {str(OURS.verifier), str(new.verifier)}


def test_who_holds_the_new_key_owes_nothing_to_what_the_old_one_signs_later() -> None:
    """The key that came before is trusted for what it signed then; another that it hands over to, stolen meanwhile, is
    not. Who knows only the old key cannot tell the two apart."""
    new, evil = SigningKey(OURS.name, bytes(32)), SigningKey(OURS.name, b"e" * 32)
    handed = parse_object(adoption(new.verifier, "2026-01-01", OURS).data)
    stolen = parse_object(adoption(evil.verifier, "2026-01-02", OURS).data)
    own, theirs, old = str(new.verifier), str(evil.verifier), str(OURS.verifier)
    assert {str(key) for key in trusted_keys([new.verifier], [handed, stolen])} == {own, old}
    assert {str(key) for key in trusted_keys([OURS.verifier], [handed, stolen])} == {own, old, theirs}
