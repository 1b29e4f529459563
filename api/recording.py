"""Record a file of commands: what `run` and its relatives share. Reads, submits, reports as it is committed."""

from __future__ import annotations

import gc
import getpass
import os
import select
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from api.appending import start
from api.intake import BATCH_LINES_MAX, LINE_BYTES_MAX, Lines, batches, line_too_long, not_json
from api.language import language, say
from api.problems import Problem
from api.session import ledger
from api.signing import begun
from ledger import codec, commands
from ledger.catalogue import Catalogue, catalogue
from ledger.commands import TEXT, Command, InvalidCommand
from ledger.dates import Day, today_in_shanghai
from ledger.money import format_fen
from ledger.outcomes import Outcome
from ledger.pipeline import Pipeline
from ledger.rehearsal import Rehearsal
from ledger.store import Store

File = Annotated[str, typer.Argument(metavar="FILE", help="A file of lines; - is standard input.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Decide, but write nothing. 只试算，不写入。")]
Principal = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="Who acts; bound into the events. 操作人。"),
]

Decider = Pipeline | Rehearsal
#: Makes the JSON object of a command from a line's bytes. Raises codec.NotStrictJson, InvalidCommand.
Reading = Callable[[bytes], dict[str, Any]]
#: The number of a line, what it said, and what became of it.
Sent = tuple[int, Command | InvalidCommand, Outcome | None]


def write(store: Store, known: Catalogue, acting: str) -> Decider:
    """Decide and record."""
    return Pipeline(store, known, acting)


def rehearse(store: Store, known: Catalogue, acting: str) -> Decider:
    """Decide and write nothing."""
    return Rehearsal(store, known)


def record_file(
    file: str,
    data: Path | None,
    *,
    principal: str | None,
    as_json: bool,
    dry_run: bool = False,
    reading: Reading = codec.parse_object,
    seed: bytes = b"",
) -> int:
    """Record each line of a file as a command and print its outcome; the exit code.

    `seed` is part of the default keys of commands that make nothing, so that one list of claims can be first
    publicised and then paid.
    """
    # Memories live long and hold no cycles: looking for cycles among them over and over costs a tenth of the time.
    gc.disable()
    # Who writes while the next batch is decided must not wait 5 ms for the interpreter after every answer.
    sys.setswitchinterval(0.0005)
    report = Report(as_json)

    def deciding(store: Store, known: Catalogue, acting: str) -> Decider:
        made = (rehearse if dry_run else write)(store, known, acting)
        report.let_go = made.let_go if isinstance(made, Pipeline) else None
        return made

    for sent, read_bytes, progress in submit_file(file, data, principal, deciding, reading, seed):
        for number, item, outcome in sent:
            report.add(number, item, outcome)
        report.flush()
        progress.show(read_bytes, report.counts.total())
    report.summarise(dry_run)
    return report.exit_code


def submit_file(
    file: str,
    data: Path | None,
    principal: str | None,
    decider: Callable[[Store, Catalogue, str], Decider],
    reading: Reading = codec.parse_object,
    seed: bytes = b"",
) -> Iterator[tuple[list[Sent], int, Progress]]:
    """Batches of lines with their outcomes, each after its commit; how many bytes were read; the progress."""
    known = catalogue()
    acting = acting_name(principal)
    with _opened(file) as (descriptor, size), ledger(data, by_index=True) as store, ExitStack() as stack:
        deciding = decider(store, known, acting)
        pipeline = deciding if isinstance(deciding, Pipeline) else None
        if pipeline is not None:
            _prepare(stack.enter_context(pipeline), store, data)
        waiting: deque[_Read] = deque()
        read = _read_ahead(_readable(file, batches(descriptor, seed)), known, reading, waiting)
        progress = stack.enter_context(_progress(size))
        for outcomes in deciding.outcomes(read):
            batch = waiting.popleft()
            yield _matched(batch, outcomes), batch.read_bytes, progress
            # Outcomes are out before anything is signed. A batch that is not full took all that was waiting.
            if pipeline is not None:
                pipeline.committed(at_rest=not waiting and len(batch.items) < BATCH_LINES_MAX)
        if pipeline is not None:
            pipeline.committed(at_rest=True)


