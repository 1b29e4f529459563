-- Folds of the log, by name.

-- name: balance
with wanted as (
    select id from accounts
    where path = %(path)s or (right(%(path)s, 1) = '/' and starts_with(path, %(path)s))
), ids as (select coalesce(array_agg(id), '{}') as ids from wanted)
select coalesce(sum(line.amount), 0)
from ids, events e, unnest(e.posting_accounts, e.posting_amounts, e.posting_days) as line (account, amount, day)
where e.position <= %(until)s and e.posting_accounts && ids.ids
  and line.account = any(ids.ids) and coalesce(line.day, e.effective_on) <= %(last_day)s::date

-- name: cap_day_sums
select a.path, coalesce(line.day, e.effective_on)::text as day, sum(line.amount)
from events e, unnest(e.posting_accounts, e.posting_amounts, e.posting_days) as line (account, amount, day)
join accounts a on a.id = line.account
where e.position <= %(until)s and split_part(a.path, '/', 1) in ('quota', 'limit', 'settled')
group by 1, 2

-- name: events_of_types
select position, type, effective_on::text, tags, data
from events where position <= %(until)s and type = any(%(types)s) and span > 0 order by position

-- name: loans
select e.data from event_tags t join events e on e.position = t.position
where t.tag = any(%(tags)s) and e.type = 'LoanDrawn' and e.span > 0 and e.position <= %(until)s

-- name: milestone_sums
select a.path, sum(line.amount)
from events e, unnest(e.posting_accounts, e.posting_amounts) as line (account, amount)
join accounts a on a.id = line.account
where e.position <= %(until)s and split_part(a.path, '/', 1) = 'milestone'
group by 1

-- name: events_with_principal
select position, type, effective_on::text, data, principal
from events where position <= %(until)s and type = any(%(types)s) order by position

-- name: events_of_tag
select position, type, effective_on::text, tags, data, principal
from events where position in (select position from event_tags where tag = %(tag)s and position <= %(until)s)
order by position

-- name: round_money
select a.path, sum(line.amount)
from events e, unnest(e.posting_accounts, e.posting_amounts, e.posting_days) as line (account, amount, day)
join accounts a on a.id = line.account
where e.position <= %(until)s and coalesce(line.day, e.effective_on) <= %(last_day)s::date
  and (a.path like 'public/round/' || %(round)s || '/%%' or a.path = 'public/recovered/' || %(round)s
       or (a.path like 'public/paid/%%' and right(a.path, length(%(round)s) + 1) = '/' || %(round)s))
group by 1

-- name: type_codes
select name, hashtext(name) from unnest(%(names)s::text[] collate "C") as name

-- name: columns
-- Joined in the order of positions: the aggregates read what the inner query sorts.
select string_agg(int8send(position), ''), string_agg(date_send(effective_on), ''), string_agg(int4send(code), ''),
       string_agg(int4send(cardinality(posting_accounts)), ''), string_agg(boolsend(posting_days is not null), ''),
       string_agg(array_send(posting_accounts), ''), string_agg(array_send(posting_amounts), ''),
       string_agg(array_send(posting_days), '')
from (
    select position, effective_on, case span when 0 then 0 else hashtext(type) end as code,
           posting_accounts, posting_amounts, posting_days
    from events where position > %(after)s and position <= %(until)s
    order by position
) as event

-- Shelves: generations of projections. {schema} is the generation's own schema.

-- name: generations
select name, generation, version, live, stopped_at, problem from kejin_work.projections order by name, generation

-- name: begin_generation
insert into kejin_work.projections (name, generation, version, live)
select %(name)s, coalesce(max(generation), 0) + 1, %(version)s, false
from kejin_work.projections where name = %(name)s
returning generation

-- name: create_shelf
create schema {schema};
create table {schema}.progress (position bigint not null);
insert into {schema}.progress values (0)

-- name: grant_shelf
do $$
declare reader text;
begin
    for reader in
        select rolname from pg_roles
        where rolname in ('kejin_worker', 'kejin_reader')
          and has_schema_privilege(rolname, 'kejin_work', 'usage')
    loop
        execute format('grant usage on schema {schema} to %I', reader);
        execute format('grant select on all tables in schema {schema} to %I', reader);
    end loop;
end $$

-- name: projected_position
select position from {schema}.progress

-- name: advance_shelf
update {schema}.progress set position = %(position)s

