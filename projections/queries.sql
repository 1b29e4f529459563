-- Folds of the log, by name.

-- name: adoptions
select position, type, effective_on::text, tags, data
from events
where position in (
        select position from event_tags where tag > 'rulebook:' and tag < 'rulebook;' and position <= %(until)s
    )
    and type = 'RulebookAdopted' and span > 0
order by position

-- name: grants_and_steps
select position, type, effective_on::text, data, principal
from events where position <= %(until)s and type = any(%(types)s) and span > 0 order by position

-- name: claims_granted_after
select position, (select tag from unnest(tags) as tag where starts_with(tag, 'claim:') limit 1)
from events
where position > %(after)s and position <= %(until)s and effective_on <= %(last_day)s::date
  and type = any(%(types)s) and span > 0
order by position limit %(count)s

-- name: grants_of_tags
select position, type, effective_on::text, data, principal
from events
where position in (select position from event_tags where tag = any(%(tags)s) and position <= %(until)s)
  and type = any(%(types)s) and span > 0
order by position

-- name: events_of_tag
select position, type, effective_on::text, tags, data, principal
from events
where position in (select position from event_tags where tag = %(tag)s and position <= %(until)s)
  and type = any(%(types)s) and span > 0
order by position

-- name: owed_on_loans
-- What the books of some loans hold as outstanding, in default or not: the lines of all their events, whomever these
-- concerned. Loan by loan along the indexes: nothing is planned from a guess how many there are.
select loan.name, owed.fen
from unnest(%(loans)b::text[]) as loan (name)
cross join lateral (
    select coalesce(sum(line.amount), 0) as fen
    from event_tags t
    join events e using (position)
    cross join lateral unnest(e.posting_accounts, e.posting_amounts, e.posting_days) as line (account, amount, day)
    where t.tag = 'loan:' || loan.name and t.position <= %(until)s and e.type = any(%(types)s) and e.span > 0
      and coalesce(line.day, e.effective_on) <= %(last_day)s::date
      and line.account = any(array(
          select id from accounts
          where path in ('private/loan/' || loan.name || '/outstanding', 'private/loan/' || loan.name || '/defaulted')
      ))
) as owed

-- name: type_codes
select name, hashtext(name) from unnest(%(names)b::text[] collate "C") as name

-- name: columns
-- Joined in the order of positions: the aggregates read what the inner query sorts. Of refusals also the command and
-- the round: within a JSON text no quote is bare, so the first match is the field; the tag of a round is mostly the last.
select string_agg(int8send(position), ''), string_agg(date_send(effective_on), ''), string_agg(int4send(code), ''),
       string_agg(int4send(cardinality(posting_accounts)), ''), string_agg(boolsend(posting_days is not null), ''),
       string_agg(array_send(posting_accounts), ''), string_agg(array_send(posting_amounts), ''),
       string_agg(array_send(posting_days), ''), string_agg(case when %(with_leaves)s then leaf end, ''),
       string_agg(case when refused then substr(
           substr(data, position('"command":"'::bytea in data) + 11, 40) || convert_to(repeat(' ', 40), 'UTF8'), 1, 40
       ) end, ''),
       string_agg(case when refused then coalesce(case
           when starts_with(tags[cardinality(tags)], 'round:') then substr(tags[cardinality(tags)], 7)
           else (select substr(tag, 7) from unnest(tags) as tag where starts_with(tag, 'round:') limit 1)
       end, '') || E'\n' end, '')
from (
    select position, effective_on, case span when 0 then 0 else hashtext(type) end as code,
           posting_accounts, posting_amounts, posting_days, leaf, tags, data,
           %(with_refusals)s and type = 'ClaimRefused' and span > 0 as refused
    from events where position > %(after)s and position <= %(until)s
    order by position
) as event

-- Shelves: generations of projections. {schema} is the generation's own schema.

-- name: generations
select name, generation, version, live, stopped_at, problem from kejin_work.projections order by name, generation

-- name: lock_generations
lock table kejin_work.projections in share row exclusive mode

