"""A session of the command line with one ledger: which database, opened, and closed again."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from api.language import say
from api.problems import Problem
from ledger import patience
from ledger.dates import SHANGHAI, Day, is_day
from ledger.parties import is_well_formed
from ledger.server import Server, default_data_dir, share
from ledger.store import NotKnown, Store
from projections.clocks import AsOf

ADDRESS_VARIABLE: Final = "KEJIN_DATABASE_URL"


def _folder(text: str) -> Path:
    """A folder named by a person. Raises Problem for no name at all: an unset variable of a script must not make a
    ledger in the folder where somebody happens to be."""
    if not text:
        raise Problem(
            say("--data is empty; name a folder, or leave it out", "--data 为空；请指明文件夹，或省略该选项")
        )
    return Path(text)


Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        parser=_folder,
        help="The ledger's data folder; may be empty or absent. Wins over KEJIN_DATABASE_URL, which counts as unset "
        "where it is empty. 账本数据文件夹。",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON on standard output. 以 JSON 输出。")]
On = Annotated[
    str | None,
    typer.Option("--on", metavar="DATE", help="Business date YYYY-MM-DD; default: all. 业务日期。"),
]
KnownAt = Annotated[
    str | None,
    typer.Option(
        "--known-at",
        metavar="INSTANT",
        help="As known at an instant (ISO 8601; without a zone: Shanghai). 截至该时刻所知。",
    ),
]
KnownPosition = Annotated[
    int | None,
    typer.Option("--known-position", metavar="N", help="As known at a position of the log. 截至该序号所知。"),
]


def database_address() -> str | None:
    """The address that the environment names, if any; an empty one is none."""
    return os.environ.get(ADDRESS_VARIABLE) or None


def tell_who_is_waited_for() -> None:
    """From now on a person is told, in a line, when we wait for others for long."""
    patience.tell = _tell


def _tell(en: str, zh: str) -> None:
    print(f"kejin: {say(en, zh)}", file=sys.stderr, flush=True)


def share_server(data: Path | None) -> Server:
    """A share in the server of a data folder (default: the user's own). Raises ServerError."""
    tell_who_is_waited_for()
    return share(data or default_data_dir())


#: The options that say what was known.
_KNOWN: Final = ("--known-at", "--known-position")


@contextlib.contextmanager
def ledger(data: Path | None, *, by_index: bool = False, as_owner: bool = False) -> Iterator[Store]:
    """The store of `--data`, else of KEJIN_DATABASE_URL, else of the user's own data folder. Raises ServerError,
    StoreError."""
    tell_who_is_waited_for()
    address = None if data else database_address()
    with contextlib.ExitStack() as stack:
        if address is None:
            address = stack.enter_context(share_server(data)).address()
        yield stack.enter_context(Store.open(address, by_index=by_index, as_owner=as_owner))


def as_of(
    store: Store,
    on: str | None,
    known_at: str | None,
    known_position: int | None = None,
    *,
    on_option: str = "--on",
    known_options: tuple[str, str] = _KNOWN,
) -> AsOf:
    """The two clocks of a read, once the projections reach its position. Raises Problem: not a date (of the option that
    gave it), not an instant, both at once (of the options that gave them), not known, not projected."""
    # Imported here: numpy costs a tenth of a second that other commands need not wait.
    from projections.runner import ensure
    from projections.shelves import NotProjected

    day = None if on is None else read_day(on, on_option)
    clocks = AsOf(day, position_known(store, known_at, known_position, known_options))
    try:
        ensure(store, clocks.known_position, show_projecting)
    except NotProjected as error:
        raise Problem(say(f"{error}; see kejin projections", f"{error.zh}；见 kejin projections")) from None
    return clocks


def position_known(
    store: Store, known_at: str | None, known_position: int | None, options: tuple[str, str] = _KNOWN
) -> int:
    """The position that a read of the log itself goes up to. Raises Problem: both at once, no instant, not known."""
    if known_at is not None and known_position is not None:
        instant, position = options
        raise Problem(say(f"give {instant} or {position}, not both", f"{instant} 与 {position} 只能给出一个"))
    try:
        return store.known_position(known_position, None if known_at is None else read_instant(known_at))
    except NotKnown as error:
        raise Problem(say(f"not_known: {error}", f"not_known：{error.zh}")) from None


def show_projecting(name: str, reached: int, until: int) -> None:
    """Say how far the projections are, where somebody looks and has to wait."""
    if sys.stderr.isatty() and until - reached > 1:
        done = f"{reached:,} / {until:,}"
        print(say(f"projecting {name}: {done}", f"正在投影 {name}：{done}"), file=sys.stderr)


def read_day(text: str, option: str = "--on") -> Day:
    """A business date given by a person with an option. Raises Problem."""
    if not is_day(text):
        raise Problem(
            say(
                f"{option} {text!r} is no real date; write YYYY-MM-DD",
                f"{option} {text!r} 不是真实日期；请写作 YYYY-MM-DD",
            )
        )
    return text


def read_uscc(option: str, text: str | None) -> str | None:
    """A party's code given by a person, if one was given. Raises Problem for what is no USCC."""
    if text is None or is_well_formed(text):
        return text
    raise Problem(
        say(
            f"{option} {text!r} is no USCC: 18 characters of 0-9 and A-Z without I O S V Z",
            f"{option} {text!r} 不是统一社会信用代码：18 位数字与大写字母（不含 I O S V Z）",
        )
    )


def unknown_round(name: str) -> Problem:
    """What to tell of a round that was never opened, as known then."""
    return Problem(say(f"there is no round {name!r}", f"轮次 {name!r} 不存在"))


def unknown_party(uscc: str) -> Problem:
    """What to tell of a code under which nobody was registered, as known then."""
    return Problem(say(f"nobody is registered as {uscc}", f"{uscc} 未登记"))


def read_instant(text: str, option: str = "--known-at") -> datetime:
    """An instant given by a person as an option; without a zone it is Shanghai's. Raises Problem."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(
            say(
                f"{option} {text!r} is no instant; write e.g. 2024-07-01T09:30:00+08:00",
                f"{option} {text!r} 不是时刻；例如 2024-07-01T09:30:00+08:00",
            )
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=SHANGHAI)
