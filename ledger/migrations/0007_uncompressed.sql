-- PostgreSQL compresses values of 2 kB and more. What is written again every second or with every few batches costs more
-- in that than it saves. It holds for what is written from now on.
alter table day_sums
    alter column accounts set storage external,
    alter column days set storage external,
    alter column amounts_fen set storage external;
alter table kejin_work.party_buckets alter column chains set storage external;
alter table kejin_work.tree_blocks alter column leaves set storage external;
