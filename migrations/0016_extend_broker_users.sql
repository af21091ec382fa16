-- Users of brokers change while their brokers live, and configurations may be rejected by the engine.
alter table broker_users
    -- Higher than that of any earlier change of the broker's users; 0 for those it was created with.
    add column revision bigint not null default 0,
    -- Whether the broker was created with it: until now all were.
    add column is_bootstrap boolean not null default true,
    -- Kept, so that the broker's nodes get to know that it is gone.
    add column removed_at timestamptz;

alter table brokers
    -- The configuration that the broker's nodes refused or did not come up with last:
    -- {"id", "revision", "reason", "at"}. Null again when another one is applied.
    add column rejected_configuration jsonb;
