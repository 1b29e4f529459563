"""Connections to a ledger's database; its schema is set up where it is empty, refused where it is not ours."""

from __future__ import annotations

import os
from importlib import resources
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from ledger.bilingual import Bilingual
from ledger.sql import load

SCHEMA_VERSION: Final = 7
WORKER_ROLE: Final = "kejin_worker"
#: The role of readers that must not be able to write: those of the HTTP service.
READER_ROLE: Final = "kejin_reader"

#: The advisory lock of setting up the schema.
SETUP_LOCK: Final = 0x6B656A696E02

_QUERIES: Final = load("ledger", "queries.sql")

# What a database or a role is set to says nothing here: above all not in which schema a name is looked for first.
_SETTINGS: Final = (
    # PostgreSQL's own schema comes before `public`, that of temporary tables last.
    "-c search_path=public,pg_temp -c timezone=UTC -c datestyle=ISO -c client_min_messages=warning"
    " -c standard_conforming_strings=on -c quote_all_identifiers=off"
    # What is acknowledged is on the disk. Whoever waited for the append lock sees what others wrote meanwhile.
    " -c synchronous_commit=on -c default_transaction_isolation=read\\ committed -c default_transaction_read_only=off"
    # What takes long takes long.
    " -c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0 -c idle_in_transaction_session_timeout=0"
    # A client that went away without a word (its machine, the network) keeps no lock for hours.
    " -c tcp_keepalives_idle=60 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
)

#: An older server does not know that setting, and refuses a connection that names it.
_TRANSACTION_TIMEOUT_SINCE: Final = 170000

# The writer looks up keys by index, always; with statistics still missing on a young table the planner would
# guess otherwise.
_PLAN_BY_INDEX: Final = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"


class StoreError(Bilingual):
    """The database cannot be used: what, where and what to do."""


class LostSchema(StoreError):
    """Nothing says any more which schema the database has: `kejin verify` finds what else."""


class CannotConnect(StoreError):
    """There is no connection to be had, which says nothing about what the database holds."""


def connect(address: str, *, by_index: bool = False, settings: str = "") -> psycopg.Connection[Any]:
    """A connection in autocommit mode; `settings` are options of the server. Raises CannotConnect."""
    options = f"{_SETTINGS} {settings}"
    if by_index:
        options += " " + _PLAN_BY_INDEX
    try:
        # Whatever the address, the environment or the role say of encodings: rows are copied as UTF-8.
        connection = psycopg.connect(
            address,
            autocommit=True,
            options=options,
            application_name=f"kejin {os.getpid()}",  # by which whoever waits for us can find us
            client_encoding="UTF8",
        )
        if connection.info.server_version >= _TRANSACTION_TIMEOUT_SINCE:
            connection.execute("set transaction_timeout = 0")
        return connection
    except (psycopg.Error, UnicodeError) as error:
        # libpq says where and why first, and a hint after it.
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise CannotConnect(
            f"cannot connect to the database: {reason}; check that it runs, and its address",
            f"无法连接数据库：{reason}；请检查其是否运行及地址是否正确",
        ) from None


def ensure_schema(connection: psycopg.Connection[Any]) -> str | None:
    """Set the schema up in an empty database; return the worker role's name, if there is one.

    Raises StoreError for a database that is not a ledger, not UTF-8, too old, or of a newer version.
    """
    with connection.transaction():
        found = _schema_version(connection)
        if found is None:
            connection.execute("select pg_advisory_xact_lock(%s)", (SETUP_LOCK,))
            found = _schema_version(connection) or _created(connection)
        if 1 <= found[0] < SCHEMA_VERSION:
            connection.execute("select pg_advisory_xact_lock(%s)", (SETUP_LOCK,))
            found = _migrated(connection)
    version, role = found
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"the database has schema version {version}, this kejin knows {SCHEMA_VERSION}; "
            "use the kejin that wrote it or a newer one",
            f"数据库的模式版本为 {version}，本程序为 {SCHEMA_VERSION}；请使用写入它的版本或更新的版本",
        )
    return role


def _schema_version(connection: psycopg.Connection[Any]) -> tuple[int, str | None] | None:
    row = connection.execute(_QUERIES["is_ours"]).fetchone()
    assert row is not None  # a select without a from has one row
    ours, in_use, server_version, encoding = row
    where = f"database {connection.info.dbname}"
    if not ours:
        if in_use:
            raise StoreError(
                f"{where} holds tables that are not a Kejin ledger; name an empty database",
                f"{where} 中的表不是科金账本；请指定空数据库",
            )
        if server_version < 150000:
            raise StoreError(
                f"{where} runs PostgreSQL {server_version // 10000}; Kejin needs 15 or newer",
                f"{where} 为 PostgreSQL {server_version // 10000}；须为 15 或更新",
            )
        if encoding != "UTF8":
            raise StoreError(
                f"{where} has encoding {encoding}; create it with encoding UTF8",
                f"{where} 的编码为 {encoding}；请以 UTF8 建立",
            )
        return None
    row = connection.execute(_QUERIES["schema_version"]).fetchone()
    if row is None:
        raise LostSchema(f"{where} has lost its schema version", f"{where} 缺少模式版本")
    return row[0], row[1]


