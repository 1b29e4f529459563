"""What a person is told when something cannot be used: one clear line, in their language, exit code 2."""

from __future__ import annotations

import psycopg
from psycopg import errors
from typer.exceptions import TyperException

from api.language import language, say


class Problem(Exception):
    """Unusable input or surroundings. The message is the one line."""


def database_problem(error: psycopg.Error) -> Problem:
    """What happened to the database, and what to do. Nothing uncommitted was recorded."""
    first = database_reason(error)
    if isinstance(error, errors.DiskFull) or "No space left" in str(error):
        return Problem(
            say(
                f"the database's disk is full ({first}); make room and run the same file again",
                f"数据库磁盘已满（{first}）；请腾出空间后重新运行同一文件",
            )
        )
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.UndefinedFunction):
        return Problem(
            say(
                f"the database is damaged or not of this version ({first}); run kejin verify",
                f"数据库已损坏或版本不符（{first}）；请运行 kejin verify",
            )
        )
    if isinstance(error, psycopg.OperationalError):
        return Problem(
            say(
                f"the database went away ({first}); what was acknowledged is recorded, run the same again to go on",
                f"数据库连接中断（{first}）；已确认的均已记录，重新运行同样的命令即可继续",
            )
        )
    return Problem(say(f"the database refused: {first}", f"数据库拒绝：{first}"))


def database_reason(error: psycopg.Error) -> str:
    """The database's own word on what happened, without advice."""
    said = (error.diag.message_primary or str(error)).strip().splitlines()
    return said[0] if said else type(error).__name__


def usage_problem(error: TyperException) -> str:
    """What is wrong with the arguments, in one sentence; empty where the help was shown instead."""
    message = error.format_message()
    if not message or language() == "en":
        return message and message.rstrip(".") + "; see --help"
    named = getattr(error, "option_name", None) or getattr(getattr(error, "param", None), "name", None) or ""
    match type(error).__name__:
        case "NoSuchOption":
            what = f"没有选项 {named}"
        case "MissingParameter":
            what = f"缺少参数 {named.upper()}"
        case "BadParameter":
            what = f"参数 {named} 的值不可用"
        case _:
            quoted = message.partition("'")[2].partition("'")[0]
            what = f"没有命令 {quoted}" if quoted else "参数有误"
    return f"{what}；参见 --help"
