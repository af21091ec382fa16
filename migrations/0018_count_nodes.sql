-- The host with the fewest nodes is asked for whenever one is placed: nodes are counted when they move,
-- by the database, so that a release that knows nothing of it counts as well.
lock table nodes in share row exclusive mode;
alter table hosts add column node_count integer not null default 0;
create function count_nodes() returns trigger language plpgsql as $$
begin
    if old.host_id is not null then
        update hosts set node_count = node_count - 1 where id = old.host_id;
    end if;
    if new.host_id is not null then
        update hosts set node_count = node_count + 1 where id = new.host_id;
    end if;
    return null;
end
$$;
create trigger nodes_added after insert on nodes
    for each row when (new.host_id is not null) execute function count_nodes();
create trigger nodes_moved after update of host_id on nodes
    for each row when (old.host_id is distinct from new.host_id) execute function count_nodes();
create trigger nodes_removed after delete on nodes
    for each row when (old.host_id is not null) execute function count_nodes();
update hosts h set node_count = counted.nodes
from (select host_id, count(*) as nodes from nodes where host_id is not null group by host_id) counted
where h.id = counted.host_id;
-- Heartbeats touch no column of it, so that they stay cheap.
create index hosts_load_idx on hosts (provisioner, node_count, zone collate "C", id);

-- Which brokers are in trouble is asked with every look at the fleet: of few nodes, not of all.
create index nodes_critical_idx on nodes (broker_id, observed_generation)
    where observed->>'phase' = 'crash_looping'
        or observed->'alarms'->>'memory' = 'true'
        or observed->'alarms'->>'disk' = 'true';
drop index nodes_looping_idx;