def _prepare(pipeline: Pipeline, store: Store, data: Path | None) -> None:
    """Let it sign what it wrote, and know how to start a process that writes and signs instead."""
    signing = begun(pipeline.reader, data, store)
    if signing is not None:
        pipeline.in_thread.sign = lambda at_rest: signing.committed(at_rest=at_rest)
    pipeline.start_child = lambda: start(store.address, data, sign=signing is not None and signing.is_active)


def acting_name(principal: str | None) -> str:
    """Who acts: the name given, else the system's user. Raises Problem."""
    acting = principal if principal is not None else _system_user()
    if not TEXT.accepts(acting):
        raise Problem(say(f"--as wants {TEXT.wanted_en}", f"--as 应为{TEXT.wanted_zh}"))
    return acting


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return f"uid-{os.getuid()}"


@contextmanager
def _opened(file: str) -> Iterator[tuple[int, int | None]]:
    """The input's descriptor and, for a regular file, its size."""
    if file == "-":
        if sys.stdin is None:
            raise Problem(say("standard input is closed; name a file", "标准输入已关闭；请给出文件"))
        yield sys.stdin.fileno(), None
        return
    path = Path(file)
    if path.is_dir():
        raise Problem(say(f"{file} is a folder; name a file of commands", f"{file} 是文件夹；请给出命令文件"))
    try:
        stream = path.open("rb")
    except OSError as error:
        reason = error.strerror or str(error)
        raise Problem(say(f"cannot read {file}: {reason}", f"无法读取 {file}：{reason}")) from None
    with stream:
        yield stream.fileno(), os.fstat(stream.fileno()).st_size or None


def _readable(file: str, read: Iterator[tuple[Lines, int]]) -> Iterator[tuple[Lines, int]]:
    """Batches as they come; a file that fails while it is read is named."""
    try:
        yield from read
    except OSError as error:
        reason = error.strerror or str(error)
        raise Problem(
            say(f"cannot read {file}: {reason}; check the file", f"无法读取 {file}：{reason}；请检查该文件")
        ) from None


@dataclass(frozen=True, slots=True)
class _Read:
    """A batch of lines and what each of them said."""

    numbers: list[int]
    items: list[Command | InvalidCommand]
    read_bytes: int


def _read_ahead(
    read: Iterable[tuple[Lines, int]], known: Catalogue, reading: Reading, waiting: deque[_Read]
) -> Iterator[list[Command] | None]:
    """The commands of each batch, which is noted in `waiting`; None when no more lines wait. Malformed lines never
    reach the decider."""
    for lines, read_bytes in read:
        if not len(lines):
            yield None
            continue
        today = today_in_shanghai()
        items = [_read(lines, i, known, today, reading) for i in range(len(lines))]
        batch = _Read(lines.numbers, items, read_bytes)
        waiting.append(batch)
        yield [item for item in batch.items if isinstance(item, Command)]


def _matched(batch: _Read, outcomes: list[Outcome]) -> list[Sent]:
    """Each line of a batch with what it said and its outcome."""
    decided = iter(outcomes)
    return [
        (number, item, next(decided) if isinstance(item, Command) else None)
        for number, item in zip(batch.numbers, batch.items, strict=True)
    ]


def _read(
    lines: Lines, index: int, known: Catalogue, today: Day, reading: Reading
) -> Command | InvalidCommand:
    text = lines.texts[index]
    if len(text) > LINE_BYTES_MAX:
        return line_too_long()
    try:
        return commands.read(reading(text), known.specs, today, lambda: lines.key_of(index))
    except codec.NotStrictJson as error:
        return not_json(error)
    except InvalidCommand as error:
        return error


#: So long the append lock is kept for a reader of outcomes who does not read.
_STUCK_SECONDS = 0.2


