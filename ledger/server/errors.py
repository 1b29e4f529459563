"""The one error that users of a data folder's server see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.bilingual import Bilingual


class ServerError(Bilingual):
    """The server of a data folder cannot be had: what, where and what to do."""


@contextmanager
def clear_errors(data_dir: Path) -> Iterator[None]:
    """What the operating system refuses becomes a ServerError that names the folder."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise ServerError(
            f"cannot use the data folder {data_dir}: {error.strerror or error}{where}; "
            "check that it is writable for this user, or name another folder",
            f"无法使用数据文件夹 {data_dir}：{error.strerror or error}{where}；请检查写入权限，或另指定文件夹",
        ) from error
