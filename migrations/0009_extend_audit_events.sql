-- Every call is told of, not only those that changed something, and in the terms of CloudTrail.
alter table audit_events
    -- Who called: CloudTrail's userIdentity element.
    add column user_identity jsonb not null default '{}',
    add column user_agent text,
    add column read_only boolean not null default false,
    add column error_code text,
    add column error_message text,
    add column response jsonb,
    -- The transaction that wrote it: those who follow the log read only what no open transaction
    -- can add to any more, and so miss nothing.
    add column transaction_id bigint not null default (pg_current_xact_id()::text::bigint);
alter table audit_events rename column detail to request;
alter table audit_events alter column request drop not null;
create index audit_events_transaction_idx on audit_events (transaction_id, id);
