-- What a fleet of thousands asks for every few seconds is found without reading all of it.
alter table jobs
    -- Of the API call that the job comes from; null for the service's own.
    add column request_id text;
-- An operator may take a job out of the queue.
alter table jobs drop constraint jobs_state_check;
alter table jobs add constraint jobs_state_check
    check (state in ('ready', 'running', 'done', 'failed', 'cancelled'));
-- Jobs of a broker that ended lately, jobs to forget, and jobs that failed.
create index jobs_ended_idx on jobs (serial_key, finished_at) where state in ('done', 'failed');
create index jobs_done_idx on jobs (finished_at) where state = 'done';
create index jobs_failed_idx on jobs (finished_at) where state in ('failed', 'cancelled');
create index jobs_cancelled_idx on jobs (serial_key) where state = 'cancelled';
-- Brokers that are not what was asked for: few at any time.
create index brokers_unsettled_idx on brokers (updated_at, id)
    where deletion_requested_at is not null
        or (applied_generation < generation and failure is null);
