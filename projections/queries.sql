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

-- name: positions_of_tags
select distinct position from event_tags where tag = any(%(tags)s) and position <= %(until)s order by position

-- name: positions_of_type
-- Few and rare: found by their tag.
select t.position from event_tags t join events e on e.position = t.position
where t.tag >= 'signing-key:' and t.tag < 'signing-key;' and e.type = %(type)s and e.span > 0
  and t.position <= %(until)s
order by t.position

-- name: postings_of_tags
select t.tag, e.position, e.effective_on::text, e.posting_accounts, e.posting_amounts, e.posting_days::text[]
from event_tags t join events e on e.position = t.position
where t.tag = any(%(tags)s) and t.position <= %(until)s
order by e.position

-- name: leaves_of_tag
select e.position, e.leaf from event_tags t join events e on e.position = t.position
where t.tag = %(tag)s and t.position <= %(until)s order by e.position

-- name: paths_of_accounts
select id, path from accounts where id = any(%(ids)s)