-- name: begin_generation
insert into kejin_work.projections (name, generation, version, live)
-- Beyond those of schemas, too, that are there although nobody knows of them.
select %(name)s, coalesce(max(number), 0) + 1, %(version)s, false
from (
    select generation from kejin_work.projections where name = %(name)s
    union all
    select substring(nspname from '[0-9]+$')::integer from pg_namespace
    where nspname ~ ('^kejin_' || %(name)s || '_[0-9]{1,9}$')
) as taken (number)
returning generation

-- name: create_shelf
create schema {schema};
create table {schema}.progress (
    position bigint not null,          -- the rows hold the log up to here
    leaf bytea not null                -- of the event there: neither can be changed by itself
);
insert into {schema}.progress values (0, '')

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

-- name: progress_as_written
select p.position, p.leaf = coalesce((select e.leaf from events e where e.position = p.position), '')
from {schema}.progress p

-- name: lock_progress
select position from {schema}.progress for update

-- name: advance_shelf
update {schema}.progress
set position = %(position)s, leaf = coalesce((select e.leaf from events e where e.position = %(position)s), '')

-- name: schemas_of_generations
select nspname from pg_namespace where nspname ~ '^kejin_[a-z_]+_[0-9]+$'

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

-- name: save_folios
insert into {schema}.folios (folio, page, first_position, opening, lines)
select * from unnest(%(folios)b::text[], %(pages)b::int[], %(positions)b::bigint[], %(openings)b::bytea[], %(lines)b::bytea[])
on conflict (folio, first_position, page) do update set lines = excluded.lines

-- name: begin_changed_folios
create temporary table if not exists changed_folios (
    folio text collate "C", page integer, first_position bigint, opening bytea, lines bytea
) on commit drop;
alter table changed_folios alter column opening set storage external, alter column lines set storage external;
truncate changed_folios

-- name: copy_changed_folios
copy changed_folios (folio, page, first_position, opening, lines) from stdin (format binary)

-- name: merge_changed_folios
insert into {schema}.folios select * from changed_folios
on conflict (folio, first_position, page) do update set lines = excluded.lines

-- name: last_pages
select f.folio, f.page, f.opening, f.lines
from unnest(%(folios)b::text[]) as wanted (folio)
cross join lateral (
    select * from {schema}.folios f where f.folio = wanted.folio collate "C"
    order by first_position desc, page desc limit 1
) as f

-- name: pages_of
select wanted.number, f.opening, f.lines
from unnest(%(folios)b::text[], %(positions)b::bigint[]) with ordinality as wanted (folio, position, number)
cross join lateral (
    select * from {schema}.folios f
    where f.folio = wanted.folio collate "C" and first_position <= wanted.position
    order by first_position desc, page desc limit 1
) as f

-- name: whole_folio
select opening, lines from {schema}.folios
where folio = %(folio)s and first_position <= %(position)s order by first_position, page

-- name: folios_below
-- From one folio to the next by the index, whatever the number of their pages.
with recursive below (folio) as (
    select min(folio) from {schema}.folios where folio > %(path)s and folio < %(end)s
    union all
    select (select min(f.folio) from {schema}.folios f where f.folio > below.folio and f.folio < %(end)s)
    from below where below.folio is not null
)
select folio from below where folio is not null

-- name: stored_folios
select folio, page, first_position, opening, lines from {schema}.folios order by folio, first_position, page

-- name: all_pages
-- Some thousand rows joined into one: their columns, one after the other.
select string_agg(folio, E'\n'), string_agg(int4send(page), ''), string_agg(int8send(first_position), ''),
       string_agg(int4send(octet_length(opening)), ''), string_agg(opening, ''),
       string_agg(int4send(octet_length(lines)), ''), string_agg(lines, '')
from (
    select folio, page, first_position, opening, lines, row_number() over () as n
    from (select * from {schema}.folios order by folio, first_position, page) as sorted
) as row
group by (n - 1) / 16384 order by (n - 1) / 16384

-- name: paths_of_accounts
select string_agg(path, E'\n' order by id) from accounts where id = any(%(ids)b)

