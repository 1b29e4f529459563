"""The published vectors: kejin-verify.py accepts those that are sound and rejects every forged one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from projections.evidence.pack import verifier

VECTORS = Path(__file__).with_name("vectors")
#: A network of its own, in which there is nothing, where the system lets us make one.
NO_NETWORK = ["unshare", "--net"]
if shutil.which("unshare") is None or subprocess.run([*NO_NETWORK, "true"], check=False).returncode:
    NO_NETWORK = []
VERDICTS = json.loads((VECTORS / "verdicts.json").read_text(encoding="utf-8"))


#: The verifier says itself which is the oldest Python that it wants.
OLDEST = (3, 9)


def pythons_at_hand() -> dict[tuple[int, int], str]:
    """By version every Python on the path, and of those that are installed beside the one that runs this."""
    ours = Path(sys.base_prefix)
    places = [*map(Path, os.environ["PATH"].split(os.pathsep)), *sorted(ours.parent.glob("*/bin"))]
    found = {sys.version_info[:2]: sys.executable}
    for program in (file for place in places for file in sorted(place.glob("python3*"))):
        if re.fullmatch(r"python3([.]\d+)?", program.name) and os.access(program, os.X_OK):
            words = [str(program), "-I", "-c", "import sys; print(*sys.version_info[:2])"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                major, minor = map(int, done.stdout.split())
                found.setdefault((major, minor), str(program))
    return {version: program for version, program in found.items() if version >= OLDEST}


PYTHONS = pythons_at_hand()


@pytest.mark.parametrize("version", sorted({min(PYTHONS), sys.version_info[:2], max(PYTHONS)}))
@pytest.mark.parametrize("name", VERDICTS)
def test_verdict(name: str, version: tuple[int, int], tmp_path: Path) -> None:
    """The program, alone in a folder with what the reader brought, gives the published verdict, on the oldest and the
    newest Python at hand, with no network to reach."""
    for file in (name, "key.txt", "held.checkpoint"):
        shutil.copy(VECTORS / file, tmp_path)
    (tmp_path / "kejin-verify.py").write_bytes(verifier())
    words = [PYTHONS[version], "-I", "kejin-verify.py", name, *VERDICTS[name]["arguments"]]
    done = subprocess.run([*NO_NETWORK, *words], capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == {"accept": 0, "reject": 1}[VERDICTS[name]["verdict"]], done.stdout.decode()


def test_every_file_has_a_verdict() -> None:
    """No pack lies among the vectors without a verdict, and there are forgeries of each kind."""
    assert {file.name for file in VECTORS.glob("*.zip")} == set(VERDICTS)
    assert sum(entry["verdict"] == "reject" for entry in VERDICTS.values()) >= 12
