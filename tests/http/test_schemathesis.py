"""Whatever is sent, what comes back is what the document declares; never a fault of the server.

`KEJIN_EXAMPLES=2000` sends as many requests to each operation, in an hour or two; the default is a small number.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.service.examples import LINES
from tests.cli.program import Program
from tests.http.service import serving

#: Which operations, by their paths: parts of about the same length, so that several processes can share the work.
PARTS = (
    "^/v1/commands/claim-",
    "^/v1/commands/(?!claim-)[a-m]",
    "^/v1/commands/(?!claim-)[n-z]",
    "^(?!/v1/commands/)",
)
EXAMPLES = int(os.environ.get("KEJIN_EXAMPLES", "3"))
#: Statuses, media types, bodies and headers as declared; malformed input refused; methods that are not there.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)


@pytest.mark.parametrize("part", PARTS)
def test_nothing_that_is_sent_finds_a_fault(database: str, tmp_path: Path, part: str) -> None:
    """schemathesis, with valid and invalid requests to every operation but the endless stream, finds nothing."""
    kejin = Program(database)
    kejin.run(*map(dict, LINES))
    hooks = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    with serving(kejin, tmp_path / "log") as service:
        words = [
            *(str(Path(sys.executable).with_name("schemathesis")), "run"),
            f"http://127.0.0.1:{service.port}/openapi.json",
            *("--checks", ",".join(CHECKS)),
            *("--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(EXAMPLES)),
            *("--seed", "1"),
            *("--exclude-path", "/v1/events/stream"),
            *("--include-path-regex", part),
            *("--request-timeout", "60"),
            # Else every example is weighed against every one that was kept: half of a long run.
            *("--generation-database", "none"),
            "--no-color",
        ]
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False, env=hooks)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8_000:]
