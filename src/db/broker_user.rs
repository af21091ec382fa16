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

impl From<Row> for BrokerUser {
    fn from(row: Row) -> Self {
        Self {
            username: row.username,
            password_hash: row.password_hash,
            console_access: row.console_access,
            replication_user: row.replication_user,
            groups: row.groups,
        }
    }
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
    Ok(rows.into_iter().map(BrokerUser::from).collect())
}

/// The names of a broker's logins after `after`, in their order, at most `limit` of them.
pub async fn broker_user_names(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
    after: &str,
    limit: u32,
) -> Result<Vec<String>> {
    let names = sqlx::query_scalar(
        "select username from broker_users where broker_id = $1 and username > $2
         order by username limit $3",
    )
    .bind(broker_id.as_str())
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await?;
    Ok(names)
}

/// A login of a broker that the caller has already found in its scope.
pub async fn broker_user_fetch(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
    username: &str,
) -> Result<Option<BrokerUser>> {
    let row: Option<Row> = sqlx::query_as(
        "select username, password_hash, console_access, replication_user, groups
         from broker_users where broker_id = $1 and username = $2",
    )
    .bind(broker_id.as_str())
    .bind(username)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(BrokerUser::from))
}
