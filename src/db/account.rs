//! Accounts.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Result, row::Place};
use crate::model::AccountId;

/// Adds an account; its name is unique in the installation.
pub async fn account_create(
    conn: &mut PgConnection,
    id: &AccountId,
    name: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query("insert into accounts (id, name, created_at) values ($1, $2, $3)")
        .bind(id.as_str())
        .bind(name)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn account_fetch_by_name(
    conn: &mut PgConnection,
    name: &str,
) -> Result<Option<AccountId>> {
    let id: Option<String> = sqlx::query_scalar("select id from accounts where name = $1")
        .bind(name)
        .fetch_optional(conn)
        .await?;
    let Some(id) = id else { return Ok(None) };
    let place = Place {
        table: "accounts",
        row: &id,
    };
    Ok(Some(place.need("id", AccountId::parse(&id))?))
}

/// Whether there is such an account. Until the transaction ends, others that would change who is in
/// it wait.
pub async fn account_lock(conn: &mut PgConnection, id: &AccountId) -> Result<bool> {
    let done = sqlx::query("select from accounts where id = $1 for no key update")
        .bind(id.as_str())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}
