"""The command line. Commands are the modules of api/cli/, each with a `command` function."""

from __future__ import annotations

import importlib
import logging
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
from ledger.bilingual import Bilingual

EXIT_UNUSABLE = 2

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


def answered(arguments: Sequence[str]) -> tuple[int, str]:
    """Run a command: its exit code, and one line where something was wrong: exit 2."""
    # Where a transaction is given up because its connection is lost, psycopg says so too: we say it better.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    try:
        _register(next(iter(arguments), ""))
        result = app(args=arguments, prog_name="kejin", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0, ""
    except TyperException as error:
        return EXIT_UNUSABLE, usage_problem(error)  # none where the help was just shown
    except UnicodeEncodeError as error:
        shown = ascii(error.object)[:60]
        return EXIT_UNUSABLE, say(f"{shown} is not valid UTF-8", f"{shown} 不是有效的 UTF-8")
    except Problem as problem:
        return EXIT_UNUSABLE, str(problem)
    except psycopg.Error as error:
        return EXIT_UNUSABLE, str(database_problem(error))
    except Bilingual as error:
        return EXIT_UNUSABLE, _told(error)
    except BrokenPipeError:
        return 1, ""  # nobody is left to be told
    except OSError as error:
        where = error.filename or say("the output or a temporary file:", "输出或临时文件：")
        return EXIT_UNUSABLE, f"{where} {error.strerror or error}"


def _told(error: Bilingual) -> str:
    """An error with its own words: a connection or a server that cannot be had, what is not projected."""
    from ledger.connection import LostSchema
    from projections.shelves import NotProjected

    if isinstance(error, LostSchema):
        return say(f"{error}; run kejin verify", f"{error.zh}；请运行 kejin verify")
    if isinstance(error, NotProjected):
        return say(f"{error}; see kejin projections", f"{error.zh}；见 kejin projections")
    return say(str(error), error.zh)
