//! Policies of accounts, and what decides over a principal: the policies attached to it and to its
//! groups, and those that are parts of them.

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

/// What makes somebody hold a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Attached(Attached),
    /// A part of its holder, by this name.
    Inline(Name),
}

/// A policy that decides over a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPolicy {
    /// The principal, or a group that it is in.
    pub holder: Subject,
    pub source: Source,
    /// `None` of one that every account has.
    pub document: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    holder: String,
    policy_name: Option<String>,
    managed_name: Option<String>,
    inline_name: Option<String>,
    document: Option<String>,
}

impl Row {
    fn read(self) -> Result<HeldPolicy> {
        let place = Place {
            table: "policy_attachments",
            row: &self.holder,
        };
        let name = |column, name: &str| place.need(column, Name::parse(name));
        let source = match (&self.policy_name, &self.inline_name) {
            (Some(own), _) => Source::Attached(Attached::Own(name("policy_name", own)?)),
            (None, Some(inline)) => Source::Inline(name("inline_name", inline)?),
            (None, None) => {
                let managed = place.need("managed_name", self.managed_name)?;
                Source::Attached(Attached::Managed(managed))
            }
        };
        Ok(HeldPolicy {
            holder: place.need("principal", Subject::parse(&self.holder))?,
            source,
            document: self.document,
        })
    }
}

/// The policies of a principal and of the groups that it is in: the attached ones first.
pub async fn policies_held(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
) -> Result<Vec<HeldPolicy>> {
    let rows: Vec<Row> = sqlx::query_as(
        "with holders as (
             select $2 as path
             union all
             select group_path from group_members where account_id = $1 and user_path = $2
         )
         select attached.principal as holder, attached.policy_name, attached.managed_name,
                null as inline_name, policies.document
         from policy_attachments as attached
         left join policies
           on policies.account_id = attached.account_id and policies.name = attached.policy_name
         where attached.account_id = $1 and attached.principal in (select path from holders)
         union all
         select principal, null, null, name, document from inline_policies
         where account_id = $1 and principal in (select path from holders)
         order by inline_name nulls first, holder, policy_name, managed_name",
    )
    .bind(account_id.as_str())
    .bind(subject.path())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}
