//! Logins on brokers.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Result;
use crate::model::{BrokerId, broker::BrokerUser};

pub async fn broker_user_create(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
    user: &BrokerUser,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into broker_users (broker_id, username, password_hash, console_access,
                                   replication_user, groups, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(broker_id.as_str())
    .bind(&user.username)
    .bind(&user.password_hash)
    .bind(user.console_access)
    .bind(user.replication_user)
    .bind(&user.groups)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    username: String,
    password_hash: String,
    console_access: bool,
    replication_user: bool,
    groups: Vec<String>,
}

/// The logins of a broker by name.
pub async fn broker_users(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
) -> Result<Vec<BrokerUser>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select username, password_hash, console_access, replication_user, groups
         from broker_users where broker_id = $1 order by username",
    )
    .bind(broker_id.as_str())
    .fetch_all(conn)
    .await?;
    let user = |row: Row| BrokerUser {
        username: row.username,
        password_hash: row.password_hash,
        console_access: row.console_access,
        replication_user: row.replication_user,
        groups: row.groups,
    };
    Ok(rows.into_iter().map(user).collect())
}
