"""make serve: the HTTP service on the demo's ledger. Ctrl-C stops it."""

from __future__ import annotations

import os
import sys

from api.language import say
from scripts.demo import KEJIN, demo_folder
from scripts.programme import shandong, shanxi


def main() -> None:
    """Become `kejin serve` on the folder that `make demo` printed; exit 2 where there is none."""
    folder = demo_folder([*shanxi.story().lines, *shandong.commands()])
    if not folder.exists():
        print(
            "kejin: " + say("there is no demo yet; run make demo first", "尚无演示账本；请先运行 make demo"),
            file=sys.stderr,
        )
        sys.exit(2)
    print(
        say(
            "Open http://127.0.0.1:8800 in a browser, or ask http://127.0.0.1:8800/v1/caps · Ctrl-C stops it",
            "用浏览器打开 http://127.0.0.1:8800，或访问 http://127.0.0.1:8800/v1/caps · Ctrl-C 停止",
        )
    )
    sys.stdout.flush()
    os.execv(KEJIN, [str(KEJIN), "serve", "--data", str(folder), *sys.argv[1:]])


if __name__ == "__main__":
    main()
