-- ActiveMQ on simulated hosts, and quotas by account.

-- What no engine serves yet: only hosts that simulate their nodes have such brokers.
insert into engine_releases (engine_type, engine_version, release, artefact, created_at) values
    ('ACTIVEMQ', '5.18', '0.1.0', 'simulated', now()),
    ('ACTIVEMQ', '5.19', '0.1.0', 'simulated', now())
on conflict do nothing;

-- What the next start of the broker makes of the login; null: it stays as it is.
alter table broker_users add column pending jsonb;

-- What brokers need in clear and no caller is told, sealed under the master key.
create table broker_secrets (
    id uuid not null,
    broker_id text not null,
    sealed bytea not null,
    created_at timestamptz not null,
    constraint broker_secrets_pkey primary key (id),
    constraint broker_secrets_broker_id_fkey
        foreign key (broker_id) references brokers (id) on delete cascade
);
create index broker_secrets_broker_idx on broker_secrets (broker_id);

-- What an operator allows an account beyond, or short of, the standard.
create table account_quotas (
    account_id text not null,
    name text not null,
    value bigint not null,
    updated_at timestamptz not null,
    constraint account_quotas_pkey primary key (account_id, name),
    constraint account_quotas_account_id_fkey foreign key (account_id) references accounts (id),
    constraint account_quotas_value_check check (value >= 0)
);
