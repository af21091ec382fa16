//! Brokers: what customers asked for.
//!
//! `generation` is increased only by [`broker_relaunch`], `applied_generation` only by
//! [`broker_mark_applied`]; a writer that looked at an older generation loses.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Error, Result,
    broker_user::broker_users_start,
    maintenance::{Finish, maintenance_run_create, maintenance_run_finish},
    row::{Place, page, to_json},
};
use crate::model::{
    BrokerId, Scope,
    broker::{ActionRequired, Broker, DeploymentMode, StorageType, action::Health},
    engine::{EngineType, EngineVersion},
    maintenance::{MaintenanceOutcome, MaintenanceRun, NodeAway},
    node::RejectedConfiguration,
    page::Cursor,
};

macro_rules! select {
    ($tail:literal) => {
        concat!(
            "select b.id, b.account_id, b.region, b.name, b.creator_request_id,
                    b.creator_request_hash, b.engine_type, b.deployment_mode,
                    b.publicly_accessible, b.storage_type, b.subnet_ids, b.settings, b.intended,
                    b.applied, b.staged, b.configuration_history, b.generation,
                    b.applied_generation, b.deletion_requested_at, b.failure, b.created_at,
                    b.updated_at,
                    (select coalesce(jsonb_agg(jsonb_build_object(
                                'phase', n.observed->'phase', 'alarms', n.observed->'alarms')), '[]')
                     from nodes n where n.broker_id = b.id
                       and n.observed_generation = b.generation) as health,
                    (select jsonb_build_object(
                                'role', case when p.primary_id = b.id then 'PRIMARY'
                                             else 'REPLICA' end,
                                'phase', p.phase,
                                'counterpart', jsonb_build_object('broker_id', c.id,
                                                                  'region', c.region))
                     from broker_pairs p
                     join brokers c on c.id in (p.primary_id, p.replica_id) and c.id <> b.id
                     where p.primary_id = b.id or p.replica_id = b.id) as replication
             from brokers b ",
            $tail
        )
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    region: String,
    name: String,
    creator_request_id: Option<String>,
    creator_request_hash: Option<Vec<u8>>,
    engine_type: String,
    deployment_mode: String,
    publicly_accessible: bool,
    storage_type: String,
    subnet_ids: Vec<String>,
    settings: Value,
    intended: Value,
    applied: Option<Value>,
    staged: Value,
    configuration_history: Value,
    generation: i64,
    applied_generation: i64,
    deletion_requested_at: Option<DateTime<Utc>>,
    failure: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    health: Value,
    replication: Option<Value>,
}

impl TryFrom<Row> for Broker {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let id = row.id;
        let place = Place {
            table: "brokers",
            row: &id,
        };
        let mode = DeploymentMode::parse(&row.deployment_mode);
        Ok(Self {
            id: place.need("id", BrokerId::parse(&id))?,
            scope: place.scope(&row.account_id, &row.region)?,
            name: row.name,
            creator_request_id: row.creator_request_id,
            creator_request_hash: row.creator_request_hash,
            engine_type: place.need("engine_type", EngineType::parse(&row.engine_type))?,
            deployment_mode: place.need("deployment_mode", mode)?,
            publicly_accessible: row.publicly_accessible,
            storage_type: place.need("storage_type", StorageType::parse(&row.storage_type))?,
            subnet_ids: row.subnet_ids,
            settings: place.json("settings", row.settings)?,
            intended: place.json("intended", row.intended)?,
            applied: row
                .applied
                .map(|value| place.json("applied", value))
                .transpose()?,
            staged: place.json("staged", row.staged)?,
            configuration_history: place
                .json("configuration_history", row.configuration_history)?,
            generation: row.generation,
            applied_generation: row.applied_generation,
            deletion_requested_at: row.deletion_requested_at,
            failure: row.failure,
            actions_required: ActionRequired::of(&place.json::<Vec<Health>>("health", row.health)?),
            replication: row
                .replication
                .map(|value| place.json("replication", value))
                .transpose()?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Adds a broker. `Taken` when its name or its creator request id is in use in its scope.
pub async fn broker_create(conn: &mut PgConnection, broker: &Broker) -> Result<()> {
    sqlx::query(
        "insert into brokers (id, account_id, region, name, creator_request_id,
                              creator_request_hash, engine_type, deployment_mode,
                              publicly_accessible, storage_type, subnet_ids, settings, intended,
                              staged, generation, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .bind(broker.id.as_str())
    .bind(broker.scope.account_id.as_str())
    .bind(broker.scope.region.as_str())
    .bind(&broker.name)
    .bind(&broker.creator_request_id)
    .bind(&broker.creator_request_hash)
    .bind(broker.engine_type.name())
    .bind(broker.deployment_mode.name())
    .bind(broker.publicly_accessible)
    .bind(broker.storage_type.name())
    .bind(&broker.subnet_ids)
    .bind(to_json(&broker.settings)?)
    .bind(to_json(&broker.intended)?)
    .bind(to_json(&broker.staged)?)
    .bind(broker.generation)
    .bind(broker.created_at)
    .bind(broker.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// A broker of one scope.
pub async fn broker_fetch(
    conn: &mut PgConnection,
    scope: &Scope,
    id: &BrokerId,
) -> Result<Option<Broker>> {
    let row: Option<Row> = sqlx::query_as(select!(
        "where b.id = $1 and b.account_id = $2 and b.region = $3"
    ))
    .bind(id.as_str())
    .bind(scope.account_id.as_str())
    .bind(scope.region.as_str())
    .fetch_optional(conn)
    .await?;
    row.map(Broker::try_from).transpose()
}

/// Like [`broker_fetch`], and nobody else changes the row until the transaction ends.
pub async fn broker_lock(
    conn: &mut PgConnection,
    scope: &Scope,
    id: &BrokerId,
) -> Result<Option<Broker>> {
    let row: Option<Row> = sqlx::query_as(select!(
        "where b.id = $1 and b.account_id = $2 and b.region = $3 for update of b"
    ))
    .bind(id.as_str())
    .bind(scope.account_id.as_str())
    .bind(scope.region.as_str())
    .fetch_optional(conn)
    .await?;
    row.map(Broker::try_from).transpose()
}

/// A broker of any scope: for workflows, never for callers.
pub async fn broker_find(conn: &mut PgConnection, id: &BrokerId) -> Result<Option<Broker>> {
    let row: Option<Row> = sqlx::query_as(select!("where b.id = $1"))
        .bind(id.as_str())
        .fetch_optional(conn)
        .await?;
    row.map(Broker::try_from).transpose()
}

/// Like [`broker_find`], and nobody else changes the row until the transaction ends.
pub async fn broker_find_locked(conn: &mut PgConnection, id: &BrokerId) -> Result<Option<Broker>> {
    let row: Option<Row> = sqlx::query_as(select!("where b.id = $1 for update of b"))
        .bind(id.as_str())
        .fetch_optional(conn)
        .await?;
    row.map(Broker::try_from).transpose()
}

/// The broker that a request with this token created.
pub async fn broker_by_request(
    conn: &mut PgConnection,
    scope: &Scope,
    creator_request_id: &str,
) -> Result<Option<Broker>> {
    let row: Option<Row> = sqlx::query_as(select!(
        "where b.account_id = $1 and b.region = $2 and b.creator_request_id = $3"
    ))
    .bind(scope.account_id.as_str())
    .bind(scope.region.as_str())
    .bind(creator_request_id)
    .fetch_optional(conn)
    .await?;
    row.map(Broker::try_from).transpose()
}

/// How many brokers a scope has, those being deleted included.
pub async fn broker_count(conn: &mut PgConnection, scope: &Scope) -> Result<i64> {
    let count =
        sqlx::query_scalar("select count(*) from brokers where account_id = $1 and region = $2")
            .bind(scope.account_id.as_str())
            .bind(scope.region.as_str())
            .fetch_one(conn)
            .await?;
    Ok(count)
}

/// The brokers of a scope after `after`, oldest first, at most `limit` of them.
pub async fn broker_list(
    conn: &mut PgConnection,
    scope: &Scope,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Vec<Broker>> {
    let statement = select!(
        "where b.account_id = $1 and b.region = $2
           and ($3::timestamptz is null or (b.created_at, b.id) > ($3, $4))
         order by b.created_at, b.id limit $5"
    );
    let rows: Vec<Row> = page(conn, statement, scope, (after, limit)).await?;
    rows.into_iter().map(Broker::try_from).collect()
}

/// Writes the launch values and the generation after [`Broker::next_generation`], and makes true
/// what waited of the logins. `Stale` when
/// another writer started a generation meanwhile.
pub async fn broker_relaunch(conn: &mut PgConnection, broker: &Broker) -> Result<()> {
    let done = sqlx::query(
        "update brokers set intended = $2, staged = $3, generation = $4, failure = null,
                            updated_at = $5
         where id = $1 and generation = $4 - 1",
    )
    .bind(broker.id.as_str())
    .bind(to_json(&broker.intended)?)
    .bind(to_json(&broker.staged)?)
    .bind(broker.generation)
    .bind(broker.updated_at)
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() != 1 {
        return Err(Error::Stale);
    }
    broker_users_start(conn, &broker.id).await
}

/// Goes back to the configuration that the broker runs with, and notes why `generation` is not to have
/// its own. `false` when it has that one already, or another generation was started.
pub async fn broker_reject_configuration(
    conn: &mut PgConnection,
    id: &BrokerId,
    generation: i64,
    rejected: &RejectedConfiguration,
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query(
        "update brokers
         set intended = jsonb_set(intended, '{configuration}', applied->'configuration'),
             rejected_configuration = $3::jsonb || jsonb_build_object('at', $4::timestamptz),
             updated_at = $4
         where id = $1 and generation = $2 and applied_generation < $2 and applied is not null
           and intended->'configuration' is distinct from applied->'configuration'
           and intended->'configuration'->>'id' = $3::jsonb->>'id'
           and intended->'configuration'->'revision' = $3::jsonb->'revision'",
    )
    .bind(id.as_str())
    .bind(generation)
    .bind(to_json(rejected)?)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The configuration that the broker's nodes rejected last, while no other was applied since.
pub async fn broker_rejected_configuration(
    conn: &mut PgConnection,
    id: &BrokerId,
) -> Result<Option<RejectedConfiguration>> {
    let sql = "select rejected_configuration from brokers where id = $1";
    kept(conn, id, sql, "rejected_configuration").await
}

/// Writes the settings and what is staged of a broker that the transaction has locked.
pub async fn broker_update(conn: &mut PgConnection, broker: &Broker) -> Result<()> {
    sqlx::query("update brokers set settings = $2, staged = $3, updated_at = $4 where id = $1")
        .bind(broker.id.as_str())
        .bind(to_json(&broker.settings)?)
        .bind(to_json(&broker.staged)?)
        .bind(broker.updated_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes that the broker shall go; `false` when that was noted before, or there is none.
pub async fn broker_request_deletion(
    conn: &mut PgConnection,
    id: &BrokerId,
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query(
        "update brokers set deletion_requested_at = $2, updated_at = $2
         where id = $1 and deletion_requested_at is null",
    )
    .bind(id.as_str())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that every node proved `generation`: its values are the applied ones from now on.
/// `false` when a later generation was started, or this one was already noted.
pub async fn broker_mark_applied(
    conn: &mut PgConnection,
    id: &BrokerId,
    generation: i64,
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query(
        "update brokers set applied = intended, applied_generation = generation, failure = null,
                updated_at = $3,
                previous_engine = case
                    when applied is null
                      or (applied->'engine_version' = intended->'engine_version'
                          and applied->'engine_release'
                              is not distinct from intended->'engine_release')
                    then previous_engine
                    else jsonb_build_object('engine_version', applied->'engine_version',
                                            'engine_release', applied->'engine_release')
                end,
                rejected_configuration = case
                    when applied->'configuration' = intended->'configuration'
                    then rejected_configuration
                end,
                configuration_history = case
                    when applied is null
                      or applied->'configuration' = intended->'configuration'
                    then configuration_history
                    else configuration_history || jsonb_build_array(applied->'configuration')
                end
         where id = $1 and generation = $2 and applied_generation < $2",
    )
    .bind(id.as_str())
    .bind(generation)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    let finish = Finish {
        outcome: MaintenanceOutcome::Completed,
        reason: None,
        shunned_release: None,
    };
    maintenance_run_finish(conn, id, generation, &finish, now).await?;
    Ok(done.rows_affected() == 1)
}

/// What a broker's nodes ran with before the engine that is applied.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct PreviousEngine {
    pub engine_version: EngineVersion,
    /// `None` when it was not kept yet.
    pub engine_release: Option<String>,
}

/// `None` when the broker never had another engine.
pub async fn broker_previous_engine(
    conn: &mut PgConnection,
    id: &BrokerId,
) -> Result<Option<PreviousEngine>> {
    let sql = "select previous_engine from brokers where id = $1";
    kept(conn, id, sql, "previous_engine").await
}

/// What the broker's row keeps as JSON in the column that `sql` reads, if anything.
async fn kept<T: DeserializeOwned>(
    conn: &mut PgConnection,
    id: &BrokerId,
    sql: &'static str,
    column: &'static str,
) -> Result<Option<T>> {
    let stored: Option<Option<Value>> = sqlx::query_scalar(sql)
        .bind(id.as_str())
        .fetch_optional(conn)
        .await?;
    let place = Place {
        table: "brokers",
        row: id.as_str(),
    };
    let read = |value| place.json(column, value);
    stored.flatten().map(read).transpose()
}

/// What is told of a generation whose nodes went back by themselves.
#[derive(Debug, Clone, Copy)]
pub struct RolledBack<'a> {
    pub reason: &'a str,
    pub nodes: &'a [NodeAway],
    /// The id of the run that tells of it when nobody opened a window for it.
    pub run_id: Uuid,
}

/// Notes that the nodes prove `generation` with what was applied before: that is intended again,
/// and the release that was tried is not tried again by itself. `broker` is locked. `false` when a
/// later generation was started, or this one was already noted.
pub async fn broker_mark_rolled_back(
    conn: &mut PgConnection,
    broker: &Broker,
    rolled_back: RolledBack<'_>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let Some(applied) = &broker.applied else {
        return Ok(false);
    };
    let done = sqlx::query(
        "update brokers set intended = applied, applied_generation = generation, failure = null,
                updated_at = $3
         where id = $1 and generation = $2 and applied_generation < $2",
    )
    .bind(broker.id.as_str())
    .bind(broker.generation)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let changes = applied.difference(broker.intended.clone());
    let finish = Finish {
        outcome: MaintenanceOutcome::RolledBack,
        reason: Some(rolled_back.reason),
        shunned_release: changes.engine_release.as_deref(),
    };
    let (id, generation) = (&broker.id, broker.generation);
    if !maintenance_run_finish(conn, id, generation, &finish, now).await? {
        let run = MaintenanceRun {
            id: rolled_back.run_id,
            broker_id: id.clone(),
            window_start: None,
            changes: changes.clone(),
            generation: Some(generation),
            outcome: MaintenanceOutcome::Started,
            reason: None,
            nodes: rolled_back.nodes.to_vec(),
            started_at: broker.updated_at,
            finished_at: None,
        };
        maintenance_run_create(conn, &run).await?;
        maintenance_run_finish(conn, id, generation, &finish, now).await?;
    }
    Ok(true)
}

/// Notes why `generation` cannot become true. `false` when it became true, or a later one was
/// started.
pub async fn broker_mark_failed(
    conn: &mut PgConnection,
    id: &BrokerId,
    generation: i64,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query(
        "update brokers set failure = $3, updated_at = $4
         where id = $1 and generation = $2 and applied_generation < $2",
    )
    .bind(id.as_str())
    .bind(generation)
    .bind(reason)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    let finish = Finish {
        outcome: MaintenanceOutcome::Failed,
        reason: Some(reason),
        shunned_release: None,
    };
    maintenance_run_finish(conn, id, generation, &finish, now).await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a broker with its logins and tags. Its nodes must be gone; configurations stay, they
/// are resources of their own. `false` when there is none.
pub async fn broker_delete(conn: &mut PgConnection, id: &BrokerId) -> Result<bool> {
    let Some(broker) = broker_find(conn, id).await? else {
        return Ok(false);
    };
    sqlx::query("delete from tags where account_id = $1 and region = $2 and resource_arn = $3")
        .bind(broker.scope.account_id.as_str())
        .bind(broker.scope.region.as_str())
        .bind(broker.arn().to_string())
        .execute(&mut *conn)
        .await?;
    let done = sqlx::query("delete from brokers where id = $1")
        .bind(id.as_str())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}
