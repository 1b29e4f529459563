"""make demo: the Shanxi programme over four rounds, and the loans of Shandong, made of commands of `kejin run`.

Prints each command that it runs and what it answers; the last line is the folder of the demo's ledger.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from api.language import say
from api.printing import print_table
from ledger import codec
from ledger.money import WAN, format_fen
from ledger.rulebook.library import shipped
from ledger.server import default_data_dir, share
from scripts.programme import cast, round_2024, rounds_around, shandong, shanxi
from scripts.programme.script import Line, Script

KEJIN = Path(sys.executable).with_name("kejin")
Outcome = dict[str, Any]


class Unexpected(Exception):
    """A step of the demo did not answer as it should."""


def main() -> int:
    """Run the demo; 0 when every step answered as it should."""
    story, loans = shanxi.story(), shandong.commands()
    folder = demo_folder([*story.lines, *loans])
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(say(f"Starting the embedded database in {folder} …", f"正在启动内置数据库 {folder} …"), flush=True)
    try:
        with share(folder):
            show_programme(folder, story)
            show_shandong(folder, loans, after=story.position)
            show_proof(folder)
    except Unexpected as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    show_next(folder)
    print(folder)
    return 0


def demo_folder(lines: Iterable[Line]) -> Path:
    """Beside the user's own ledger; one folder for each version of the programme and of the rulebooks, so that
    running the demo again repeats the same commands instead of contradicting them."""
    hasher = hashlib.sha256(ndjson(lines))
    for document in shipped().documents.values():
        hasher.update(document.sha256.encode())
    own = default_data_dir()
    return own.with_name(own.name + "-demo") / hasher.hexdigest()[:12]


def ndjson(lines: Iterable[Line]) -> bytes:
    """Commands as `kejin run` reads them."""
    return b"".join(codec.canonical(line) + b"\n" for line in lines)


# --- the programme ----------------------------------------------------------------------------------


def show_programme(folder: Path, story: Script) -> None:
    """Record the four rounds, then ask about them."""
    title(say("Shanxi, four rounds, 2022 to 2025", "山西：2022 至 2025 年四轮"))
    outcomes = record(folder, "shanxi", story.lines, expected=1)
    found = {o["line"]: o["code"] for o in outcomes if o.get("code")}
    if found != story.refusals:
        raise Unexpected(say("the refusals are not those of the story", "拒绝结果与脚本不符"))
    show_grants(story.lines, outcomes)
    title(
        say(
            "2024 against the article: 274 + 5 + 4 + 1 = 284, reported are 279; the money ties",
            "2024 年与报道核对：274 + 5 + 4 + 1 = 284，报道为 279；金额相符",
        )
    )
    kejin(folder, "report", "round", round_2024.ROUND)
    title(say("Why the named firm got 6 万元", "辰涵为何得 6 万元"))
    kejin(folder, "explain", story.landmarks["chenhan"])
    title(
        say(
            "… and why 8 万元 became 5: the firm's cap remembers the round before",
            "……以及 8 万元为何成为 5 万元：企业上限跨轮累计",
        )
    )
    kejin(folder, "explain", story.landmarks["cut_by_firm_cap"])
    show_caps(folder)
    show_clocks(folder, story)


def show_grants(lines: list[Line], outcomes: list[Outcome]) -> None:
    """What the rules granted, by round and instrument; voided and recovered ones included."""
    granted: dict[tuple[str, str], list[int]] = {}
    for line, outcome in zip(lines, outcomes, strict=True):
        if "amount_fen" in outcome:
            entry = granted.setdefault((line["round"], line["command"]), [0, 0])
            entry[0] += 1
            entry[1] += outcome["amount_fen"]
    print_table(
        [say("round", "轮次"), say("command", "命令"), say("granted", "决定笔数"), say("amount", "金额")],
        [[*key, str(count), format_fen(amount_fen)] for key, (count, amount_fen) in sorted(granted.items())],
        right=(2, 3),
    )


def show_caps(folder: Path) -> None:
    """Who is near a cap, how far the banks climbed, and a list checked before its notice."""
    title(say("The firms nearest their cap", "最接近上限的企业"))
    kejin(folder, "report", "near-caps")
    title(
        say(
            "Milestones; the first synthetic bank was certified 1.8, 2.3, 1.9, 4.1 亿: 20, 20, refused, 40 万元",
            "里程碑；合成银行1 认定 1.8、2.3、1.9、4.1 亿：20、20、拒绝、40 万元",
        )
    )
    kejin(folder, "milestones")
    title(say("A list checked before its notice; nothing is written", "公示前核对名单，不写入"))
    kejin(folder, "check", write(folder, "proposals", shanxi.proposals()), expected=1)


def show_clocks(folder: Path, story: Script) -> None:
    """A repayment of 10 万元 was reported as 100 and corrected later."""
    title(
        say(
            "Two clocks: a loan of 240 万元, on two days, before and after the bank's report was corrected",
            "双时钟：一笔 240 万元贷款，两个业务日期，更正银行报送前后",
        )
    )
    account = f"private/loan/{rounds_around.CORRECTED_LOAN}/outstanding"
    for moment in ("before_correction", "after_correction"):
        for day in ("2022-08-31", "2022-10-31"):
            known = story.landmarks[moment]
            kejin(folder, "balance", account, "--on", day, "--known-position", known)


# --- Shandong ---------------------------------------------------------------------------------------


def show_shandong(folder: Path, lines: list[Line], after: int) -> None:
    """Record the loans and hold their events against the published totals."""
    title(say("Shandong, second quarter of 2023: 1,585 loans", "山东 2023 年二季度：1,585 笔贷款"))
    record(folder, "shandong", lines, expected=0)
    later = events(folder, "--type", "LoanDrawn", "--after", str(after))
    drawn = [event for event in later if event["data"].get("product") in shandong.PRODUCTS]
    rows = reconcile(drawn, shandong.published())
    print_table(
        [say("Shandong 2023Q2", "山东 2023Q2"), say("published", "公布"), say("ledger", "账本"), ""],
        [
            [name, published, found, say("ties", "相符") if published == found else say("DIFFERS", "不符")]
            for name, published, found in rows
        ],
        right=(1, 2),
    )
    rate = shandong.published().average_rate_percent
    print(
        say(
            f"The average rate, {rate} %, stays a figure of the file: a loan in the ledger has no rate. "
            "Which loans are not registered was not published: four synthetic ones stand for the difference.",
            f"平均利率 {rate}% 仅为对照数：账本中的贷款不含利率。哪些贷款未备案并未公布：以四笔合成贷款代表差额。",
        )
    )
    if any(published != found for _, published, found in rows):
        raise Unexpected(say("Shandong does not reconcile", "山东数据不符"))


def reconcile(drawn: list[dict[str, Any]], published: shandong.Totals) -> list[tuple[str, str, str]]:
    """Name, published figure, figure from the events of the loans; amounts from their postings, to the fen."""
    registered = [event for event in drawn if event["data"]["product"] == shandong.REGISTERED]
    return [
        (say("loans", "贷款"), f"{published.loans:,}", f"{len(drawn):,}"),
        (say("banks", "银行"), f"{published.banks:,}", f"{len({e['data']['bank'] for e in drawn}):,}"),
        (say("firms", "企业"), f"{published.firms:,}", f"{len({e['data']['firm'] for e in drawn}):,}"),
        (say("lent", "发放"), in_wan(published.lent_fen), in_wan(outstanding_fen(drawn))),
        (
            say("of it registered", "其中备案"),
            in_wan(published.registered_fen),
            in_wan(outstanding_fen(registered)),
        ),
    ]


def outstanding_fen(drawn: Iterable[dict[str, Any]]) -> int:
    """What the loans' events moved to `outstanding` accounts."""
    postings = (posting for event in drawn for posting in event["postings"])
    return sum(posting["amount_fen"] for posting in postings if posting["account"].endswith("/outstanding"))


