-- What the checks of the log and its tables read, by name.

-- name: joined_paths
-- In both aggregates in the order in which a group's rows come.
select count(*), count(path), convert_to(string_agg(id::text, e'\x01'), 'UTF8'),
       convert_to(string_agg(path, e'\x01'), 'UTF8')
from accounts group by id >> 17

-- name: paths
select id, path from accounts

-- name: instant_at
select timestamptz_send(recorded_at) from events where position = %(position)s

-- name: copy_rows
-- The columns in the order of ledger/sent.py.
copy (
    select position, recorded_at, effective_on, span, type, principal, key, fingerprint, tags, posting_accounts,
           posting_amounts, posting_days, data, leaf
    from events where position > %s and position <= %s order by position
) to stdout (format binary)

-- name: row_at
select timestamptz_send(recorded_at) as instant, leaf,
       coalesce(
           cardinality(posting_accounts) = cardinality(posting_amounts)
           and (posting_days is null
                or cardinality(posting_days) = cardinality(posting_accounts) and effective_on <> any (posting_days))
           and octet_length(leaf) = 32 and (fingerprint is null or octet_length(fingerprint) = 32)
           and coalesce(array_lower(tags, 1), 1) = 1 and coalesce(array_ndims(tags), 1) = 1
           and coalesce(array_lower(posting_accounts, 1), 1) = 1 and coalesce(array_ndims(posting_accounts), 1) = 1
           and coalesce(array_lower(posting_amounts, 1), 1) = 1 and coalesce(array_ndims(posting_amounts), 1) = 1
           and coalesce(array_lower(posting_days, 1), 1) = 1 and coalesce(array_ndims(posting_days), 1) = 1,
           false) as plain
from events where position = %(position)s

-- name: outside_positions
select count(*) from events where position is null or position < 1

-- name: structure
-- Of every table of a schema its columns and what is unique in it, each in one line.
select c.relname, array_agg(fact.says)
from pg_class c join pg_namespace s on s.oid = c.relnamespace and s.nspname = %(schema)s
cross join lateral (
    select 'column ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
           || coalesce((
               select ' ' || case l.collnamespace when 'pg_catalog'::regnamespace then '' else l.collnamespace::regnamespace || '.' end
                      || l.collname
               from pg_collation l where l.oid = a.attcollation
           ), '')
           || case when a.attnotnull then ' not null' else '' end
    from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    union all
    select 'unique ' || (
        select string_agg(coalesce(a.attname, '…'), ', ' order by k.n)
        from unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
        left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    ) || coalesce(' where ' || pg_get_expr(i.indpred, i.indrelid), '')
    || coalesce((
        select ' in the order of ' || string_agg(o.opcnamespace::regnamespace || '.' || o.opcname, ', ')
        from pg_opclass o where o.oid = any (i.indclass)
          and not (o.opcdefault and o.opcnamespace = 'pg_catalog'::regnamespace and o.oid < 16384)
    ), '')
    || case when i.indimmediate then '' else ' at the end of a transaction' end
    from pg_index i where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indisready
) as fact (says)
where c.relkind = 'r'
group by c.relname

-- name: indexes
-- The B-trees over plain columns of a schema's tables: table, index, columns, condition.
select c.relname, x.relname, array_agg(a.attname::text order by k.n), pg_get_expr(i.indpred, i.indrelid)
from pg_index i
join pg_class c on c.oid = i.indrelid and c.relkind = 'r'
join pg_class x on x.oid = i.indexrelid
join pg_am m on m.oid = x.relam and m.amname = 'btree'
join pg_namespace s on s.oid = c.relnamespace and s.nspname = %(schema)s
cross join lateral unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
where i.indisvalid and i.indisready and i.indexprs is null
group by c.relname, x.relname, i.indpred, i.indrelid
order by c.relname, x.relname

-- name: relations
-- In some schemas (of some names): what stands under each name, and whether something stands between its rows and who
-- reads them.
select s.nspname, c.relname, c.relkind::text,
       c.relrowsecurity or exists (select from pg_rewrite r where r.ev_class = c.oid)
       or exists (select from pg_inherits h where h.inhparent = c.oid or h.inhrelid = c.oid) as is_changed
from pg_class c join pg_namespace s on s.oid = c.relnamespace
where c.relkind in ('r', 'v', 'm', 'f', 'p')
  and s.nspname ~ %(schemas)s and (%(tables)s::text[] is null or c.relname = any (%(tables)s))

-- name: table_of_file
-- What stands in a file of the database, or what it is an index of.
select case s.nspname when 'public' then '' else s.nspname || '.' end || c.relname
from pg_class f left join pg_index i on i.indexrelid = f.oid
join pg_class c on c.oid = coalesce(i.indrelid, f.oid) join pg_namespace s on s.oid = c.relnamespace
where pg_relation_filepath(f.oid) = %(file)s

-- name: in_front
-- What stands in public, or was added to pg_catalog (what PostgreSQL is delivered with has numbers below 16384), under a
-- name that PostgreSQL's own functions or operators have: a call with the very types would go there. And which extension
-- it belongs to, if it is in public and belongs to any.
select f.says || ' in ' || f.schema, (
    select e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid
    where d.classid = f.class and d.objid = f.oid and d.deptype = 'e' and f.schema = 'public' limit 1
)
from (
    select 'function ' || p.proname, p.pronamespace::regnamespace::text, 'pg_proc'::regclass, p.oid from pg_proc p
    where p.proname in (
        select proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace and oid < 16384
    )
    union all
    select 'operator ' || o.oprname, o.oprnamespace::regnamespace::text, 'pg_operator'::regclass, o.oid
    from pg_operator o
    where o.oprname in (
        select oprname from pg_operator where oprnamespace = 'pg_catalog'::regnamespace and oid < 16384
    )
) as f (says, schema, class, oid)
where f.schema = 'public' or f.schema = 'pg_catalog' and f.oid >= 16384
order by 1