-- name: paths_of_all_accounts
select string_agg(path, E'\n' order by id) from accounts where id between %(first)s and %(last)s

-- name: accounts_below
select id, path from accounts where path >= %(path)s and path < %(end)s

-- name: account_of_path
select id, path from accounts where path = %(path)s

-- name: folios_of_accounts
-- By other means than the projection's own: to hold the two against each other. In order of the ids.
select string_agg(case
    when book = 'public' then case part
        when 'treasury' then path
        when 'paid' then 'party:' || split_part(path, '/', 4)
        else 'round:' || split_part(path, '/', 3) end
    when book = 'private' then case part when 'guarantee' then 'payout' else part end || ':' || split_part(path, '/', 3)
    else case split_part(split_part(part, '.', -1), '+', 1)
             when 'firm' then 'party' when 'bank' then 'party' when 'product' then 'party'
             else case book when 'milestone' then 'party' else split_part(split_part(part, '.', -1), '+', 1) end
         end || ':' || split_part(path, '/', 3)
end, E'\n' order by id)
from (select id, path, split_part(path, '/', 1) as book, split_part(path, '/', 2) as part from accounts) as account
where id <= %(last)s

-- name: subtrees_of_accounts
-- The paths two levels down that something lies below; below public/paid/ three. From each the index leads to the next
-- one: there are few, of a million accounts.
with recursive found as (
    select min(path) as path from accounts
    union all
    select (select min(path) from accounts where path > case
        when found.path = 'public/treasury' then found.path
        else array_to_string((string_to_array(found.path, '/'))[:depth.levels], '/') || '0' end)
    from found, lateral (select case when starts_with(found.path, 'public/paid/') then 3 else 2 end as levels) as depth
    where found.path is not null
)
select distinct array_to_string(
    (string_to_array(path, '/'))[:case when starts_with(path, 'public/paid/') then 3 else 2 end], '/'
) || '/' collate "C" as subtree
from found where path is not null and path <> 'public/treasury'
order by subtree

-- name: account_ids_below
select string_agg(int4send(id), '') from accounts where path >= %(path)s and path < %(end)s

-- name: cap_accounts
-- The ids of all accounts; and of those that a cap or a round's available money rests on the id with that of their
-- key (the quota account, where the cap has one): positive where a line counts as use, negative where it makes room.
select (select string_agg(int4send(id), '') from accounts), string_agg(int4send(id), ''), string_agg(int4send(key), '')
from (
    select id, id as key from accounts where path >= 'quota/' and path < 'quota0'
    union all
    select l.id, -coalesce(q.id, l.id)
    from accounts l
    left join accounts q on q.path >= 'quota/' and q.path < 'quota0' and q.path = 'quota/' || substr(l.path, 7)
    where l.path >= 'limit/' and l.path < 'limit0'
    union all
    select id, -id from accounts where path like 'public/round/%/available'
) as account

-- name: cap_lines
-- Net use of some keys, line by line: a quota line counts up, a limit line down; money that leaves `available` up.
select case split_part(a.path, '/', 1)
           when 'public' then a.path else substring(a.path from position('/' in a.path) + 1) end collate "C" as cap_key,
       e.position, e.type, coalesce(line.day, e.effective_on)::text as day,
       case split_part(a.path, '/', 1) when 'quota' then line.amount else -line.amount end as net,
       split_part(a.path, '/', 1) = 'limit' as is_limit
from events e,
     unnest(e.posting_accounts, e.posting_amounts, e.posting_days) with ordinality as line (account, amount, day, n)
join accounts a on a.id = line.account
where e.position = any(%(positions)b) and line.account = any(%(accounts)b)
order by cap_key, e.position, line.n

-- name: leaves
select string_agg(leaf, '')
from (
    select leaf from events where position > %(after)s and position <= %(until)s order by position
) as event

-- name: accounts_of_paths
select id, path from accounts where path = any(%(paths)b)

-- Caps.

