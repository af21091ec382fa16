//! What brokers need in clear and no caller is told, sealed under the master key.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Result;
use crate::model::BrokerId;

pub async fn broker_secret_create(
    conn: &mut PgConnection,
    id: Uuid,
    broker_id: &BrokerId,
    sealed: &[u8],
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into broker_secrets (id, broker_id, sealed, created_at) values ($1, $2, $3, $4)",
    )
    .bind(id)
    .bind(broker_id.as_str())
    .bind(sealed)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn broker_secret_fetch(conn: &mut PgConnection, id: Uuid) -> Result<Option<Vec<u8>>> {
    Ok(
        sqlx::query_scalar("select sealed from broker_secrets where id = $1")
            .bind(id)
            .fetch_optional(conn)
            .await?,
    )
}

/// Every secret, locked until the transaction ends.
pub async fn broker_secrets(conn: &mut PgConnection) -> Result<Vec<(Uuid, Vec<u8>)>> {
    Ok(
        sqlx::query_as("select id, sealed from broker_secrets order by id for update")
            .fetch_all(conn)
            .await?,
    )
}

pub async fn broker_secret_reseal(conn: &mut PgConnection, id: Uuid, sealed: &[u8]) -> Result<()> {
    sqlx::query("update broker_secrets set sealed = $2 where id = $1")
        .bind(id)
        .bind(sealed)
        .execute(conn)
        .await?;
    Ok(())
}
