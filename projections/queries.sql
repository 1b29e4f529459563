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
