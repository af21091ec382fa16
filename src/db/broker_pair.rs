//! Which brokers replicate to which.
//!
//! Who changes a pair holds the row of a broker of it, and looks at the pair after that: a statement
//! that waited for a row does not see what was changed meanwhile.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    Result,
    broker::{broker_find, broker_find_locked},
    broker_reboot::broker_reboot,
};
use crate::model::{
    BrokerId, JobId,
    broker::{
        Broker, Replication,
        replication::{Phase, Role},
        state::Request,
    },
    parity::Parity,
};

/// Adds a pair that begins when the primary is rebooted.
pub async fn pair_create(
    conn: &mut PgConnection,
    primary: &BrokerId,
    replica: &BrokerId,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into broker_pairs (primary_id, replica_id, phase, created_at)
         values ($1, $2, $3, $4)",
    )
    .bind(primary.as_str())
    .bind(replica.as_str())
    .bind(Phase::Pending.name())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn pair_set_phase(
    conn: &mut PgConnection,
    primary: &BrokerId,
    phase: Phase,
) -> Result<()> {
    sqlx::query("update broker_pairs set phase = $2 where primary_id = $1")
        .bind(primary.as_str())
        .bind(phase.name())
        .execute(conn)
        .await?;
    Ok(())
}

/// Makes the replica the primary and the primary the replica.
pub async fn pair_swap(conn: &mut PgConnection, primary: &BrokerId) -> Result<()> {
    sqlx::query(
        "update broker_pairs set primary_id = replica_id, replica_id = primary_id
         where primary_id = $1",
    )
    .bind(primary.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// Parts the pair of either broker; `false` when there is none in this phase.
pub async fn pair_delete(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
    phase: Phase,
) -> Result<bool> {
    let done = sqlx::query(
        "delete from broker_pairs where (primary_id = $1 or replica_id = $1) and phase = $2",
    )
    .bind(broker_id.as_str())
    .bind(phase.name())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The part that a locked broker has in a pair by now.
pub async fn pair_fetch(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
) -> Result<Option<Replication>> {
    let broker = broker_find(conn, broker_id).await?;
    Ok(broker.and_then(|broker| broker.replication))
}

/// Does to a pair what waits for a reboot of the broker, which the transaction has locked and
/// begins: it begins, or ends, and the replica is rebooted as well. A replica that has never run
/// waits for a later reboot.
pub async fn pair_start(
    conn: &mut PgConnection,
    broker: &Broker,
    job_id: JobId,
    now: DateTime<Utc>,
) -> Result<()> {
    let Some(pair) = pair_fetch(conn, &broker.id).await? else {
        return Ok(());
    };
    if pair.role == Role::Replica || pair.phase == Phase::Active {
        return Ok(());
    }
    let Some(mut replica) = broker_find_locked(conn, &pair.counterpart.broker_id).await? else {
        return Ok(());
    };
    match pair.phase {
        Phase::Pending if !replica.has_run() => return Ok(()),
        Phase::Pending => pair_set_phase(conn, &broker.id, Phase::Active).await?,
        Phase::Active => {}
        Phase::Ending => {
            pair_delete(conn, &broker.id, Phase::Ending).await?;
        }
    }
    pair_reboot(conn, &mut replica, job_id, now).await
}

/// Restarts a broker because of its counterpart, unless it restarts or goes already.
pub async fn pair_reboot(
    conn: &mut PgConnection,
    broker: &mut Broker,
    job_id: JobId,
    now: DateTime<Utc>,
) -> Result<()> {
    if !broker.state().allows(Request::Reboot, Parity::Strict) {
        return Ok(());
    }
    broker.next_generation(now);
    broker_reboot(conn, broker, job_id, None, now).await
}
