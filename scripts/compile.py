"""make install: compile the pure core into the environment, where there is a C compiler; else say so and go on.

    python scripts/compile.py

The result lies in a folder named by the digest of the sources (see ledger/compiled.py). Nothing is written beside them.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from distutils.ccompiler import new_compiler
from distutils.sysconfig import customize_compiler
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ledger import compiled  # noqa: E402

#: So many folders stay: one of the sources as they are, others for processes that began with older ones.
_KEPT = 3


def main() -> int:
    """Compile what is not compiled yet."""
    place = compiled.folder(compiled.digest())
    if place.is_dir() or os.environ.get("KEJIN_PURE"):
        return 0
    lacking = missing()
    if lacking:
        print(f"      {lacking}: not compiled, slower 未编译，较慢", flush=True)
        return 0
    failed = place.with_suffix(".failed")  # what cannot be compiled is not tried at every make
    if not failed.exists():
        print("[4/4] the pure core → machine code 编译核心 (half a minute)", flush=True)
        place.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as work:
            problem = _compile(Path(work))
            if not problem:
                _put_in_place(Path(work) / "made", place)
                return 0
        failed.write_text(problem, "utf-8")
    print(failed.read_text("utf-8"), file=sys.stderr)
    print(f"      not compiled, slower 未编译，较慢; to try again 重试: rm {failed}", file=sys.stderr)
    return 0


def _put_in_place(made: Path, place: Path) -> None:
    """All at once. What was made from other sources stays for whoever runs it, but for the oldest."""
    try:
        made.rename(place)
    except OSError:  # another make was faster
        if not place.is_dir():
            raise
    others = [old for old in place.parent.iterdir() if re.fullmatch("[0-9a-f]{32}(\\.failed)?", old.name)]
    for old in sorted(others, key=lambda one: one.stat().st_mtime, reverse=True)[_KEPT:]:
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)


def missing() -> str:
    """What is not here that compiling needs, for people."""
    if shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) is None:
        return "no C compiler 没有 C 编译器"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "no headers of Python (python3-dev) 没有 Python 头文件"
    return ""


def _compile(work: Path) -> str:
    """Compile into the folder `made` below `work`; what went wrong, if anything did."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            extensions = _translated(work)
            _build(extensions, work)
    except (SystemExit, Exception) as problem:  # whatever it is, the sources run as they are
        return f"{told.getvalue()}{type(problem).__name__}: {problem}"
    return ""


def _translated(work: Path) -> list[Any]:
    """The sources as C."""
    from mypyc.build import mypycify

    os.chdir(ROOT)  # where mypy finds its configuration
    return mypycify(
        [f"--cache-dir={work / 'cache'}", *(str(path.relative_to(ROOT)) for path in compiled.sources())],
        opt_level="2",
        debug_level="0",
        multi_file=True,
        target_dir=str(work / "c"),
        group_name="kejin_core",
    )


def _build(extensions: list[Any], work: Path) -> None:
    """Compile C, a file at a time on each core, and link."""
    made = work / "made"
    made.mkdir()
    compiler = new_compiler()
    customize_compiler(compiler)
    compiler.add_include_dir(sysconfig.get_path("include"))
    for folder in {folder for extension in extensions for folder in extension.include_dirs}:
        compiler.add_include_dir(folder)
    files = [(extension, source) for extension in extensions for source in extension.sources]
    files.sort(key=lambda one: -Path(one[1]).stat().st_size)

    def compiled_one(one: tuple[Any, str]) -> list[str]:
        extension, source = one
        arguments = extension.extra_compile_args
        return list(compiler.compile([source], output_dir=str(work / "o"), extra_postargs=arguments))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        objects = list(pool.map(compiled_one, files))
    for extension in extensions:
        mine = [
            o for (of, _), made_of in zip(files, objects, strict=True) if of is extension for o in made_of
        ]
        compiler.link_shared_object(mine, str(made / compiled.file_name(extension.name)))


if __name__ == "__main__":
    sys.exit(main())