class Report:
    """Prints outcomes as they are committed and remembers what the exit code needs."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._language = language()
        self._pending: list[bytes] = []
        self.let_go: Callable[[], None] | None = None  # called when nobody reads the outcomes for a while
        self._first_invalid = ""
        self._started = time.monotonic()
        self._refused = False
        self.counts: Counter[str] = Counter()

    def add(self, number: int, sent: Command | InvalidCommand, outcome: Outcome | None) -> None:
        """Note one line's outcome."""
        if isinstance(sent, InvalidCommand) or outcome is None:
            problem = str(sent)
            if isinstance(sent, InvalidCommand) and self._language == "zh":
                problem = sent.problem_zh
            self._add_invalid(number, sent, problem)
            return
        self.counts[outcome.outcome] += 1
        self._refused = self._refused or outcome.refused
        if self._as_json:
            self._pending.append(outcome.line(number, self._language))
        else:
            document = {"line": number, **outcome.document(self._language)}
            self._pending.append(_shown(document, sent, self._language))

    def _add_invalid(self, number: int, sent: Command | InvalidCommand, problem: str) -> None:
        document: dict[str, Any] = {"line": number, "outcome": "invalid", "positions": [], "detail": problem}
        self.counts["invalid"] += 1
        self._first_invalid = self._first_invalid or say(
            f"line {number}: {problem}", f"第 {number} 行：{problem}"
        )
        self._pending.append(
            codec.line(document) if self._as_json else _shown(document, sent, self._language)
        )

    def flush(self) -> None:
        """Hand over what is committed. A reader who takes their time holds up nobody but this process."""
        rest = memoryview(b"".join(self._pending))
        self._pending.clear()
        while rest and self.let_go is not None:
            # A pipe that can be written to has room for so many bytes (POSIX); a file always has.
            if not select.select([], [sys.stdout], [], _STUCK_SECONDS)[1]:
                self.let_go()
                break
            sys.stdout.buffer.write(rest[: select.PIPE_BUF])
            sys.stdout.buffer.flush()
            rest = rest[select.PIPE_BUF :]
        sys.stdout.buffer.write(rest)
        sys.stdout.buffer.flush()

    @property
    def exit_code(self) -> int:
        """2 if any line was invalid, else 1 if any was refused, else 0."""
        if self.counts["invalid"]:
            return 2
        return 1 if self._refused else 0

    def summarise(self, dry_run: bool) -> None:
        """One line on standard error: what was invalid, or for people how it went."""
        total, invalid = self.counts.total(), self.counts["invalid"]
        if invalid:
            print(
                "kejin: "
                + say(
                    f"{invalid} of {total} lines invalid; {self._first_invalid}",
                    f"{total} 行中有 {invalid} 行无效；{self._first_invalid}",
                ),
                file=sys.stderr,
            )
        elif not self._as_json:
            seconds = time.monotonic() - self._started
            words = ", ".join(
                f"{count:,} {_OUTCOMES[name][self._language]}" for name, count in self.counts.items()
            )
            written = say(" (dry run: nothing written)", "（试算：未写入）") if dry_run else ""
            print(f"{words or say('no commands', '没有命令')} · {seconds:.1f} s{written}", file=sys.stderr)


_OUTCOMES = {
    "accepted": {"en": "accepted", "zh": "已接受"},
    "refused": {"en": "refused", "zh": "已拒绝"},
    "invalid": {"en": "invalid", "zh": "无效"},
    "repeated": {"en": "repeated", "zh": "重复"},
}


def _shown(document: dict[str, Any], sent: Command | InvalidCommand, language: str) -> bytes:
    """An outcome for people: one line."""
    words = [f"{document['line']:>6}", f"{_OUTCOMES[document['outcome']][language]:<8}"]
    if isinstance(sent, Command):
        words.append(f"{sent.name} {_subject(sent)}")
    if document["positions"]:
        words.append("@" + ",".join(map(str, document["positions"])))
    if "amount_fen" in document:
        words.append(format_fen(document["amount_fen"]))
    if "code" in document:
        clause = f" {document['clause']}" if "clause" in document else ""
        words.append(f"[{document['code']}{clause}]")
    if "detail" in document:
        words.append(document["detail"])
    words += [f"! {warning}" for warning in document.get("warnings", ())]
    return ("  ".join(words) + "\n").encode()


def _subject(sent: Command) -> str:
    """What a command is about, for people."""
    names = ("claim", "loan", "round", "name", "product", "uscc")
    return next((str(sent.fields[name]) for name in names if name in sent.fields), "")


class Progress(Protocol):
    def show(self, read_bytes: int, lines: int) -> None:
        """How far we are."""


class _NoProgress:
    def show(self, read_bytes: int, lines: int) -> None:
        """Nothing to see where nobody looks."""


@contextmanager
def _progress(size: int | None) -> Iterator[Progress]:
    """A progress bar on standard error when it is a terminal and standard output is not in its way."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield _NoProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=size)

        class Shown:
            def show(self, read_bytes: int, lines: int) -> None:
                text = say(f"{lines:,} lines", f"{lines:,} 行")
                bar.update(task, completed=read_bytes, description=text)

        yield Shown()
