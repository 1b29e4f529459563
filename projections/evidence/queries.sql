-- What evidence packs read, by name.

-- name: positions_of_tags
select distinct position from event_tags where tag = any(%(tags)s) and position <= %(until)s order by position

-- name: has_more_than
select exists (
    select from event_tags where tag = %(tag)s and position <= %(until)s order by position offset %(events)s limit 1
)

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
