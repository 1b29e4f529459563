"""kejin checkpoint: the signed state of the log, to show and to give away."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from api.language import say
from api.printing import print_json
from api.problems import Problem
from api.session import Data, Json, ledger
from api.signing import own_key
from ledger.notes import NotANote, VerifierKey, read_checkpoint
from ledger.signer import Signer
from ledger.store import Store


class Action(StrEnum):
    """What to do with the checkpoint."""

    show = "show"
    publish = "publish"


def command(
    action: Annotated[
        Action, typer.Argument(metavar="[ACTION]", help="show (the default), or publish. 显示或公布。")
    ] = Action.show,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FOLDER",
            help="publish: write it there; without, to standard output. 写入该文件夹。",
        ),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """The newest signed checkpoint, signed now if the log went on since. 最新的签名检查点。

    publish writes it for someone else to hold: <events>.checkpoint and the public key <name>.key in a folder, or the
    note itself on standard output. Whoever holds it finds out if anything before it is ever changed or cut off:
    kejin verify log --checkpoint FILE, kejin-verify.py PACK --checkpoint FILE.
    """
    if to is not None and action is not Action.publish:
        raise Problem(say("--to goes with publish", "--to 须与 publish 一起使用"))
    with ledger(data) as store:
        note, key = _newest(store, data)
        state = read_checkpoint(note)
        if action is Action.publish:
            store.query_nothing("save_published", size=state.size)
    written = _publish(note, state.size, key, to) if to is not None else None
    if as_json:
        print_json(
            {
                "origin": state.origin,
                "size": state.size,
                "root": state.root.hex(),
                "parties": state.parties.hex(),
                "note": note,
                **({"key": str(key)} if key else {}),
                **({"file": str(written)} if written else {}),
            }
        )
    elif written is not None:
        print(written)
    else:
        print(note, end="")


def _newest(store: Store, data: Path | None) -> tuple[str, VerifierKey | None]:
    own = own_key(data, make=True)
    if own is not None:
        signer = Signer(store, *own)
        return signer.checkpoint(), signer.key.verifier
    rows = store.query("newest_checkpoint")
    try:
        if rows:
            read_checkpoint(rows[0][1])
            return rows[0][1], None
    except NotANote:
        pass
    raise Problem(
        say(
            "nothing is signed yet, and there is no key here: set KEJIN_SIGNING_KEY and run kejin key adopt",
            "尚无签名，且此处没有密钥：请设置 KEJIN_SIGNING_KEY 并运行 kejin key adopt",
        )
    )


def _publish(note: str, size: int, key: VerifierKey | None, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{size:012}.checkpoint"
    file.write_text(note, encoding="utf-8")
    if key is not None:
        (folder / f"{key.name.replace('/', '_')}.key").write_text(f"{key}\n", encoding="utf-8")
    return file
