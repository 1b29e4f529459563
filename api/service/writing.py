"""The writer of a server process: one thread, a queue, one turn for all the commands that wait.

Requests put commands in and await their outcomes. Each turn takes what waits (single commands before those of
batches, so that nobody queues behind a bulk load) and decides it while those before it are written; each is one commit,
and all its outcomes are handed back with one call into the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import psycopg

from api.appending import start
from api.service.four_eyes import FourEyes
from api.service.problems import HttpProblem
from ledger.catalogue import Catalogue
from ledger.commands import Command
from ledger.connection import StoreError
from ledger.outcomes import Outcome
from ledger.pipeline import Pipeline
from ledger.server import ServerError
from ledger.store import Store

#: After a turn the next one waits this long, at most, for the clients just answered to ask again: a commit shared by
#: all of them costs little more than one shared by half.
GATHER_SECONDS: Final = 0.004

#: So long this process keeps the append lock although another one waits for it: its single commands wait meanwhile.
HELD_SECONDS_MIN: Final = 0.02

#: Turns of single commands are of this size; pieces of batches are larger.
ALONE_MAX: Final = 400

_log = logging.getLogger("kejin.writer")


@dataclass(slots=True)
class _Waiting:
    """Commands that wait together, and the future of their outcomes."""

    commands: Sequence[Command]
    outcomes: asyncio.Future[list[Outcome]]


@dataclass(slots=True)
class _Turn:
    """What was taken together, and when."""

    taken: list[_Waiting]
    began: float

    @property
    def commands(self) -> list[Command]:
        """All commands of it, in order."""
        return [command for waiting in self.taken for command in waiting.commands]


@dataclass(slots=True)
class _Queue:
    """What waits: single commands, and pieces of batches."""

    singles: deque[_Waiting] = field(default_factory=deque)
    pieces: deque[_Waiting] = field(default_factory=deque)

    def __bool__(self) -> bool:
        return bool(self.singles or self.pieces)

    def take(self, commands_max: int) -> list[_Waiting]:
        """The next turn's, at least one."""
        taken: list[_Waiting] = []
        count = 0
        for queue in (self.singles, self.pieces):
            while queue and (not taken or count + len(queue[0].commands) <= commands_max):
                taken.append(queue.popleft())
                count += len(taken[-1].commands)
        return taken


#: Told of each committed turn: how many commands, the seconds it took, the outcomes.
Committed = Callable[[int, float, Sequence[Outcome]], None]


class WriterThread:
    """Takes commands from the event loop, records them, hands their outcomes back."""

    def __init__(
        self,
        opened: Callable[[], Store],
        catalogue: Catalogue,
        principal: str,
        four_eyes: FourEyes,
        committed: Committed,
        turn_commands_max: int,
    ) -> None:
        self._opened = opened
        self._catalogue = catalogue
        self._principal = principal
        self._four_eyes = four_eyes
        self._committed = committed
        self._turn_commands_max = turn_commands_max
        self._queue = _Queue()
        self._expected = 0  # how many singles may come now that the last turn was answered
        self._changed = threading.Condition()
        self._stopping = False
        self._turns: deque[_Turn] = deque()  # decided or to be decided, not answered yet
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._run, name="kejin-writer", daemon=True)

    def start(self) -> None:
        """Begin, for the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Record what waits, then end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    @property
    def waiting(self) -> int:
        """How many requests wait for a turn."""
        return len(self._queue.singles) + len(self._queue.pieces)

    async def submit_one(self, command: Command) -> Outcome:
        """Record one command. Raises HttpProblem when the database fails: the outcome is not known then."""
        return (await self._put(self._queue.singles, [command]))[0]

    async def submit(self, commands: Sequence[Command]) -> list[Outcome]:
        """Record a piece of a batch, in order. Raises HttpProblem."""
        return await self._put(self._queue.pieces, commands) if commands else []

    def _put(self, queue: deque[_Waiting], commands: Sequence[Command]) -> asyncio.Future[list[Outcome]]:
        future: asyncio.Future[list[Outcome]] = self._loop.create_future()
        with self._changed:
            queue.append(_Waiting(commands, future))
            waiting = len(self._queue.singles)
            if waiting <= 1 or waiting == self._expected:
                self._changed.notify()
        return future

    # --- in the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._wait():
            try:
                self._write()
            except BaseException as error:
                taken = [waiting for turn in self._turns for waiting in turn.taken]
                self._turns.clear()
                self._loop.call_soon_threadsafe(_fail, taken, self._problem(error))

    def _write(self) -> None:
        """Open a connection and take turns until the end. Raises what ends the connection before."""
        try:
            store = self._opened()
        except BaseException:
            self._turns.append(self._next())
            raise
        with store, Pipeline(store, self._catalogue, self._principal) as pipeline:
            pipeline.vetoing = self._four_eyes.veto
            pipeline.held_seconds_min = HELD_SECONDS_MIN
            pipeline.alone_max = ALONE_MAX
            # The listener signs, whoever appended.
            pipeline.start_child = lambda: start(store.address, None, sign=False)
            for outcomes in pipeline.outcomes(self._batches()):
                turn = self._turns.popleft()
                self._committed(len(outcomes), time.perf_counter() - turn.began, outcomes)
                self._loop.call_soon_threadsafe(_resolve, turn.taken, outcomes)

    def _batches(self) -> Iterator[list[Command] | None]:
        """The commands of each turn; None when what was decided is to be written and answered before more is."""
        while True:
            # Single commands are answered before more are decided: their clients then ask again together.
            if not self._queue or (self._turns and not self._queue.pieces):
                yield None
            if not self._wait():
                return
            self._gather()
            turn = self._next()
            self._turns.append(turn)
            yield turn.commands

    def _wait(self) -> bool:
        """Wait for commands; whether any came before the end."""
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            return bool(self._queue)

    def _gather(self) -> None:
        """After a turn was answered: wait a moment for those who were answered to ask again."""
        with self._changed:
            deadline = time.perf_counter() + GATHER_SECONDS
            while len(self._queue.singles) < self._expected and not self._queue.pieces and not self._stopping:
                left = deadline - time.perf_counter()
                if left <= 0 or not self._changed.wait(left):
                    break

    def _next(self) -> _Turn:
        """The next turn."""
        with self._changed:
            taken = self._queue.take(self._turn_commands_max)
            self._expected = sum(len(waiting.commands) == 1 for waiting in taken) + len(self._queue.singles)
            return _Turn(taken, time.perf_counter())

    def _problem(self, error: BaseException) -> HttpProblem:
        """What the waiting requests are told; the connection is opened anew for the next turn."""
        if not isinstance(error, psycopg.Error | StoreError | ServerError):
            _log.error("a turn failed", exc_info=error)
        else:
            _log.warning(
                "the database failed a turn: %s", str(error).splitlines()[0] if str(error) else error
            )
        return HttpProblem(
            "database_unavailable",
            "the database went away before it acknowledged; send the same again under the same key",
            "数据库在确认之前中断；请以同一幂等键重新提交",
        )


def _resolve(taken: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
    start = 0
    for waiting in taken:
        end = start + len(waiting.commands)
        if not waiting.outcomes.done():  # whoever asked may have left
            waiting.outcomes.set_result(list(outcomes[start:end]))
        start = end


def _fail(taken: Sequence[_Waiting], problem: HttpProblem) -> None:
    for waiting in taken:
        if not waiting.outcomes.done():
            waiting.outcomes.set_exception(problem)
