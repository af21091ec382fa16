-- When the service may restart brokers by itself, and when it did.
create table maintenance_schedules (
    broker_id text not null,
    -- The start of the window that is open or comes next. Moves on when a window was used or is
    -- over, so that none is used twice whatever the clock does.
    next_start timestamptz not null,
    -- How often the owner moved the window since the one before.
    adjustments integer not null default 0,
    constraint maintenance_schedules_pkey primary key (broker_id),
    constraint maintenance_schedules_broker_id_fkey
        foreign key (broker_id) references brokers (id) on delete cascade
);
create index maintenance_schedules_next_idx on maintenance_schedules (next_start);

create table maintenance_runs (
    id uuid not null,
    broker_id text not null,
    -- Null when the owner did not wait for a window.
    window_start timestamptz,
    -- What was staged when it began.
    changes jsonb not null,
    -- The generation that it started; null when the window was missed.
    generation bigint,
    outcome text not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    constraint maintenance_runs_pkey primary key (id),
    constraint maintenance_runs_window_key unique (broker_id, window_start),
    constraint maintenance_runs_broker_id_fkey
        foreign key (broker_id) references brokers (id) on delete cascade,
    constraint maintenance_runs_outcome_check
        check (outcome in ('started', 'completed', 'failed', 'missed'))
);
create index maintenance_runs_started_idx on maintenance_runs (outcome) where outcome = 'started';
