//! Logins on brokers.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};

use super::{
    Error, Result,
    row::{Place, to_json},
};
use crate::model::{
    BrokerId,
    broker::{BrokerUser, UserChange, UserSummary},
};

pub async fn broker_user_create(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
    user: &BrokerUser,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into broker_users (broker_id, username, password_hash, console_access,
                                   replication_user, groups, created_at, pending, is_bootstrap,
                                   revision)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(broker_id.as_str())
    .bind(&user.username)
    .bind(&user.password_hash)
    .bind(user.console_access)
    .bind(user.replication_user)
    .bind(&user.groups)
    .bind(now)
    .bind(user.pending.as_ref().map(to_json).transpose()?)
    .bind(user.is_bootstrap)
    .bind(user.revision)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what the next start makes of a login of a broker that the transaction has locked.
pub async fn broker_user_stage(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
    user: &BrokerUser,
) -> Result<()> {
    sqlx::query("update broker_users set pending = $3 where broker_id = $1 and username = $2")
        .bind(broker_id.as_str())
        .bind(&user.username)
        .bind(user.pending.as_ref().map(to_json).transpose()?)
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes a login that no start has made yet.
pub async fn broker_user_delete(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
    username: &str,
) -> Result<()> {
    sqlx::query("delete from broker_users where broker_id = $1 and username = $2")
        .bind(broker_id.as_str())
        .bind(username)
        .execute(conn)
        .await?;
    Ok(())
}

/// How many logins a broker has, those included that wait for a start.
pub async fn broker_user_count(conn: &mut PgConnection, broker_id: &BrokerId) -> Result<i64> {
    let count = sqlx::query_scalar(
        "select count(*) from broker_users where broker_id = $1 and removed_at is null",
    )
    .bind(broker_id.as_str())
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// Whether a change of a login waits for the next start of the broker.
pub async fn broker_users_pending(conn: &mut PgConnection, broker_id: &BrokerId) -> Result<bool> {
    let pending = sqlx::query_scalar(
        "select exists (select from broker_users where broker_id = $1 and pending is not null)",
    )
    .bind(broker_id.as_str())
    .fetch_one(conn)
    .await?;
    Ok(pending)
}

/// Makes true what waited for a start of the broker, which the transaction begins.
pub(super) async fn broker_users_start(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
) -> Result<()> {
    sqlx::query("delete from broker_users where broker_id = $1 and pending->>'change' = 'DELETE'")
        .bind(broker_id.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "update broker_users
         set password_hash = pending->>'password_hash',
             console_access = (pending->>'console_access')::boolean,
             replication_user = (pending->>'replication_user')::boolean,
             groups = array(select jsonb_array_elements_text(pending->'groups')),
             pending = null
         where broker_id = $1 and pending is not null",
    )
    .bind(broker_id.as_str())
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
    pending: Option<Value>,
    is_bootstrap: bool,
    revision: i64,
    removed_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for BrokerUser {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let place = Place {
            table: "broker_users",
            row: &row.username,
        };
        let pending = row.pending;
        let pending = pending.map(|value| place.json("pending", value));
        Ok(Self {
            pending: pending.transpose()?,
            username: row.username,
            password_hash: row.password_hash,
            console_access: row.console_access,
            replication_user: row.replication_user,
            groups: row.groups,
            is_bootstrap: row.is_bootstrap,
            revision: row.revision,
            removed_at: row.removed_at,
        })
    }
}

/// The logins of a broker by name, those that were removed among them: nodes must get to know.
pub async fn broker_users(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
) -> Result<Vec<BrokerUser>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select username, password_hash, console_access, replication_user, groups, pending,
                is_bootstrap, revision, removed_at
         from broker_users where broker_id = $1 order by username",
    )
    .bind(broker_id.as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(BrokerUser::try_from).collect()
}

/// The logins of a broker after `after`, by name, at most `limit` of them.
pub async fn broker_user_list(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
    after: &str,
    limit: u32,
) -> Result<Vec<UserSummary>> {
    let rows: Vec<(String, Option<Json<UserChange>>)> = sqlx::query_as(
        "select username, pending->'change' from broker_users
         where broker_id = $1 and username > $2 and removed_at is null
         order by username limit $3",
    )
    .bind(broker_id.as_str())
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await?;
    let summary = |(username, staged): (String, Option<Json<UserChange>>)| UserSummary {
        username,
        staged: staged.map(|Json(change)| change),
    };
    Ok(rows.into_iter().map(summary).collect())
}

/// A login of a broker that the caller has already found in its scope.
pub async fn broker_user_fetch(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
    username: &str,
) -> Result<Option<BrokerUser>> {
    let row: Option<Row> = sqlx::query_as(
        "select username, password_hash, console_access, replication_user, groups, pending,
                is_bootstrap, revision, removed_at
         from broker_users where broker_id = $1 and username = $2 and removed_at is null",
    )
    .bind(broker_id.as_str())
    .bind(username)
    .fetch_optional(conn)
    .await?;
    row.map(BrokerUser::try_from).transpose()
}

/// Adds a login or replaces the one of its name, of a broker that the transaction has locked. Its
/// revision is the broker's next one, whatever it was.
pub async fn broker_user_put(
    conn: &mut PgConnection,
    broker_id: &BrokerId,
    user: &BrokerUser,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into broker_users (broker_id, username, password_hash, console_access,
                                   replication_user, groups, is_bootstrap, removed_at, created_at,
                                   revision)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce(max(revision), 0) + 1
         from broker_users where broker_id = $1
         on conflict (broker_id, username) do update
         set password_hash = excluded.password_hash, console_access = excluded.console_access,
             replication_user = excluded.replication_user, groups = excluded.groups,
             is_bootstrap = excluded.is_bootstrap, removed_at = excluded.removed_at,
             revision = excluded.revision, pending = null",
    )
    .bind(broker_id.as_str())
    .bind(&user.username)
    .bind(&user.password_hash)
    .bind(user.console_access)
    .bind(user.replication_user)
    .bind(&user.groups)
    .bind(user.is_bootstrap)
    .bind(user.removed_at)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
