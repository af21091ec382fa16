//! Users, roles and groups of accounts.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, types::Json};

use super::{Result, row::Place};
use crate::model::{
    AccountId,
    principal::Subject,
    principal_tag::PrincipalTags,
    role::{Role, RoleTerms},
};

/// A user, a role or a group, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPrincipal {
    pub subject: Subject,
    pub unique_id: String,
    /// Of roles.
    pub terms: Option<RoleTerms>,
    pub tags: PrincipalTags,
    pub created_at: DateTime<Utc>,
    /// Of a user the latest use of any of its keys, of a role that of a session; never of groups.
    pub last_used_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    path: String,
    unique_id: String,
    trust_policy: Option<String>,
    session_s_max: Option<i32>,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    tags: Option<Json<BTreeMap<String, String>>>,
}

macro_rules! select {
    ($tail:literal) => {
        concat!(
            "select p.path, p.unique_id, p.trust_policy, p.session_s_max, p.created_at,
                    coalesce(p.last_used_at, (select max(k.last_used_at) from access_keys as k
                     where k.account_id = p.account_id and k.principal = p.path)) as last_used_at,
                    (select jsonb_object_agg(t.key, t.value) from principal_tags as t
                     where t.account_id = p.account_id and t.principal = p.path) as tags
             from principals as p ",
            $tail
        )
    };
}

impl Row {
    fn read(self) -> Result<StoredPrincipal> {
        let place = Place {
            table: "principals",
            row: &self.path,
        };
        let terms = match (self.trust_policy, self.session_s_max) {
            (Some(trust_policy), Some(session_s_max)) => Some(RoleTerms {
                trust_policy,
                session_s_max: place.need("session_s_max", u32::try_from(session_s_max).ok())?,
            }),
            _ => None,
        };
        Ok(StoredPrincipal {
            subject: place.need("path", Subject::parse(&self.path))?,
            unique_id: self.unique_id,
            terms,
            tags: self
                .tags
                .map(|Json(tags)| tags)
                .into_iter()
                .flatten()
                .collect(),
            created_at: self.created_at,
            last_used_at: self.last_used_at,
        })
    }
}

/// Adds a user, a role or a group. Its name is unique in the account among its kind.
pub async fn principal_create(
    conn: &mut PgConnection,
    account_id: &AccountId,
    principal: &StoredPrincipal,
) -> Result<()> {
    let terms = principal.terms.as_ref();
    sqlx::query(
        "insert into principals (account_id, path, unique_id, trust_policy, session_s_max,
                                 created_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(account_id.as_str())
    .bind(principal.subject.path())
    .bind(&principal.unique_id)
    .bind(terms.map(|terms| &terms.trust_policy))
    .bind(terms.map(|terms| i32::try_from(terms.session_s_max).unwrap_or(i32::MAX)))
    .bind(principal.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn principal_fetch(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
) -> Result<Option<StoredPrincipal>> {
    let row: Option<Row> = sqlx::query_as(select!("where p.account_id = $1 and p.path = $2"))
        .bind(account_id.as_str())
        .bind(subject.path())
        .fetch_optional(conn)
        .await?;
    row.map(Row::read).transpose()
}

/// Like [`principal_fetch`], and until the transaction ends nobody else changes what it has, or
/// deletes it.
pub async fn principal_lock(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
) -> Result<Option<StoredPrincipal>> {
    sqlx::query("select from principals where account_id = $1 and path = $2 for no key update")
        .bind(account_id.as_str())
        .bind(subject.path())
        .execute(&mut *conn)
        .await?;
    // A statement of its own: one that waited for the lock would not see what was added meanwhile.
    principal_fetch(conn, account_id, subject).await
}

/// The account's users, roles and groups by path.
pub async fn principal_list(
    conn: &mut PgConnection,
    account_id: &AccountId,
) -> Result<Vec<StoredPrincipal>> {
    let rows: Vec<Row> = sqlx::query_as(select!(
        "where p.account_id = $1 order by p.path collate \"C\""
    ))
    .bind(account_id.as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// Notes that a session of a role was used, unless that was noted less than `granularity` ago.
pub async fn principal_touch(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
    granularity: TimeDelta,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "update principals set last_used_at = $3
         where account_id = $1 and path = $2 and (last_used_at is null or last_used_at <= $4)",
    )
    .bind(account_id.as_str())
    .bind(subject.path())
    .bind(now)
    .bind(now - granularity)
    .execute(conn)
    .await?;
    Ok(())
}

/// How many of the account's principals are of the kind of this one.
pub async fn principal_count(
    conn: &mut PgConnection,
    account_id: &AccountId,
    like: &Subject,
) -> Result<i64> {
    let count = sqlx::query_scalar(
        "select count(*) from principals
         where account_id = $1 and split_part(path, '/', 1) = split_part($2, '/', 1)",
    )
    .bind(account_id.as_str())
    .bind(like.path())
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// Replaces who may become a role; whether there is such a role.
pub async fn role_update(
    conn: &mut PgConnection,
    account_id: &AccountId,
    role: &Role,
) -> Result<bool> {
    let done = sqlx::query(
        "update principals set trust_policy = $3, session_s_max = $4
         where account_id = $1 and path = $2",
    )
    .bind(account_id.as_str())
    .bind(role.subject().path())
    .bind(&role.terms.trust_policy)
    .bind(i32::try_from(role.terms.session_s_max).unwrap_or(i32::MAX))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes a user, a role or a group with all that it has, its keys among them; whether there was one.
pub async fn principal_delete(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
) -> Result<bool> {
    let done = sqlx::query("delete from principals where account_id = $1 and path = $2")
        .bind(account_id.as_str())
        .bind(subject.path())
        .execute(&mut *conn)
        .await?;
    sqlx::query("delete from access_keys where account_id = $1 and principal = $2")
        .bind(account_id.as_str())
        .bind(subject.path())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}
