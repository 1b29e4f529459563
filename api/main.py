"""`kejin`: the command line's entry. Commands are the modules of api/cli/, each with a `command` function."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Annotated

import psycopg
import typer
from typer.exceptions import TyperException

from api import cli
from api.language import say
from api.problems import Problem, database_problem, usage_problem

EXIT_UNUSABLE = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="kejin",
    help="Kejin 科金: an event-sourced ledger of public fund flows. 公共资金流的事件溯源账本。\n\n"
    "Begin with `kejin run --help`, or see a whole programme with `make demo`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        import importlib.metadata
        import platform

        import ledger

        core = say("machine code", "机器码") if ledger.IS_COMPILED else say("Python sources", "Python 源码")
        print(f"kejin {importlib.metadata.version('kejin-ledger')} · Python {platform.python_version()}")
        print(f"core  {core}")
        raise typer.Exit


@app.callback()
def _kejin(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Version and core. 版本与核心。"),
    ] = False,
) -> None:
    """Makes a group of what may be one command."""


def _register(asked: str) -> None:
    """Make the commands known: only the one that was asked for, if it is one, since others may be slow to load."""
    modules = {m.name.replace("_", "-"): m.name for m in pkgutil.iter_modules(cli.__path__)}
    for name in [asked] if asked in modules else sorted(modules):
        app.command(name)(importlib.import_module(f"{cli.__name__}.{modules[name]}").command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit 0 success, 1 refused or a check failed, 2 unusable input (one line on stderr)."""
    # A stream that was closed before we began is None; what would be opened next must not take its number.
    if sys.stdout is None or sys.stderr is None:
        for stream in (sys.stdout, sys.stderr):
            if stream is None:
                os.open(os.devnull, os.O_WRONLY)
        _complain(say("standard output is closed; nowhere to answer", "标准输出已关闭，无处输出"))
        sys.exit(EXIT_UNUSABLE)
    arguments = sys.argv[1:] if arguments is None else arguments
    _register(next(iter(arguments), ""))
    try:
        code = _guarded(arguments)
    except BrokenPipeError:
        # The reader of our output left (`kejin events | head`): stop quietly, and let Python's own flush at exit
        # find somewhere to write to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _guarded(arguments: Sequence[str]) -> int:
    try:
        result = app(args=arguments, prog_name="kejin", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except TyperException as error:
        message = usage_problem(error)
        if message:  # without one the help was just shown
            _complain(message)
        return EXIT_UNUSABLE
    except UnicodeEncodeError as error:
        shown = ascii(error.object)[:60]
        _complain(say(f"{shown} is not valid UTF-8", f"{shown} 不是有效的 UTF-8"))
        return EXIT_UNUSABLE
    except Problem as problem:
        _complain(str(problem))
        return EXIT_UNUSABLE
    except psycopg.Error as error:
        _complain(str(database_problem(error)))
        return EXIT_UNUSABLE
    except LookupError as error:
        from projections.shelves import NotProjected

        if not isinstance(error, NotProjected):
            raise
        _complain(say(f"{error}; see kejin projections", f"{error.zh}；见 kejin projections"))
        return EXIT_UNUSABLE
    except BrokenPipeError:
        raise
    except OSError as error:
        _complain(f"{error.filename or ''} {error.strerror or error}".strip())
        return EXIT_UNUSABLE
    except (KeyboardInterrupt, typer.Abort):
        _complain(say("interrupted; run the same again to go on", "已中断；重新运行同样的命令即可继续"))
        return EXIT_INTERRUPTED


def _complain(line: str) -> None:
    one_line = " ".join(line.split())
    if sys.stderr is not None:
        print(f"kejin: {one_line}", file=sys.stderr)


if __name__ == "__main__":
    main()
