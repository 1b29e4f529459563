-- Every query of the store, by name.

-- name: is_ours
select to_regclass('kejin_work.schema_version') is not null as ours,
       exists (
           select from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
             and n.nspname not like 'pg\_temp%%' and n.nspname not like 'pg\_toast%%'
             and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
       ) as in_use,
       current_setting('server_version_num')::int as server_version,
       current_setting('server_encoding') as encoding

-- name: schema_version
select version, worker_role from kejin_work.schema_version

-- name: may_take_role
select exists (
    select from pg_roles where rolname = %(role)s and pg_has_role(rolname, 'member')
      and has_schema_privilege(rolname, 'kejin_work', 'usage')
)

-- name: grant_reader
do $$
declare found text;
begin
    grant usage on schema public to kejin_reader;
    grant select on all tables in schema public to kejin_reader;
    -- The schemas of projections that were filled before this role existed, too.
    for found in
        select nspname from pg_namespace
        where nspname like 'kejin\_%' and pg_get_userbyid(nspowner) = current_user
    loop
        execute format('grant usage on schema %I to kejin_reader', found);
        execute format('grant select on all tables in schema %I to kejin_reader', found);
    end loop;
    revoke all on kejin_work.tokens from kejin_reader;
end $$

-- name: take_append_lock
-- Whoever takes it appends: the notification, sent at commit, costs no round trip of its own here.
select pg_advisory_xact_lock(%(lock)s), pg_notify('kejin_appended', '')

-- name: begin_turn
-- Three statements, one round trip.
begin; select pg_advisory_xact_lock(%(lock)d), pg_notify('kejin_appended', ''); execute kejin_head

-- name: hold_append_lock
select pg_advisory_lock(%(lock)s)

-- name: release_append_lock
select pg_advisory_unlock(%(lock)s)

-- name: somebody_waits
select exists (
    select from pg_locks
    where locktype = 'advisory' and not granted and objsubid = 1
      and database = (select oid from pg_database where datname = current_database())
      and classid::bigint = %(lock)s::bigint >> 32 and objid::bigint = %(lock)s::bigint & 4294967295
)

-- name: who_appends
select pid, application_name
from pg_locks join pg_stat_activity using (pid)
where locktype = 'advisory' and granted and mode = 'ExclusiveLock' and objsubid = 1
  and pg_locks.database = (select oid from pg_database where datname = current_database())
  and classid::bigint = %(lock)s::bigint >> 32 and objid::bigint = %(lock)s::bigint & 4294967295

-- name: wait_for_append_lock
select pg_advisory_xact_lock_shared(%(lock)s)

-- name: head
select coalesce((select position from events order by position desc limit 1), 0) as position,
       (select recorded_at from events order by position desc limit 1) as recorded_at,
       clock_timestamp() as now,
       coalesce((select max(id) from accounts), 0) as last_account_id

-- name: events_between
select position, type, effective_on::text, tags, data, posting_accounts, posting_amounts, posting_days::text[],
       key, fingerprint, span
from events where position > %(after)s and position <= %(until)s order by position

-- name: events_of_tags
select position, type, effective_on::text, tags, data, posting_accounts, posting_amounts, posting_days::text[],
       key, fingerprint, span
from events
where position in (select position from event_tags where tag = any(%(tags)s::text[]) and position <= %(until)s)
order by position

-- name: events_at_positions
select position, type, effective_on::text, tags, data, posting_accounts, posting_amounts, posting_days::text[],
       key, fingerprint, span
from events where position = any(%(positions)s) and position <= %(until)s

-- name: events_of_keys
select position, type, effective_on::text, tags, data, posting_accounts, posting_amounts, posting_days::text[],
       key, fingerprint, span
from events where key = any(%(keys)s::text[])

-- name: day_sums_of_tags
select tag, position, accounts, days::text[], amounts_fen
from day_sums where tag = any(%(tags)s::text[]) and position <= %(until)s

-- name: postings_of_tags_since
select s.tag, e.effective_on::text, e.posting_accounts, e.posting_amounts, e.posting_days::text[]
from unnest(%(tags)s::text[], %(stamps)s::bigint[]) as s (tag, stamp)
join event_tags t on t.tag = s.tag and t.position > s.stamp and t.position <= %(until)s
join events e on e.position = t.position