-- name: create_cap_keys
create table {schema}.keys (
    cap text collate "C" not null,
    key text collate "C" not null,
    party text collate "C",
    used bytea not null,               -- USE records: the use by day, as known now
    highest_fen bigint not null,       -- on any day, at the end of any event
    primary key (key, cap)
);
alter table {schema}.keys alter column used set storage external;
create index on {schema}.keys (party)

-- name: cap_accounts_among
select string_agg(int4send(id), '' order by id), string_agg(path, E'\n' order by id)
from accounts
where id between %(first)s and %(last)s and (%(ids)b::int[] is null or id = any(%(ids)b::int[]))
  and ((path >= 'quota/' and path < 'quota0') or (path >= 'limit/' and path < 'limit0')
       or (path >= 'settled/' and path < 'settled0'))
  and split_part(split_part(split_part(path, '/', 2), '.', -1), '+', 1) <> 'loan'

-- name: cap_account_paths
select string_agg(id || E'\t' || path, E'\n') from accounts
where split_part(path, '/', 1) in ('quota', 'limit', 'settled') and id <= %(last)s
  and split_part(path, '/', 2) not like '%%.loan' and split_part(path, '/', 2) not like '%%.loan+%%'

-- name: cap_keys_named
select k.cap, k.key, party, used, highest_fen
from unnest(%(caps)b::text[], %(keys)b::text[]) as wanted (cap, key)
join {schema}.keys k on k.cap = wanted.cap collate "C" and k.key = wanted.key collate "C"

-- name: save_cap_keys
insert into {schema}.keys (cap, key, party, used, highest_fen)
select * from unnest(%(caps)b::text[], %(keys)b::text[], %(parties)b::text[], %(used)b::bytea[], %(highest)b::bigint[])
on conflict (key, cap) do update set used = excluded.used, highest_fen = excluded.highest_fen

-- name: all_cap_keys
select cap, key, party, used, highest_fen from {schema}.keys

-- name: cap_keys_of
select cap, key, party from {schema}.keys where party = %(party)s

-- name: cap_keys_after
select cap, key, party from {schema}.keys where cap = %(cap)s and key > %(after)s order by key limit %(count)s

-- name: highest_uses
-- Only where the table is at the position that is asked about: what it keeps is the highest up to there.
select k.cap, k.key, k.highest_fen
from unnest(%(caps)b::text[], %(keys)b::text[]) as wanted (cap, key)
join {schema}.keys k on k.cap = wanted.cap collate "C" and k.key = wanted.key collate "C"
where (select position from {schema}.progress) = %(position)s

-- Documents.

-- name: create_documents
create table {schema}.documents (
    key text collate "C" not null,      -- the subject
    position bigint not null,           -- of the event that changed it
    document text not null,             -- canonical JSON: what is known of the subject from there on
    primary key (key, position)
)

-- name: copy_documents
copy {schema}.documents (key, position, document) from stdin (format binary)

-- name: documents_of_keys
select d.key, d.document
from unnest(%(keys)b::text[]) as wanted (key)
cross join lateral (
    select * from {schema}.documents d
    where d.key = wanted.key collate "C" and position <= %(position)s
    order by position desc limit 1
) as d

-- name: all_documents
select key, document
from (
    select distinct on (key) key, document from {schema}.documents
    where position <= %(position)s order by key, position desc
) as newest
where %(containing)s = '' or position(%(containing)s in lower((key || E'\t' || document) collate "C")) > 0

-- name: whole_documents
-- A hash per row: the rows themselves, joined, may be more than a value can hold.
select string_agg(sha256(convert_to(key || E'\t' || position || E'\t' || document, 'UTF8')), ''
                  order by key, position), count(*)
from {schema}.documents

-- name: data_of_events
select string_agg(data, ',' order by position) from events where position = any(%(positions)b)

-- name: tags_of_events
-- The tags of one kind; `kind` ends in a colon.
select position, tag from events, unnest(tags) as tag
where position = any(%(positions)b) and starts_with(tag, %(kind)s) order by position, tag

-- name: events_of_parties
select t.tag, e.position, e.type, e.effective_on::text, e.data
from event_tags t join events e on e.position = t.position
where t.tag >= 'party:' and t.tag < 'party;' and t.position <= %(until)s and e.type = any(%(types)s) and e.span > 0
order by e.position

