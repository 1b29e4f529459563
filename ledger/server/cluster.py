"""The cluster in a data folder: made once, and made fit for PostgreSQL before every start."""

from __future__ import annotations

import os
import shutil
import stat as modes
import time
from pathlib import Path

from ledger.files import sync
from ledger.server.as_root import Account
from ledger.server.errors import ServerError
from ledger.server.folder import Folder
from ledger.server.locks import is_locked, locked_folder
from ledger.server.processes import ORPHAN_SECONDS, POLL_SECONDS
from ledger.server.programs import Programs, failure

# Written to kejin.conf in the cluster at every start; ALTER SYSTEM may override them.
SETTINGS = (
    "fsync=on",
    "synchronous_commit=on",
    "shared_buffers=256MB",
    "max_wal_size=4GB",
    "checkpoint_timeout=30min",
    "max_connections=300",
    "wal_compression=off",
    "jit=off",
    "log_destination=stderr",  # which is server.log
    "log_min_messages=warning",
    "log_timezone='UTC'",
    "timezone='UTC'",
    "lc_messages='C'",
)
SETTINGS_FILE = "kejin.conf"


def prepare(folder: Folder, programs: Programs) -> None:
    """Under the gate, no server alive: the cluster is there, of this version, and as PostgreSQL wants it."""
    if not folder.cluster.exists():
        _make(folder, programs)
    _check_version(folder, programs)
    _write_settings(folder.cluster / SETTINGS_FILE)
    _put_right(folder.cluster, programs.account)
    # The process number in a stale one may by now be that of any other process, and would stop PostgreSQL.
    (folder.cluster / "postmaster.pid").unlink(missing_ok=True)


def _make(folder: Folder, programs: Programs) -> None:
    """Make the cluster and its database under another name, which is dropped only when all is done."""
    _clear_half_made(folder)
    folder.half_made.mkdir()
    try:
        _put_right(folder.half_made, programs.account)
        _initialise(folder, programs)
        with (folder.half_made / "postgresql.conf").open("a") as configuration:
            configuration.write(f"include_if_exists = '{SETTINGS_FILE}'\n")
    except BaseException:
        shutil.rmtree(folder.half_made)
        raise
    folder.half_made.rename(folder.cluster)
    sync(folder.path)


def _clear_half_made(folder: Folder) -> None:
    """Remove what an initdb left whose starter was killed, once it has ended itself."""
    deadline = time.monotonic() + ORPHAN_SECONDS[-1]
    while folder.half_made.exists():
        if not is_locked(folder.half_made):
            shutil.rmtree(folder.half_made)
        elif time.monotonic() > deadline:
            raise ServerError(
                f"another process still makes the database in {folder.half_made}: end it, then try again",
                f"另一进程仍在 {folder.half_made} 中建立数据库：请结束它后重试",
            )
        else:
            time.sleep(POLL_SECONDS)


def _initialise(folder: Folder, programs: Programs) -> None:
    """Fill the half-made cluster, and write it to the disk only once, at the end."""
    initdb, postgres = programs.program("initdb"), programs.program("postgres")
    unicode = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if programs.major >= 17 else []
    named = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", *unicode]
    with locked_folder(folder.half_made) as cluster:
        data = programs.data_option(folder.half_made, cluster)
        for command, given in (
            ([initdb, *data, *named, "--no-sync", "--no-instructions"], ""),
            ([postgres, "--single", *data, "-c", "exit_on_error=on", "postgres"], "CREATE DATABASE kejin;\n"),
            ([initdb, *data, "--sync-only"], ""),
        ):
            done = programs.run(command, cluster, given=given)
            if done.returncode:
                words = ("making the database", "建立数据库")
                raise ServerError(*failure(*words, folder.path, done.stdout, done.returncode))


def _check_version(folder: Folder, programs: Programs) -> None:
    try:
        made_by = (folder.cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise ServerError(
            f"{folder.cluster} holds no database (no PG_VERSION): was it copied completely?",
            f"{folder.cluster} 中没有数据库（缺 PG_VERSION）：是否复制完整？",
        ) from None
    if made_by != str(programs.major):
        raise ServerError(
            f"the database in {folder.path} was made by PostgreSQL {made_by}, this one is {programs.version}: "
            f"use PostgreSQL {made_by}, or dump it there and load it into a new folder",
            f"{folder.path} 中的数据库由 PostgreSQL {made_by} 建立，此处为 {programs.version}："
            f"请使用 PostgreSQL {made_by}，或导出后导入新文件夹",
        )


def _write_settings(path: Path) -> None:
    path.unlink(missing_ok=True)  # "x": the server's user must not lead root to another file by a link
    with path.open("x") as file:
        file.writelines(f"{setting}\n" for setting in SETTINGS)
    path.chmod(0o600)


def _put_right(cluster: Path, account: Account | None) -> None:
    """A copy may have another owner or other modes than PostgreSQL accepts."""
    if modes.S_IMODE(cluster.lstat().st_mode) != 0o700:
        cluster.chmod(0o700)
    if account is None:
        return
    for parent, folders, files in os.walk(cluster):
        for path in (Path(parent, name) for name in (".", *folders, *files)):
            status = path.lstat()
            if (status.st_uid, status.st_gid) != (account.pw_uid, account.pw_gid):
                os.lchown(path, account.pw_uid, account.pw_gid)
