-- After a restore from a backup, hosts run what a later database told them.
alter table nodes
    -- A generation that the node's host runs and that is later than any that was intended here.
    add column overtaken_by bigint;
create index nodes_overtaken_idx on nodes (broker_id) where overtaken_by is not null;
-- Which brokers need somebody is asked with every list: of few nodes, not of all.
create index nodes_looping_idx on nodes (broker_id, observed_generation)
    where observed->>'phase' = 'crash_looping';
-- Claims take the first of those that are due without sorting the others.
create index jobs_due_idx on jobs (run_at, id) where state in ('ready', 'running');
drop index jobs_claim_idx;