-- name: events_of_products
select t.tag, e.position, e.type, e.effective_on::text, e.data
from event_tags t join events e on e.position = t.position
where t.tag >= 'product:' and t.tag < 'product;' and t.position <= %(until)s
  and e.type = any(%(types)s) and e.span > 0 and e.effective_on <= %(last_day)s::date
order by e.position

-- name: milestone_lines
-- Every event with a line on a ladder carries the tag of its product, and the line its day.
select e.position, a.path, line.amount
from events e, unnest(e.posting_accounts, e.posting_amounts) as line (account, amount)
join accounts a on a.id = line.account
where e.position in (select position from event_tags where tag >= 'product:' and tag < 'product;')
  and e.position <= %(until)s and a.path >= 'milestone/' and a.path < 'milestone0' and e.span > 0
  and e.effective_on <= %(last_day)s::date

-- Measures.

-- name: names_of_folios
-- From one name to the next by the index: their number counts, not that of their pages.
with recursive names as (
    (select folio from {schema}.folios where folio >= %(prefix)s order by folio limit 1)
    union all
    select (select f.folio from {schema}.folios f where f.folio > names.folio order by f.folio limit 1)
    from names where names.folio is not null
)
select folio from names where folio is not null and starts_with(folio, %(prefix)s) order by folio

-- name: banks_of_events
-- From one bank's tag to the next, and of each only the range.
with recursive banks as (
    (select tag from event_tags where tag >= 'bank:' and tag < 'bank;' order by tag limit 1)
    union all
    select (select t.tag from event_tags t where t.tag > banks.tag and t.tag < 'bank;' order by t.tag limit 1)
    from banks where banks.tag is not null
)
select banks.tag, found.positions
from banks, lateral (
    select string_agg(int8send(position), '') as positions from event_tags t
    where t.tag = banks.tag and position > %(after)s and position <= %(until)s
) as found
where found.positions is not null
order by banks.tag

-- name: tags_of_banks
select tag, string_agg(int8send(position), '') from event_tags
where tag > 'bank:' and tag < 'bank;' and position <= %(until)s
group by tag order by tag

-- name: banks_of_payouts
-- Of recoveries on payouts, and of what takes one back, the bank of the payout: of an id that was paid out again, since
-- the first payout was taken back, the newest before the recovery.
select e.position, paid.bank
from events e
cross join unnest(e.tags) as payout (tag)
cross join lateral (
    select bank.tag as bank
    from event_tags t join events p using (position) cross join unnest(p.tags) as bank (tag)
    where t.tag = payout.tag and p.type = 'GuaranteePaidOut' and p.span > 0 and starts_with(bank.tag, 'bank:')
      and t.position < coalesce(
          (select substr(tag, 10)::bigint from unnest(e.tags) as tag where starts_with(tag, 'position:')), e.position
      )
    order by t.position desc limit 1
) as paid
where e.position = any(%(positions)b) and starts_with(payout.tag, 'payout:')

-- name: loan_facts_taken_back
select position, convert_from(data, 'UTF8')::json ->> 'reversed_type'
from events
where position in (select position from event_tags where tag >= 'position:' and tag < 'position;')
  and type = 'FactReversed' and span > 0 and position <= %(until)s

-- name: private_accounts
-- The first letter of the account's kind and the last four of its part: enough to tell them apart.
select string_agg(int4send(id), ''), string_agg(substr(path, 9, 1) || right(path, 4), '')
from accounts where path >= 'private/' and path < 'private0'

-- name: paid_accounts
select id, path from accounts
where id = any(%(ids)b) and path >= 'public/paid/' and path < 'public/paid0'

-- name: groups_of_paid_accounts
select split_part(path, '/', 3), split_part(path, '/', 5), string_agg(int4send(id), '')
from accounts where path >= 'public/paid/' and path < 'public/paid0' group by 1, 2

-- name: refusals
select string_agg(int8send(position), ''),
       string_agg(substr(substr(data, position('"command":"claim-'::bytea in data), 48) || spaces, 1, 48), '')
