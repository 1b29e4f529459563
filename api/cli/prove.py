"""kejin prove: an evidence pack, to be checked without us."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from api.language import say
from api.printing import print_json
from api.problems import Problem
from api.session import Data, Json, KnownPosition, ledger, read_uscc
from api.signing import needed_key, read_held
from ledger.notes import Checkpoint, read_checkpoint
from ledger.signer import Signer, root_at
from ledger.store import NotKnown, Store
from projections.evidence import subjects
from projections.evidence.pack import pack, verifier


def command(
    position: Annotated[
        int | None, typer.Argument(metavar="[POSITION]", help="One event. 一条事件。")
    ] = None,
    claim: Annotated[
        str | None,
        typer.Option("--claim", metavar="ID", help="A claim with all that it rests on. 一项申请。"),
    ] = None,
    firm: Annotated[
        str | None, typer.Option("--firm", metavar="USCC", help="All events of a firm. 一家企业的全部事件。")
    ] = None,
    bank: Annotated[
        str | None, typer.Option("--bank", metavar="USCC", help="All events of a bank. 一家银行的全部事件。")
    ] = None,
    known_position: KnownPosition = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="Its reader holds this one: show that the log goes on from it, and of a firm or bank that "
            "nothing before it is left out. 读者所持检查点。",
        ),
    ] = None,
    with_verifier: Annotated[
        bool,
        typer.Option(
            "--verifier", help="Only the program that checks packs, kejin-verify.py. 仅输出校验程序。"
        ),
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write it. 输出文件。")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Write an evidence pack: one zip that proves an event, a claim, or all events of a firm or bank. 出具证据包。

    It holds the events' canonical bytes, the rules, each computation, caps and marks before and after, proofs that all
    of it is in the signed log, a page to read and print, and kejin-verify.py, which checks the pack anywhere:
    python kejin-verify.py FILE --key KEY. For a firm or bank it proves that no event was left out.
    """
    if output is None:
        raise Problem(say("say where to write it: -o FILE", "请用 -o FILE 指明输出文件"))
    wanted = [
        name
        for name, value in (("POSITION", position), ("--claim", claim), ("--firm", firm), ("--bank", bank))
        if value is not None
    ]
    if with_verifier and not wanted:
        output.write_bytes(verifier())
        _tell(output, as_json, {"file": str(output)})
        return
    if len(wanted) != 1 or with_verifier:
        raise Problem(
            say(
                "name one of POSITION, --claim, --firm, --bank, --verifier",
                "须且仅须给出 POSITION、--claim、--firm、--bank、--verifier 之一",
            )
        )
    if position is not None and known_position is not None:
        raise Problem(say("POSITION needs no --known-position", "POSITION 无需 --known-position"))
    read_uscc("--firm", firm)
    read_uscc("--bank", bank)
    held = [(path, read_held(path)[1]) for path in checkpoint or ()]
    with ledger(data) as store:
        own = needed_key(data)
        try:
            until = store.known_position(known_position if position is None else position)
            # One transaction: the lock of signing stays, and nobody puts the state of a newer checkpoint in between.
            with store.connection.transaction():
                signer = Signer(store, *own)
                note = signer.checkpoint()
                _check_held(store, held, read_checkpoint(note))
                subject = _subject(store, until, position, claim, firm, bank)
                proof = pack(store, subject, note, signer.key, [state for _, state in held])
        except NotKnown as error:
            raise Problem(say(f"not_known: {error}", f"not_known：{error.zh}")) from None
    output.write_bytes(proof)
    size = read_checkpoint(note).size
    document = {
        "file": str(output),
        "subject": dict(subject.named),
        "events": len(subject.events),
        "until": until,
        "size": size,
    }
    _tell(output, as_json, document)


def _subject(
    store: Store, until: int, position: int | None, claim: str | None, firm: str | None, bank: str | None
) -> subjects.Subject:
    if position is not None:
        return subjects.of_event(store, position)
    if claim is not None:
        return subjects.of_claim(store, claim, until)
    return subjects.of_party(store, "firm" if firm else "bank", firm or bank or "", until)


def _check_held(store: Store, held: Sequence[tuple[Path, Checkpoint]], newest: Checkpoint) -> None:
    """What the log does not go on from cannot be proved to be its beginning. Raises Problem."""
    for path, state in held:
        if state.size > newest.size or root_at(store, state.size) != state.root:
            raise Problem(
                say(
                    f"{path} is no checkpoint of this log: it says otherwise of its first {state.size} events; "
                    "if it should be one, run kejin verify log --checkpoint",
                    f"{path} 不是此日志的检查点：前 {state.size} 条与之不符；"
                    "若应相符，请运行 kejin verify log --checkpoint",
                )
            )


def _tell(output: Path, as_json: bool, document: dict[str, object]) -> None:
    if as_json:
        print_json(document)
    else:
        print(output)
