"""A new instrument is one file plus its clause."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from ledger.server import share

ROOT = Path(__file__).resolve().parents[1]

INSTRUMENT = '''
"""Patent award: a firm, an amount that people decided."""

from ledger.decided import decided_instrument

INSTRUMENT = decided_instrument(
    "patent_award", "PatentAwarded", "claim-patent-award", "firm", "Claim a patent award.", "申请专利奖励。"
)
'''

CLAUSE = """
[[clauses]]
id = "SX-8"
instrument = "patent_award"
title = { zh = "专利奖励", en = "Patent award" }
text = { zh = "测试", en = "for the test" }
[clauses.terms]
ratio = "unknown"
[clauses.reading]
A23 = "decided_by_people"
"""

FORM = """
from api.service.application import discover_pages
from api.service.forms import inputs
from api.service.limits import Limits
from ledger.catalogue import catalogue

known = catalogue()
paths = [page.path for page in discover_pages(known, Limits())]
fields = [one.name for one in inputs(known.specs["claim-patent-award"], "en")]
print("/commands/claim-patent-award" in paths and "decided_fen" in fields)
"""

LINES = [
    {
        "command": "open-round",
        "round": "R",
        "year": 2025,
        "budget_fen": 1000,
        "rulebook": "shanxi-2022",
        "effective_on": "2025-01-01",
    },
    {"command": "register-party", "uscc": "91350100M000100Y43", "kind": "firm", "name": "甲"},
    {
        "command": "claim-patent-award",
        "claim": "P1",
        "round": "R",
        "payee": "91350100M000100Y43",
        "decided_fen": 900,
        "document": "d",
        "effective_on": "2025-02-01",
    },
]


def test_one_file_and_a_clause_make_an_instrument(tmp_path: Path) -> None:
    """The command line knows the new command, its help, its claim, its report, and the browser its form, without any
    other change."""
    for package in ("ledger", "projections", "api"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "ledger/instruments/patent_award.py").write_text(INSTRUMENT, encoding="utf-8")
    rulebook = tmp_path / "ledger/rulebook/shanxi-2022.toml"
    rulebook.write_text(rulebook.read_text(encoding="utf-8") + CLAUSE, encoding="utf-8")
    file = tmp_path / "lines.ndjson"
    file.write_text("".join(json.dumps(line) + "\n" for line in LINES), encoding="utf-8")

    def kejin(*arguments: str) -> str:
        command = [sys.executable, "-m", "api", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    data = str(tmp_path / "data")
    with share(Path(data)):
        assert "decided_fen" in kejin("commands", "claim-patent-award")
        outcomes = [
            json.loads(line) for line in kejin("run", str(file), "--json", "--data", data).splitlines()
        ]
        assert outcomes[-1]["amount_fen"] == 900
        report = json.loads(kejin("report", "round", "R", "--json", "--data", data))
        assert report["instruments"][0]["instrument"] == "patent_award"
        assert "claim-patent-award" in kejin("commands")
    form = [sys.executable, "-c", FORM]
    assert subprocess.run(form, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "True\n"
