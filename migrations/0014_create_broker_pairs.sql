-- Which brokers replicate to which, in two regions of an account.
create table broker_pairs (
    primary_id text not null,
    replica_id text not null,
    phase text not null,
    created_at timestamptz not null,
    constraint broker_pairs_pkey primary key (primary_id),
    constraint broker_pairs_replica_key unique (replica_id),
    constraint broker_pairs_primary_fkey
        foreign key (primary_id) references brokers (id) on delete cascade,
    constraint broker_pairs_replica_fkey
        foreign key (replica_id) references brokers (id) on delete cascade,
    constraint broker_pairs_phase_check check (phase in ('pending', 'active', 'ending'))
);
