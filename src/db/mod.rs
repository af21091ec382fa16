//! The only SQL of the control plane (the queue in [`crate::jobs`] keeps its own table).
//!
//! One file per entity, functions named noun first. Each takes a connection, so that callers
//! compose them in one transaction. Not found is `Ok(None)`; constraints come back as
//! [`Error::Taken`]. Time is an argument: the database's clock decides nothing.

mod access_key;
mod account;
mod audit;
mod broker;
mod broker_pair;
mod broker_reboot;
mod broker_secret;
mod broker_surroundings;
mod broker_user;
mod certificate_authority;
mod configuration;
mod engine_release;
mod error;
mod fleet;
mod group;
mod host;
mod host_token;
mod inline_policy;
mod job;
mod listen;
mod maintenance;
mod node;
mod policy;
mod principal;
mod principal_tag;
mod quota;
mod row;
mod standing;
mod tag;

use std::time::Duration;

use sqlx::{Connection, postgres::PgPoolOptions};

pub use access_key::{
    access_key_create, access_key_delete, access_key_fetch, access_key_list, access_key_reseal,
    access_key_secrets, access_key_set_enabled, access_key_touch,
};
pub use account::{account_create, account_fetch_by_name, account_lock};
pub use audit::{
    AuditPosition, audit_append, audit_append_quickly, audit_follow, audit_list, audit_position,
    audit_prune,
};
pub use broker::{
    PreviousEngine, RolledBack, broker_by_request, broker_count, broker_create, broker_delete,
    broker_fetch, broker_find, broker_find_locked, broker_list, broker_lock, broker_mark_applied,
    broker_mark_failed, broker_mark_rolled_back, broker_previous_engine,
    broker_reject_configuration, broker_rejected_configuration, broker_relaunch,
    broker_request_deletion, broker_update,
};
pub use broker_pair::{
    pair_create, pair_delete, pair_fetch, pair_reboot, pair_set_phase, pair_start, pair_swap,
};
pub use broker_reboot::broker_reboot;
pub use broker_secret::{
    broker_secret_create, broker_secret_fetch, broker_secret_reseal, broker_secrets,
};
pub use broker_surroundings::broker_surroundings;
pub use broker_user::{
    broker_user_count, broker_user_create, broker_user_delete, broker_user_fetch, broker_user_list,
    broker_user_put, broker_user_stage, broker_users, broker_users_pending,
};
pub use certificate_authority::{
    StoredAuthority, certificate_authority_create, certificate_authority_fetch,
    certificate_authority_reseal,
};
pub use configuration::{
    configuration_count, configuration_create, configuration_delete, configuration_fetch,
    configuration_hold, configuration_list, configuration_lock, configuration_name_taken,
    configuration_revision_create, configuration_revision_fetch, configuration_revisions,
    configuration_used_by,
};
pub use engine_release::{
    brokers_in_situation, catalogue_fetch, engine_manifest_create, engine_manifest_serial,
    engine_release_put, engine_situations,
};
pub use error::{Error, Unique};
pub use fleet::{brokers_catch_up, brokers_unattended, try_exclusive};
pub use group::{group_member_add, group_member_remove, group_members, groups_of};
pub use host::{
    host_create, host_emptiest, host_fetch, host_fetch_by_name, host_intent, host_intent_version,
    host_list, host_set_certificate, host_touch, hosts_silent,
};
pub use host_token::{HostToken, host_token_create, host_token_redeem};
pub use inline_policy::{inline_policies, inline_policy_delete, inline_policy_put};
pub use job::{
    JobOrigin, job_cancel, job_fetch, job_insert, job_insert_for, job_list, job_lock, job_prune,
    job_retry, job_wake,
};
pub use listen::{Heard, listen};
pub use maintenance::{
    maintenance_due, maintenance_over, maintenance_run_away, maintenance_run_create,
    maintenance_run_shun, maintenance_running, maintenance_runs, maintenance_schedule_fetch,
    maintenance_schedule_put, maintenance_unscheduled,
};
pub use node::{
    News, Observed, addresses_taken, node_create, node_delete, node_fetch, node_intend,
    node_observe, node_overtaken, node_place, nodes_news, nodes_of_broker, zones_of_broker,
};
pub use policy::{
    Attached, HeldPolicy, Source, policies_held, policy_attach, policy_delete, policy_detach,
    policy_fetch, policy_fetch_all, policy_list, policy_put,
};
pub use principal::{
    StoredPrincipal, principal_count, principal_create, principal_delete, principal_fetch,
    principal_list, principal_lock, principal_touch, role_update,
};
pub use principal_tag::{principal_tags_put, principal_tags_remove};
pub use quota::{quota_delete, quota_lock, quota_put, quotas_fetch};
pub use standing::{BrokerStanding, JobsStanding, broker_standings, job_due_since, job_standings};
pub use tag::{tags_fetch, tags_fetch_all, tags_lock, tags_put, tags_remove};

pub type Pool = sqlx::PgPool;
pub type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;
pub type Result<T> = std::result::Result<T, Error>;

/// The channel that tells of changed host intents; the payload is the host's id.
pub const INTENT_CHANNEL: &str = "warren_intent";
/// The channel that tells of new jobs; the payload is empty.
pub const JOBS_CHANNEL: &str = "warren_jobs";

/// Connections of one process.
pub const CONNECTIONS_MAX: u32 = 16;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was in use so lately is taken to be good: asking it doubles the round trips of a
/// busy process.
const UNTESTED_MAX: Duration = Duration::from_secs(1);

/// Opens a pool and proves that the database answers.
pub async fn connect(url: &str) -> Result<Pool> {
    let options = PgPoolOptions::new().max_connections(CONNECTIONS_MAX);
    Ok(options
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, standing| {
            Box::pin(async move {
                if standing.idle_for >= UNTESTED_MAX {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect(url)
        .await?)
}

/// Brings the schema up to this release. Concurrent calls wait for each other.
pub async fn migrate(pool: &Pool) -> Result<()> {
    sqlx::migrate!("./migrations")
        .run(pool)
        .await
        .map_err(|error| Error::Migrate(Box::new(error)))
}

/// Begins a transaction that is rolled back unless it is committed, also when the caller gives up
/// meanwhile, as a request's handler does whose client leaves.
///
/// sqlx, dropped between sending BEGIN and reading the answer, puts its connection back with the
/// transaction open: the next user's statements would be committed, or not, by whoever follows.
pub async fn begin(pool: &Pool) -> Result<Transaction> {
    begin_with(pool, "begin").await
}

/// Like [`begin`], for what is written again when it is lost: the commit does not wait for the disk. A
/// machine that fails may take the last fraction of a second with it, the database stays consistent.
/// Commits that notify wait for each other to their end, so that many of them at once want to be quick.
pub async fn begin_quick(pool: &Pool) -> Result<Transaction> {
    begin_with(pool, "begin; set local synchronous_commit to off").await
}

async fn begin_with(pool: &Pool, statement: &'static str) -> Result<Transaction> {
    let pool = pool.clone();
    let beginning = tokio::spawn(async move { pool.begin_with(statement).await });
    match beginning.await {
        Ok(begun) => Ok(begun?),
        // Only a runtime that shuts down ends it before.
        Err(_) => Err(Error::from(sqlx::Error::PoolClosed)),
    }
}

/// Whether the database answers.
pub async fn ping(pool: &Pool) -> Result<()> {
    Ok(pool.acquire().await?.ping().await?)
}