-- name: retire
update kejin_work.projections set live = false where name = %(name)s and live

-- name: make_live
update kejin_work.projections set live = true where name = %(name)s and generation = %(generation)s

-- name: drop_shelf
drop schema if exists {schema} cascade

-- name: forget_generation
delete from kejin_work.projections where name = %(name)s and generation = %(generation)s and not live

-- name: note_problem
update kejin_work.projections set stopped_at = %(position)s, problem = %(problem)s
where name = %(name)s and generation = %(generation)s

-- Folios.

-- name: create_folios
create table {schema}.folios (
    folio text collate "C" not null,   -- the subject or the path whose lines these are
    page integer not null,             -- from 0
    first_position bigint not null,    -- of the page's first line
    opening bytea not null,            -- DAY_SUM records: the sums of all lines before the page
    lines bytea not null               -- LINE records, at most 2,048
);
-- Compressing costs more than it saves where everything is numbers that are read at once.
alter table {schema}.folios alter column opening set storage external, alter column lines set storage external

-- name: index_folios
alter table {schema}.folios add primary key (folio, first_position, page)

-- name: folios_indexed
select exists (
    select from pg_index where indrelid = '{schema}.folios'::regclass and indisprimary
)

-- name: copy_folios
copy {schema}.folios (folio, page, first_position, opening, lines) from stdin (format binary)

-- name: begin_changed_folios
create temporary table changed_folios (
    folio text collate "C", page integer, first_position bigint, opening bytea, lines bytea
) on commit drop

-- name: copy_changed_folios
copy changed_folios (folio, page, first_position, opening, lines) from stdin (format binary)

-- name: merge_changed_folios
insert into {schema}.folios as old select * from changed_folios
on conflict (folio, first_position, page) do update set lines = excluded.lines

-- name: last_pages
select f.folio, f.page, f.opening, f.lines
from unnest(%(folios)s::text[]) as wanted (folio)
cross join lateral (
    select * from {schema}.folios f where f.folio = wanted.folio collate "C"
    order by first_position desc, page desc limit 1
) as f

-- name: pages_at
select f.folio, f.opening, f.lines
from unnest(%(folios)s::text[]) as wanted (folio)
cross join lateral (
    select * from {schema}.folios f
    where f.folio = wanted.folio collate "C" and first_position <= %(position)s
    order by first_position desc, page desc limit 1
) as f

-- name: all_pages
select folio, page, first_position, opening, lines from {schema}.folios order by folio, page

-- name: paths_of_accounts
select string_agg(path, E'\n' order by id) from accounts where id = any(%(ids)s)

-- name: paths_of_all_accounts
select string_agg(path, E'\n' order by id) from accounts where id between %(first)s and %(last)s

-- name: accounts_below
select id, path from accounts where path >= %(path)s and path < %(end)s

-- name: account_of_path
select id from accounts where path = %(path)s

-- name: folios_of_accounts
-- By other means than the projection's own: to hold the two against each other.
select string_agg(id || E'\t' || case
    when path = 'public/treasury' then path
    when path like 'public/paid/%' then 'party:' || split_part(path, '/', 4)
    when path like 'public/%' then 'round:' || split_part(path, '/', 3)
    when path like 'private/guarantee/%' then 'payout:' || split_part(path, '/', 3)
    when path like 'private/%' then split_part(path, '/', 2) || ':' || split_part(path, '/', 3)
    when path like 'milestone/%' then 'party:' || split_part(path, '/', 3)
    else case substring(split_part(path, '/', 2) from '([^.+]*)(?:\+[^.]*)?$')
             when 'firm' then 'party' when 'bank' then 'party' when 'product' then 'party'
             else substring(split_part(path, '/', 2) from '([^.+]*)(?:\+[^.]*)?$')
         end || ':' || split_part(path, '/', 3)
end, E'\n') from accounts

-- name: subtrees_of_accounts
-- The paths one and two levels down that something lies below, and below public/paid/ three.
select distinct subtree collate "C" as subtree
from accounts, lateral (
    values (split_part(path, '/', 1) || '/'),
           (case when path ~ '^[^/]+/[^/]+/' then split_part(path, '/', 1) || '/' || split_part(path, '/', 2) || '/' end),
           (case when path like 'public/paid/%' then 'public/paid/' || split_part(path, '/', 3) || '/' end)
) as above (subtree)
where subtree is not null
order by subtree
