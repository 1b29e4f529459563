"""The pure core as machine code: it says what the sources say, and only as long as they say it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ledger
from ledger import compiled
from ledger.batch import Batch, absent
from ledger.catalogue import catalogue
from ledger.codec import canonical, preimage
from ledger.commands import InvalidCommand, read
from ledger.state import State, evolve
from tests.histories import TODAY, history, line_keys

ROOT = Path(__file__).resolve().parents[1]
compiled_only = pytest.mark.skipif(not ledger.IS_COMPILED, reason="the core is not compiled here")


def told(seed: int) -> bytes:
    """All that the pure core says of a random history: outcomes, events, what their leaves cover."""
    known, lines = catalogue(), history(seed, length=150)
    state = State(known.memories)

    def fetch(tag: str) -> None:
        state.begin([tag])
        for one in batch.decided:
            evolve(state, one.event, (tag,))

    batch = Batch(known, state, {}, fetch, "test")
    said = []
    for sent, key in zip(lines, line_keys(lines), strict=True):
        try:
            command = read(dict(sent), known.specs, TODAY, lambda key=key: key)  # type: ignore[misc]
        except InvalidCommand as problem:
            said.append(f"{problem} {problem.problem_zh}".encode())
            continue
        while lacking := absent([command], known, state, set()):
            for tag in lacking[0][1]:
                fetch(tag)
        said.append(canonical([batch.decide(command).document("zh"), command.fingerprint.hex()]))
    said += [preimage(one.event.position, 1, one.body) for one in batch.decided]
    return b"\n".join(said)


def python(code: str, root: Path = ROOT, **environment: str) -> bytes:
    """What a Python of its own prints, with the packages of a folder."""
    if root != ROOT:  # bytecode would hide a source that changes twice within a second
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        capture_output=True,
        check=True,
    )
    return done.stdout


@compiled_only
@pytest.mark.parametrize("seed", range(8))
def test_machine_code_says_what_the_sources_say(seed: int) -> None:
    """On random histories every outcome, every event and all that its leaf covers are the same, byte for byte."""
    code = f"import sys; from tests.test_compiled import told; sys.stdout.buffer.write(told({seed}))"
    said = told(seed)
    assert said.count(b"kejin-event-1") > 80
    assert python(code, KEJIN_PURE="1") == said


@compiled_only
def test_a_changed_source_is_never_shadowed(tmp_path: Path) -> None:
    """The same sources elsewhere run compiled; after a change of one, or with one more, as they are."""
    shutil.copytree(ROOT / "ledger", tmp_path / "ledger", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import ledger, ledger.money as m; print(ledger.IS_COMPILED, m.YUAN, m.__file__.endswith('.py'))"
    assert python(code, tmp_path).split() == [b"True", b"100", b"False"]
    assert python(code, tmp_path, KEJIN_PURE="1").split() == [b"False", b"100", b"True"]
    money = tmp_path / "ledger" / "money.py"
    money.write_text(money.read_text("utf-8").replace("YUAN: Final = 100", "YUAN: Final = 101"), "utf-8")
    assert python(code, tmp_path).split() == [b"False", b"101", b"True"]
    shutil.copy(ROOT / "ledger" / "money.py", money)
    assert python(code, tmp_path).split() == [b"True", b"100", b"False"]
    (tmp_path / "ledger" / "instruments" / "eighth.py").write_text("", "utf-8")
    assert python(code, tmp_path).split() == [b"False", b"100", b"True"]


@pytest.mark.parametrize(
    "source, path, said", [("", "", "C compiler"), ("YUAN: int = 'x'\n", None, "error:")]
)
def test_where_it_cannot_be_compiled_the_sources_run(
    tmp_path: Path, source: str, path: str | None, said: str
) -> None:
    """Without a compiler, or with a source that cannot be compiled, the install says so and goes on."""
    for name in ("ledger", "scripts", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    with (tmp_path / "ledger" / "money.py").open("a", encoding="utf-8") as file:
        file.write(f"# another digest\n{source}")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "scripts/compile.py"],
        cwd=tmp_path,
        env={**os.environ, **({} if path is None else {"PATH": path})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert said in done.stdout + done.stderr
    assert "slower" in done.stdout + done.stderr
    assert python("import ledger; print(ledger.IS_COMPILED)", tmp_path).split() == [b"False"]


@pytest.mark.parametrize("pure", [False, True])
def test_the_version_says_which_core_it_is(pure: bool) -> None:
    """`kejin --version` says whether machine code or the sources decide."""
    code = "from api.main import main; main(['--version'])"
    shown = python(code, KEJIN_PURE="1" if pure else "", LANG="C.UTF-8").decode()
    assert ("machine code" in shown) == (ledger.IS_COMPILED and not pure)
    assert ("Python sources" in shown) != ("machine code" in shown)


def test_it_is_compiled_where_there_is_a_compiler() -> None:
    """`make install` compiled the core, unless there is no compiler or it was told not to."""
    from scripts.compile import missing

    assert ledger.IS_COMPILED or missing() or os.environ.get("KEJIN_PURE")


def test_the_shell_is_what_import_linter_knows_as_the_shell() -> None:
    """Whatever is pure is compiled: the two lists of what is not agree."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (pure,) = [contract for contract in contracts if contract["id"] == "pure"]
    known = {re.split(r"[. ]", line)[1] for line in pure["ignore_imports"]}
    assert known == set(compiled.SHELL) - {"compiled"}
