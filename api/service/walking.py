"""Questions that go through the whole log in the server's process: one at a time, in their own lane, for so long, and
only as long as whoever asked is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from api.service.problems import HttpProblem
from api.service.reading import Lane, Question
from api.service.requests import Request

T = TypeVar("T")


class Walk:
    """The time for such a question; the time that it waited for others counts as well."""

    def __init__(self, seconds_max: float) -> None:
        self._seconds_max = seconds_max
        self._ends_at = time.monotonic() + seconds_max
        self.is_wanted: Callable[[], bool] = lambda: True

    def look(self) -> None:
        """Go on. Raises HttpProblem `too_slow` once the time is over, or nobody is left to answer."""
        if time.monotonic() > self._ends_at or not self.is_wanted():
            seconds = f"{self._seconds_max:g}"
            raise HttpProblem(
                "too_slow",
                f"the whole log could not be gone through within {seconds} seconds; ask for less (an earlier "
                "known_position, a single check), again later, or on the command line, which has no such limit",
                f"未能在 {seconds} 秒内遍历日志；请缩小范围（更早的 known_position 或单项校验）、稍后再试，"
                "或使用无此限制的命令行",
            )


async def walked(request: Request, walk: Walk, question: Question[T], lane: Lane | None = None) -> T:
    """The answer to such a question, which looks at its walk now and then; in the lane of walks, or another one. Raises
    HttpProblem, ClientLeft."""
    answer = (lane or request.service.walks).ask(question)
    walk.is_wanted = lambda: not answer.cancelled()
    return await request.while_here(answer)
