//! Policies of accounts, and which principals have them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Result, row::Place};
use crate::model::{
    AccountId,
    principal::{Name, Subject},
};

/// A policy that a principal has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attached {
    /// One of the account's own.
    Own(Name),
    /// One that every account has.
    Managed(String),
}

impl Attached {
    fn columns(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Own(name) => (Some(name.as_str()), None),
            Self::Managed(name) => (None, Some(name)),
        }
    }
}

/// Adds a policy, or replaces its document.
pub async fn policy_put(
    conn: &mut PgConnection,
    account_id: &AccountId,
    name: &Name,
    document: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into policies (account_id, name, document, created_at, updated_at)
         values ($1, $2, $3, $4, $4)
         on conflict on constraint policies_pkey
         do update set document = excluded.document, updated_at = excluded.updated_at",
    )
    .bind(account_id.as_str())
    .bind(name.as_str())
    .bind(document)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// The document of a policy.
pub async fn policy_fetch(
    conn: &mut PgConnection,
    account_id: &AccountId,
    name: &Name,
) -> Result<Option<String>> {
    let document =
        sqlx::query_scalar("select document from policies where account_id = $1 and name = $2")
            .bind(account_id.as_str())
            .bind(name.as_str())
            .fetch_optional(conn)
            .await?;
    Ok(document)
}

/// The documents of those of the account's policies that have these names.
pub async fn policy_fetch_all(
    conn: &mut PgConnection,
    account_id: &AccountId,
    names: &[Name],
) -> Result<Vec<(String, String)>> {
    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
    let rows = sqlx::query_as(
        "select name, document from policies where account_id = $1 and name = any($2)",
    )
    .bind(account_id.as_str())
    .bind(names)
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Names of the account's policies, and how many principals have each.
pub async fn policy_list(
    conn: &mut PgConnection,
    account_id: &AccountId,
) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query_as(
        "select name, (select count(*) from policy_attachments as attached
                       where attached.account_id = policies.account_id
                         and attached.policy_name = policies.name)
         from policies where account_id = $1 order by name collate \"C\"",
    )
    .bind(account_id.as_str())
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Deletes a policy that nobody has; whether there was one. `Taken` is not among the errors: one
/// that is attached is left, and the count says so.
pub async fn policy_delete(
    conn: &mut PgConnection,
    account_id: &AccountId,
    name: &Name,
) -> Result<bool> {
    let done = sqlx::query(
        "delete from policies where account_id = $1 and name = $2
         and not exists (select from policy_attachments as attached
                         where attached.account_id = policies.account_id
                           and attached.policy_name = policies.name)",
    )
    .bind(account_id.as_str())
    .bind(name.as_str())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Attaches a policy; attaching it again changes nothing.
pub async fn policy_attach(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
    policy: &Attached,
    now: DateTime<Utc>,
) -> Result<()> {
    let (own, managed) = policy.columns();
    sqlx::query(
        "insert into policy_attachments (account_id, principal, policy_name, managed_name,
                                         attached_at)
         values ($1, $2, $3, $4, $5)
         on conflict on constraint policy_attachments_key do nothing",
    )
    .bind(account_id.as_str())
    .bind(subject.path())
    .bind(own)
    .bind(managed)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Detaches a policy; whether it was attached.
pub async fn policy_detach(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
    policy: &Attached,
) -> Result<bool> {
    let (own, managed) = policy.columns();
    let done = sqlx::query(
        "delete from policy_attachments
         where account_id = $1 and principal = $2
           and policy_name is not distinct from $3 and managed_name is not distinct from $4",
    )
    .bind(account_id.as_str())
    .bind(subject.path())
    .bind(own)
    .bind(managed)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

#[derive(sqlx::FromRow)]
struct Row {
    policy_name: Option<String>,
    managed_name: Option<String>,
    document: Option<String>,
}

/// What a principal has, each with its document where that is the account's own.
pub async fn policies_attached(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
) -> Result<Vec<(Attached, Option<String>)>> {
    let path = subject.path();
    let rows: Vec<Row> = sqlx::query_as(
        "select attached.policy_name, attached.managed_name, policies.document
         from policy_attachments as attached
         left join policies
           on policies.account_id = attached.account_id and policies.name = attached.policy_name
         where attached.account_id = $1 and attached.principal = $2
         order by attached.policy_name, attached.managed_name",
    )
    .bind(account_id.as_str())
    .bind(&path)
    .fetch_all(conn)
    .await?;
    let place = Place {
        table: "policy_attachments",
        row: &path,
    };
    rows.into_iter()
        .map(|row| {
            let attached = match (row.policy_name, row.managed_name) {
                (Some(name), _) => Attached::Own(place.need("policy_name", Name::parse(&name))?),
                (None, managed) => Attached::Managed(place.need("managed_name", managed)?),
            };
            Ok((attached, row.document))
        })
        .collect()
}