def _created(connection: psycopg.Connection[Any]) -> tuple[int, str | None]:
    try:
        return _create_schema(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        user, name = connection.info.user, connection.info.dbname
        reason = error.diag.message_primary or str(error)
        raise StoreError(
            f"the role {user} may not make a ledger in database {name} ({reason}); make it the database's owner, "
            f"or grant it create on database {name} and on its schema public",
            f"角色 {user} 无权在数据库 {name} 中建立账本（{reason}）；请将其设为该库所有者，"
            f"或授予其在数据库 {name} 及模式 public 上的 create 权限",
        ) from None


def _create_schema(connection: psycopg.Connection[Any]) -> tuple[int, str | None]:
    _run_migration(connection, 1)
    role = _create_worker_role(connection)
    connection.execute("create schema kejin_work")
    connection.execute("create table kejin_work.schema_version (version int not null, worker_role text)")
    connection.execute("insert into kejin_work.schema_version values (1, %s)", (role,))
    if role:
        connection.execute(
            sql.SQL(
                "grant usage on schema public, kejin_work to {role};"
                "grant select, insert on events, event_tags, accounts to {role};"
                "grant select, insert, update on day_sums, day_sum_stamps to {role};"
                "grant select on kejin_work.schema_version to {role}"
            ).format(role=sql.Identifier(role))
        )
    connection.execute("revoke update, delete, truncate on events, event_tags, accounts from current_user")
    return 1, role


#: What the worker role may do beyond reading with the tables that a migration makes.
_GRANTS: Final[dict[int, LiteralString]] = {
    3: "grant insert on kejin_work.checkpoints, kejin_work.published, kejin_work.kept_accounts to {role};"
    "grant insert, update on kejin_work.tree_blocks, kejin_work.party_buckets, kejin_work.signer,"
    " kejin_work.kept_day_sums to {role}",
    6: "grant select, insert, update on day_sums to {role}",
}


def _migrated(connection: psycopg.Connection[Any]) -> tuple[int, str | None]:
    """Under the setup lock: bring an older schema up to date, one numbered file after the other."""
    found = _schema_version(connection)
    assert found is not None  # looked at before the lock; schemas do not go away
    version, role = found
    for number in range(version + 1, SCHEMA_VERSION + 1):
        _run_migration(connection, number)
        if role:
            grants = "grant select on all tables in schema kejin_work to {role};" + _GRANTS.get(number, "")
            connection.execute(sql.SQL(grants).format(role=sql.Identifier(role)))
        connection.execute("update kejin_work.schema_version set version = %s", (number,))
    if role:
        _make_reader(connection)
    return max(version, SCHEMA_VERSION), role


def _run_migration(connection: psycopg.Connection[Any], number: int) -> None:
    folder = resources.files("ledger").joinpath("migrations")
    (file,) = (f for f in folder.iterdir() if f.name.startswith(f"{number:04}_"))
    connection.execute(file.read_text(encoding="utf-8").encode())


def _create_worker_role(connection: psycopg.Connection[Any]) -> str | None:
    """The role of normal work."""
    return _create_role(connection, WORKER_ROLE)


def _make_reader(connection: psycopg.Connection[Any]) -> None:
    """The role of readers: it sees everything but tokens, and changes nothing. What exists is granted here; later
    generations of projections grant themselves."""
    if _create_role(connection, READER_ROLE):
        connection.execute(_QUERIES["grant_reader"])


def may_read_only(connection: psycopg.Connection[Any]) -> bool:
    """Whether the reader's role exists and may be taken."""
    row = connection.execute(_QUERIES["may_take_role"], {"role": READER_ROLE}).fetchone()
    return row is not None and bool(row[0])


def _create_role(connection: psycopg.Connection[Any], role: str) -> str | None:
    """A role without login. Roles belong to the whole server: another ledger may have made it already.

    Where the owner may not create roles, work is done as the owner, whose right to change was revoked.
    """
    try:
        with connection.transaction():
            # Roles are made one at a time on a server: this lock is its own, whatever the database.
            exists = connection.execute("select from pg_roles where rolname = %s", (role,)).fetchone()
            if exists is None:
                connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        pass  # another database's setup made it in this very moment
    except psycopg.errors.InsufficientPrivilege:
        return None
    try:
        with connection.transaction():
            connection.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(role)))
            connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            connection.execute("reset role")
    except psycopg.errors.InsufficientPrivilege:
        return None
    return role
