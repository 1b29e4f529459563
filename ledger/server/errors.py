"""The one error that users of a data folder's server see."""

from __future__ import annotations

import errno
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
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ServerError(
                f"cannot use the data folder {data_dir}: the disk is full{where}, there is no room for more bytes or "
                "more files; make room and run the same again",
                f"无法使用数据文件夹 {data_dir}：磁盘已满{where}，无法再写入数据或新文件；请腾出空间后重试",
            ) from error
        raise ServerError(
            f"cannot use the data folder {data_dir}: {error.strerror or error}{where}; "
            "check that it is writable for this user, or name another folder",
            f"无法使用数据文件夹 {data_dir}：{error.strerror or error}{where}；请检查写入权限，或另指定文件夹",
        ) from error
