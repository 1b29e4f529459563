"""The pure core as machine code, where `make install` compiled it (scripts/compile.py) from these very sources.

Everything in ledger/ but its shell is compiled by mypyc; what was compiled is used only as long as the sources have the
digest that it was made from, so it can never say anything but what the sources say. Without a compiler, after a change
of a source, or with KEJIN_PURE=1, Python reads the sources themselves: the same results, more slowly.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

#: What talks to PostgreSQL, to files and to other processes, and this file: as it is.
SHELL: Final = (
    "appending",
    "compiled",
    "connection",
    "files",
    "inserting",
    "keyring",
    "loading",
    "patience",
    "pipeline",
    "recorder",
    "rehearsal",
    "server",
    "signer",
    "store",
    "swap",
    "writing",
)
_ROOT: Final = Path(__file__).resolve().parent
_SUFFIX: Final[str] = sysconfig.get_config_var("EXT_SUFFIX")


def sources() -> Iterator[Path]:
    """The files that are compiled, in the order of their names."""
    for path in sorted(_ROOT.rglob("*.py")):
        if path.name != "__init__.py" and path.relative_to(_ROOT).parts[0].removesuffix(".py") not in SHELL:
            yield path


def digest() -> str:
    """What the machine code was made from: the names and contents of the sources, this Python, this platform."""
    hashed = hashlib.sha256(_SUFFIX.encode())
    for path in sources():
        content = path.read_bytes()
        hashed.update(f"\n{path.relative_to(_ROOT)} {len(content)}\n".encode() + content)
    return hashed.hexdigest()[:32]


def folder(of: str) -> Path:
    """Where the machine code with a digest is, in the environment of this Python, if it was made."""
    return Path(sys.prefix) / "kejin-core" / of


def file_name(module: str) -> str:
    """The name of the file of a compiled module."""
    return module + _SUFFIX


class _Finder:
    """Finds the compiled modules before Python finds their sources."""

    def __init__(self, place: Path) -> None:
        self._files = {file.name.removesuffix(_SUFFIX): str(file) for file in place.iterdir()}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder."""
        file = self._files.get(name)
        return spec_from_file_location(name, file) if file is not None else None


def use() -> bool:
    """Use the machine code, if there is any of these sources: whether there is."""
    place = folder(digest())
    if os.environ.get("KEJIN_PURE") or not place.is_dir():
        return False
    sys.meta_path.insert(0, _Finder(place))
    return True
