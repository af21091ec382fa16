-- Machines with an agent, and the nodes placed on them.
create table hosts (
    id uuid not null,
    name text not null,
    zone text not null,
    provisioner text not null,
    -- Increases whenever the intent of one of its nodes changes; the agent's long poll waits on it.
    intent_version bigint not null default 0,
    -- Serial number of the agent's newest certificate, hex.
    certificate_serial text,
    capacity jsonb,
    last_seen_at timestamptz,
    created_at timestamptz not null,
    constraint hosts_pkey primary key (id),
    constraint hosts_name_key unique (name)
);

-- One-time enrolment tokens, kept as SHA-256 hashes.
create table host_tokens (
    token_hash bytea not null,
    host_name text not null,
    zone text not null,
    provisioner text not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    -- SHA-256 of the public key it was redeemed with: a lost answer may be asked for again.
    used_by_key bytea,
    created_at timestamptz not null,
    constraint host_tokens_pkey primary key (token_hash)
);

create table nodes (
    id uuid not null,
    broker_id text not null,
    account_id text not null,
    region text not null,
    ordinal integer not null,
    -- Set once the provisioner has found a place.
    host_id uuid,
    address text,
    amqps_port integer,
    management_port integer,
    -- What the agent shall make true; owned by workflows.
    intended jsonb,
    generation bigint not null default 0,
    -- What the agent last reported; owned by the agents' endpoint.
    observed jsonb,
    observed_generation bigint,
    observed_at timestamptz,
    created_at timestamptz not null,
    constraint nodes_pkey primary key (id),
    constraint nodes_broker_id_fkey foreign key (broker_id) references brokers (id),
    constraint nodes_host_id_fkey foreign key (host_id) references hosts (id),
    constraint nodes_broker_id_ordinal_key unique (broker_id, ordinal),
    constraint nodes_address_key unique (address, amqps_port)
);
create index nodes_host_id_idx on nodes (host_id);
