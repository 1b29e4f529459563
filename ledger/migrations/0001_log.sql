-- The log and what follows from it. One database is one ledger.
--
-- Rows of events, event_tags and accounts are written once. day_sums are disposable: sums of the log's postings up
-- to a stamped position, so that deciding never folds a long history; `kejin verify` recomputes them.

create table accounts (
    id integer primary key,             -- in the order of first appearance in the log
    path text collate "C" not null unique
);

create table events (
    position bigint primary key,        -- gapless from 1, in commit order
    recorded_at timestamptz not null,   -- never decreasing with position
    effective_on date not null,
    type text collate "C" not null,
    tags text[] collate "C" not null,
    data bytea not null,                -- canonical JSON, exactly the bytes that the leaf covers
    posting_accounts integer[] not null,
    posting_amounts bigint[] not null,  -- in fen
    posting_days date[],                -- null: all on effective_on
    principal text collate "C" not null,
    key text collate "C",               -- idempotency key, on the last event of its command
    fingerprint bytea,                  -- SHA-256 of the command's fields as sent
    span smallint not null,             -- how many events the command recorded, this one the last
    leaf bytea not null                 -- RFC 6962 leaf hash over every column above
);

create unique index events_key on events (key) where key is not null;

create table event_tags (
    tag text collate "C" not null,
    position bigint not null,
    primary key (tag, position)
);

create table day_sums (
    tag text collate "C" not null,      -- the owner of the account
    account_id integer not null,
    effective_on date not null,
    amount_fen bigint not null,
    primary key (tag, account_id, effective_on)
);

create table day_sum_stamps (
    tag text collate "C" primary key,
    position bigint not null            -- the tag's day_sums hold everything up to here
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the log is immutable: % on % is refused', tg_op, tg_table_name
        using hint = 'record a correcting event instead', errcode = 'restrict_violation';
end $$;

create trigger immutable before update or delete or truncate on events
    for each statement execute function refuse_change();
create trigger immutable before update or delete or truncate on event_tags
    for each statement execute function refuse_change();
create trigger immutable before update or delete or truncate on accounts
    for each statement execute function refuse_change();

-- Also when a session plays a replica, where ordinary triggers sleep.
alter table events enable always trigger immutable;
alter table event_tags enable always trigger immutable;
alter table accounts enable always trigger immutable;
