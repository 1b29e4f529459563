"""Whatever a superuser does to any table outside kejin_work, `kejin verify all` finds it and names the table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from ledger.codec import entry_of, leaf_hash
from ledger.key_events import adoption
from ledger.notes import SigningKey
from ledger.store import Store
from projections import shelves
from projections.runner import ensure
from projections.verification import CHECKS, run
from projections.verification.checkpoints import Held, Outside
from projections.verification.report import Report
from tests.cli.program import (
    BANK,
    OTHER_FIRM,
    certify,
    claim,
    draw,
    open_round,
    pay,
    publicise,
    register,
)
from tests.evidence import KEY, append, signer_of
from tests.support import Ledger, fresh_database

HISTORY = (
    open_round(),
    register(),
    register(OTHER_FIRM),
    register(BANK, "bank"),
    draw(),
    draw("L2", 300_000_000, OTHER_FIRM),
    claim("C1"),
    claim("C2", 5_000_000, "2023-03-02", loan="L2"),
    publicise("C1"),
    pay("C1"),
    certify(),
    claim("C3", 90_000_000, "2023-03-03"),
)


class Signed:
    """A ledger of every table in use, its checkpoints, and what lies outside the database."""

    def __init__(self, address: str, folder: Path) -> None:
        self.ledger = Ledger(address)
        self.store = self.ledger.store
        # What is to be undone is not committed: only this connection sees it.
        self.store.beside = lambda: nullcontext(self.store)  # type: ignore[method-assign, assignment, misc]
        self.folder = folder
        for line in HISTORY:
            assert self.ledger.submit(line)[0]["outcome"] in ("accepted", "refused")
        many = [claim(f"M{n}", 100, f"2022-{n // 28 + 1:02}-{n % 28 + 1:02}", loan="L2") for n in range(300)]
        self.ledger.submit(*many)
        # Enough of them that the round's day sums are stored.
        for letter in "NP":
            self.ledger.submit(*[line | {"claim": f"{letter}{n}"} for n, line in enumerate(many)])
        append(self.store, 3)
        signer_of(self.store, folder).checkpoint()
        ensure(self.store, self.store.head().position)

    def outside(self) -> Outside:
        """The key, and the checkpoint beside it."""
        note = (self.folder / "signing-key.checkpoint").read_text(encoding="utf-8")
        return Outside([KEY.verifier], [Held("held", note)])

    def verify(self, names: list[str] | None = None) -> Report:
        """`kejin verify`."""
        return run(self.store, names or list(CHECKS), outside=self.outside())

    @contextmanager
    def changed(self, *statements: sql.Composed | str) -> Iterator[None]:
        """A superuser's change, undone at the end: triggers, keys and constraints of the table were no obstacle."""
        with self.store.connection.transaction(force_rollback=True):
            self.store.connection.execute("set local role none")
            for table in ("events", "event_tags", "accounts"):
                self.store.connection.execute(f"alter table {table} disable trigger all".encode())
            for statement in statements:
                text = statement.encode() if isinstance(statement, str) else statement
                self.store.connection.execute(text)
            yield
        self.store.forget_accounts()  # it may have read a changed one


