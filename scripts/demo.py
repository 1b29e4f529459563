"""make demo: one round from its budget to recoveries, made of commands through `kejin run`.

Prints each command that it runs and what it answers; the last line is the folder of the demo's ledger.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from api.language import say
from ledger.rulebook.library import shipped
from ledger.server import default_data_dir, share

PROGRAMME = Path(__file__).with_name("demo.ndjson")
KEJIN = Path(sys.executable).with_name("kejin")


def main() -> int:
    """Run the demo; 0 when every step answered as it should."""
    folder = demo_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(say(f"Starting the embedded database in {folder} …", f"正在启动内置数据库 {folder} …"), flush=True)
    with share(folder):
        for title, arguments, expected in steps():
            print(f"\n── {title}", flush=True)
            print("$ kejin " + " ".join(arguments), flush=True)
            code = subprocess.run([KEJIN, *arguments, "--data", folder], check=False).returncode
            if code != expected:
                print(
                    say(f"this ended with {code}, not {expected}", f"退出码为 {code}，应为 {expected}"),
                    file=sys.stderr,
                )
                return 1
    print_next(folder)
    print(folder)
    return 0


def demo_folder() -> Path:
    """Beside the user's own ledger; one folder for each version of the programme and of the rulebooks, so that
    running the demo again repeats the same commands instead of contradicting them."""
    versions = [PROGRAMME.read_bytes(), *(d.sha256.encode() for d in shipped().documents.values())]
    own = default_data_dir()
    return own.with_name(own.name + "-demo") / hashlib.sha256(b"".join(versions)).hexdigest()[:12]


def steps() -> list[tuple[str, list[str], int]]:
    """Title, command line, exit code (1: some commands are refused, and recorded as such)."""
    available = "public/round/R2024/available"
    return [
        (
            say(
                "A round of 200 万元: parties, loans, claims, payments, recoveries",
                "一轮 200 万元：主体、贷款、申请、支付、追回",
            ),
            [
                "run",
                str(PROGRAMME.relative_to(Path.cwd()) if PROGRAMME.is_relative_to(Path.cwd()) else PROGRAMME),
                "--as",
                "demo",
            ],
            1,
        ),
        (
            say(
                "Why 2024-003 got 20 万元: half the interest is 25, the firm's cap binds",
                "2024-003 为何得 20 万元：利息一半为 25，企业上限起作用",
            ),
            ["explain", "18"],
            0,
        ),
        (
            say("Why 2024-004 was refused: nothing is left under the cap", "2024-004 为何被拒：上限已用尽"),
            ["explain", "19"],
            0,
        ),
        (say("Every cumulative cap today", "当前各累计上限"), ["caps"], 0),
        (
            say("The bank's milestones: 1.8, 2.3, 1.9, 4.1 亿", "银行里程碑：1.8、2.3、1.9、4.1 亿"),
            ["milestones"],
            0,
        ),
        (
            say(
                "Two clocks: what the round had available on 30 June 2024 …",
                "双时钟：2024 年 6 月 30 日的可用资金……",
            ),
            ["balance", available, "--on", "2024-06-30"],
            0,
        ),
        (
            say("… and on 30 September, after a void", "……以及 9 月 30 日撤销一项之后"),
            ["balance", available, "--on", "2024-09-30"],
            0,
        ),
        (
            say(
                "… and what one knew of 30 September before the void was recorded",
                "……以及在撤销入账之前所知的 9 月 30 日",
            ),
            ["balance", available, "--on", "2024-09-30", "--known-position", "39"],
            0,
        ),
        (
            say("The proof: leaves, books, caps on both clocks", "校验：日志、账簿、双时钟上限"),
            ["verify", "all"],
            0,
        ),
    ]


def print_next(folder: Path) -> None:
    """What to try now."""
    print("\n── " + say("Try next", "接下来可以试试"))
    for arguments in ("events --tag claim:2024-003", "caps --on 2025-02-20", "commands claim-loan-interest"):
        print(f"  .venv/bin/kejin {arguments} --data '{folder}'")
    print()


if __name__ == "__main__":
    sys.exit(main())
