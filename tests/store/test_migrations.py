"""A ledger of an older schema is brought up to date, and nothing of it is lost."""

from __future__ import annotations

import psycopg

from ledger.tails import FEW_EVENTS, TAIL_EVENTS_MAX
from tests.cli.program import FIRM, OPENING, Program, claim, draw

#: What schema 5 had in the place of what schema 6 has.
AS_BEFORE_6 = """
drop table day_sums;
create table day_sums (
    tag text collate "C" not null, account_id integer not null, effective_on date not null, amount_fen bigint not null,
    primary key (tag, account_id, effective_on)
);
create table day_sum_stamps (tag text collate "C" primary key, position bigint not null);
insert into day_sum_stamps select tag, position from kejin_work.kept_day_sums;
update kejin_work.schema_version set version = 5;
"""


def test_day_sums_of_an_older_schema_are_made_anew(database: str) -> None:
    """Deciding rests on the log: caps stay what they were, claims are decided as before, verify finds nothing."""
    kejin = Program(database)
    days = [f"2023-{n // 28 + 1:02}-{n % 28 + 1:02}" for n in range(TAIL_EVENTS_MAX + 10)]
    kejin.record(*OPENING, *[claim(f"C{n}", 200, day) for n, day in enumerate(days)])
    caps = kejin.ask("caps", "--party", FIRM)
    with psycopg.connect(database, autocommit=True) as owner:
        assert owner.execute("select count(*) from day_sums").fetchone() != (0,)
        owner.execute(AS_BEFORE_6)
    assert kejin.ask("caps", "--party", FIRM) == caps
    # Enough at once that it is worth storing what was read.
    granted, *_ = kejin.record(
        claim("late", 12_000_000, "2023-12-20"), *[draw(f"M{n}") for n in range(FEW_EVENTS)]
    )
    (of_loan,) = (cap for cap in caps if cap["key"] == "L1")
    assert granted["amount_fen"] == of_loan["room_fen"] < 6_000_000
    assert kejin.ask("verify", "all")["findings"] == []
    with psycopg.connect(database) as owner:
        assert owner.execute("select count(*) from day_sums").fetchone() != (0,)


def test_what_is_written_over_and_over_is_not_compressed(database: str) -> None:
    """PostgreSQL stores the day sums of owners, the chains of parties, leaves and the folios of projections as they
    are, also in a ledger that an older schema compressed."""
    kejin = Program(database)
    kejin.record(*OPENING)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(
            "alter table day_sums alter column accounts set storage extended;"
            "update kejin_work.schema_version set version = 6"
        )
    assert kejin.ask("balance", "public/round/R1/available", "--json")["balance_fen"] > 0
    with psycopg.connect(database) as owner:
        compressed = owner.execute(
            "select relname, attname from pg_attribute join pg_class on pg_class.oid = attrelid "
            "where attnum > 0 and relkind = 'r' and attstorage in ('x', 'm') and "
            "(relname, attname) in (select 'day_sums', unnest('{accounts,days,amounts_fen}'::text[]) union all "
            "values ('party_buckets', 'chains'), ('tree_blocks', 'leaves'), ('folios', 'lines'), ('keys', 'used'))"
        ).fetchall()
    assert compressed == []