@pytest.fixture(scope="module")
def told(embedded_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    """The ledger of these tests."""
    with fresh_database(embedded_server) as address:
        signed = Signed(address, tmp_path_factory.mktemp("keys"))
        yield signed
        signed.store.close()


def tables(store: Store) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Every table outside kejin_work that has rows: schema, name, columns with their types."""
    rows = store.connection.execute(
        """
        select n.nspname, c.relname, array_agg(array[a.attname::text, format_type(a.atttypid, null)] order by a.attnum)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relkind in ('r', 'p') and n.nspname !~ '^(pg_|information_schema|kejin_work$)'
        group by 1, 2 order by 1, 2
        """
    ).fetchall()
    return [
        (schema, name, [tuple(c) for c in columns])
        for schema, name, columns in rows
        if _filled(store, schema, name)
    ]


def _filled(store: Store, schema: str, name: str) -> bool:
    statement = sql.SQL("select exists (select from {})").format(sql.Identifier(schema, name))
    row = store.connection.execute(statement).fetchone()
    return row is not None and bool(row[0])


#: For each type, and for a column that wants it, another value than the one that stands there.
OTHER = {
    "bigint": "{0} + 1",
    "integer": "{0} + 1",
    "smallint": "{0} + 1",
    "numeric": "{0} + 1",
    "text": "coalesce({0}, '') || 'x'",
    "date": "{0} + 1",
    "timestamp with time zone": "{0} + interval '1 microsecond'",
    "bytea": "coalesce({0}, '') || '\\x00'",
    "boolean": "not {0}",
    "text[]": "{0} || 'x'::text",
    "integer[]": "coalesce({0}, '{{}}') || 1",
    "bigint[]": "coalesce({0}, '{{}}') || 1::bigint",
    "date[]": "array_fill(effective_on, array[greatest(1, cardinality(posting_accounts))])",
    "days": "{0} || date '2024-01-01'",
}


def unconstrained(schema: str, name: str) -> sql.Composed:
    """The table without keys, indexes and constraints, so that anything can be put into it."""
    return sql.SQL(
        """
        do $$ declare one record; begin
            for one in select conname from pg_constraint where conrelid = {table}::regclass and contype <> 'n' loop
                execute format('alter table {name} drop constraint %I cascade', one.conname);
            end loop;
            for one in select indexrelid::regclass::text as name from pg_index where indrelid = {table}::regclass loop
                execute 'drop index ' || one.name;
            end loop;
        end $$
        """
    ).format(table=sql.Literal(f'"{schema}"."{name}"'), name=sql.Identifier(schema, name))


def place(store: Store, schema: str, name: str) -> str:
    """The ctid of a row in the middle of a table."""
    statement = sql.SQL("select ctid::text from {0} offset (select count(*) / 2 from {0}) limit 1").format(
        sql.Identifier(schema, name)
    )
    row = store.connection.execute(statement).fetchone()
    assert row is not None
    ctid: str = row[0]
    return ctid


def named(report: Report) -> set[str]:
    """The tables that the findings name, without schema."""
    return {finding.table.rpartition(".")[2] for finding in report.findings if finding.table}


def test_untouched(told: Signed) -> None:
    """Nothing is wrong with the ledger itself, and every table of the store is in use."""
    report = told.verify()
    assert (report.findings, report.notices) == ([], [])
    assert {name for schema, name, _ in tables(told.store) if schema == "public"} == {
        "accounts",
        "day_sums",
        "event_tags",
        "events",
    }


def test_every_column_of_every_table(told: Signed) -> None:
    """One value of one row changed, in each column of each table."""
    missed = []
    for schema, name, columns in tables(told.store):
        row = place(told.store, schema, name)
        for column, kind in columns:
            other = sql.SQL(OTHER.get(column, OTHER[kind])).format(sql.Identifier(column))
            change = sql.SQL("update {} set {} = {} where ctid = {}").format(
                sql.Identifier(schema, name), sql.Identifier(column), other, sql.Literal(row)
            )
            with told.changed(unconstrained(schema, name), change):
                if name not in named(told.verify()):
                    missed.append((schema, name, column))
    assert not missed


def test_rows_deleted_doubled_cut_and_swapped(told: Signed) -> None:
    """In each table: a row deleted, doubled, all rows deleted, the table truncated, two rows' values exchanged."""
    missed = []
    for schema, name, columns in tables(told.store):
        table, row = sql.Identifier(schema, name), sql.Literal(place(told.store, schema, name))
        changes = {
            "deleted": sql.SQL("delete from {} where ctid = {}").format(table, row),
            "doubled": sql.SQL("insert into {0} select * from {0} where ctid = {1}").format(table, row),
            "emptied": sql.SQL("delete from {}").format(table),
            "truncated": sql.SQL("truncate {}").format(table),
        }
        if len(columns) > 1:
            first, rest = columns[0][0], [column for column, _ in columns[1:]]
            changes["swapped"] = swap(table, first, rest)
        for what, change in changes.items():
            with told.changed(unconstrained(schema, name)):
                done = told.store.connection.execute(change)
                if done.rowcount != 0 and name not in named(told.verify()):
                    missed.append((schema, name, what))
    assert not missed


def test_a_path_that_hides_a_missing_one(told: Signed) -> None:
    """A path with the separator of joined paths in it, and beside it one that is missing: as many as there were."""
    free = "alter table accounts alter column path drop not null"
    with told.changed(free, unconstrained("public", "accounts")):
        paths = dict(told.store.connection.execute("select id, path from accounts where id < 3").fetchall())
        change = "update accounts set path = %s where id = %s"
        told.store.connection.execute(change, (f"{paths[1]}\1{paths[2]}", 1))
        told.store.connection.execute(change, (None, 2))
        assert "accounts" in named(told.verify(["log"]))


def swap(table: sql.Identifier, first: str, rest: list[str]) -> sql.Composed:
    """The values of two neighbouring rows exchanged under their first columns, if they differ."""
    pairs = sql.SQL(", ").join(sql.SQL("{0} = other.{0}").format(sql.Identifier(column)) for column in rest)
    differ = sql.SQL(" or ").join(
        sql.SQL("a.{0} is distinct from b.{0}").format(sql.Identifier(column)) for column in rest
    )
    return sql.SQL(
        """
        with two as (
            select a.ctid as one, b.ctid as two from {table} a, {table} b
            where a.{first} <> b.{first} and ({differ}) limit 1
        ), rows as (
            select t.ctid as at, o.* from two, {table} t, {table} o
            where (t.ctid = two.one and o.ctid = two.two) or (t.ctid = two.two and o.ctid = two.one)
        )
        update {table} set {pairs} from rows other where {table}.ctid = other.at
        """
    ).format(table=table, first=sql.Identifier(first), differ=differ, pairs=pairs)


#: The columns of an event but for its position and key, to be inserted again.
COPIED = (
    "recorded_at, effective_on, type, tags, data, posting_accounts, posting_amounts, posting_days, principal"
)
COLUMNS = f"(position, {COPIED}, key, fingerprint, span, leaf)"
CRAFTED = [
    (
        "events",
        "update events set posting_days = array_fill(effective_on, array[cardinality(posting_accounts)])",
    ),
    ("events", "update events set fingerprint = '' where fingerprint is null"),
    ("events", "update events set tags = array[tags] where position = 8"),
    ("events", "update events set tags = ('[5:' || cardinality(tags) + 4 || ']=' || tags::text)::text[]"),
    ("events", "update events set tags = array_append(tags, null) where position = 8"),
    ("events", "alter table events alter position drop not null; update events set position = null"),
    ("events", "alter table events alter principal drop not null; update events set principal = null"),
    ("events", "update events set recorded_at = 'infinity' where position > 8"),
    ("events", "update events set effective_on = '-infinity' where position = 8"),
    ("events", "update events set type = type || e'\\x01' || principal where position = 8"),
    ("events", "update events set position = position + 1 where position >= 8"),
    (
        "events",
        f"insert into events {COLUMNS} select -5, {COPIED}, null, fingerprint, span, leaf from events limit 1",
    ),
    (
        "events",
        f"insert into events {COLUMNS} select 617, {COPIED}, null, fingerprint, span, leaf from events limit 1",
    ),
    ("events", "delete from events where position > 500"),
    ("accounts", "insert into accounts values ((select max(id) + 1 from accounts), 'public/recovered/R9')"),
    ("accounts", "update accounts set path = 'nonsense' where id = 2"),
    ("event_tags", "insert into event_tags values ('firm:x', 8)"),
    ("event_tags", "insert into event_tags values ('firm:x', 100000)"),
    ("day_sums", "insert into day_sums values ('round:R9', 5, '{1}', '{2024-01-01}', '{5}')"),
    ("day_sums", "insert into day_sums values ('loan:L1', 5, '{}', '{}', '{}')"),
    ("day_sums", "delete from day_sums"),
    ("day_sums", "update day_sums set days = ('[0:' || cardinality(days) - 1 || ']=' || days::text)::date[]"),
    (
        "day_sums",
        "update day_sums set accounts = array[accounts], days = array[days], amounts_fen = array[amounts_fen]",
    ),
]


@pytest.mark.parametrize("keyless", [True, False])
@pytest.mark.parametrize(("table", "change"), CRAFTED)
def test_crafted_changes(told: Signed, table: str, change: str, keyless: bool) -> None:
    """Changes that leave the text of a row the same, or that readers trip over, or whole rows that never were: with
    the table's keys dropped, and with them as they are where these allow it."""
    before = [unconstrained("public", table)] if keyless else []
    try:
        with told.changed(*before, change):
            assert table in named(told.verify())
    except psycopg.errors.IntegrityError:
        assert not keyless
    except (psycopg.errors.InvalidTableDefinition, psycopg.errors.InvalidColumnReference):
        assert "drop not null" in change  # a primary key cannot be null


def forged(store: Store, position: int, amount_fen: int) -> list[Any]:
    """What makes an event say another amount, with the leaf that goes with it: statement parameters."""
    (event,) = store.stored_events_at([position])
    data = event.data.replace(b'"amount_fen":6000000', b'"amount_fen":%d' % amount_fen)
    assert data != event.data
    entry = entry_of(replace(event, data=data))
    return [data, leaf_hash(entry), position]


def rewrite(told: Signed, position: int = 8) -> None:
    """An amount changed together with its leaf."""
    told.store.connection.execute(
        "update events set data = %s, leaf = %s where position = %s", forged(told.store, position, 6_000_001)
    )


def test_an_amount_changed_with_its_leaf(told: Signed) -> None:
    """The leaf is that of the changed fields, so only the signed root tells: a finding at or before that position."""
    with told.changed():
        rewrite(told)
        (finding,) = told.verify(["log"]).findings[:1]
        assert finding.table == "events" and finding.position is not None and finding.position <= 8


def test_the_first_wrong_position_is_named(embedded_server: str, tmp_path: Path) -> None:
    """In a full block the kept leaves tell exactly where a log was rewritten, leaf and all."""
    with fresh_database(embedded_server) as address, Store.open(address) as store:
        append(store, 9000)
        store.beside = lambda: nullcontext(store)  # type: ignore[method-assign, assignment, misc]
        signer_of(store, tmp_path).checkpoint()
        note = (tmp_path / "signing-key.checkpoint").read_text(encoding="utf-8")
        outside = Outside([KEY.verifier], [Held("held", note)])
        with store.connection.transaction(force_rollback=True):
            store.connection.execute("set local role none; alter table events disable trigger all")
            for position in (4200, 4300):
                (event,) = store.stored_events_at([position])
                entry = entry_of(replace(event, type="Forged"))
                store.connection.execute(
                    "update events set type = 'Forged', leaf = %s where position = %s",
                    [leaf_hash(entry), position],
                )
            findings = run(store, ["log"], outside=outside).findings
            assert {finding.position for finding in findings} == {4200}


def test_a_tail_cut_off(told: Signed) -> None:
    """The last events and all that follows from them deleted: only a checkpoint held outside tells, and it does."""
    last = told.store.head().position
    cut = (
        f"delete from events where position > {last - 3}",
        f"delete from event_tags where position > {last - 3}",
        "delete from kejin_work.checkpoints",
    )
    with told.changed(*cut):
        assert "events" in named(told.verify())
        without = run(told.store, ["log", "tables"], outside=Outside([KEY.verifier]))
        assert without.findings == []


def test_what_is_not_signed_yet_is_a_notice(told: Signed) -> None:
    """Events after the newest checkpoint are told, so that nobody takes them for signed."""
    with told.changed():
        append(told.store, 2)
        report = told.verify(["log"])
        assert report.findings == []
        assert [(notice.table, notice.position) for notice in report.notices] == [
            ("events", told.store.head().position - 1)
        ]


def test_a_checkpoint_of_someone_else(told: Signed) -> None:
    """A checkpoint that is brought and not signed by a known key is a finding; a handover makes a new key known."""
    new = SigningKey(KEY.name, b"n" * 32)
    note = (told.folder / "signing-key.checkpoint").read_text(encoding="utf-8")
    outside = Outside([new.verifier], [Held("brought", note)])
    assert "not signed by a key" in run(told.store, ["log"], outside=outside).findings[0].detail
    with told.store.connection.transaction(force_rollback=True):
        with told.store.turn() as turn:
            turn.append([adoption(new.verifier, "2026-01-01", KEY)], "tester")
        assert run(told.store, ["log"], outside=outside).findings == []


#: What stands between rows and their readers, or lets a row in that our tables would not.
DISGUISES = [
    (
        "event_tags",
        (
            "alter table event_tags rename to kept; create view event_tags as select * from kept; "
            "grant select on event_tags, kept to public"
        ),
    ),
    (
        "accounts",
        (
            "create materialized view other as select * from accounts; alter table accounts rename to kept; "
            "alter materialized view other rename to accounts; grant select on accounts to public"
        ),
    ),
    ("event_tags", "create rule hide as on insert to event_tags do instead nothing"),
    ("day_sums", "create table more () inherits (day_sums)"),
    (
        "events",
        "alter table events enable row level security; create policy all_of_it on events using (true)",
    ),
    ("day_sums", "drop table day_sums"),
    ("accounts", "drop table accounts"),
    (
        "event_tags",
        (
            "set local allow_system_table_mods = on; create view pg_catalog.event_tags as "
            "select * from public.event_tags where position <> 8 or current_query() like '%hash%'; "
            "grant select on pg_catalog.event_tags to public"
        ),
    ),
    ("event_tags", "alter table event_tags drop constraint event_tags_pkey"),
    ("event_tags", "alter table event_tags drop constraint event_tags_pkey, alter tag drop not null"),
    ("day_sums", "alter table day_sums alter days drop not null"),
    ("accounts", 'alter table accounts alter path type text collate "default"'),
    ("events", "alter table events add note text"),
]


@pytest.mark.parametrize(("table", "change"), DISGUISES)
def test_disguises(told: Signed, table: str, change: str) -> None:
    """Tables that are gone, and views, rules, policies and heirs that could show a check other rows than a reader."""
    with told.changed(change):
        assert table in named(told.verify(["log", "tables"]))


@pytest.mark.parametrize(
    "change",
    [
        (
            "create function public.unnest(text[]) returns setof text language sql immutable as "
            "$$select one from pg_catalog.unnest($1) as one where one <> 'loan:L1'$$"
        ),
        (
            "set local allow_system_table_mods = on; "
            "create function pg_catalog.unnest(text[]) returns setof text language plpgsql immutable as $$declare r "
            "text; begin foreach r in array $1 loop if r <> 'loan:L1' then return next r; end if; end loop; end$$"
        ),
        (
            "create function public.f(text[], text[]) returns bool language sql as 'select true'; "
            "create operator public.@> (leftarg = text[], rightarg = text[], function = public.f)"
        ),
    ],
)
def test_what_would_be_called_instead_of_postgresqls_own_is_found(told: Signed, change: str) -> None:
    """A function or operator for the very types comes before one for any type, in `public` or beside the latter."""
    with told.changed(change, "delete from event_tags where tag = 'loan:L1'"):
        assert "before PostgreSQL's own" in told.verify(["tables"]).findings[0].detail


def test_what_an_extension_puts_in_front_is_noticed(told: Signed) -> None:
    """Somebody wanted it there: worth knowing, no fault."""
    change = (
        "create function public.unnest(text[]) returns setof text language sql as 'select $1[1]'",
        (
            "insert into pg_depend (classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype) "
            "select 'pg_proc'::regclass, 'public.unnest(text[])'::regprocedure, 0, 'pg_extension'::regclass, oid, "
            "0, 'e' from pg_extension where extname = 'plpgsql'"
        ),
    )
    with told.changed(*change):
        report = run(told.store, ["tables"], outside=told.outside())
    assert any("the extension plpgsql" in notice.detail for notice in report.notices)
    assert not any("before PostgreSQL's own" in finding.detail for finding in report.findings)


def hidden_from_the_index(table: str, index: str, condition: str) -> list[str]:
    """Some rows stand in a table and not in its index: as after a crash, or as a superuser can make it."""
    valid = "update pg_index set indisready = {0}, indisvalid = {0} where indexrelid = '{1}'::regclass"
    return [
        f"create temp table hidden on commit drop as select * from {table} where {condition}",
        f"delete from {table} where {condition}",
        valid.format("false", index),
        f"insert into {table} select * from hidden",
        valid.format("true", index),
    ]


def schemas(told: Signed) -> dict[str, str]:
    """The schema of each projection's only generation."""
    return dict(
        told.store.connection.execute(
            "select split_part(nspname, '_', 2), nspname::text from pg_namespace "
            "where nspname ~ '^kejin_[a-z]+_[0-9]+$'"
        ).fetchall()
    )


@pytest.mark.parametrize(
    ("table", "index", "condition"),
    [
        ("event_tags", "event_tags_pkey", "tag = 'loan:L1'"),
        ("events", "events_key", "position = 8"),
        ("accounts", "accounts_path_key", "id = 3"),
        ("{balances}.folios", "{balances}.folios_pkey", "folio = 'public/treasury'"),
        ("{caps}.keys", "{caps}.keys_pkey", "true"),
    ],
)
def test_what_an_index_does_not_lead_to_is_found(
    told: Signed, table: str, index: str, condition: str
) -> None:
    """A row that the table has and the index has not decides nothing, whatever a check that reads the table says."""
    table, index = table.format(**schemas(told)), index.format(**schemas(told))
    with told.changed(*hidden_from_the_index(table, index, condition)):
        found = told.verify(["tables", "projections"]).findings
        assert {finding.table for finding in found if "leads to other rows" in finding.detail} == {table}


def in_another_order(table: str, index: str, columns: str, passed_by: str) -> list[str]:
    """An index that has every row, in an order in which a search for one value passes it by."""
    name = table.rpartition(".")[2]
    compared = "{} function odd.compared(text, text) returns int language sql immutable as $${}$$"
    return [
        "create schema odd",
        compared.format("create", "select pg_catalog.bttextcmp($1, $2)"),
        (
            "create operator class odd.order for type text using btree as operator 1 <, operator 2 <=, operator 3 =, "
            "operator 4 >=, operator 5 >, function 1 odd.compared(text, text)"
        ),
        "grant usage on schema odd to public",
        f"alter table {table} drop constraint if exists {name}_pkey",
        f"drop index if exists {index}",
        f"create unique index {index.rpartition('.')[2]} on {table} ({columns})",
        compared.format(
            "create or replace",
            f"select case when '{passed_by}' in ($1, $2) then 1 else pg_catalog.bttextcmp($1, $2) end",
        ),
    ]


@pytest.mark.parametrize(
    ("table", "index", "columns", "passed_by"),
    [
        ("event_tags", "event_tags_pkey", 'tag collate "C" odd.order, position', "loan:L1"),
        ("events", "events_key", 'key collate "C" odd.order) where (key is not null', "draw-loan:L1"),
        ("accounts", "accounts_path_key", 'path collate "C" odd.order', "public/treasury"),
        (
            "{balances}.folios",
            "{balances}.folios_pkey",
            'folio collate "C" odd.order, first_position, page',
            "public/treasury",
        ),
    ],
)
def test_an_index_in_another_order_than_a_search_goes_by_is_found(
    told: Signed, table: str, index: str, columns: str, passed_by: str
) -> None:
    """It has every row, and whoever looks for one does not find it: a loan is unknown, a key was never used."""
    table, index = table.format(**schemas(told)), index.format(**schemas(told))
    change = in_another_order(table, index, columns, passed_by)
    if table == "accounts":
        change[4] = "alter table accounts drop constraint accounts_path_key"
    with told.changed(*change):
        found = told.verify(["tables", "projections"]).findings
        lost = [finding.table for finding in found if "a search by it does not find" in finding.detail]
        assert lost == [table]


def test_an_order_or_a_collation_of_somebodys_own_is_found(told: Signed) -> None:
    """An index under an operator class that is not PostgreSQL's own keeps apart what that says; a collation of the same
    name is another one; a key that is looked at only in the end is none meanwhile."""
    changes = [
        in_another_order("event_tags", "event_tags_pkey", 'tag collate "C" odd.order, position', "")[:-1],
        [
            "create collation public.\"C\" (provider = libc, locale = 'C.UTF-8')",
            'alter table event_tags alter tag type text collate public."C"',
        ],
        [
            "alter table event_tags drop constraint event_tags_pkey",
            "alter table event_tags add primary key (tag, position) deferrable initially deferred",
        ],
    ]
    for change in changes:
        with told.changed(*change):
            assert "event_tags" in named(told.verify(["tables"]))


def test_a_view_where_a_check_reads_what_to_look_at(told: Signed) -> None:
    """No figure rests on that schema, but a check reads there which generations there are."""
    with told.changed(
        "alter table kejin_work.projections rename to kept",
        "create view kejin_work.projections as select * from kejin_work.kept",
        "grant select on all tables in schema kejin_work to public",
    ):
        assert "projections" in named(told.verify(["tables"]))


@pytest.mark.parametrize("name", ["balances", "caps", "milestones", "parties", "portfolio", "rounds"])
@pytest.mark.parametrize("change", ["position = position - 1", "position = 0", "leaf = 'x'", "leaf = ''"])
def test_where_a_projection_is_cannot_be_changed_by_itself(told: Signed, name: str, change: str) -> None:
    """Also where the last event moved nothing there, so that its rows are those of the position before."""
    schema = schemas(told)[name]
    with told.changed(f"update {schema}.progress set {change}"):
        found = told.verify(["projections"]).findings
        assert [finding.table for finding in found] == [f"{schema}.progress"]


def test_a_generation_that_nobody_knows_of_is_found_and_the_next_one_is_made(told: Signed) -> None:
    """Its rows would not be looked at; a new generation has a name of its own."""
    schema = schemas(told)["balances"]
    forget = "delete from kejin_work.projections where name = 'balances'"
    with told.changed(f"update {schema}.folios set lines = ''", forget):
        assert [finding.table for finding in told.verify(["projections"]).findings] == [schema]
        begun = shelves.begin(told.store, "balances", 1)
        assert begun.schema == f"{schema.rpartition('_')[0]}_{int(schema.rpartition('_')[2]) + 1}"


def test_a_generation_of_another_version_is_noticed(told: Signed) -> None:
    """It is not looked at: that is said."""
    with told.changed("update kejin_work.projections set version = 99 where name = 'balances'"):
        report = told.verify(["projections"])
    assert report.findings == []
    assert ["of version 99" in notice.detail for notice in report.notices] == [True]


@pytest.mark.parametrize("name", ["rounds", "portfolio", "balances"])
def test_a_line_end_in_the_name_of_a_folio(told: Signed, name: str) -> None:
    """However the names are read, the table is named."""
    schema = schemas(told)[name]
    first = f"(select min(folio) from {schema}.folios)"
    with told.changed(f"update {schema}.folios set folio = folio || e'\\n' where folio = {first}"):
        found = told.verify(["projections"]).findings
        assert {finding.table for finding in found} == {f"{schema}.folios"}


@pytest.mark.parametrize("table", ["accounts", "event_tags", "day_sums"])
def test_a_table_that_nobody_may_read_is_named(told: Signed, table: str) -> None:
    """Not the log as a whole."""
    with told.changed(f"revoke select on {table} from public, kejin_worker, kejin_reader"):
        told.store.connection.execute("set local role kejin_worker")
        assert named(told.verify(["tables"])) == {table}


def test_rows_of_caps_that_are_one_are_found(told: Signed) -> None:
    """A row whose key is the text of several does not stand for them."""
    schema = schemas(told)["caps"]
    change = f"""
        create temp table sorted on commit drop as
            select row_number() over (order by cap collate "C", key collate "C") as n, * from {schema}.keys;
        delete from {schema}.keys k using sorted s where s.n <= 2 and (k.cap, k.key) = (s.cap, s.key);
        insert into {schema}.keys (cap, key, party, used, highest_fen)
        select a.cap, a.key || e'\\t' || coalesce(a.party, 'None') || e'\\t' || encode(a.used, 'hex') || e'\\t'
               || a.highest_fen || e'\\n' || b.cap || e'\\t' || b.key, b.party, b.used, b.highest_fen
        from sorted a, sorted b where a.n = 1 and b.n = 2
    """
    with told.changed(change):
        assert "keys" in named(told.verify(["projections"]))


@pytest.mark.parametrize(
    ("name", "table", "change"),
    [
        ("caps", "keys", "alter table {0}.keys alter used drop not null; update {0}.keys set used = null"),
        ("caps", "keys", "drop table {0}.keys"),
        ("caps", "progress", "update {0}.progress set position = -1"),
        ("caps", "progress", "drop table {0}.progress"),
        (
            "portfolio",
            "folios",
            "alter table {0}.folios alter lines drop not null; update {0}.folios set lines = null",
        ),
        (
            "parties",
            "documents",
            (
                "alter table {0}.documents drop constraint documents_pkey; "
                "alter table {0}.documents alter key drop not null; "
                "insert into {0}.documents select null, position, document from {0}.documents"
            ),
        ),
    ],
)
def test_what_a_projections_table_lets_in_is_found_and_the_table_named(
    told: Signed, name: str, table: str, change: str
) -> None:
    """Rows that no digest would see, tables that are gone, a position that is none."""
    schema = schemas(told)[name]
    with told.changed(change.format(schema)):
        assert f"{schema}.{table}" in {finding.table for finding in told.verify(["projections"]).findings}


def test_a_view_before_a_projection(told: Signed) -> None:
    """The same before the tables of a projection."""
    schema = schemas(told)["balances"]
    view = f"alter table {schema}.folios rename to kept; create view {schema}.folios as select * from {schema}.kept"
    with told.changed(f"{view}; grant all on all tables in schema {schema} to public"):
        assert "folios" in named(told.verify(["projections"]))


def test_an_index_of_only_some_rows_keeps_nothing_unique(told: Signed) -> None:
    """A unique index with another condition than ours is none."""
    for name, column, condition in (
        ("events_key", "key", "key is not null and position < 0"),
        ("events_pkey", "position", "position < 0"),
    ):
        drop = (
            "drop index events_key"
            if name == "events_key"
            else "alter table events drop constraint events_pkey"
        )
        with told.changed(drop, f"create unique index {name} on events ({column}) where {condition}"):
            assert "events" in named(told.verify(["log"]))


@pytest.mark.parametrize("position", [2**63 - 1, 10**12])
def test_a_position_beyond_all_events_is_found_and_verify_ends(told: Signed, position: int) -> None:
    """One row far away does not make the checks look through what lies between."""
    with told.changed(
        unconstrained("public", "events"),
        f"update events set position = {position} where position = (select max(position) from events)",
    ):
        assert position in {finding.position for finding in told.verify().findings}


def test_a_trigger_that_is_gone_is_noticed(told: Signed) -> None:
    """Where nothing refuses a change any more, that is worth knowing, though nothing was changed."""
    report = told.verify(["tables"])
    assert report.notices == []
    with told.store.connection.transaction(force_rollback=True):
        told.store.connection.execute("set local role none")
        told.store.connection.execute("drop trigger immutable on event_tags")
        told.store.connection.execute("alter table events disable trigger immutable")
        report = told.verify(["tables"])
    assert {notice.table for notice in report.notices} == {"events", "event_tags"}
    assert report.findings == []


@pytest.mark.parametrize("when", ["when (false)", "of leaf"])
def test_a_trigger_that_lets_some_changes_pass_is_noticed(told: Signed, when: str) -> None:
    """One that asks for a condition, or looks at some columns only, is as good as gone."""
    columns, condition = (when, "") if when.startswith("of") else ("", when)
    with told.store.connection.transaction(force_rollback=True):
        told.store.connection.execute("set local role none")
        told.store.connection.execute("drop trigger immutable on events")
        told.store.connection.execute(
            f"create trigger immutable before delete or update {columns} or truncate on events "
            f"for each statement {condition} execute function refuse_change()".encode()
        )
        told.store.connection.execute("alter table events enable always trigger immutable")
        report = told.verify(["tables"])
    assert {notice.table for notice in report.notices} == {"events"}


def test_a_schema_that_is_looked_in_first_hides_nothing(database: str) -> None:
    """Neither tables nor operators of another schema stand before ours, whatever the database is set to."""
    ledger = Ledger(database)
    for line in HISTORY:
        ledger.submit(line)
    ledger.store.close()
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create schema evil; grant usage on schema evil to public")
        owner.execute("create function evil.f(numeric, numeric) returns bool language sql as 'select true'")
        owner.execute("create operator evil.= (leftarg = numeric, rightarg = numeric, function = evil.f)")
        owner.execute("create table evil.accounts (like public.accounts including all)")
        owner.execute("insert into evil.accounts select * from public.accounts")
        name = owner.info.dbname
        owner.execute(f"alter database {name} set search_path = evil, pg_catalog, public".encode())
        owner.execute(f"alter database {name} set statement_timeout = 1".encode())
        owner.execute("alter table public.event_tags disable trigger all")
        owner.execute("delete from public.event_tags where tag = 'loan:L1' and position = 8")
        owner.execute("alter table public.accounts disable trigger all")
        owner.execute("update public.accounts set path = path || 'x' where id = 1")
    with Store.open(database) as store:
        assert {"event_tags", "accounts"} <= named(run(store, ["log", "tables"]))