from events, convert_to(repeat(' ', 48), 'UTF8') as spaces
where type = 'ClaimRefused' and position <= %(until)s and span > 0

-- name: tags_of_rounds
select tag, string_agg(int8send(position), '') from event_tags
where tag >= 'round:' and tag < 'round;' and position <= %(until)s
group by tag order by tag

-- name: instruments_of_voids
select position, convert_from(data, 'UTF8')::json ->> 'instrument'
from events where position = any(%(positions)b)

-- name: events_of_budgets
select t.tag, e.position, e.type, e.effective_on::text, e.data
from event_tags t join events e on e.position = t.position
where t.tag >= 'budget:' and t.tag < 'budget;' and t.position <= %(until)s
  and e.type = any(%(types)s) and e.span > 0
order by e.position

-- name: voided_claims_of_round
select tag from events, unnest(tags) as tag
where position in (select position from event_tags where tag = %(tag)s and position <= %(until)s)
  and type = 'GrantVoided' and span > 0 and effective_on <= %(last_day)s::date and starts_with(tag, 'claim:')

-- name: payees_of_round
-- No quote is bare within a JSON text, and no field before the payee holds another.
select type, count(distinct substr(data, position('"payee":"'::bytea in data) + 9, 18))
from events
where position in (select position from event_tags where tag = %(tag)s and position <= %(until)s)
  and type = any(%(types)s) and span > 0 and effective_on <= %(last_day)s::date
  and (%(voided)s::text[] = '{}' or not exists (
      select from unnest(tags) as tag where starts_with(tag, 'claim:') and tag = any(%(voided)s::text[])
  ))
group by type

-- Deciding again.

-- name: recorded_events
select position, type, effective_on::text, array_to_string(tags, E'\n'), cardinality(tags), data,
       array_to_string(posting_accounts, ','), array_to_string(posting_amounts, ','),
       array_to_string(posting_days, ','), span, key is not null, fingerprint is not null
from events where position > %(after)s and position <= %(until)s order by position

-- name: all_accounts
select string_agg(path, E'\n' order by id), string_agg(id::text, E'\n' order by id) from accounts

-- name: reversed_positions
-- Of what claims to be a reversal; bytes that are no such JSON make none.
select distinct (match[1])::bigint
from events, regexp_match(convert_from(data, 'UTF8'), '"position":(\d{1,18})[,}]') as match
where position <= %(until)s and span > 0 and match is not null
  and (type = 'FactReversed' or (type = 'CommandRefused' and position(convert_to('"reverse-fact"', 'UTF8') in data) > 0))

-- name: type_at
select type from events where position = %(position)s

-- name: loans_of_firm
select distinct (select substr(t.tag, 6) from unnest(e.tags) as t (tag) where t.tag like 'loan:%%') as loan
from event_tags t join events e on e.position = t.position
where t.tag = %(tag)s and t.position <= %(until)s and e.type = 'LoanDrawn' and e.span > 0
order by loan

-- name: first_borrowers_of_loans
-- Of each loan its first draw, which is nearly always its first event, and whether anybody wanted that taken back.
select substr(wanted.tag, 6), drawn.firm,
       exists (select from event_tags r where r.tag = 'position:' || drawn.position and r.position <= %(until)s)
from unnest(%(tags)b::text[]) as wanted (tag)
cross join lateral (
    select e.position, (select substr(f.tag, 6) from unnest(e.tags) as f (tag) where f.tag like 'firm:%%') as firm
    from event_tags t join events e on e.position = t.position
    where t.tag = wanted.tag collate "C" and t.position <= %(until)s and e.type = 'LoanDrawn' and e.span > 0
    order by t.position limit 1
) as drawn

-- name: last_borrowers_of_loans
select distinct on (t.tag) substr(t.tag, 6), (select substr(f.tag, 6) from unnest(e.tags) as f (tag) where f.tag like 'firm:%%')
from event_tags t join events e on e.position = t.position
where t.tag = any(%(tags)b) and t.position <= %(until)s and e.type = 'LoanDrawn' and e.span > 0
order by t.tag, t.position desc

