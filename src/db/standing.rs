//! How the installation stands: what monitoring asks for, without the rest of the rows.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Result, row::Place};
use crate::model::{
    BrokerId, Scope,
    broker::{State, state::Facts},
    engine::EngineType,
};

/// A broker's state, and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerStanding {
    pub id: BrokerId,
    pub scope: Scope,
    pub engine_type: EngineType,
    pub state: State,
}

/// Jobs of one kind in one state.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct JobsStanding {
    pub kind: String,
    pub state: String,
    pub count: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    region: String,
    engine_type: String,
    generation: i64,
    applied_generation: i64,
    deletion_requested: bool,
    failed: bool,
    critical: bool,
    replica: bool,
}

/// Every broker of the installation, in no order.
pub async fn broker_standings(conn: &mut PgConnection) -> Result<Vec<BrokerStanding>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select b.id, b.account_id, b.region, b.engine_type, b.generation, b.applied_generation,
                b.deletion_requested_at is not null as deletion_requested,
                b.failure is not null as failed,
                exists (select from nodes n where n.broker_id = b.id
                        and n.observed_generation = b.generation
                        and (n.observed->>'phase' = 'crash_looping'
                             or n.observed->'alarms'->>'memory' = 'true'
                             or n.observed->'alarms'->>'disk' = 'true')) as critical,
                exists (select from broker_pairs p where p.replica_id = b.id
                        and p.phase <> 'pending') as replica
         from brokers b",
    )
    .fetch_all(conn)
    .await?;
    let read = |row: Row| {
        let place = Place {
            table: "brokers",
            row: &row.id,
        };
        Ok(BrokerStanding {
            id: place.need("id", BrokerId::parse(&row.id))?,
            scope: place.scope(&row.account_id, &row.region)?,
            engine_type: place.need("engine_type", EngineType::parse(&row.engine_type))?,
            state: State::fold(&Facts {
                generation: row.generation,
                applied_generation: row.applied_generation,
                deletion_requested: row.deletion_requested,
                failed: row.failed,
                critical: row.critical,
                replica: row.replica,
            }),
        })
    };
    rows.into_iter().map(read).collect()
}

/// Jobs that are not done.
pub async fn job_standings(conn: &mut PgConnection) -> Result<Vec<JobsStanding>> {
    Ok(sqlx::query_as(
        "select kind, state, count(*) as count from jobs where state in ('ready', 'running')
         group by kind, state
         union all
         select kind, state, count(*) from jobs where state in ('failed', 'cancelled')
         group by kind, state
         order by kind, state",
    )
    .fetch_all(conn)
    .await?)
}

/// Since when the job has been due that nobody took for longest.
pub async fn job_due_since(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>> {
    Ok(
        sqlx::query_scalar("select min(run_at) from jobs where state = 'ready' and run_at <= $1")
            .bind(now)
            .fetch_one(conn)
            .await?,
    )
}
