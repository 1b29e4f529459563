"""make bench: every row of the benchmark, one table in Markdown and JSON.

    python -m scripts.bench [--events N ...] [--runs N] [--only ROW ...] [--json FILE]

A row is a file beside this one whose first line begins with "Row:": a new file is a new row. Each runs by itself with
fixed seeds, in folders that are gone afterwards, and prints one JSON document; peers are measured within the row that
they stand beside. Sizes: `--events 100000 1000000` runs every row at both; 10 million is a flag away.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scripts.bench.measuring import ROOT, machine, place


def main() -> None:
    """Run the rows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[100_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="ROW", help="names of files beside this one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    options = parser.parse_args()
    with place() as some:
        about = machine(some.address)
    measured = []
    for number, events in enumerate(options.events):
        for row in rows(options.only):
            if number and has_own_size(row):
                continue
            print(f"… {row}, {events:,} events", file=sys.stderr, flush=True)
            measured.append(run(row, events, options.runs))
    document = {"machine": about, "rows": measured}
    if options.json:
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\n".join(table(document)))
    if any("failed" in row for row in measured):
        raise SystemExit(1)


def rows(only: Iterable[str] | None) -> list[str]:
    """The names of the rows, in order."""
    found = [
        file.stem
        for file in sorted(Path(__file__).parent.glob("*.py"))
        if file.read_text(encoding="utf-8").startswith('"""Row:')
    ]
    unknown = set(only or ()) - set(found)
    if unknown:
        raise SystemExit(f"no row {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    return [name for name in found if not only or name in only]


def has_own_size(row: str) -> bool:
    """Whether a row knows how many requests are enough: those over HTTP are sent one by one."""
    text = Path(__file__).with_name(f"{row}.py").read_text(encoding="utf-8")
    return "from scripts.bench.servers import" in text


def run(row: str, events: int, runs: int) -> dict[str, Any]:
    """One row as a process of its own: what it printed, or that it failed."""
    started = time.perf_counter()
    sized = [] if has_own_size(row) else ["--events", str(events)]
    words = [sys.executable, "-m", f"scripts.bench.{row}", *sized, "--runs", str(runs)]
    done = subprocess.run(words, stdout=subprocess.PIPE, cwd=ROOT, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"row": row, "events": events, "failed": f"ended with {done.returncode}"}
    found: dict[str, Any] = json.loads(lines[-1])
    return {**found, "row": row, "took_seconds": round(time.perf_counter() - started)}


def table(document: dict[str, Any]) -> Iterator[str]:
    """Everything as Markdown."""
    yield "| machine | |\n|---|---|"
    for name, value in document["machine"].items():
        yield f"| {name} | {value} |"
    yield "\n| row | events | figure | median | least – most | unit | ratio | beside |"
    yield "|---|--:|---|--:|--:|---|--:|---|"
    for row in document["rows"]:
        if "failed" in row:
            yield f"| {row['row']} | {row['events']:,} | {row['failed']} | | | | | |"
        for figure in row.get("figures", ()):
            spread = f"{figure['least']:,} – {figure['most']:,}"
            ratio, beside = figure.get("ratio", ""), figure.get("beside", "")
            yield (
                f"| {row['row']} | {row['events']:,} | {figure['name']} | {figure['median']:,} | {spread} "
                f"| {figure['unit']} | {ratio} | {beside} |"
            )
    for row in document["rows"]:
        yield from (f"\n{row['row']}: {note}" for note in row.get("notes", ()))


if __name__ == "__main__":
    main()
