"""POST /v1/commands: many commands as NDJSON, streamed both ways: an outcome line for each line, as `kejin run` has.

Outcomes are sent as they are committed, while later lines still arrive. A client may also send everything first and
read afterwards: what it has not read yet waits here, bounded by the limits of a batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from api.intake import BYTE_ORDER_MARK, LINE_BYTES_MAX, line_too_long, not_json
from api.roles import BATCH, permission_of
from api.service.access import unauthorized
from api.service.four_eyes import CODE as FOUR_EYES
from api.service.four_eyes import problem as four_eyes_problem
from api.service.limits import Limits
from api.service.operations import Answer, Body, Operation, Try
from api.service.parameters import DRY_RUN
from api.service.problems import HttpProblem
from api.service.requests import Reply, Request
from ledger import codec, commands
from ledger.catalogue import Catalogue
from ledger.commands import Command, InvalidCommand
from ledger.dates import today_in_shanghai
from ledger.outcomes import Outcome
from ledger.rehearsal import Rehearsal

NDJSON: Final = "application/x-ndjson"
#: So many lines, or so many bytes of them, are decided together; while they are, the next ones are read.
_PIECE_LINES: Final = 2_000
_PIECE_BYTES: Final = 4 * 2**20
_PIECES_AT_ONCE: Final = 2
#: The event loop reads so many lines at a time before it looks after others.
_SLICE_LINES: Final = 200

#: A line's number from 1, and its text; None for one that is too long.
Line = tuple[int, bytes | None]
Document = dict[str, Any]


def operations(known: Catalogue, limits: Limits) -> list[Operation]:
    """The batch."""

    async def handle(request: Request) -> Reply | None:
        if request.header(b"idempotency-key") is not None:
            raise HttpProblem(
                "invalid_parameter",
                "each line of a batch has its own key: the field key of its command",
                "批次中每行各有幂等键：即命令的 key 字段",
            )
        batches = request.service.batches
        try:
            async with asyncio.timeout(limits.batch_wait_seconds_max):
                await batches.acquire()
        except TimeoutError:
            raise HttpProblem(
                "busy", "too many batches are at work; try again", "批次过多；请稍后再试"
            ) from None
        try:
            await _Batch(request, known).run()
        finally:
            batches.release()
        return None

    lines = '{"command": "repay-loan", "loan": "L1", "amount_fen": 100}\n'
    return [
        Operation(
            "run",
            "POST",
            "/v1/commands",
            "commands",
            'Commands, one JSON object a line ({"command": name, ...fields}); an outcome line for each, in order.',
            "逐行提交命令，逐行返回结果。",
            BATCH,
            handle,
            (
                Answer(
                    200,
                    "An outcome for each line, as it is committed.",
                    {"type": "string"},
                    '{"line":1,"outcome":"accepted","positions":[12]}\n',
                    NDJSON,
                ),
            ),
            (DRY_RUN,),
            # Any bytes: each line is judged by itself, and none is an answer to nothing.
            Body(NDJSON, {}, {"example": lines}, required=False),
            tries=(
                Try(200, raw=lines.encode()),
                Try(200, query={"dry_run": "true"}, raw=lines.encode()),
                Try(422, "unknown_parameter", query={"colour": "red"}, raw=b""),
                Try(422, "invalid_parameter", headers={"Idempotency-Key": "one"}, raw=b""),
                Try(415, "unsupported_encoding", headers={"Content-Encoding": "gzip"}, raw=b""),
                Try(403, "cross_site", headers={"Origin": "http://elsewhere.example"}, raw=b""),
            ),
        )
    ]


class Cutter:
    """Cuts a body into lines as its pieces come, however it was cut into these. Of a line longer than `bytes_max`
    nothing is kept: None stands in its place."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._begun: bytes | None = b""

    @property
    def kept_bytes(self) -> int:
        """How much of a line without its end is kept."""
        return len(self._begun or b"")

    def cut(self, data: bytes, *, last: bool) -> list[bytes | None]:
        """The lines that end with this piece of the body. What follows the last line end is one, if there is any."""
        first, *others = data.split(b"\n")
        self._add(first)
        lines: list[bytes | None] = []
        if others:
            whole = [text if len(text) <= self._bytes_max else None for text in others[:-1]]
            lines = [self._begun, *whole]
            self._begun = b""
            self._add(others[-1])
        if last and self._begun != b"":
            lines.append(self._begun)
        return lines

    def _add(self, text: bytes) -> None:
        if self._begun is not None:
            fits = len(self._begun) + len(text) <= self._bytes_max
            self._begun = self._begun + text if fits else None


