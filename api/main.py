"""`kejin`: the command line's entry. Everything else is imported once Ctrl-C is listened for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from api import interrupts
from api.language import say, write_utf8

EXIT_UNUSABLE = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit 0 success, 1 refused or a check failed, 2 unusable input (one line on stderr),
    128 + n ended by signal n (one line too)."""
    try:
        interrupts.listen()
        code, complaint = _answered(sys.argv[1:] if arguments is None else arguments)
        interrupts.ignore()
    except BaseException:
        if interrupts.received() is None:
            raise
        code, complaint = 1, ""
    # Whatever became of the command when it was interrupted: that it was is what its user is told.
    number = interrupts.received()
    if number is not None:
        code = 128 + number
        complaint = say("interrupted; run the same again to go on", "已中断；重新运行同样的命令即可继续")
    if complaint:
        _complain(complaint)
    sys.exit(code if _flushed() else code or 1)


def _answered(arguments: Sequence[str]) -> tuple[int, str]:
    """Run the command; the exit code, and the line that says what was wrong, if anything was."""
    # A stream that was closed before we began is None; what would be opened next must not take its number.
    if sys.stdout is None or sys.stderr is None:
        for stream in (sys.stdout, sys.stderr):
            if stream is None:
                os.open(os.devnull, os.O_WRONLY)
        return EXIT_UNUSABLE, say("standard output is closed; nowhere to answer", "标准输出已关闭，无处输出")
    write_utf8()
    from api.command_line import answered

    return answered(arguments)


def _flushed() -> bool:
    """Whether a reader took our output to its end. One that left (`kejin events | head`) is no accident: Python's own
    flush at exit then finds somewhere to write to."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:  # a full disk was complained about
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return not isinstance(error, BrokenPipeError)
    return True


def _complain(line: str) -> None:
    one_line = " ".join(line.split())
    if sys.stderr is not None:
        print(f"kejin: {one_line}", file=sys.stderr)


if __name__ == "__main__":
    main()
