-- What signing needs to go on where it stopped. Nothing here is trusted: a signer believes it only as far as its own
-- newest signed checkpoint confirms it, and all of it can be made again from the log.

create table kejin_work.checkpoints (
    size bigint primary key,            -- how many events
    note text not null                  -- the signed note
);

create table kejin_work.published (
    size bigint primary key             -- checkpoints that were given away: packs prove that they go on from these
);

create table kejin_work.tree_blocks (
    block bigint primary key,           -- the events 4096 * block + 1 to 4096 * (block + 1)
    root bytea not null,                -- of their subtree
    leaves bytea not null               -- 4096 of 32 bytes: where a log was changed, they say from where on
);

create table kejin_work.party_buckets (
    bucket integer primary key,
    hash bytea not null,
    chains bytea not null
);

create table kejin_work.signer (
    only_row boolean primary key default true check (only_row),
    size bigint not null                -- tree_blocks and party_buckets hold the log up to here
);

-- The day sums that must be there: a row lost from both tables would look like one that was never made.
create table kejin_work.kept_day_sums (
    tag text collate "C" primary key,
    position bigint not null
);
insert into kejin_work.kept_day_sums select tag, position from day_sum_stamps;
