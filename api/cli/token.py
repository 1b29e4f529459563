"""kejin token: who may use the HTTP service, and in which role."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from api.language import say
from api.printing import print_json, print_table
from api.problems import Problem
from api.roles import READING, ROLES, Scope, permission_of, permissions_of
from api.session import Data, Json, ledger, read_instant
from api.tokens import all_tokens, create, looks_like_itself, revoke, taken_for
from ledger.commands import TEXT

_ACTIONS = ("create", "list", "revoke")


def command(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="create, list, revoke")],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="create: who acts by it. revoke: a token's id, or whose tokens. 使用者。"
        ),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option("--role", help=f"{', '.join(ROLES)}; may be given several times. 角色，可重复。"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="COMMAND|read|verify",
            help="Narrow the roles to this; may be given several times. 仅限于此，可重复。",
        ),
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=36_500, help="Valid for so many days. 有效天数。")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="INSTANT", help="Valid until then (ISO 8601). 有效期至。")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Bearer tokens of the HTTP service: create NAME --role ROLE, list, revoke NAME. 管理令牌。

    \b
    kejin token create 某银行接口 --role operator --only draw-loan --only repay-loan --days 365
    kejin token create dashboard --role auditor --only read

    The secret is shown once; only its hash is stored. NAME is bound into every event that is recorded by the token.
    auditor reads everything and changes nothing; finance reads, publicises, pays, takes payments back and recovers;
    compliance reads, verifies, holds, releases and voids; operator records facts and claims; admin opens and closes
    rounds, adjusts their budgets and returns money to the treasury. --only leaves of all that only the commands and
    kinds of reading that it names. Once a token was made, the service wants one with every request, and
    nobody pays a claim that they decided.
    """
    if action not in _ACTIONS:
        raise Problem(
            say(
                f"no action {action!r}; there are create, list, revoke",
                f"没有 {action!r}；可用 create、list、revoke",
            )
        )
    if action == "create":
        _create(name, role or [], only or [], _expiry(days, until), data, as_json)
    elif action == "revoke":
        _revoke(name, data, as_json)
    elif name is not None:
        raise Problem(say("list takes no NAME: it lists every token", "list 不接受使用者；列出全部令牌"))
    else:
        _list(data, as_json)


def _expiry(days: int | None, until: str | None) -> datetime | None:
    if days is not None and until is not None:
        raise Problem(say("give --days or --until, not both", "--days 与 --until 只能给出一个"))
    now = datetime.now(UTC)
    expires_at = (
        now + timedelta(days=days) if days else None if until is None else read_instant(until, "--until")
    )
    if expires_at is not None and expires_at <= now:
        raise Problem(say("--until is in the past; name a later instant", "--until 已过；请给出将来的时刻"))
    return expires_at


def _create(
    name: str | None,
    roles: list[str],
    only: list[str],
    expires_at: datetime | None,
    data: Data,
    as_json: bool,
) -> None:
    if name is None or not TEXT.accepts(name):
        raise Problem(say(f"create wants a NAME: {TEXT.wanted_en}", f"create 须给出使用者：{TEXT.wanted_zh}"))
    if not looks_like_itself(name):
        raise Problem(
            say(
                f"the NAME {name!r} looks like another one: it begins or ends with a blank, or has characters that "
                "nobody sees",
                f"使用者 {name!r} 看似他人：首尾有空格，或含不可见字符",
            )
        )
    strange = [role for role in roles if role not in ROLES]
    if strange or not roles:
        listed = ", ".join(ROLES)
        raise Problem(say(f"--role wants one of {listed}", f"--role 应为 {listed} 之一"))
    _check_narrowing(roles, only)
    with ledger(data, as_owner=True) as store:
        other = taken_for(store, name)
        if other is not None:
            raise Problem(
                say(
                    f"the NAME {name!r} would be taken for {other!r}, who has had a token; give that name, or one that "
                    "differs in more than the form of its letters",
                    f"使用者 {name!r} 易与已有令牌的 {other!r} 混淆；请用该名称，或用不只是字形不同的名称",
                )
            )
        token_id, secret = create(store, name, roles, only, expires_at)
    if as_json:
        print_json(
            {
                "id": token_id,
                "principal": name,
                "roles": sorted(set(roles)),
                "only": sorted(set(only)) or None,
                "secret": secret,
            }
        )
    else:
        print(secret)


def _check_narrowing(roles: list[str], only: list[str]) -> None:
    """A word that narrows to nothing is a mistake. Raises Problem."""
    from ledger.catalogue import catalogue

    commands, scope = catalogue().specs, Scope(permissions_of(roles))
    for word in only:
        if word not in READING and word not in commands:
            raise Problem(
                say(
                    f"--only {word!r}: it is read, verify, or a command; see kejin commands",
                    f"--only {word!r}：须为 read、verify 或命令名；见 kejin commands",
                )
            )
        if not scope.allows(word if word in READING else permission_of(word), word):
            listed = ", ".join(roles)
            raise Problem(
                say(
                    f"--only narrows: {listed} may not do {word} in the first place",
                    f"--only 只能收窄：{listed} 本无 {word} 权限",
                )
            )


def _revoke(name: str | None, data: Data, as_json: bool) -> None:
    if name is None:
        raise Problem(say("revoke wants a token's id, or whose tokens", "revoke 须给出令牌编号或使用者"))
    with ledger(data, as_owner=True) as store:
        revoked = revoke(store, name)
    if not revoked:
        raise Problem(say(f"{name!r} has no token to revoke", f"{name!r} 没有可撤销的令牌"))
    if as_json:
        print_json({"revoked": revoked})
    else:
        print(say(f"revoked: {', '.join(revoked)}", f"已撤销：{', '.join(revoked)}"))


def _list(data: Data, as_json: bool) -> None:
    with ledger(data, as_owner=True) as store:
        documents = [token.document() for token in all_tokens(store)]
    if as_json:
        print_json(documents)
        return
    print_table(
        [
            say("id", "编号"),
            say("principal", "使用者"),
            say("roles", "角色"),
            say("only", "仅限"),
            say("created", "生成于"),
            say("expires", "有效期至"),
            say("revoked", "撤销于"),
        ],
        [
            [
                d["id"],
                d["principal"],
                ", ".join(d["roles"]),
                ", ".join(d["only"] or []),
                d["created_at"],
                d["expires_at"] or "",
                d["revoked_at"] or "",
            ]
            for d in documents
        ],
    )