def in_wan(amount_fen: int) -> str:
    """The amount in 万元 to the fen, as Shandong writes it."""
    return f"{amount_fen // WAN:,}.{amount_fen % WAN:06d} 万元"


# --- the end ----------------------------------------------------------------------------------------


def show_proof(folder: Path) -> None:
    """Leaves, books, and every cap on both clocks."""
    title(say("The proof: leaves, books, caps on both clocks", "校验：日志、账簿、双时钟上限"))
    kejin(folder, "verify", "all")


def show_next(folder: Path) -> None:
    """What to try now."""
    title(say("Try next", "接下来可以试试"))
    for arguments in (
        f"report firm {cast.FIRM['survivor']}",
        f"report bank {cast.LADDER_BANK}",
        f"report round {rounds_around.R2025}",
        "report duties",
        "events --tag claim:2022-LX-6",
        f"caps --party {cast.FIRM['across_rounds']} --on 2022-12-31",
        "commands claim-loan-interest",
    ):
        place = "" if arguments.startswith("commands") else f" --data '{folder}'"
        print(f"  .venv/bin/kejin {arguments}{place}")
    print(say(f"  the commands of this demo: {folder.parent}/", f"  本演示的命令文件：{folder.parent}/"))
    print()


# --- running kejin ----------------------------------------------------------------------------------


