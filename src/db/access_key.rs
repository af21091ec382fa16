//! Access keys. Their secrets are stored sealed and leave this module sealed.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::{Result, row::Place};
use crate::model::{
    AccessKeyId, AccountId,
    access_key::AccessKey,
    principal::{Identity, Principal},
};

/// Adds an enabled key that speaks for `principal`; see [`AccessKey`] for the sealing.
pub async fn access_key_create(
    conn: &mut PgConnection,
    id: &AccessKeyId,
    principal: &Principal,
    secret_sealed: &[u8],
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into access_keys (id, account_id, principal, secret_sealed, created_at)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(id.as_str())
    .bind(principal.account_id.as_str())
    .bind(principal.identity.path())
    .bind(secret_sealed)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    principal: String,
    secret_sealed: Vec<u8>,
    enabled: bool,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
}

impl Row {
    fn read(self) -> Result<AccessKey> {
        let place = Place {
            table: "access_keys",
            row: &self.id,
        };
        Ok(AccessKey {
            id: place.need("id", AccessKeyId::parse(&self.id))?,
            principal: Principal {
                account_id: place.need("account_id", AccountId::parse(&self.account_id))?,
                identity: place.need("principal", Identity::parse(&self.principal))?,
            },
            secret_sealed: self.secret_sealed,
            enabled: self.enabled,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
        })
    }
}

pub async fn access_key_fetch(
    conn: &mut PgConnection,
    id: &AccessKeyId,
) -> Result<Option<AccessKey>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, account_id, principal, secret_sealed, enabled, created_at, last_used_at
         from access_keys where id = $1",
    )
    .bind(id.as_str())
    .fetch_optional(conn)
    .await?;
    row.map(Row::read).transpose()
}

/// The account's keys, oldest first.
pub async fn access_key_list(
    conn: &mut PgConnection,
    account_id: &AccountId,
) -> Result<Vec<AccessKey>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, account_id, principal, secret_sealed, enabled, created_at, last_used_at
         from access_keys where account_id = $1 order by created_at, id",
    )
    .bind(account_id.as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// Every key's sealed secret, in the order of ids.
pub async fn access_key_secrets(conn: &mut PgConnection) -> Result<Vec<(AccessKeyId, Vec<u8>)>> {
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as("select id, secret_sealed from access_keys order by id for update")
            .fetch_all(conn)
            .await?;
    let read = |(id, sealed): (String, Vec<u8>)| {
        let place = Place {
            table: "access_keys",
            row: &id,
        };
        Ok((place.need("id", AccessKeyId::parse(&id))?, sealed))
    };
    rows.into_iter().map(read).collect()
}

/// Replaces a sealed secret by the same one sealed anew.
pub async fn access_key_reseal(
    conn: &mut PgConnection,
    id: &AccessKeyId,
    secret_sealed: &[u8],
) -> Result<()> {
    sqlx::query("update access_keys set secret_sealed = $2 where id = $1")
        .bind(id.as_str())
        .bind(secret_sealed)
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes a key; whether there was one.
pub async fn access_key_delete(conn: &mut PgConnection, id: &AccessKeyId) -> Result<bool> {
    let done = sqlx::query("delete from access_keys where id = $1")
        .bind(id.as_str())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that the key was used, unless that was noted less than `granularity` ago.
pub async fn access_key_touch(
    conn: &mut PgConnection,
    id: &AccessKeyId,
    granularity: TimeDelta,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "update access_keys set last_used_at = $2
         where id = $1 and (last_used_at is null or last_used_at <= $3)",
    )
    .bind(id.as_str())
    .bind(now)
    .bind(now - granularity)
    .execute(conn)
    .await?;
    Ok(())
}

/// Enables or disables a key; whether there is such a key.
pub async fn access_key_set_enabled(
    conn: &mut PgConnection,
    id: &AccessKeyId,
    enabled: bool,
) -> Result<bool> {
    let done = sqlx::query("update access_keys set enabled = $2 where id = $1")
        .bind(id.as_str())
        .bind(enabled)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}
