-- What the HTTP service needs beside the log. No figure rests on it.

create table kejin_work.tokens (
    id text collate "C" primary key,    -- public: names the token in lists and logs
    principal text not null,            -- who acts by it; bound into events
    roles text[] not null,
    secret_sha256 bytea not null unique,
    created_at timestamptz not null default now(),
    expires_at timestamptz,             -- null: never
    revoked_at timestamptz
);

-- Servers keep the tokens in memory; this tells them to look again.
create function kejin_work.tell_tokens_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('kejin_tokens', '');
    return null;
end $$;

create trigger tell after insert or update or delete on kejin_work.tokens
    for each statement execute function kejin_work.tell_tokens_changed();
