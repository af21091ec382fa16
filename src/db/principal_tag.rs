//! Tags on users and roles. They are read with their principal, see [`super::principal_fetch`].

use sqlx::PgConnection;

use super::Result;
use crate::model::{
    AccountId,
    principal::Subject,
    principal_tag::{PrincipalTags, fold},
};

/// Sets tags, replacing the values and the spelling of keys that are there already.
pub async fn principal_tags_put(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
    tags: &PrincipalTags,
) -> Result<()> {
    let (keys, values): (Vec<&str>, Vec<&str>) = tags.iter().unzip();
    let folded: Vec<String> = keys.iter().map(|key| fold(key)).collect();
    sqlx::query(
        "insert into principal_tags (account_id, principal, folded_key, key, value)
         select $1, $2, folded_key, key, value
         from unnest($3::text[], $4::text[], $5::text[]) as t (folded_key, key, value)
         on conflict on constraint principal_tags_pkey
         do update set key = excluded.key, value = excluded.value",
    )
    .bind(account_id.as_str())
    .bind(subject.path())
    .bind(folded)
    .bind(keys)
    .bind(values)
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes tags, whatever the case of their keys; those that are not there are no error.
pub async fn principal_tags_remove(
    conn: &mut PgConnection,
    account_id: &AccountId,
    subject: &Subject,
    keys: &[String],
) -> Result<()> {
    let folded: Vec<String> = keys.iter().map(|key| fold(key)).collect();
    sqlx::query(
        "delete from principal_tags
         where account_id = $1 and principal = $2 and folded_key = any($3)",
    )
    .bind(account_id.as_str())
    .bind(subject.path())
    .bind(folded)
    .execute(conn)
    .await?;
    Ok(())
}