-- name: caps_with_accounts
-- The caps that have any accounts, one step of the index each. Below "<cap>/" every path begins; "0" comes after "/".
with recursive used (book, cap) as (
    select book, (select split_part(path, '/', 2) from accounts where path > book || '/' and path < book || '0' order by path limit 1)
    from unnest('{quota,limit}'::text[]) as book
    union all
    select book, (select split_part(path, '/', 2) from accounts where path >= book || '/' || cap || '0' and path < book || '0' order by path limit 1)
    from used where cap is not null
)
select distinct cap collate "C" as cap from used where cap is not null order by cap

-- name: keys_of_accounts_after
-- The first keys of a cap after one, by its accounts.
select key
from (
    (select substr(path, length('quota/' || %(cap)s || '/') + 1) as key from accounts
     where path > 'quota/' || %(cap)s || '/' || %(after)s and path < 'quota/' || %(cap)s || '0' order by path limit %(count)s)
    union
    (select substr(path, length('limit/' || %(cap)s || '/') + 1) as key from accounts
     where path > 'limit/' || %(cap)s || '/' || %(after)s and path < 'limit/' || %(cap)s || '0' order by path limit %(count)s)
) as either
order by key collate "C" limit %(count)s

-- name: cap_keys_of_loans
select substr(a.path, 7)
from unnest(%(caps)b::text[]) as cap (id), unnest(%(loans)b::text[]) as loan (id), unnest('{quota,limit}'::text[]) as book (name)
cross join lateral (
    select path from accounts where path = book.name || '/' || cap.id || '/' || loan.id
    union all
    select path from accounts
    where path > book.name || '/' || cap.id || '/' || loan.id || '/' and path < book.name || '/' || cap.id || '/' || loan.id || '0'
) as a

-- Differences.

-- name: accounts_like
select id, path from accounts where path ~ %(pattern)s order by path

-- name: lines_between
-- The lines that count at one of two points only, signed, with the sum of each one's account; a page of them. Where no
-- day differs, older events need not be looked at.
select position, type, path, day::text, amount_fen, counts_later, sum(amount_fen) over (partition by path)
from (
  select *, case when counts_later then amount else -amount end as amount_fen
  from (
    select e.position, e.type, a.path, line.n, coalesce(line.day, e.effective_on) as day, line.amount,
           e.position <= %(to_position)s and coalesce(line.day, e.effective_on) <= %(to_day)s::date as counts_later,
           e.position <= %(from_position)s and coalesce(line.day, e.effective_on) <= %(from_day)s::date as counts_earlier
    from events e,
         unnest(e.posting_accounts, e.posting_amounts, e.posting_days) with ordinality as line (account, amount, day, n)
    join accounts a on a.id = line.account
    where line.account = any(%(accounts)b)
      and e.position <= greatest(%(from_position)s, %(to_position)s)
      and (%(from_day)s <> %(to_day)s or e.position > least(%(from_position)s, %(to_position)s))
  ) as line
  where counts_later <> counts_earlier
) as line
order by position, n
offset %(after)s limit %(limit)s

-- name: data_at
select position, data from events where position = any(%(positions)b)

-- Samples.

-- The facts of a type that stand (as ledger/subjects/reversals.py has it): a reversal carries the tag of the position.
-- name: facts_in_force
select position from events as fact
where position in (select position from event_tags where tag = %(tag)s and position <= %(until)s) and type = %(type)s
  and span > 0
  and not exists (
    select from event_tags join events as reversal using (position)
    where event_tags.tag = 'position:' || fact.position and event_tags.position <= %(until)s
      and reversal.type = 'FactReversed' and reversal.span > 0
  )
order by position

-- The index of parties.

-- name: party_tags
select e.position, e.leaf, t.tag
from events e, lateral (select distinct tag from unnest(e.tags) as tag) as t
where e.position > %(after)s and e.position <= %(until)s
  and split_part(t.tag, ':', 1) = any (%(kinds)s)
order by e.position