-- name: account_ids
select path, id from accounts where path = any(%(paths)s::text[])

-- name: account_paths
select id, path from accounts where id = any(%(ids)b)

-- name: copy_events
copy events (position, recorded_at, effective_on, span, type, principal, key, fingerprint, tags, posting_accounts,
             posting_amounts, posting_days, data, leaf) from stdin (format binary)

-- name: copy_event_tags
copy event_tags (tag, position) from stdin (format binary)

-- name: events_row_type
select reltype::bigint, array_agg(attname::text order by attnum), array_agg(atttypid::bigint order by attnum)
from pg_class join pg_attribute on attrelid = pg_class.oid
where pg_class.oid = 'public.events'::regclass and attnum > 0 and not attisdropped
group by reltype

-- name: insert_events
with tagged as (
    insert into event_tags (tag, position) select * from unnest(%(tags)b::text[], %(positions)b::bigint[])
)
insert into events (position, recorded_at, effective_on, span, type, principal, key, fingerprint, tags,
                    posting_accounts, posting_amounts, posting_days, data, leaf)
select position, recorded_at, effective_on, span, type, principal, key, fingerprint, tags,
       posting_accounts, posting_amounts, posting_days, data, leaf
from unnest(%(events)b::events[])

-- name: insert_accounts
with made as (
    insert into accounts (id, path) select * from unnest(%(ids)s::int[], %(paths)s::text[])
)
insert into kejin_work.kept_accounts values (%(first)s, %(last)s, %(digest)s) on conflict (first_id) do nothing

-- name: copy_accounts
copy accounts (id, path) from stdin (format binary)

-- name: keep_accounts
insert into kejin_work.kept_accounts values (%(first)s, %(last)s, %(digest)s) on conflict (first_id) do nothing

-- name: save_day_sums
with kept as (
    insert into kejin_work.kept_day_sums (tag, position) values (%(tag)s, %(position)s)
    on conflict (tag) do update set position = excluded.position
)
insert into day_sums (tag, position, accounts, days, amounts_fen)
values (%(tag)s, %(position)s, %(accounts)s::int[], %(days)s::date[], %(amounts_fen)s::bigint[])
on conflict (tag) do update
set position = excluded.position, accounts = excluded.accounts, days = excluded.days, amounts_fen = excluded.amounts_fen

-- name: stored_events
select position, recorded_at, effective_on::text, type, tags, data, posting_accounts, posting_amounts,
       posting_days::text[], principal, key, fingerprint, span, leaf
from events
where position > %(after)s and position <= %(until)s and (%(type)s::text is null or type = %(type)s)
order by position limit %(limit)s

-- name: stored_events_of_tag
select e.position, recorded_at, effective_on::text, type, tags, data, posting_accounts, posting_amounts,
       posting_days::text[], principal, key, fingerprint, span, leaf
from event_tags t join events e on e.position = t.position
where t.tag = %(tag)s and t.position > %(after)s and t.position <= %(until)s
  and (%(type)s::text is null or type = %(type)s)
order by t.position limit %(limit)s

-- name: stored_events_at
select position, recorded_at, effective_on::text, type, tags, data, posting_accounts, posting_amounts,
       posting_days::text[], principal, key, fingerprint, span, leaf
from events where position = any(%(positions)s) order by position

-- name: position_known_at
-- By halves: positions have no gaps, and times never decrease with them.
with recursive search (low, high) as (
    select 0::bigint, %(until)s::bigint
    union all
    select case when e.recorded_at <= %(instant)s then e.position else low end,
           case when e.recorded_at <= %(instant)s then high else e.position - 1 end
    from search join events e on e.position = (low + high + 1) / 2
    where low < high
)
select low from search where low = high

-- Signing: the tree, the index of parties, the checkpoints.

-- name: take_signing_lock
select pg_advisory_xact_lock(%(lock)s)

-- name: signer_size
select coalesce((select size from kejin_work.signer), 0) as size

