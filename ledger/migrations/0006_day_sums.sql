-- An owner's day sums are one row instead of one for each account and day: stored more often at less cost, and read at
-- once. What was stored is dropped; the log has it, and it is stored anew as histories grow.
drop table if exists day_sum_stamps;
drop table day_sums;

create table day_sums (
    tag text collate "C" primary key,   -- the owner of the accounts
    position bigint not null,           -- these are the sums of everything up to here
    accounts integer[] not null,        -- three lists of one length, in order of account and day
    days date[] not null,
    amounts_fen bigint[] not null
);

truncate kejin_work.kept_day_sums;
