-- The durable queue. A job is claimed under a lease; the fence increases with each claim,
-- so a worker that lost its lease cannot write the outcome.
create table jobs (
    id uuid not null,
    kind text not null,
    payload jsonb not null,
    -- Jobs with one serial key run one at a time, oldest first (the broker's id).
    serial_key text not null,
    state text not null default 'ready',
    run_at timestamptz not null,
    attempts integer not null default 0,
    fence bigint not null default 0,
    lease_until timestamptz,
    worker text,
    -- Something happened while the job was running: when it wants to wait, it runs again at once.
    woken boolean not null default false,
    last_error text,
    created_at timestamptz not null,
    finished_at timestamptz,
    constraint jobs_pkey primary key (id),
    constraint jobs_state_check check (state in ('ready', 'running', 'done', 'failed'))
);
create index jobs_claim_idx on jobs (run_at) where state in ('ready', 'running');
create index jobs_serial_idx on jobs (serial_key, created_at, id) where state in ('ready', 'running');
