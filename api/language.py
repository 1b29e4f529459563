"""Chinese or English: `KEJIN_LANG` (zh or en), else the locale of the environment, else English."""

from __future__ import annotations

import io
import os
import sys


def language() -> str:
    """`zh` or `en`."""
    asked = os.environ.get("KEJIN_LANG")
    if not asked:
        # The order in which POSIX programs look at the locale of messages.
        names = ("LC_ALL", "LC_MESSAGES", "LANG")
        asked = next((os.environ[name] for name in names if os.environ.get(name)), "en")
    return "zh" if asked.lower().startswith("zh") else "en"


def say(en: str, zh: str) -> str:
    """The sentence in the reader's language."""
    return zh if language() == "zh" else en


def write_utf8() -> None:
    """Write UTF-8 whatever encoding the surroundings name: half of what we say is Chinese, and so are names."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=stream.errors)
