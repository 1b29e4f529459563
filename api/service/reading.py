"""Lanes of readers: threads with read-only connections that answer questions, so that the event loop never waits.

A lane hands many answers back with one call into the event loop. A connection that broke is opened anew and the
question asked again: reading changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, TypeVar

import psycopg
from psycopg import errors

from api.service.problems import HttpProblem
from ledger.connection import StoreError
from ledger.server import ServerError
from ledger.store import Store
from projections.shelves import NotProjected

T = TypeVar("T")
#: A question: asked of a store in a lane's thread. What it raises as HttpProblem is the answer to the request.
Question = Callable[[Store], T]

#: One thread takes at most so many waiting questions at once.
_AT_ONCE: Final = 16
#: A question may find its own connection broken, and then that which fills the projections.
_TRIES: Final = 3
_log = logging.getLogger("kejin.reader")


#: Questions of one kind that wait at the same time, answered by one call: an answer, or an exception to raise, for each
#: item.
Together = Callable[[Store, Sequence[Any]], Sequence[Any]]
#: In the place of an answer: to be asked by itself, when the others have theirs. Never the answer to a single item.
ALONE: Final = object()


@dataclass(slots=True)
class _Asked:
    question: Question[Any] | None
    answer: asyncio.Future[Any]
    together: Together | None = None
    item: Any = None


class Lane:
    """Some threads that answer questions of one kind: quick ones, lists and reports, or whole verifications."""

    def __init__(
        self,
        name: str,
        opened: Callable[[], Store],
        threads: int,
        at_once: int = 1,
        waiting_max: int | None = None,
    ) -> None:
        self._opened = opened
        self._waiting_max = waiting_max
        self._at_once = min(at_once, _AT_ONCE)
        self._waiting: deque[_Asked] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop
        self._threads = [
            threading.Thread(target=self._run, name=f"kejin-{name}-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Begin, for the running event loop."""
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Answer what waits, then end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def ask(self, question: Question[T]) -> asyncio.Future[T]:
        """The answer to a question. Raises HttpProblem; at once `busy` where too many wait."""
        return self._put(_Asked(question, self._loop.create_future()))

    def ask_together(self, together: Together, item: Any) -> asyncio.Future[Any]:
        """The answer to an item, found with those of others that wait for the same kind of answer."""
        return self._put(_Asked(None, self._loop.create_future(), together, item))

    def _put(self, asked: _Asked) -> asyncio.Future[Any]:
        with self._changed:
            if self._waiting_max is not None and len(self._waiting) >= self._waiting_max:
                # Who has left holds no place.
                self._waiting = deque([one for one in self._waiting if not one.answer.cancelled()])
                if len(self._waiting) >= self._waiting_max:
                    raise busy()
            self._waiting.append(asked)
            self._changed.notify()
        return asked.answer

    # --- in the threads --------------------------------------------------------------------------------------

    def _run(self) -> None:
        store: Store | None = None
        while taken := self._next():
            answered: list[tuple[_Asked, Any]] = []
            wanted = [asked for asked in taken if not asked.answer.cancelled()]
            alone: list[_Asked] = []
            for together, some in groupby(wanted, lambda asked: asked.together):
                store, answers = self._answers(store, together, list(some))
                alone += [asked for asked, answer in answers if answer is ALONE]
                answered += [one for one in answers if one[1] is not ALONE]
            self._loop.call_soon_threadsafe(_hand_back, answered)
            for asked in alone:
                store, answers = self._answers(store, asked.together, [asked])
                self._loop.call_soon_threadsafe(_hand_back, answers)
        if store is not None:
            store.close()

    def _next(self) -> list[_Asked]:
        with self._changed:
            while not self._waiting and not self._stopping:
                self._changed.wait()
            count = min(self._at_once, len(self._waiting))
            return [self._waiting.popleft() for _ in range(count)]

    def _answers(
        self, store: Store | None, together: Together | None, some: list[_Asked]
    ) -> tuple[Store | None, list[tuple[_Asked, Any]]]:
        """The store to go on with, and what each of some questions of one kind gets."""
        if together is not None:
            ask: Question[Any] = lambda store: together(store, [asked.item for asked in some])  # noqa: E731
            store, found = self._answered(store, ask)
            if isinstance(found, BaseException):
                # What one question brought about is not the answer to the others.
                found = [ALONE if len(some) > 1 and store is not None else found] * len(some)
            return store, list(zip(some, found, strict=True))
        answers = []
        for asked in some:
            assert asked.question is not None
            store, answer = self._answered(store, asked.question)
            answers.append((asked, answer))
        return store, answers

    def _answered(
        self, store: Store | None, question: Question[Any], tries: int = _TRIES
    ) -> tuple[Store | None, Any]:
        """The store to go on with, and the answer or the problem to raise."""
        try:
            store = store or self._opened()
            return store, question(store)
        except HttpProblem as problem:
            return store, problem
        except NotProjected as error:
            return store, behind(error)
        except errors.QueryCanceled:
            return store, _too_slow()
        except (psycopg.OperationalError, StoreError, ServerError) as error:
            if store is not None:
                store.close()
            if tries > 1:
                return self._answered(None, question, tries - 1)
            _log.warning(
                "the database did not answer: %s", str(error).splitlines()[0] if str(error) else error
            )
            return None, unavailable()
        except BaseException as error:
            if store is not None:
                store.close()
            if isinstance(error, StopIteration):  # which no future takes
                return None, RuntimeError(f"a question ended in {error!r}")
            return None, error


def _hand_back(answered: list[tuple[_Asked, Any]]) -> None:
    for asked, answer in answered:
        if asked.answer.done():  # whoever asked has left
            continue
        if isinstance(answer, BaseException):
            asked.answer.set_exception(answer)
        else:
            asked.answer.set_result(answer)


def busy() -> HttpProblem:
    """The problem of too many others."""
    return HttpProblem("busy", "too many requests are waiting; try again", "等待的请求过多；请稍后再试")


def behind(error: NotProjected) -> HttpProblem:
    """The problem of a position that the projections do not reach."""
    return HttpProblem("behind", str(error), error.zh)


def _too_slow() -> HttpProblem:
    return HttpProblem(
        "too_slow",
        "the question took too long; ask for less, or again later",
        "查询耗时过长；请缩小范围或稍后再试",
    )


def unavailable() -> HttpProblem:
    """The problem of a database that does not answer."""
    return HttpProblem(
        "database_unavailable",
        "the database does not answer now; try again",
        "数据库暂时无法访问；请稍后再试",
    )
