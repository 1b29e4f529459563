-- What is asked of the database beside the ledger's own queries, by the HTTP service and by `kejin key`.

-- name: deciders
select e.principal
from event_tags t join events e on e.position = t.position
where t.tag = %(tag)s and e.type = any (%(types)s) and e.span > 0

-- name: tokens
select id, principal, roles, narrowed_to, secret_sha256, created_at, expires_at, revoked_at from kejin_work.tokens
order by created_at, id

-- name: add_token
insert into kejin_work.tokens (id, principal, roles, narrowed_to, secret_sha256, expires_at)
values (%(id)s, %(principal)s, %(roles)s, %(narrowed_to)s, %(secret_sha256)s, %(expires_at)s)

-- name: revoke_tokens
update kejin_work.tokens set revoked_at = now()
where (id = %(name)s or principal = %(name)s) and revoked_at is null
returning id

-- name: listen_tokens
listen kejin_tokens

-- name: lead
select pg_try_advisory_lock(%(lock)s)

-- name: take_lock
select pg_advisory_lock(%(lock)s)

-- name: release_lock
select pg_advisory_unlock(%(lock)s)
