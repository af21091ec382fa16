//! The installation's certificate authority: one row, its key sealed under the master key.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Result;

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct StoredAuthority {
    pub certificate_pem: String,
    pub key_sealed: Vec<u8>,
}

/// Stores the authority if there is none yet, and returns the stored one: of two first starts at
/// once, both get the same.
pub async fn certificate_authority_create(
    conn: &mut PgConnection,
    authority: &StoredAuthority,
    now: DateTime<Utc>,
) -> Result<StoredAuthority> {
    let stored = sqlx::query_as(
        "insert into certificate_authorities (id, certificate_pem, key_sealed, created_at)
         values (1, $1, $2, $3)
         on conflict (id) do update set id = certificate_authorities.id
         returning certificate_pem, key_sealed",
    )
    .bind(&authority.certificate_pem)
    .bind(&authority.key_sealed)
    .bind(now)
    .fetch_one(conn)
    .await?;
    Ok(stored)
}

pub async fn certificate_authority_fetch(
    conn: &mut PgConnection,
) -> Result<Option<StoredAuthority>> {
    let stored = sqlx::query_as("select certificate_pem, key_sealed from certificate_authorities")
        .fetch_optional(conn)
        .await?;
    Ok(stored)
}

/// Replaces the sealed key by the same one sealed anew.
pub async fn certificate_authority_reseal(
    conn: &mut PgConnection,
    key_sealed: &[u8],
) -> Result<()> {
    sqlx::query("update certificate_authorities set key_sealed = $1")
        .bind(key_sealed)
        .execute(conn)
        .await?;
    Ok(())
}
