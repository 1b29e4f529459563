-- What the runner of the projections knows: which generation of each projection is read, and what became of it.
-- No figure rests on it: a generation's own schema says up to which position its rows are.

create table kejin_work.projections (
    name text not null,
    generation integer not null,
    version integer not null,           -- of the projection's code that fills it
    live boolean not null,              -- the one that is read; others are being filled
    stopped_at bigint,                  -- the event that it could not digest
    problem text,
    primary key (name, generation)
);
create unique index projections_live on kejin_work.projections (name) where live;
