-- What customers asked for. A broker's state is never a column: it is folded from
-- generation, applied_generation, deletion_requested_at, failure and what its nodes report.
create table brokers (
    id text not null,
    account_id text not null,
    region text not null,
    name text not null,
    creator_request_id text,
    -- SHA-256 of the request that created it, to tell a replay from a reused token.
    creator_request_hash bytea,
    engine_type text not null,
    deployment_mode text not null,
    publicly_accessible boolean not null,
    storage_type text not null,
    subnet_ids text[] not null,
    -- Settings in force without a restart, and settings fixed at creation.
    settings jsonb not null,
    -- Engine version, instance type, configuration revision … that this generation shall run with,
    intended jsonb not null,
    -- that the nodes last proved to run with (null before they first did),
    applied jsonb,
    -- and that wait for a reboot or the maintenance window.
    staged jsonb not null,
    -- Configuration revisions that were applied before, oldest first.
    configuration_history jsonb not null default '[]',
    -- Each create or reboot is one generation of the nodes.
    generation bigint not null,
    applied_generation bigint not null default 0,
    deletion_requested_at timestamptz,
    failure text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint brokers_pkey primary key (id),
    constraint brokers_account_id_fkey foreign key (account_id) references accounts (id),
    constraint brokers_name_key unique (account_id, region, name),
    constraint brokers_creator_request_id_key unique (account_id, region, creator_request_id),
    constraint brokers_generation_check check (applied_generation between 0 and generation)
);
create index brokers_owner_idx on brokers (account_id, region, created_at, id);

-- Logins on a broker. Only hashes: base64(salt ++ sha256(salt ++ password)), RabbitMQ's form.
create table broker_users (
    broker_id text not null,
    username text not null,
    password_hash text not null,
    console_access boolean not null,
    replication_user boolean not null,
    groups text[] not null,
    created_at timestamptz not null,
    constraint broker_users_pkey primary key (broker_id, username),
    constraint broker_users_broker_id_fkey
        foreign key (broker_id) references brokers (id) on delete cascade
);

create table tags (
    account_id text not null,
    region text not null,
    resource_arn text not null,
    key text not null,
    value text not null,
    constraint tags_pkey primary key (account_id, region, resource_arn, key)
);
