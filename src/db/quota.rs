//! Quotas that an operator adjusted for an account.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Result, row::Place};
use crate::model::{
    AccountId, Scope,
    quota::{Quota, Quotas},
};

/// The quotas of an account.
pub async fn quotas_fetch(conn: &mut PgConnection, account_id: &AccountId) -> Result<Quotas> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select name, value from account_quotas where account_id = $1")
            .bind(account_id.as_str())
            .fetch_all(conn)
            .await?;
    let place = Place {
        table: "account_quotas",
        row: account_id.as_str(),
    };
    let read = |(name, value): (String, i64)| Ok((place.need("name", Quota::parse(&name))?, value));
    let adjusted = rows.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(Quotas::new(adjusted))
}

/// Transactions that would use up the same quota of a scope wait for each other from here on.
pub async fn quota_lock(conn: &mut PgConnection, scope: &Scope, quota: Quota) -> Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!(
            "quota:{}:{}:{}",
            scope.account_id,
            scope.region,
            quota.name()
        ))
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn quota_put(
    conn: &mut PgConnection,
    account_id: &AccountId,
    quota: Quota,
    value: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into account_quotas (account_id, name, value, updated_at) values ($1, $2, $3, $4)
         on conflict on constraint account_quotas_pkey
         do update set value = excluded.value, updated_at = excluded.updated_at",
    )
    .bind(account_id.as_str())
    .bind(quota.name())
    .bind(value)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes a quota the standard one again.
pub async fn quota_delete(
    conn: &mut PgConnection,
    account_id: &AccountId,
    quota: Quota,
) -> Result<()> {
    sqlx::query("delete from account_quotas where account_id = $1 and name = $2")
        .bind(account_id.as_str())
        .bind(quota.name())
        .execute(conn)
        .await?;
    Ok(())
}