-- name: newest_checkpoint
select size, note from kejin_work.checkpoints order by size desc limit 1

-- name: checkpoint_of_size
select note from kejin_work.checkpoints where size = %(size)s

-- name: checkpoints
select size, note from kejin_work.checkpoints order by size

-- name: save_published
insert into kejin_work.published (size) values (%(size)s) on conflict (size) do nothing

-- name: sizes_to_prove_from
-- What others may hold: what was published, and what was signed lately.
(select size from kejin_work.published where size between 1 and %(until)s order by size desc limit 100)
union
(select size from kejin_work.checkpoints where size between 1 and %(until)s order by size desc limit 16)
order by size

-- name: block_roots
select block, root from kejin_work.tree_blocks order by block

-- name: bucket_hashes
select bucket, hash from kejin_work.party_buckets

-- name: buckets
select bucket, chains from kejin_work.party_buckets where bucket = any(%(buckets)b)

-- name: leaves_between
select leaf from events where position > %(after)s and position <= %(until)s order by position

-- name: leaves_and_tags_between
select position, leaf, tags from events where position > %(after)s and position <= %(until)s order by position

-- name: save_blocks
insert into kejin_work.tree_blocks (block, root, leaves)
select * from unnest(%(blocks)b::bigint[], %(roots)b::bytea[], %(leaves)b::bytea[])
on conflict (block) do update set root = excluded.root, leaves = excluded.leaves where tree_blocks.root <> excluded.root

-- name: save_buckets
insert into kejin_work.party_buckets (bucket, hash, chains)
select * from unnest(%(buckets)b::int[], %(hashes)b::bytea[], %(chains)b::bytea[])
on conflict (bucket) do update set hash = excluded.hash, chains = excluded.chains

-- name: save_signer
insert into kejin_work.signer (size) values (%(size)s)
on conflict (only_row) do update set size = excluded.size

-- name: save_checkpoint
insert into kejin_work.checkpoints (size, note) values (%(size)s, %(note)s) on conflict (size) do nothing

-- The recorder (the log as the library eventsourcing sees it).

-- name: listen_appended
listen kejin_appended

-- name: walk_indexes_in_order
-- With statistics still missing the planner would collect whole tags before it takes the first few positions.
set enable_bitmapscan = off

-- name: matching_positions
-- The end of the log and the first positions that match any item, both as of one moment.
-- Each item walks the index of its rarest tag (or, tagless, the log) in order and stops at the limit.
select coalesce((select position from events order by position desc limit 1), 0) as head,
       array(
           select distinct found.position
           from json_to_recordset(%(items)s::json) as item (types text[], tags text[])
           cross join lateral (
               (
                   select t.position from event_tags t
                   where t.tag = case when cardinality(item.tags) = 1 then item.tags[1] else (
                             select any_tag from unnest(item.tags) as any_tag
                             order by (
                                 select count(*) from (
                                     select from event_tags c
                                     where c.tag = any_tag and c.position > %(after)s and c.position <= %(until)s
                                     limit 1000
                                 ) as at_most
                             )
                             limit 1
                         ) end
                     and t.position > %(after)s and t.position <= %(until)s
                     and (
                         (cardinality(item.tags) = 1 and cardinality(item.types) = 0)
                         -- A scalar subquery is a probe by position whatever the planner believes.
                         or (
                             select e.tags @> item.tags
                                and (cardinality(item.types) = 0 or e.type = any (item.types))
                             from events e where e.position = t.position
                         )
                     )
                   order by t.position limit %(limit)s
               )
               union all
               (
                   select e.position from events e
                   where cardinality(item.tags) = 0 and e.type = any (item.types)
                     and e.position > %(after)s and e.position <= %(until)s
                   order by e.position limit %(limit)s
               )
           ) as found
           order by found.position limit %(limit)s
       ) as positions

-- name: events_at
-- As many whole events as fit in so many bytes, at least one.
select position, type, tags, data
from (
    select position, type, tags, data,
           sum(octet_length(data)) over (order by position) - octet_length(data) as bytes_before
    from events where position = any (%(positions)s)
) as event
where bytes_before <= %(bytes_max)s
order by position
