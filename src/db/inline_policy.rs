//! Policies that are part of one user, role or group.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Result, row::Place};
use crate::model::{
    AccountId,
    principal::{Name, Subject},
};

/// Adds a policy, or replaces its document.
pub async fn inline_policy_put(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
    (name, document): (&Name, &str),
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into inline_policies (account_id, principal, name, document, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $5)
         on conflict on constraint inline_policies_pkey
         do update set document = excluded.document, updated_at = excluded.updated_at",
    )
    .bind(account_id.as_str())
    .bind(subject.path())
    .bind(name.as_str())
    .bind(document)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a policy; whether there was one.
pub async fn inline_policy_delete(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
    name: &Name,
) -> Result<bool> {
    let done = sqlx::query(
        "delete from inline_policies where account_id = $1 and principal = $2 and name = $3",
    )
    .bind(account_id.as_str())
    .bind(subject.path())
    .bind(name.as_str())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Names and documents of a principal's policies, by name.
pub async fn inline_policies(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
) -> Result<Vec<(Name, String)>> {
    let path = subject.path();
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select name, document from inline_policies
         where account_id = $1 and principal = $2 order by name collate \"C\"",
    )
    .bind(account_id.as_str())
    .bind(&path)
    .fetch_all(conn)
    .await?;
    let place = Place {
        table: "inline_policies",
        row: &path,
    };
    rows.into_iter()
        .map(|(name, document)| Ok((place.need("name", Name::parse(&name))?, document)))
        .collect()
}
