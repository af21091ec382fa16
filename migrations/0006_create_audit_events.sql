-- Who changed what, written in the transaction of the change.
create table audit_events (
    id uuid not null,
    account_id text not null,
    region text not null,
    principal_arn text not null,
    action text not null,
    resource_arn text,
    request_id text not null,
    source_address text,
    detail jsonb not null,
    created_at timestamptz not null,
    constraint audit_events_pkey primary key (id)
);
create index audit_events_owner_idx on audit_events (account_id, region, created_at, id);
