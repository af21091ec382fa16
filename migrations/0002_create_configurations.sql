-- Customers' versioned broker settings. Data is stored byte for byte as it was sent.
create table configurations (
    id text not null,
    account_id text not null,
    region text not null,
    name text not null,
    engine_type text not null,
    engine_version text not null,
    authentication_strategy text not null,
    created_at timestamptz not null,
    constraint configurations_pkey primary key (id),
    constraint configurations_account_id_fkey foreign key (account_id) references accounts (id)
);
create index configurations_owner_idx on configurations (account_id, region, created_at, id);

create table configuration_revisions (
    configuration_id text not null,
    revision integer not null,
    description text not null,
    data text not null,
    created_at timestamptz not null,
    constraint configuration_revisions_pkey primary key (configuration_id, revision),
    constraint configuration_revisions_configuration_id_fkey
        foreign key (configuration_id) references configurations (id) on delete cascade
);
