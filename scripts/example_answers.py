"""Write api/service/answers.json: what the examples' ledger answers, as the OpenAPI document shows it.

    .venv/bin/python -m scripts.example_answers

To be run again when an answer changes; tests/http/test_document.py asks everything once more.
"""

from __future__ import annotations

import json
import tempfile
from importlib import resources
from pathlib import Path

from api.service.examples import LINES
from ledger.server import share
from tests.cli.program import Program
from tests.http.service import serving
from tests.http.test_document import SHOWN, ask, example_of, steady
from tests.support import fresh_database


def main() -> None:
    """Ask for each answer that the document shows."""
    with (
        tempfile.TemporaryDirectory() as work,
        share(Path(work) / "data") as server,
        fresh_database(server.address()) as address,
    ):
        Program(address).run(*map(dict, LINES))
        with serving(Program(address), Path(work) / "server.log") as service:
            answers = {one.name: steady(ask(service, one, example_of(one)).document) for one in SHOWN}
    with resources.as_file(resources.files("api.service").joinpath("answers.json")) as path:
        path.write_text(json.dumps(answers, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
