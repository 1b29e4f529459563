"""What PostgreSQL needs when we are root: a user to run as, and a copy of the binaries that it can run."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import shutil
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

from ledger.server.errors import ServerError
from ledger.server.locks import exclusive, open_folder

SYSTEM_USER = "kejin"
SYSTEM_HOME = Path("/var/lib/kejin-postgres")  # the copies of the binaries

Account: TypeAlias = pwd.struct_passwd


def account_for(owner: int) -> Account:
    """The user to run as: the data folder's owner, so that their data stays theirs; for root's, `kejin`."""
    try:
        return pwd.getpwuid(owner) if owner else pwd.getpwnam(SYSTEM_USER)
    except KeyError:  # PostgreSQL wants a user that has a name
        return _system_user()


def _system_user() -> Account:
    with _machine_lock():
        try:
            return pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            pass  # this is the first use on this machine
        useradd = shutil.which("useradd", path=f"/usr/sbin:/sbin:{os.environ.get('PATH', os.defpath)}")
        if useradd is None:
            raise ServerError(
                f"PostgreSQL does not run as root, and there is no useradd to make a user for it: "
                f"make a system user named {SYSTEM_USER}, or run as another user",
                f"PostgreSQL 不能以 root 运行，且没有 useradd：请建立系统用户 {SYSTEM_USER}，或以其他用户运行",
            )
        group = ["--gid", SYSTEM_USER] if _group_exists(SYSTEM_USER) else ["--user-group"]
        home = ["--home-dir", "/nonexistent", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        done = subprocess.run(
            [useradd, "--system", *group, *home, SYSTEM_USER], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ServerError(
                f"cannot make the system user {SYSTEM_USER}: {done.stderr.strip()}",
                f"无法建立系统用户 {SYSTEM_USER}：{done.stderr.strip()}",
            )
        return pwd.getpwnam(SYSTEM_USER)


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def copied(programs: Path, version: str) -> Path:
    """The wheel's programs, copied once to where the system user can run them, with all that they need."""
    package = programs.parents[1]
    parts = [package / "pginstall" / name for name in ("bin", "lib", "share")]
    parts.append(package.with_name(f"{package.name}.libs"))
    files = sorted(path for part in parts for path in part.rglob("*"))
    listing = "\n".join(f"{path.relative_to(package.parent)} {path.stat().st_size}" for path in files)
    home = SYSTEM_HOME / f"{version}-{hashlib.sha256(listing.encode()).hexdigest()[:12]}"
    if not home.exists():
        with _machine_lock():
            if not home.exists():
                _copy(parts, package.parent, home)
    return home / programs.relative_to(package.parent)


def _copy(parts: list[Path], root: Path, home: Path) -> None:
    """Copy folders below `root` to the same places below `home`, which appears only when complete."""
    partial = SYSTEM_HOME / "partial"  # under the machine's lock: one that is found is a killed process's
    if partial.exists():
        shutil.rmtree(partial)
    for part in parts:
        shutil.copytree(part, partial / part.relative_to(root), symlinks=True)
    for parent, _, names in os.walk(partial):
        Path(parent).chmod(0o755)
        for path in (Path(parent, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    os.sync()  # a copy that lost its content in a power cut would be taken for good ever after
    partial.rename(home)


def _machine_lock() -> AbstractContextManager[None]:
    """Only one process of the machine makes the system user or a copy of the binaries at a time."""
    SYSTEM_HOME.mkdir(parents=True, exist_ok=True)
    SYSTEM_HOME.chmod(0o755)
    return exclusive(open_folder(SYSTEM_HOME), SYSTEM_HOME)