class _Batch:
    """One batch: lines are read, decided in pieces, and answered, all three at once."""

    def __init__(self, request: Request, known: Catalogue) -> None:
        self._request = request
        self._known = known
        self._limits = request.service.limits
        self._dry_run = bool(request.parameters["dry_run"])
        self._rehearsal: Rehearsal | None = None
        self._pieces: asyncio.Queue[asyncio.Future[bytes] | None] = asyncio.Queue(_PIECES_AT_ONCE)
        self._answers: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._counts: dict[str, int] = {}

    async def run(self) -> None:
        """Until everything is answered. Raises ClientLeft; HttpProblem where nothing was answered yet."""
        self._request.check_declared_length(self._limits.batch_bytes_max)
        tasks = [asyncio.ensure_future(part()) for part in (self._read, self._decide, self._answer)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._request.noted["outcomes"] = self._counts

    # --- reading ---------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Cut the body into lines, lines into pieces."""
        cutter, number, size, taken = Cutter(LINE_BYTES_MAX), 0, 0, 0
        piece: list[Line] = []
        piece_bytes = 0
        more = True
        while more:
            try:
                message = await self._request.next_message()
            except HttpProblem as problem:  # the rest does not come
                await self._put(piece)
                await self._stop(number + 1, problem)
                return
            more = message.get("more_body", False)
            data: bytes = message.get("body", b"")
            size += len(data)
            piece_bytes += len(data)
            for text in cutter.cut(data, last=not more):
                number += 1
                if number == 1 and text is not None:
                    text = text.removeprefix(BYTE_ORDER_MARK)  # noqa: PLW2901
                if text is not None and (not text or text.isspace()):
                    continue
                taken += 1
                if taken > self._limits.batch_lines_max:
                    break
                piece.append((number, text and text.removesuffix(b"\r")))
            over = self._over(size, taken, more=more)
            if over is not None:
                await self._put(piece)
                first_unread = number if taken > self._limits.batch_lines_max else number + 1
                await self._stop(first_unread, over)
                return
            full = len(piece) >= _PIECE_LINES or piece_bytes >= _PIECE_BYTES
            if piece and (full or self._pieces.empty()):
                await self._put(piece)
                piece, piece_bytes = [], 0
        if piece:
            await self._put(piece)
        await self._pieces.put(None)

    def _over(self, size: int, lines: int, *, more: bool) -> HttpProblem | None:
        limits = self._limits
        if more and self._request.service.draining:
            return HttpProblem(
                "stopping",
                "the server is stopping; what follows was not read: send it again",
                "服务器正在停止；其后内容未读取，请重新提交",
            )
        if size > limits.batch_bytes_max:
            return _too_long(f"{limits.batch_bytes_max} bytes", f"{limits.batch_bytes_max} 字节")
        if lines > limits.batch_lines_max:
            return _too_long(f"{limits.batch_lines_max} lines", f"{limits.batch_lines_max} 行")
        return None

    async def _stop(self, line: int, problem: HttpProblem) -> None:
        """The rest of the body is not taken: say so in the last line. Nothing is wrong with the commands in it."""
        last: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        last.set_result(codec.line({"line": line, **self._unknown(problem)}))
        await self._pieces.put(last)
        await self._pieces.put(None)

    async def _put(self, lines: list[Line]) -> None:
        for start in range(0, len(lines), _PIECE_LINES):
            piece = lines[start : start + _PIECE_LINES]
            await self._pieces.put(asyncio.ensure_future(self._decided(piece, await self._parsed(piece))))

    async def _parsed(self, lines: list[Line]) -> list[Command | Document]:
        """Each line as a command, or as the outcome that it has already."""
        if not self._request.service.access.may_go_on(self._request.sender):
            return [self._forbidden(unauthorized(is_told=True)) for _ in lines]
        read: list[Command | Document] = []
        today = today_in_shanghai()
        for start in range(0, len(lines), _SLICE_LINES):
            read += [self._parse(text, today) for _, text in lines[start : start + _SLICE_LINES]]
            await asyncio.sleep(0)
        return read

    def _parse(self, text: bytes | None, today: str) -> Command | Document:
        sender = self._request.sender
        if text is None:
            return self._malformed(line_too_long())
        try:
            command = commands.read(
                codec.parse_object(text), self._known.specs, today, principal=sender.principal
            )
        except codec.NotStrictJson as error:
            return self._malformed(not_json(error))
        except InvalidCommand as error:
            return self._malformed(error)
        try:
            sender.check(permission_of(command.name), command.name)
        except HttpProblem as problem:
            return self._forbidden(problem)
        return command

    def _malformed(self, problem: InvalidCommand) -> Document:
        return _invalid(problem.problem_zh if self._request.language == "zh" else str(problem))

    def _forbidden(self, problem: HttpProblem) -> Document:
        detail = problem.zh if self._request.language == "zh" else str(problem)
        return {"outcome": "refused", "positions": [], "code": problem.code, "detail": detail}

    # --- deciding and answering ------------------------------------------------------------------------------

    async def _decided(self, lines: list[Line], read: list[Command | Document]) -> bytes:
        """The outcome lines of a piece, after its commit."""
        sent = [item for item in read if isinstance(item, Command)]
        try:
            outcomes = iter(await self._submitted(sent))
        except HttpProblem as problem:
            return b"".join(self._undecided(lines, read, problem))
        return b"".join(
            codec.line({"line": number, **self._count(self._document(item, outcomes))})
            for (number, _), item in zip(lines, read, strict=True)
        )

    async def _submitted(self, sent: list[Command]) -> list[Outcome]:
        service = self._request.service
        if not self._dry_run:
            return await service.writer.submit(sent)
        return await service.rehearsals.ask(self._rehearse(sent))

    def _rehearse(self, sent: list[Command]) -> Any:
        def question(store: Any) -> list[Outcome]:
            # One rehearsal for the whole batch, so that later lines see earlier ones.
            self._rehearsal = self._rehearsal or Rehearsal(
                store, self._known, self._request.service.four_eyes.veto
            )
            return self._rehearsal.submit(sent)

        return question

    def _document(self, item: Command | Document, outcomes: Iterator[Outcome]) -> Document:
        if not isinstance(item, Command):
            return item
        outcome = next(outcomes)
        if outcome.code == FOUR_EYES:
            return self._forbidden(four_eyes_problem())
        return outcome.document(self._request.language)

    def _undecided(
        self, lines: list[Line], read: list[Command | Document], problem: HttpProblem
    ) -> Iterator[bytes]:
        """The database failed: whether these were recorded is not known. Sent again under the same keys, it shows."""
        for (number, _), item in zip(lines, read, strict=True):
            known = self._unknown(problem) if isinstance(item, Command) else item
            yield codec.line({"line": number, **self._count(known)})

    def _unknown(self, problem: HttpProblem) -> Document:
        detail = problem.zh if self._request.language == "zh" else str(problem)
        return {"outcome": "unknown", "positions": [], "code": problem.code, "detail": detail}

    def _count(self, document: Document) -> Document:
        outcome = document["outcome"]
        self._counts[outcome] = self._counts.get(outcome, 0) + 1
        return document

    async def _decide(self) -> None:
        """Hand the pieces' answers on in order."""
        while (piece := await self._pieces.get()) is not None:
            await self._answers.put(await piece)
        await self._answers.put(None)

    async def _answer(self) -> None:
        """Send what is committed. The reader's pace holds up neither reading nor deciding."""
        request = self._request
        headers = [
            (b"content-type", NDJSON.encode()),
            (b"content-language", request.language.encode()),
            (b"x-accel-buffering", b"no"),
        ]
        first = await self._answers.get()
        await request.send({"type": "http.response.start", "status": 200, "headers": headers})
        part = first
        while part is not None:
            await request.send({"type": "http.response.body", "body": part, "more_body": True})
            part = await self._answers.get()
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})


def _too_long(en: str, zh: str) -> HttpProblem:
    return HttpProblem(
        "body_too_large",
        f"the batch is longer than {en}; what follows was not read: send it by itself",
        f"批次超过 {zh}；其后内容未读取，请另行提交",
    )


def _invalid(detail: str) -> Document:
    return {"outcome": "invalid", "positions": [], "detail": detail}
