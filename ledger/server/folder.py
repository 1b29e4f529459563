"""The data folder: where it is, what is in it, that it is ours, and its gate."""

from __future__ import annotations

import errno
import os
import stat as modes
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ledger.server.errors import ServerError
from ledger.server.locks import exclusive, guarded


def default_data_dir() -> Path:
    """The data folder to use when none is named: below /var/lib for root, else the user's own."""
    if os.geteuid() == 0:
        return Path("/var/lib/kejin")
    return platformdirs.user_data_path("kejin", appauthor=False)


@dataclass(frozen=True)
class Folder:
    """A data folder and the names in it."""

    path: Path

    @property
    def cluster(self) -> Path:
        return self.path / "postgres"

    @property
    def half_made(self) -> Path:
        return self.path / "postgres.new"

    @property
    def gate(self) -> Path:
        return self.path / "kejin.lock"

    @property
    def users(self) -> Path:
        return self.path / "users.lock"

    @property
    def stay(self) -> Path:
        return self.path / "stay"

    @property
    def log(self) -> Path:
        return self.path / "server.log"


def resolved(data_dir: Path) -> Path:
    """The path without links. Raises OSError for links that lead to each other."""
    try:
        return Path(data_dir).resolve()
    except RuntimeError:  # Python 3.13 has an OSError here
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(data_dir)) from None


def found(data_dir: Path) -> Folder | None:
    """The data folder if it is ours, None if absent or empty. Raises ServerError if it is someone else's."""
    folder = Folder(resolved(data_dir))
    return folder if _is_ours(folder) else None


def entered(data_dir: Path) -> Folder:
    """The data folder, made and marked as ours if it was absent or empty. What we make is private."""
    folder = Folder(resolved(data_dir))
    for path in (*reversed(folder.path.parents), folder.path):
        if not path.exists():
            try:
                path.mkdir()
                path.chmod(0o700)  # whatever the umask
            except FileExistsError:
                pass  # another process made it at the same moment
    if not _is_ours(folder):
        write_file(folder, folder.gate, "This is a data folder of Kejin (kejin-ledger). Keep this file.\n")
    return folder


def _is_ours(folder: Folder) -> bool:
    if not folder.path.exists():
        return False
    entries = {entry.name for entry in folder.path.iterdir()} - {"lost+found"}  # a fresh volume has that one
    # The mark is the first file that we make, and is looked for last, so another process' first steps pass.
    if entries and not folder.gate.exists():
        raise ServerError(
            f"{folder.path} is not empty and not a data folder of Kejin (no {folder.gate.name} in it): "
            "nothing was written there; name an empty or absent folder",
            f"{folder.path} 不为空，也不是科金的数据文件夹（其中没有 {folder.gate.name}）："
            "未写入任何内容；请指定空的或不存在的文件夹",
        )
    return bool(entries)


def open_file(folder: Folder, path: Path, flags: int = 0) -> int:
    """Open a small file of ours for writing; a new one is private and belongs to the folder's owner."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, 0o600)
    owner = folder.path.stat()
    if os.geteuid() == 0 and os.fstat(descriptor).st_uid != owner.st_uid:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    if modes.S_IMODE(os.fstat(descriptor).st_mode) != 0o600:
        os.fchmod(descriptor, 0o600)
    return descriptor


def write_file(folder: Folder, path: Path, text: str) -> None:
    """Give a small file of ours this text."""
    with os.fdopen(open_file(folder, path, os.O_TRUNC), "w") as file:
        file.write(text)


def open_lock(folder: Folder, path: Path) -> int:
    """A guarded descriptor of a small file of ours, to be locked."""
    return guarded(lambda: open_file(folder, path))


def gate(folder: Folder) -> AbstractContextManager[None]:
    """Only one process, and one thread in it, starts or stops the server of a folder at a time."""
    return exclusive(open_lock(folder, folder.gate), folder.gate)


def name_of(cluster: Path, owner: int) -> str:
    """Names this very cluster folder on this machine: a copy of it has another name."""
    status = cluster.stat()
    return f"kejin-{owner}-{status.st_dev:x}-{status.st_ino:x}"
