-- A token may be narrowed below what its roles may do.
alter table kejin_work.tokens
    add column narrowed_to text[] check (cardinality(narrowed_to) > 0);  -- null: not narrowed
