"""The published vectors: kejin-verify.py accepts those that are sound and rejects every forged one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from projections.evidence.pack import verifier

VECTORS = Path(__file__).with_name("vectors")
VERDICTS = json.loads((VECTORS / "verdicts.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", VERDICTS)
def test_verdict(name: str, tmp_path: Path) -> None:
    """The program, alone in a folder with what the reader brought, gives the published verdict."""
    for file in (name, "key.txt", "held.checkpoint"):
        shutil.copy(VECTORS / file, tmp_path)
    (tmp_path / "kejin-verify.py").write_bytes(verifier())
    words = [sys.executable, "-I", "kejin-verify.py", name, *VERDICTS[name]["arguments"]]
    done = subprocess.run(words, capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == {"accept": 0, "reject": 1}[VERDICTS[name]["verdict"]], done.stdout.decode()


def test_every_file_has_a_verdict() -> None:
    """No pack lies among the vectors without a verdict, and there are forgeries of each kind."""
    assert {file.name for file in VECTORS.glob("*.zip")} == set(VERDICTS)
    assert sum(entry["verdict"] == "reject" for entry in VERDICTS.values()) >= 12