def title(text: str) -> None:
    """The heading of a step."""
    print(f"\n── {text}", flush=True)


def write(folder: Path, name: str, lines: Iterable[Line]) -> Path:
    """A file of commands beside the ledger's folder."""
    file = folder.with_name(f"{folder.name}-{name}.ndjson")
    file.write_bytes(ndjson(lines))
    return file


def kejin(folder: Path, *arguments: object, expected: int = 0) -> None:
    """Show a command and what it answers."""
    words = list(map(str, arguments))
    print("$ kejin " + " ".join(words), flush=True)
    process = subprocess.run([KEJIN, *words, "--data", folder], check=False)
    if process.returncode != expected:
        ended = say(
            f"this ended with {process.returncode}, not {expected}",
            f"退出码为 {process.returncode}，应为 {expected}",
        )
        raise Unexpected(f"kejin {' '.join(words)}: {ended}")


def record(folder: Path, name: str, lines: list[Line], expected: int) -> list[Outcome]:
    """`kejin run` of a file; the outcomes, of repeated lines the first ones. Prints counts, not every line."""
    words = ["run", str(write(folder, name, lines)), "--as", "demo", "--json"]
    print("$ kejin " + " ".join(words), flush=True)
    outcomes = []
    with subprocess.Popen([KEJIN, *words, "--data", folder], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for answer in process.stdout:
            outcomes.append(json.loads(answer))
            if len(outcomes) % 500 == 0:
                print(
                    say(f"  {len(outcomes):,} of {len(lines):,}", f"  {len(outcomes):,} / {len(lines):,}"),
                    flush=True,
                )
    print_table(
        [say("outcome", "结果"), say("lines", "行数")],
        [[word, f"{count:,}"] for word, count in sorted(Counter(words_of(outcomes)).items())],
        right=(1,),
    )
    if process.returncode != expected or len(outcomes) != len(lines):
        raise Unexpected(
            say(f"{name} ended with {process.returncode}", f"{name} 退出码为 {process.returncode}")
        )
    return outcomes


def words_of(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Each outcome in a word, a refusal with its code, a repeated line with what it was first."""
    for outcome in outcomes:
        word = outcome["outcome"]
        if word == "repeated":
            word += " · " + outcome["first"]
        yield word + (f" · {outcome['code']}" if "code" in outcome else "")


def events(folder: Path, *options: str) -> list[dict[str, Any]]:
    """The envelopes of `kejin events --json`."""
    words = ["events", *options, "--json"]
    print("$ kejin " + " ".join(words), flush=True)
    process = subprocess.run([KEJIN, *words, "--data", folder], check=True, stdout=subprocess.PIPE)
    return [json.loads(line) for line in process.stdout.splitlines()]


if __name__ == "__main__":
    sys.exit(main())