-- name: guards
-- The triggers that refuse changes, where they are as the schema has them.
select c.relname from pg_trigger t
join pg_class c on c.oid = t.tgrelid join pg_namespace s on s.oid = c.relnamespace and s.nspname = 'public'
join pg_proc f on f.oid = t.tgfoid
where t.tgname = 'immutable' and t.tgenabled = 'A' and f.proname = 'refuse_change' and f.prosrc like '%%raise%%'
  and t.tgqual is null and cardinality(t.tgattr) = 0  -- whatever the row, whichever its columns

-- name: repeated_keys
select min(position), key from events where key is not null group by key having count(*) > 1 order by 1 limit 10

-- name: kept_leaves
select leaves from kejin_work.tree_blocks where block = %(block)s

-- name: tags_digest
-- Sums of hashes under a seed that was drawn just now: equal sums, equal rows. The recorder may repeat a tag.
select
    (select coalesce(sum(hashtextextended(tag, position + %(seed)s)), 0) from event_tags where position <= %(until)s)
    = (select coalesce(sum(hashtextextended(tag, e.position + %(seed)s)), 0)
       from events e, unnest(e.tags) as tag where e.span <> 0 and e.position <= %(until)s)
    + (select coalesce(sum(hashtextextended(tag, position + %(seed)s)), 0)
       from (select distinct position, unnest(tags) as tag from events where span = 0 and position <= %(until)s) as one)

-- name: day_sums_recomputed
select tag, array_agg(account order by account, day)::text, array_agg(day order by account, day)::text,
       array_agg(amount order by account, day)::text
from (
    select w.tag, line.account, coalesce(line.day, e.effective_on) as day, sum(line.amount) as amount
    from events e, unnest(e.posting_accounts, e.posting_amounts, e.posting_days) as line (account, amount, day)
    join unnest(%(accounts)s::int[], %(tags)s::text[], %(stamps)s::bigint[]) as w (account, tag, stamp)
         on w.account = line.account
    where e.position <= w.stamp
    group by 1, 2, 3
) as sums
group by tag

-- name: tag_differences
-- Each row of event_tags counts 1, each distinct tag of an event -1: what does not come to 0 differs.
select position, tag, sum(n) + (sum(n) > 0 and bool_or(n < 0))::int as difference
from (
    select position, tag, 1 as n from event_tags where position > %(after)s and position <= %(until)s
    union all
    select distinct position, unnest(tags), -1 from events where position > %(after)s and position <= %(until)s
) as both_sides
group by position, tag having sum(n) <> 0
order by position, tag limit 100

-- name: tags_outside
-- Events appended while this runs are not looked at.
select position, tag from event_tags t
where position is null or position < 1
   or (position > %(until)s and not exists (select from events e where e.position = t.position))
limit 100

-- name: accounts_out_of_order
-- An account's first line: its event's position, and its place among the lines.
select a.id, a.path, f.n
from accounts a
full join (
    select account, row_number() over (order by first) as n from (
        select line.account, min((e.position << 20) + line.n) as first
        from events e, unnest(e.posting_accounts) with ordinality as line (account, n)
        where e.position <= %(until)s
        group by line.account
    ) as firsts
) f on f.account = a.id
where a.id is null or f.n <> a.id or (f.n is null and a.id <= (
    select coalesce(max(account), 0) from events e, unnest(e.posting_accounts) as account where e.position <= %(until)s
))
order by coalesce(f.n, a.id) limit 100

-- name: accounts_unused
-- Those of events that were appended while this ran are in use.
select a.id, a.path from accounts a
where a.id > (
    select coalesce(max(account), 0) from events e, unnest(e.posting_accounts) as account where e.position <= %(until)s
) and not exists (
    select from events e where e.position > %(until)s and a.id = any (e.posting_accounts)
)
order by a.id limit 100

-- name: accounts_repeated
-- Not one query with "or", which would group all accounts anew for each of them.
select id, path from accounts where id in (select id from accounts group by id having count(*) > 1)
union
select id, path from accounts where path in (select path from accounts group by path having count(*) > 1)
order by 1 limit 100

-- name: kept_day_sums
select tag, position from kejin_work.kept_day_sums

-- name: day_sums
-- As texts, which say all that is to be known of an array.
select tag, position, accounts::text, days::text, amounts_fen::text from day_sums order by tag, position

-- name: newest_position
select coalesce(max(position), 0) from events

-- name: rows_after
select count(*) from events where position > %(after)s

-- name: accounts_unconfirmed
select distinct line.account, a.path
from events e cross join lateral unnest(e.posting_accounts) as line (account)
left join accounts a on a.id = line.account
where e.position = any (%(wrong)s) and not exists (
    select from events sound
    where sound.position <= %(until)s and sound.position <> all (%(wrong)s) and line.account = any (sound.posting_accounts)
)
order by line.account limit 20

-- name: changed_accounts
select k.first_id, k.last_id
from kejin_work.kept_accounts k
left join lateral (
    select sha256(convert_to(string_agg(a.id || e'\t' || a.path || e'\n', '' order by a.id), 'UTF8')) as digest
    from accounts a where a.id between k.first_id and k.last_id
) as now on true
where now.digest is distinct from k.digest
order by k.first_id
