//! One-time enrolment tokens of hosts, kept as SHA-256 hashes.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Result;

/// Which host a token is for.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct HostToken {
    pub host_name: String,
    pub zone: String,
    pub provisioner: String,
}

pub async fn host_token_create(
    conn: &mut PgConnection,
    token_hash: &[u8],
    token: &HostToken,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into host_tokens (token_hash, host_name, zone, provisioner, expires_at, created_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(token_hash)
    .bind(&token.host_name)
    .bind(&token.zone)
    .bind(&token.provisioner)
    .bind(expires_at)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Uses a token up; `None` when it is unknown, expired, or was used before. The holder of the key
/// that it was used with may use it again until it expires, because the answer may have been lost.
pub async fn host_token_redeem(
    conn: &mut PgConnection,
    token_hash: &[u8],
    key_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<HostToken>> {
    let token = sqlx::query_as(
        "update host_tokens set used_at = coalesce(used_at, $3), used_by_key = $2
         where token_hash = $1 and (used_at is null or used_by_key = $2) and expires_at > $3
         returning host_name, zone, provisioner",
    )
    .bind(token_hash)
    .bind(key_hash)
    .bind(now)
    .fetch_optional(conn)
    .await?;
    Ok(token)
}
