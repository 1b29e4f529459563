"""kejin key: the key that signs the ledger's checkpoints."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import psycopg
import typer

from api.language import say
from api.printing import print_json
from api.problems import Problem
from api.recording import Principal, acting_name
from api.session import Data, Json, ledger
from api.signing import KEY_VARIABLE, keyring_of, needed_key
from ledger import codec
from ledger.dates import today_in_shanghai
from ledger.key_events import EVENT_TYPE, adoption
from ledger.keyring import Keyring
from ledger.notes import SigningKey, is_name
from ledger.signer import Signer
from ledger.sql import load
from ledger.store import Store

#: The advisory lock of whoever adopts or rotates the key, on the ledger's own database.
KEY_LOCK: Final = 0x6B656A696E04

_QUERIES: Final = load("api", "queries.sql")


class Action(StrEnum):
    """What to do with the key."""

    show = "show"
    adopt = "adopt"
    rotate = "rotate"


def command(
    action: Annotated[
        Action,
        typer.Argument(metavar="[ACTION]", help="show (the default), adopt or rotate. 显示、启用或更换。"),
    ] = Action.show,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="adopt: the log's name for a new key, e.g. kjt.example.cn/ledger. 新密钥名称。",
        ),
    ] = None,
    principal: Principal = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """The key that signs checkpoints: its public half, for whoever checks. 检查点签名密钥。

    Standard output has the public half alone, for kejin-verify.py --key; the rest is said on standard error.
    The private half is a file outside the database (mode 0600): signing-key in the data folder, which is made when it
    is first needed; for a database by address the file that KEJIN_SIGNING_KEY names. adopt makes it where there is none
    and records the public half in the log; rotate hands over to a new key, which the old one signs. A copy of the old
    file is not kept. Who has the database but not this file can sign nothing.
    """
    if name is not None and (action is not Action.adopt or not is_name(name)):
        raise Problem(
            say("--name names a new key at adopt: no blanks, no +", "--name 仅用于 adopt，不含空白与加号")
        )
    with ledger(data) as store:
        if action is Action.show:
            keyring, key = needed_key(data)
            position = None
        else:
            acting = acting_name(principal)
            keyring = _keyring(data)
            with _alone(store):
                key, position = (_adopt if action is Action.adopt else _rotate)(store, keyring, acting, name)
        adopted = _adopted(store)
    _show(keyring, key, adopted, position, as_json)


@contextlib.contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Nobody else hands this ledger's key over meanwhile: each hands over from the key that it finds."""
    store.connection.execute(_QUERIES["take_lock"], {"lock": KEY_LOCK})
    try:
        yield
    finally:
        with contextlib.suppress(psycopg.OperationalError):  # gone: and with it the lock
            store.connection.execute(_QUERIES["release_lock"], {"lock": KEY_LOCK})


def _keyring(data: Path | None) -> Keyring:
    keyring = keyring_of(data)
    if keyring is None:
        raise Problem(say(f"set {KEY_VARIABLE} to the file of the key", f"请以 {KEY_VARIABLE} 指明密钥文件"))
    return keyring


def _adopted(store: Store) -> list[tuple[int, dict[str, Any]]]:
    """The key events of the log: position and data."""
    until = store.head().position
    events = store.stored_events(0, until, event_type=EVENT_TYPE)
    return [(event.position, codec.parse_object(event.data)) for event in events if event.span]


def _adopt(store: Store, keyring: Keyring, acting: str, name: str | None) -> tuple[SigningKey, int | None]:
    if name is not None and keyring.key() is not None:
        raise Problem(say(f"there is a key already: {keyring.path}", f"密钥已存在：{keyring.path}"))
    key = keyring.made(name)
    if any(data.get("key") == str(key.verifier) for _, data in _adopted(store)):
        return key, None
    signer = Signer(store, keyring, key)
    with store.turn() as turn:
        position = turn.append([adoption(key.verifier, today_in_shanghai())], acting)
    signer.checkpoint()
    return key, position


def _rotate(store: Store, keyring: Keyring, acting: str, name: str | None) -> tuple[SigningKey, int | None]:
    """Hand over to a new key. Interrupted before the new key was in its place and run again, it goes on with the same
    new key; interrupted after that, the next rotation is another one."""
    old = keyring.key()
    if old is None:
        raise Problem(
            say("there is no key to rotate; begin with kejin key adopt", "尚无密钥；请先运行 kejin key adopt")
        )
    waiting = Keyring(keyring.path.with_name(keyring.path.name + ".next"))
    left = waiting.key()
    if left is not None and left.verifier == old.verifier:
        waiting.path.unlink()
    new = waiting.made(old.name)
    position = next((p for p, data in _adopted(store) if data.get("key") == str(new.verifier)), None)
    signer = Signer(store, keyring, old)
    signer.checkpoint()  # what contradicts the old key's signatures is not handed over
    if position is None:
        with store.turn() as turn:
            position = turn.append([adoption(new.verifier, today_in_shanghai(), old)], acting)
    signer.checkpoint(also=[new])
    keyring.replace(new)
    waiting.path.unlink(missing_ok=True)
    return new, position


def _show(
    keyring: Keyring,
    key: SigningKey,
    adopted: list[tuple[int, dict[str, Any]]],
    position: int | None,
    as_json: bool,
) -> None:
    shown = [
        {"position": at, "key": data.get("key"), "replaces": data.get("replaces")} for at, data in adopted
    ]
    if as_json:
        document = {"key": str(key.verifier), "file": str(keyring.path), "adopted": shown}
        print_json(document | ({"position": position} if position else {}))
        return
    print(key.verifier)  # and nothing else: it is for `--key`, or a file
    beside = [say(f"private half in {keyring.path}", f"私钥文件：{keyring.path}")]
    beside += [
        say(f"adopted @{one['position']}  {one['key']}", f"启用 @{one['position']}  {one['key']}")
        for one in shown
    ]
    print("\n".join(beside), file=sys.stderr)
